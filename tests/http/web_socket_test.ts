/** The chat over WebSockets. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes";
import { describe } from "@std/testing/bdd";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { FrameStream } from "../../lib/protocol/frame_stream.ts";
import { webSocketConnection } from "../../lib/server/web_socket.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer, texts } from "../peer.ts";
import { serveWeb, type TestWeb, until } from "../support.ts";
import { request } from "./requests.ts";

/** A client over a WebSocket. */
class SocketPeer implements Disposable {
  readonly socket: WebSocket;
  /** The code of the close frame. */
  readonly closed: Promise<number>;
  readonly #frames: AsyncGenerator<string>;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    const connection = webSocketConnection(socket, { address: "", peer: "", bytesMax: 1e9 });
    this.#frames = texts(new FrameStream(connection, 1e9));
    this.closed = new Promise((resolve) =>
      socket.addEventListener("close", ({ code }) => resolve(code))
    );
  }

  static async connect({ url }: TestWeb): Promise<SocketPeer> {
    const socket = new WebSocket(`${url}/ws`.replace("http", "ws"));
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

/** A WebSocket on a bare TCP connection, which reads only what the test reads. */
async function openByHand({ web }: TestWeb, headers = ""): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(web.url);
  const conn = await Deno.connect({ hostname, port: Number(port) });
  const request = `GET /ws HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\n` +
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
    `Sec-WebSocket-Version: 13\r\n${headers}\r\n`;
  await conn.write(new TextEncoder().encode(request));
  return conn;
}

/** A masked binary message of less than 64 KiB. */
function message(bytes: Uint8Array): Uint8Array {
  const length = Uint8Array.of(0x82, 0x80 | 126, bytes.length >>> 8, bytes.length);
  return concat([length, new Uint8Array(4), bytes]);
}

/** The offset of the close frame that ends a stream. */
function lastCloseAt(bytes: Uint8Array): number {
  return bytes.findLastIndex((byte, at) =>
    byte === 0x88 && at + 2 + bytes[at + 1]! === bytes.length
  );
}

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
    al.socket.send(Uint8Array.of(0, 0, 0, 5));
    assertStringIncludes((await al.frame())!, "little-endian");
    assertEquals(await al.frame(), undefined);
    assertEquals(await al.closed, 1000);
  });

  itNeeds(NET, "that sends text is closed with 1003", async () => {
    await using server = serveWeb();
    using al = await SocketPeer.connect(server);
    al.socket.send("users");
    assertEquals(await al.closed, 1003);
  });

  const MANY_USERS = encodeFrames(Array.from({ length: 3000 }, () => "users"));

  /**
   * Sends many commands and reads nothing until `then` has resolved. The close frame that the server
   * sends in the end: its code, and the size of its payload.
   */
  async function floodedBy(server: TestWeb, then: (conn: Deno.TcpConn) => Promise<void>) {
    using bob = await Peer.connect(server.port);
    for (let i = 0; i < 500; i++) await bob.ask("register", `user ${i}`);
    const conn = await openByHand(server);
    await conn.write(message(MANY_USERS));
    await then(conn);
    assertEquals(await bob.ask("ping"), "pong");
    let last: Uint8Array = new Uint8Array(0);
    for await (const piece of conn.readable) {
      last = concat([last, piece]).slice(-200);
      const [opcode, length, high = 0, low = 0] = last.slice(lastCloseAt(last));
      if (opcode === 0x88) return { code: high << 8 | low, size: length };
    }
    return undefined;
  }

  itNeeds(NET, "that does not read is closed with 1013, and no other client notices", async () => {
    await using server = serveWeb("--write-timeout-s", "0.3");
    const closed = await floodedBy(server, async () => {
      const isOver = () => server.lines.some((line) => line.includes("nothing written in time"));
      await until(isOver, "its time is over");
    });
    assertEquals(closed?.code, 1013);
  });

  itNeeds(NET, "that sends faster than it is served is closed with 1009", async () => {
    await using server = serveWeb("--ws-bytes-max", "30000");
    const closed = await floodedBy(server, async (conn) => {
      await until(() => server.server.facts.bytes.out > 3_000_000, "its replies pile up");
      await conn.write(message(MANY_USERS));
      await conn.write(message(MANY_USERS));
      const isOver = () => server.lines.some((line) => line.includes("30000 bytes came"));
      await until(isOver, "it is logged");
    });
    assertEquals(closed?.code, 1009);
  });

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
    assertEquals(await al.closed, 1000);
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
