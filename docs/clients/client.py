"""A client of asvt-chat: python3 client.py [host] [port]. Type commands: send Bob hello there"""
import socket
import struct
import sys

host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
port = int(sys.argv[2]) if len(sys.argv) > 2 else 31337
server = socket.create_connection((host, port))
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def frame(text):
    """The length in bytes (not in letters), as 4 bytes with the lowest first, then the bytes."""
    data = text.encode("utf-8")
    return struct.pack("<I", len(data)) + data


def read_exactly(size):
    """recv returns as many bytes as have come, often fewer: read on until all are there."""
    data = b""
    while len(data) < size:
        piece = server.recv(size - len(data))
        if not piece:
            sys.exit("The server has closed the connection.")
        data += piece
    return data


def read_frame():
    (size,) = struct.unpack("<I", read_exactly(4))
    text = read_exactly(size).decode("utf-8", "replace")
    print(text, flush=True)
    return text


for line in sys.stdin:
    # "send" has two arguments, all others have one or none. readline keeps the newline: remove it.
    line = line.rstrip("\r\n")
    words = line.split(" ", 2 if line.startswith("send ") else 1)
    # One call for the whole command: TCP delays small writes that follow each other.
    server.sendall(b"".join(frame(word) for word in words))
    first = read_frame()
    # A list begins with a count. A refusal is one frame in its place, so look before you count.
    if words[0] in ("users", "receive", "wait") and first.isdigit():
        for _ in range(int(first) * (1 if words[0] == "users" else 2)):
            read_frame()
