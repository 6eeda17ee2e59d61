"""A client as a student writes it: the standard library's sockets, and frames packed by hand.

    python3 student.py PORT one|many|bytes

It prints a line for each reply, with the frames of the reply in their order.
"""
import socket
import struct
import sys

CONVERSATION = [
    ("users",),
    ("register", "Боб"),
    ("register", "Боб"),
    ("users",),
    ("sendall", "Hello everybody"),
    ("send", "Боб", "Hello"),
    ("send", "Боб", "Привет 👍"),
    ("send", "Боб", ""),
    ("send", "Боб", "ы" * 60),
    ("send", "Eve", "Hello"),
    ("receive",),
    ("receive",),
    ("logout",),
    ("receive",),
    ("users",),
    # A strict server closes after this one.
    ("register", "Alexander"),
    ("users",),
]


class Client:
    """One connection; reads and writes as much at once as TCP gives and takes."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port))

    def write(self, data):
        self.sock.sendall(data)

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def send_frame(self, text):
        data = text.encode()
        self.write(struct.pack("<I", len(data)) + data)

    def receive_frame(self):
        (size,) = struct.unpack("<I", self.read(4))
        return self.read(size).decode()

    def ask(self, command):
        for text in command:
            self.send_frame(text)
        reply = [self.receive_frame()]
        if command[0] in ("users", "receive") and reply[0].isdigit():
            per_item = 2 if command[0] == "receive" else 1
            reply += [self.receive_frame() for _ in range(per_item * int(reply[0]))]
        return reply

    def finish(self):
        """Ends the sending side. The server must send nothing more."""
        self.sock.shutdown(socket.SHUT_WR)
        surplus = self.sock.recv(1)
        self.sock.close()
        if surplus:
            raise ValueError("the server sent more than was asked for")


class ByteClient(Client):
    """The same, a byte at a time."""

    def __init__(self, port):
        super().__init__(port)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write(self, data):
        for byte in data:
            self.sock.sendall(bytes([byte]))

    def read(self, size):
        return b"".join(super(ByteClient, self).read(1) for _ in range(size))


def show(client, command):
    try:
        print(" | ".join(client.ask(command)))
    except EOFError:
        print("(closed)")


def main(port, style):
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    if style == "many":
        for command in CONVERSATION:
            client = Client(port)
            show(client, command)
            client.finish()
    else:
        client = ByteClient(port) if style == "bytes" else Client(port)
        for command in CONVERSATION:
            show(client, command)
        client.finish()


main(int(sys.argv[1]), sys.argv[2])
