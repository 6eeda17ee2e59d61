/** What the server says over HTTP, and the chat over WebSockets. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes";
import { describe } from "@std/testing/bdd";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { FrameStream } from "../../lib/protocol/frame_stream.ts";
import { memoryJournal } from "../../lib/journal/journal.ts";
import { webSocketConnection } from "../../lib/server/web_socket.ts";
import {
  itNeeds,
  NET,
  Peer,
  serveWeb,
  serveWebOn,
  type TestWeb,
  texts,
  until,
} from "../support.ts";

const decoder = new TextDecoder();
const NET_AND_READ = { permissions: ["net", "read"] } as const;

async function get(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** The other end of a WebSocket, as bare as the page's. */
class SocketPeer implements Disposable {
  readonly socket: WebSocket;
  /** The code that it was closed with. */
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

/** A WebSocket by hand, which reads only when it is told to. */
async function openByHand({ web }: TestWeb, headers = ""): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(web.url);
  const conn = await Deno.connect({ hostname, port: Number(port) });
  const request = `GET /ws HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\n` +
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
    `Sec-WebSocket-Version: 13\r\n${headers}\r\n`;
  await conn.write(new TextEncoder().encode(request));
  return conn;
}

/** A masked binary message of a client, of less than 64 KiB. */
function message(bytes: Uint8Array): Uint8Array {
  const length = Uint8Array.of(0x82, 0x80 | 126, bytes.length >>> 8, bytes.length);
  return concat([length, new Uint8Array(4), bytes]);
}

/** Where a close frame without a reason, or with ours, begins in the last bytes of a stream. */
function lastCloseAt(bytes: Uint8Array): number {
  return bytes.findLastIndex((byte, at) =>
    byte === 0x88 && at + 2 + bytes[at + 1]! === bytes.length
  );
}

/** The status line and the body of an answer to a request by hand. */
async function request({ web }: TestWeb, ...lines: string[]): Promise<string> {
  const { hostname, port } = new URL(web.url);
  using conn = await Deno.connect({ hostname, port: Number(port) });
  await conn.write(new TextEncoder().encode([...lines, "Connection: close", "", ""].join("\r\n")));
  const pieces: Uint8Array[] = [];
  for await (const piece of conn.readable) pieces.push(piece);
  const [head = "", body = ""] = decoder.decode(concat(pieces)).split("\r\n\r\n");
  return `${head.split("\r\n")[0]} ${body.trim()}`;
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

  itNeeds(NET, "lets its user talk with one over TCP", async () => {
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

  itNeeds(NET, "is told of its mistake, and closed", async () => {
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

  /** Asks for much and reads nothing; `then` sees it be over, and the code of the close is told. */
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

  itNeeds(NET, "that does not read is closed with 1013, and nobody else notices", async () => {
    await using server = serveWeb("--write-timeout-s", "0.3");
    const closed = await floodedBy(server, async () => {
      const isOver = () => server.lines.some((line) => line.includes("nothing written in time"));
      await until(isOver, "its time is over");
    });
    assertEquals(closed?.code, 1013);
  });

  itNeeds(NET, "that sends more than it is served with is closed with 1009", async () => {
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

  itNeeds(NET, "takes no place when its client is gone before it is open", async () => {
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

  itNeeds(NET, "comes from the server's own page, a page that was named, or no page", async () => {
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
    for (const origin of ["http://evil.example", `http://evil.example:${port}`, "null"]) {
      assertEquals(
        await ask(`Origin: ${origin}`),
        `HTTP/1.1 403 Forbidden A page from ${origin} may not chat here: ` +
          `start the server with --http-origins ${origin}`,
      );
    }
  });
});

describe("the health of a server", () => {
  itNeeds(NET, "is good while it serves, and bad while it stops", async () => {
    const server = serveWeb();
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    assertEquals((await get(`${server.url}/healthz`)).status, 200);
    // Somebody who is in the midst of a command keeps the stop waiting.
    await al.write(Uint8Array.of(4));
    await until(() => server.server.facts.bytes.in > 18, "it has come");
    const stopped = server.server.stop();
    assertEquals((await get(`${server.url}/healthz`)).status, 503);
    await stopped;
    await server[Symbol.asyncDispose]();
  });

  itNeeds(NET, "is bad while nothing can be stored", async () => {
    let isFailing = false;
    await using server = serveWebOn({
      ...memoryJournal,
      commit: (_entries, stored) => stored(isFailing ? new Error("disk full") : undefined),
    });
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    isFailing = true;
    await al.ask("send", "Al", "lost");
    assertEquals((await get(`${server.url}/healthz`)).status, 503);
    assertStringIncludes((await get(`${server.url}/metrics`)).text, "asvt_chat_serving 0\n");
    isFailing = false;
    await al.ask("send", "Al", "kept");
    assertEquals((await get(`${server.url}/healthz`)).status, 200);
  });
});

describe("the metrics", () => {
  /** A server that has seen something of everything. */
  async function busy(...flags: string[]): Promise<TestWeb> {
    const server = serveWeb(...flags);
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await al.ask("send", "Al", "1");
    await al.ask("send", "Al", "2");
    await al.ask("send", "Nobody", "3");
    await al.write(Uint8Array.of(0, 0, 0, 5));
    while (await al.frame() !== undefined);
    return server;
  }

  itNeeds(NET, "count commands by their result, mistakes, users, mail and bytes", async () => {
    await using server = await busy();
    await until(() => server.lines.some((line) => line.includes("disconnected")), "it has left");
    const lines = (await get(`${server.url}/metrics`)).text.split("\n");
    for (
      const line of [
        'asvt_chat_commands_total{command="register",result="welcome"} 1',
        'asvt_chat_commands_total{command="send",result="sent"} 2',
        'asvt_chat_commands_total{command="send",result="no-such-user"} 1',
        'asvt_chat_mistakes_total{code="big-endian"} 1',
        "asvt_chat_users 1",
        "asvt_chat_waiting_messages 2",
        "asvt_chat_connections 0",
        "asvt_chat_serving 1",
        `asvt_chat_bytes_total{direction="in"} ${18 + 2 * 19 + 23 + 4}`,
        // The start, three commands that changed something, and the end.
        "asvt_chat_batch_seconds_count 5",
      ]
    ) assert(lines.includes(line), `${line} is not in\n${lines.join("\n")}`);
  });

  itNeeds(
    { permissions: ["net", "run"], programs: ["promtool"] },
    "are what Prometheus reads, with no complaint",
    async () => {
      await using server = await busy();
      const promtool = new Deno.Command("promtool", {
        args: ["check", "metrics"],
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const writer = promtool.stdin.getWriter();
      await writer.write(new TextEncoder().encode((await get(`${server.url}/metrics`)).text));
      await writer.close();
      const { code, stdout, stderr } = await promtool.output();
      assertEquals([code, decoder.decode(stdout), decoder.decode(stderr)], [0, "", ""]);
    },
  );

  itNeeds(NET_AND_READ, "are all described, and the dashboard shows no others", async () => {
    await using server = await busy();
    const text = (await get(`${server.url}/metrics`)).text;
    const names = Array.from(text.matchAll(/^# TYPE (\w+)/gm), ([, name]) => name!).sort();
    const read = (path: string) => Deno.readTextFileSync(new URL(`../../${path}`, import.meta.url));
    const described = read("docs/metrics.md").matchAll(/^\| `(\w+)/gm);
    assertEquals(Array.from(described, ([, name]) => name!).sort(), names);
    const shown = new Set(read("docs/grafana.json").match(/asvt_chat_\w+/g));
    const bases = Array.from(shown, (name) => name.replace(/_(bucket|sum|count)$/, ""));
    assertEquals(bases.filter((name) => !names.includes(name)), []);
    assert(bases.length > 8, `${bases.length} are shown`);
  });
});

describe("who may see the metrics and the wire", () => {
  const PRIVATE = ["/metrics", "/wire/connections", "/wire?connection=1"];

  itNeeds(NET, "is who knows the token, where there is one", async () => {
    await using server = serveWeb("--admin-token", "s3cret");
    for (const path of PRIVATE) {
      for (const given of ["", "Bearer ", "Bearer s3cre", "Bearer s3crets", "Basic s3cret"]) {
        const { status, headers, text } = await get(server.url + path, { authorization: given });
        assertEquals([status, text], [401, "This needs the token of --admin-token\n"]);
        assertMatch(headers.get("www-authenticate")!, /^Bearer /);
      }
      const { status } = await get(server.url + path, { authorization: "Bearer s3cret" });
      assertEquals(status, path.includes("?") ? 404 : 200);
    }
    assertEquals((await get(`${server.url}/healthz`)).status, 200);
  });

  itNeeds(NET, "is nobody who comes by a proxy, where there is no token", async () => {
    await using server = serveWeb();
    for (const header of ["x-forwarded-for", "forwarded"]) {
      const { status, text } = await get(`${server.url}/metrics`, { [header]: "10.0.0.1" });
      assertEquals([status, text], [
        403,
        "Whoever comes by a proxy may not see this: start the server with --admin-token\n",
      ]);
    }
  });

  itNeeds(NET, "is no page whose name was made to point here", async () => {
    await using server = serveWeb();
    const { port } = new URL(server.url);
    for (const path of PRIVATE) {
      assertEquals(
        await request(server, `GET ${path} HTTP/1.1`, `Host: evil.example:${port}`),
        `HTTP/1.1 403 Forbidden http://evil.example:${port} is no name of this server: ` +
          `add it by --http-origins http://evil.example:${port}`,
      );
    }
  });
});

describe("HTTP", () => {
  itNeeds(NET, "serves the page and nothing else, with headers that protect it", async () => {
    await using server = serveWeb();
    const EXPECTED = {
      "/": [200, "text/html; charset=utf-8"],
      "/style.css": [200, "text/css; charset=utf-8"],
      "/chat.js": [200, "text/javascript; charset=utf-8"],
      "/settings.json": [200, "application/json"],
      "/nothing": [404, "text/plain; charset=utf-8"],
      "/../main.ts": [404, "text/plain; charset=utf-8"],
      [`/${"x".repeat(3000)}`]: [414, "text/plain; charset=utf-8"],
    };
    for (const [path, expected] of Object.entries(EXPECTED)) {
      const { status, headers } = await get(server.url + path);
      assertEquals([status, headers.get("content-type")], expected);
      assertMatch(
        headers.get("content-security-policy")!,
        /^default-src 'none'; script-src 'self'/,
      );
      assertEquals(headers.get("x-content-type-options"), "nosniff");
    }
  });

  itNeeds(NET, "answers GET alone", async () => {
    await using server = serveWeb();
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const response = await fetch(server.url, { method });
      assertEquals([response.status, await response.text()], [405, "Only GET is answered here\n"]);
    }
  });

  itNeeds(NET, "answers a broken request in a sentence, and goes on", async () => {
    await using server = serveWeb("--watchers-max", "1");
    const { host } = new URL(server.url);
    const UPGRADE = ["Upgrade: websocket", "Connection: Upgrade"];
    const MANY = Array.from({ length: 1000 }, (_, i) => `X${i}: y`);
    for (
      const [expected, ...lines] of [
        ["400 Bad Request", "GET / HTTP/1.1", "Host: [::1"],
        ["400 Bad Request", "GET /ws HTTP/1.1", `Host: ${host}`, ...UPGRADE],
        ["405 Method Not Allowed", "HEAD /wire?connection=next HTTP/1.1", `Host: ${host}`],
        ["400 Bad Request", "GET / HTTP/1.1", `Host: ${host}`, ...MANY],
        ["404 Not Found", "GET /%zz%00 HTTP/1.1", `Host: ${host}`],
      ] as const
    ) assertStringIncludes(await request(server, ...lines), `HTTP/1.1 ${expected}`);
    assertEquals((await get(`${server.url}/healthz`)).status, 200);
    assertEquals((await get(`${server.url}/wire?connection=1`)).status, 404);
  });

  itNeeds(NET, "tells the page the limits of the chat", async () => {
    await using server = serveWeb("--strict", "--text-symbols-max", "70");
    assertEquals(JSON.parse((await get(`${server.url}/settings.json`)).text), {
      strict: true,
      nameSymbolsMax: 8,
      textSymbolsMax: 70,
    });
  });
});
