/** docs/haproxy.cfg, run by a real HAProxy in front of two servers. */
import { assert, assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { encodeFrames } from "../lib/frame.ts";
import { itNeeds, type Needs, Peer, serve, type TestServer, until } from "./support.ts";

const NEEDS: Needs = { permissions: ["net", "run", "read"], programs: ["haproxy"] };
const CONFIG = new URL("../docs/haproxy.cfg", import.meta.url);
const TRUSTED = ["--proxy-protocol", "127.0.0.1"];

/** HAProxy on a free port of loopback, before the servers on these ports. */
class HAProxy implements AsyncDisposable {
  readonly port: number;
  readonly #child: Deno.ChildProcess;
  readonly #logged: Promise<void>;
  #log = "";

  constructor(first: number, second: number, inter = "2s") {
    this.port = freePort();
    const config = Deno.readTextFileSync(CONFIG)
      .replace("bind :31337", `bind 127.0.0.1:${this.port}`)
      .replace("chat1:31337", `127.0.0.1:${first}`)
      .replace("chat2:31337", `127.0.0.1:${second}`)
      .replace("inter 2s", `inter ${inter}`);
    // Of connections only as many as any machine allows; a warning would end it.
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

  /** Connects as a user does; waits until HAProxy listens. */
  async connect(): Promise<Peer> {
    for (let tries = 0;; tries++) {
      try {
        return await Peer.connect(this.port);
      } catch (error) {
        if (tries === 500 || !(error instanceof Deno.errors.ConnectionRefused)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
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

/** Was the user of this connection told to the server, by address and port? */
function knows(server: TestServer, { conn }: Peer): boolean {
  const { port } = conn.localAddr as Deno.NetAddr;
  return server.lines.some((line) =>
    line.includes(" connected ") && line.endsWith(` peer=127.0.0.1:${port}`)
  );
}

describe("docs/haproxy.cfg", () => {
  itNeeds(NEEDS, "is a configuration that HAProxy takes as it is", async () => {
    const { code, stderr } = await new Deno.Command("haproxy", {
      args: ["-c", "-n", "100", "-f", CONFIG.pathname],
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
  });

  itNeeds(NEEDS, "spreads users over both servers, which see their own addresses", async () => {
    await using first = serve(...TRUSTED);
    await using second = serve(...TRUSTED);
    await using haproxy = new HAProxy(first.port, second.port);
    using al = await haproxy.connect();
    assertEquals(await al.ask("register", "Al"), "Hello, Al");
    using bob = await haproxy.connect();
    assertEquals(await bob.ask("register", "Bob"), "Hello, Bob");
    const [alsServer, bobsServer] = knows(first, al) ? [first, second] : [second, first];
    assert(knows(alsServer, al) && !knows(alsServer, bob));
    assert(knows(bobsServer, bob) && !knows(bobsServer, al));
  });

  itNeeds(NEEDS, "hands a client that ends its side all its replies", async () => {
    await using server = serve(...TRUSTED);
    await using haproxy = new HAProxy(server.port, server.port);
    using peer = await haproxy.connect();
    await peer.write(encodeFrames(["register", "Al", "wait", "60"]));
    await peer.conn.closeWrite();
    const replies = [await peer.frame(), await peer.frame(), await peer.frame()];
    assertEquals(replies, ["Hello, Al", "0", undefined]);
  });

  itNeeds(NEEDS, "asks the servers by ping, and passes over one that says nothing", async () => {
    await using server = serve(...TRUSTED);
    using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await using haproxy = new HAProxy(server.port, silent.addr.port, "100ms");
    await until(() => haproxy.logged("Server chat/chat2 is DOWN"), "it is noticed");
    const answered = () => server.lines.some((line) => line.includes(" commands=1 "));
    await until(answered, "a check is answered");
    for (let i = 0; i < 4; i++) {
      using peer = await haproxy.connect();
      assertEquals(await peer.ask("ping"), "pong");
    }
    assert(!haproxy.logged("Server chat/chat1 is DOWN"));
    assert(server.lines.every((line) => !line.includes(" refused ")));
  });
});
