/** docs/haproxy.cfg, run by a real HAProxy in front of two servers. */
import { assert, assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { type Journal, memoryJournal } from "../../lib/journal/journal.ts";
import { itNeeds, type Needs } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveWeb, serveWebOn, type TestServer, type TestWeb, until } from "../support.ts";

const NEEDS: Needs = { permissions: ["net", "run", "read"], programs: ["haproxy"] };
const CONFIG = new URL("../../docs/haproxy.cfg", import.meta.url);
const TRUSTED = ["--proxy-protocol", "127.0.0.1"];

/** A server behind HAProxy: its port, and the URL of its page, which has `/healthz`. */
type Behind = Pick<TestWeb, "port" | "url">;

const AWAY = "Storage is not available, try again!";

/** HAProxy on a free port of loopback, in front of two servers. */
class HAProxy implements AsyncDisposable {
  readonly port: number;
  readonly #child: Deno.ChildProcess;
  readonly #logged: Promise<void>;
  #log = "";

  constructor(servers: readonly [Behind, Behind], inter = "2s") {
    this.port = freePort();
    let config = Deno.readTextFileSync(CONFIG)
      .replace("bind :31337", `bind 127.0.0.1:${this.port}`)
      .replace("inter 2s", `inter ${inter}`);
    for (const [index, { port, url }] of servers.entries()) {
      const name = `chat${index + 1}`;
      config = config
        .replace(
          `server ${name} ${name}:31337`,
          `server ${name} 127.0.0.1:${port} port ${new URL(url).port}`,
        )
        .replace(`${name}:31337`, `127.0.0.1:${port}`);
    }
    // `-n`: as many connections as any machine allows; with `-dW` a warning would end HAProxy.
    this.#child = new Deno.Command("haproxy", {
      args: ["-n", "100", "-dW", "-f", "/dev/stdin"],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    ReadableStream.from([new TextEncoder().encode(config)]).pipeTo(this.#child.stdin);
    this.#logged = this.#read();
  }

  async #read(): Promise<void> {
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      this.#log += text;
    }
  }

  logged(text: string): boolean {
    return this.#log.includes(text);
  }

  /** Connects as a user does, and waits until HAProxy listens. */
  async connect(): Promise<Peer> {
    for (let tries = 0;; tries++) {
      try {
        return await Peer.connect(this.port);
      } catch (error) {
        if (tries === 500 || !(error instanceof Deno.errors.ConnectionRefused)) throw error;
        await sleep(10);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#logged;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Does the log of the server name the address and port of this connection? */
function knows(server: TestServer, { conn }: Peer): boolean {
  const { port } = conn.localAddr as Deno.NetAddr;
  return server.lines.some((line) =>
    line.includes(" connected ") && line.endsWith(` peer=127.0.0.1:${port}`)
  );
}

describe("docs/haproxy.cfg", () => {
  itNeeds(NEEDS, "is accepted by HAProxy as it is", async () => {
    const { code, stderr } = await new Deno.Command("haproxy", {
      args: ["-c", "-n", "100", "-f", CONFIG.pathname],
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
  });

  itNeeds(
    NEEDS,
    "spreads users over both servers, which see the addresses of the users",
    async () => {
      await using first = serveWeb(...TRUSTED);
      await using second = serveWeb(...TRUSTED);
      await using haproxy = new HAProxy([first, second]);
      using al = await haproxy.connect();
      assertEquals(await al.ask("register", "Al"), "Hello, Al");
      using bob = await haproxy.connect();
      assertEquals(await bob.ask("register", "Bob"), "Hello, Bob");
      const [alsServer, bobsServer] = knows(first, al) ? [first, second] : [second, first];
      assert(knows(alsServer, al) && !knows(alsServer, bob));
      assert(knows(bobsServer, bob) && !knows(bobsServer, al));
    },
  );

  itNeeds(NEEDS, "passes all replies on to a client that ends its sending side", async () => {
    await using chat = serveWeb(...TRUSTED);
    await using haproxy = new HAProxy([chat, chat]);
    using peer = await haproxy.connect();
    await peer.write(encodeFrames(["register", "Al", "wait", "60"]));
    await peer.conn.closeWrite();
    const replies = [await peer.frame(), await peer.frame(), await peer.frame()];
    assertEquals(replies, ["Hello, Al", "0", undefined]);
  });

  itNeeds(
    NEEDS,
    "sends no user to a silent server, and its checks leave no lines in the log",
    async () => {
      await using chat = serveWeb(...TRUSTED);
      using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = silent.addr;
      await using haproxy = new HAProxy([chat, { port, url: `http://127.0.0.1:${port}` }], "100ms");
      await until(() => haproxy.logged("Server chat/chat2 is DOWN"), "it is noticed");
      assertEquals(chat.lines, []);
      for (let i = 0; i < 4; i++) {
        using peer = await haproxy.connect();
        assertEquals(await peer.ask("ping"), "pong");
      }
      assert(!haproxy.logged("Server chat/chat1 is DOWN"));
    },
  );

  itNeeds(
    NEEDS,
    "sends no user to a server that can't store, unless no server can",
    async () => {
      const failing: Journal = {
        ...memoryJournal,
        commit: () => {
          throw new Error("full");
        },
      };
      await using broken = serveWebOn(failing, ...TRUSTED);
      await using chat = serveWeb(...TRUSTED);
      await using haproxy = new HAProxy([chat, broken], "100ms");
      await until(() => haproxy.logged("Server chat/chat2 is DOWN"), "it is noticed");
      for (const name of ["Al", "Bob", "Cy"]) {
        using peer = await haproxy.connect();
        assertEquals(await peer.ask("register", name), `Hello, ${name}`);
      }
      await using alone = new HAProxy([broken, broken], "100ms");
      await until(() => alone.logged("backend chat has no server available"), "it is noticed");
      using last = await alone.connect();
      assertEquals(await last.ask("register", "Dan"), AWAY);
    },
  );
});
