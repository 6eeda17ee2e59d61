/** The chat over WebSockets. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { FrameStream, readerOf } from "../../lib/protocol/frame_stream.ts";
import { WebSocketConnection } from "../../lib/http/web_socket.ts";
import type { LibrarySocket } from "../../lib/http/ws.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer, texts } from "../peer.ts";
import { serveWeb, type TestWeb, until } from "../support.ts";
import { request } from "./requests.ts";

/** A client over a WebSocket. */
class SocketPeer implements Disposable {
  readonly socket: WebSocket;
  /** The code and the reason of the close frame. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly #frames: AsyncGenerator<string>;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    this.closed = new Promise((resolve) => socket.onclose = resolve);
    const messages = new ReadableStream<Uint8Array>({
      start: (controller) => {
        socket.onmessage = ({ data }) => controller.enqueue(new Uint8Array(data));
        this.closed.then(() => controller.close());
      },
    });
    this.#frames = texts(new FrameStream(readerOf(messages), 1e9));
  }

  static async connect({ url }: TestWeb, protocols: string[] = []): Promise<SocketPeer> {
    const socket = new WebSocket(`${url}/ws`.replace("http", "ws"), protocols);
    const peer = new SocketPeer(socket);
    await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
    return peer;
  }

  async frame(): Promise<string | undefined> {
    const { done, value } = await this.#frames.next();
    return done ? undefined : value;
  }

  async ask(...words: string[]): Promise<string | undefined> {
    this.socket.send(encodeFrames(words) as Uint8Array<ArrayBuffer>);
    return await this.frame();
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }
}

/** A bare TCP connection to the page's port. */
function connectTo({ web }: TestWeb): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(web.url);
  return Deno.connect({ hostname, port: Number(port) });
}

async function writeAll(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await conn.write(rest));
}

/** A WebSocket on a bare TCP connection, which reads only what the test reads. */
async function openByHand(server: TestWeb, headers = "", before = ""): Promise<Deno.TcpConn> {
  const conn = await connectTo(server);
  if (before !== "") await conn.write(new TextEncoder().encode(before));
  if (before !== "") await conn.read(new Uint8Array(10_000));
  const request = `GET /ws HTTP/1.1\r\nHost: ${new URL(server.web.url).host}\r\n` +
    "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
    `Sec-WebSocket-Version: 13\r\n${headers}\r\n`;
  await conn.write(new TextEncoder().encode(request));
  return conn;
}

/** A masked binary message of less than 64 KiB. */
function message(bytes: Uint8Array): Uint8Array {
  const length = Uint8Array.of(0x82, 0x80 | 126, bytes.length >>> 8, bytes.length);
  return concat([length, new Uint8Array(4), bytes]);
}

/** The code of the close frame that ends a stream. */
async function closeCode(conn: Deno.TcpConn): Promise<number | undefined> {
  let bytes: Uint8Array = new Uint8Array(0);
  for await (const piece of conn.readable) {
    bytes = concat([bytes, piece]).slice(-4);
    const [opcode, , high = 0, low = 0] = bytes;
    if (opcode === 0x88) return high << 8 | low;
  }
  return undefined;
}

describe("the connection of a WebSocket", () => {
  /** A socket of the library that does only what the test tells it. */
  class FakeSocket implements LibrarySocket {
    readonly calls: string[] = [];
    receive = (_bytes: Uint8Array, _isBinary: boolean): void => {};
    send() {
      this.calls.push("send");
    }
    close(code: number) {
      this.calls.push(`close ${code}`);
    }
    pause() {
      this.calls.push("pause");
    }
    resume() {
      if (this.calls.at(-1) === "pause") this.calls.push("resume");
    }
    on(event: string, listener: unknown) {
      if (event === "message") this.receive = listener as typeof this.receive;
    }
  }
  const REMOTE = { address: "", peer: "" };

  it("is not read while many bytes wait in it, and is read on when they were taken", async () => {
    const socket = new FakeSocket();
    const connection = new WebSocketConnection(socket, REMOTE, () => {});
    for (let i = 0; i < 16_384; i++) {
      socket.receive(Uint8Array.of(i), true);
      socket.receive(new Uint8Array(0), true);
    }
    assertEquals(socket.calls, []);
    socket.receive(Uint8Array.of(7), true);
    assertEquals(socket.calls, ["pause"]);
    const bytes = new Uint8Array(20_000);
    assertEquals(await connection.read(bytes), 16_385);
    assertEquals([bytes[258], bytes[16_384]], [2, 7]);
    assertEquals(socket.calls, ["pause", "resume"]);
  });

  it("ends what is pending when it is closed, and is closed once", async () => {
    const socket = new FakeSocket();
    let closed = 0;
    const connection = new WebSocketConnection(socket, REMOTE, () => closed++);
    const pending = [connection.read(new Uint8Array(9)), connection.write(new Uint8Array(9))];
    connection.close();
    for (const { status } of await Promise.allSettled(pending)) assertEquals(status, "rejected");
    assertEquals(socket.calls, ["send", "close 1013"]);
    connection.close();
    assertEquals([socket.calls.length, closed], [2, 1]);
  });
});

describe("a WebSocket", () => {
  const SESSION = [["register", "Al"], ["send", "Al", "Привет 👍"], ["receive"], ["users"]];
  const REPLIES = ["Hello, Al", "Message added to storage!", "1", "Al", "Привет 👍", "1", "Al"];
  const bytes = concat(SESSION.map((words) => encodeFrames(words)));
  const SPLITS: Record<string, () => Uint8Array[]> = {
    "in one message": () => [bytes],
    "byte by byte": () => [...bytes as Uint8Array].map((byte) => Uint8Array.of(byte)),
    "in messages of 3 bytes, with empty ones between": () =>
      Array.from(
        { length: Math.ceil(bytes.length / 3) },
        (_, i) => [bytes.slice(3 * i, 3 * i + 3), new Uint8Array(0)],
      ).flat(),
  };
  for (const [how, split] of Object.entries(SPLITS)) {
    itNeeds(NET, `carries the frames of TCP, ${how}`, async () => {
      await using server = serveWeb();
      using al = await SocketPeer.connect(server);
      for (const piece of split()) al.socket.send(piece as Uint8Array<ArrayBuffer>);
      const replies: unknown[] = [];
      while (replies.length < REPLIES.length) replies.push(await al.frame());
      assertEquals(replies, REPLIES);
    });
  }

  itNeeds(NET, "carries the frames of TCP, split at every place", async () => {
    await using server = serveWeb("--users-per-address-max", "1000");
    for (let cut = 1; cut < bytes.length; cut++) {
      using al = await SocketPeer.connect(server);
      al.socket.send(bytes.slice(0, cut) as Uint8Array<ArrayBuffer>);
      al.socket.send(bytes.slice(cut) as Uint8Array<ArrayBuffer>);
      const replies: unknown[] = [];
      while (replies.length < REPLIES.length) replies.push(await al.frame());
      assertEquals(replies.slice(1), REPLIES.slice(1));
      assertEquals(await al.ask("logout"), "U've been successfully logouted");
    }
  });

  itNeeds(NET, "exchanges mail with a user over TCP", async () => {
    await using server = serveWeb();
    using al = await SocketPeer.connect(server);
    using bob = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await bob.ask("register", "Bob");
    await bob.send("wait", "30");
    assertEquals(await al.ask("send", "Bob", "hi"), "Message added to storage!");
    assertEquals([await bob.frame(), await bob.frame(), await bob.frame()], ["1", "Al", "hi"]);
    await bob.ask("send", "Al", "hello");
    assertEquals([await al.ask("receive"), await al.frame(), await al.frame()], [
      "1",
      "Bob",
      "hello",
    ]);
  });

  itNeeds(NET, "gets an explanation of its mistake, and is closed", async () => {
    await using server = serveWeb();
    using al = await SocketPeer.connect(server);
    al.socket.send(encodeFrames(["nonsense"]));
    assertStringIncludes((await al.frame())!, "This frame is no command");
    assertEquals(await al.frame(), undefined);
    assertEquals((await al.closed).code, 1000);
  });

  itNeeds(NET, "that sends text is closed with 1003", async () => {
    await using server = serveWeb();
    using al = await SocketPeer.connect(server);
    al.socket.send("users");
    const { code, reason } = await al.closed;
    assertEquals([code, reason], [1003, "a text message came"]);
  });

  const MANY_USERS = encodeFrames(Array.from({ length: 3000 }, () => "users"));
  const isLogged = (server: TestWeb, text: string) => () =>
    server.lines.some((line) => line.includes(text));

  /** Fills the chat with users, so that the replies of MANY_USERS are long. */
  async function fill({ port }: TestWeb): Promise<Peer> {
    const bob = await Peer.connect(port);
    for (let i = 0; i < 500; i++) await bob.ask("register", `user ${i}`);
    return bob;
  }

  itNeeds(NET, "that does not read is closed with 1013, and no other client notices", async () => {
    await using server = serveWeb("--write-timeout-s", "0.3");
    using bob = await fill(server);
    using conn = await openByHand(server);
    await conn.write(message(MANY_USERS));
    await until(isLogged(server, "nothing written in time"), "its time is over");
    assertEquals(await bob.ask("ping"), "pong");
    assertEquals(await closeCode(conn), 1013);
  });

  itNeeds(
    NET,
    "that sends faster than it is served is slowed down, and loses nothing",
    async () => {
      await using server = serveWeb();
      using _bob = await fill(server);
      using conn = await openByHand(server);
      const times = 20;
      let written = 0;
      const writing = (async () => {
        for (; written < times; written++) await writeAll(conn, message(MANY_USERS));
      })();
      await until(() => server.server.facts.bytes.out > 1_000_000, "its replies pile up");
      let bytes = 0;
      // Each reply is the number of users and 500 names.
      const { length } = encodeFrames([
        "500",
        ...Array.from({ length: 500 }, (_, i) => `user ${i}`),
      ]);
      for await (const piece of conn.readable) {
        bytes += piece.length;
        if (bytes > 3000 * times * length) break;
      }
      await writing;
      assert(bytes > 3000 * times * length);
    },
  );

  const UNFINISHED = [
    ["that sends a message longer than --ws-bytes-max", [0x82, 0xff, 0, 0, 0, 0, 0, 0, 16, 0]],
    ["whose fragments are longer together than --ws-bytes-max", [0x02, 0xfe, 5, 0]],
  ] as const;
  for (const [which, head] of UNFINISHED) {
    itNeeds(NET, `${which} is closed with 1009 before it ends`, async () => {
      await using server = serveWeb("--ws-bytes-max", "2000", "--frame-bytes-max", "1000");
      using conn = await openByHand(server);
      const fragment = new Uint8Array(1280);
      await writeAll(conn, concat([Uint8Array.from(head), new Uint8Array(4), fragment]));
      const next = Uint8Array.of(0x00, 0xfe, 5, 0, 0, 0, 0, 0);
      await writeAll(conn, concat([next, fragment]));
      await until(isLogged(server, "lost: Max payload size exceeded"), "it is logged");
      assertEquals(await closeCode(conn), 1009);
    });
  }

  itNeeds(
    NET,
    "that sends a message in more fragments than any client needs is closed",
    async () => {
      await using server = serveWeb();
      using conn = await openByHand(server);
      const one = Uint8Array.of(0x00, 0x81, 0, 0, 0, 0, 0);
      const first = Uint8Array.of(0x02, 0x81, 0, 0, 0, 0, 0);
      await writeAll(conn, concat([first, ...Array.from({ length: 1_500 }, () => one)]));
      assertEquals(await closeCode(conn), 1008);
    },
  );

  itNeeds(NET, "loses its place when it does not answer the close frame", async () => {
    await using server = serveWeb("--idle-timeout-s", "0.2", "--connections-max", "1");
    using conn = await openByHand(server);
    await until(isLogged(server, "idle"), "it is closed");
    await until(() => server.server.facts.connections === 0, "its place is free");
    // The end of the TCP connection comes though the client sends nothing.
    await conn.readable.pipeTo(new WritableStream()).catch(() => {});
  });

  itNeeds(NET, "can't hold up a stop", async () => {
    const server = serveWeb();
    using conn = await openByHand(server);
    await until(() => server.server.facts.connections === 1, "it is open");
    using idle = await connectTo(server);
    using half = await connectTo(server);
    await half.write(new TextEncoder().encode("GET /ws HTTP/1.1\r\nHost: x\r\n"));
    const from = performance.now();
    await server[Symbol.asyncDispose]();
    assert(performance.now() - from < 7_000);
    for (const each of [conn, idle, half]) {
      await each.readable.pipeTo(new WritableStream()).catch(() => {});
    }
  });

  itNeeds(NET, "is told that the server is full, however many hang there", async () => {
    await using server = serveWeb("--connections-max", "1", "--http-connections-max", "500");
    using bob = await Peer.connect(server.port);
    await bob.ask("ping");
    const hanging: Disposable[] = [];
    try {
      for (let i = 0; i < 130; i++) hanging.push(await openByHand(server));
      using al = await SocketPeer.connect(server);
      assertEquals(await al.frame(), "Server is full!");
    } finally {
      for (const conn of hanging) conn[Symbol.dispose]();
    }
  });

  itNeeds(NET, "speaks the subprotocol binary, and no other", async () => {
    await using server = serveWeb();
    using al = await SocketPeer.connect(server, ["chat", "binary"]);
    assertEquals([al.socket.protocol, await al.ask("ping")], ["binary", "pong"]);
    for (const [offered, chosen] of [["binary", true], ["chat", false]] as const) {
      using conn = await openByHand(server, `Sec-WebSocket-Protocol: ${offered}\r\n`);
      const head = new Uint8Array(1_000);
      const text = new TextDecoder().decode(head.subarray(0, await conn.read(head) ?? 0));
      assertMatch(text, /^HTTP\/1.1 101 /);
      assertEquals(/sec-websocket-protocol: binary/i.test(text), chosen);
    }
  });

  itNeeds(
    NET,
    "may be opened on a connection as soon as a request was answered there",
    async () => {
      await using server = serveWeb();
      for (let i = 0; i < 20; i++) {
        using conn = await openByHand(server, "", "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        const head = new Uint8Array(1_000);
        const text = new TextDecoder().decode(head.subarray(0, await conn.read(head) ?? 0));
        assertMatch(text, /^HTTP\/1.1 101 /);
      }
    },
  );

  itNeeds(NET, "takes no place when its client has gone before it opened", async () => {
    await using server = serveWeb("--connections-max", "5");
    for (let i = 0; i < 30; i++) (await openByHand(server)).close();
    await until(() => server.server.facts.connections === 0, "all are gone");
    using al = await SocketPeer.connect(server);
    assertEquals(await al.ask("ping"), "pong");
  });

  itNeeds(NET, "is told that the server is full", async () => {
    await using server = serveWeb("--connections-max", "1");
    using bob = await Peer.connect(server.port);
    await bob.ask("ping");
    using al = await SocketPeer.connect(server);
    assertEquals(await al.frame(), "Server is full!");
    assertEquals((await al.closed).code, 1000);
  });

  itNeeds(
    NET,
    "is opened by the server's own page, a page of --http-origins, or no page",
    async () => {
      await using server = serveWeb("--http-origins", "https://chat.example");
      const { port } = new URL(server.url);
      const ask = (origin: string) =>
        request(server, "GET /ws HTTP/1.1", `Host: localhost:${port}`, ...origin ? [origin] : []);
      const upgrade = "HTTP/1.1 426 Upgrade Required This address is for a WebSocket";
      for (
        const origin of [
          "",
          `Origin: http://localhost:${port}`,
          `Origin: http://127.0.0.1:${port}`,
          `Origin: http://[::1]:${port}`,
          "Origin: https://chat.example",
        ]
      ) assertEquals(await ask(origin), upgrade);
      for (const origin of ["http://evil.example", `http://evil.example:${port}`]) {
        assertEquals(
          await ask(`Origin: ${origin}`),
          `HTTP/1.1 403 Forbidden A page from ${origin} may not chat here: ` +
            `start the server with --http-origins ${origin}`,
        );
      }
      for (
        const origin of ["null", "chrome-extension://abc", "file://", "HTTP://X", "http://a,b"]
      ) {
        const refusal = await ask(`Origin: ${origin}`);
        assertStringIncludes(
          refusal,
          `A page from ${origin} may not chat here: no flag allows that`,
        );
        assert(!refusal.includes("--http-origins"), refusal);
      }
      const odd = await ask("Origin: http://a;id");
      assertMatch(odd, /start the server with --http-origins 'http:\/\/a;id'$/);
    },
  );
});
