/** The terminal client as people have it: a process in a pseudo-terminal, whose screen is read. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { after, describe } from "@std/testing/bdd";
import { encodeFrame } from "../../lib/protocol/frame.ts";
import { itNeeds, Peer, serve } from "../support.ts";

const PIPES = { permissions: ["net", "run", "read"] } as const;
const TERMINAL = {
  permissions: [...PIPES.permissions, "write"],
  programs: ["tmux"],
} as const;
const MAIN = new URL("../../main.ts", import.meta.url).pathname;
/** No other permission is given, and none is asked for. */
const RUN = ["run", "--no-prompt", "--allow-net", MAIN];
/** A tmux of our own: other sessions of this machine are not touched. */
const TMUX = ["-L", `asvt-chat-test-${Deno.pid}`, "-f", "/dev/null"];
const decoder = new TextDecoder();

async function tmux(...args: string[]): Promise<string> {
  const command = new Deno.Command("tmux", { args: [...TMUX, ...args], stdin: "null" });
  const { success, stdout, stderr } = await command.output();
  if (!success) throw new Error(`tmux ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** Asks until the answer is good; after 10 s the last one counts, whatever it is. */
async function poll<Value>(
  ask: () => Promise<Value>,
  isGood: (value: Value) => boolean,
): Promise<Value> {
  const started = performance.now();
  for (;;) {
    const value = await ask();
    if (isGood(value) || performance.now() - started > 10_000) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

let terminals = 0;

/** A client in a terminal; `await using` ends both. */
class Terminal implements AsyncDisposable {
  readonly #session: string;

  private constructor(session: string) {
    this.#session = session;
  }

  /** Starts a client; `env` are arguments for `env`. */
  static async open(
    { port, name = [], columns = 70, env = ["-u", "NO_COLOR"] }: {
      port: number;
      name?: readonly string[];
      columns?: number;
      env?: readonly string[];
    },
  ): Promise<Terminal> {
    const session = `t${++terminals}`;
    await tmux(
      ...["start-server", ";", "set", "-s", "exit-empty", "off", ";"],
      ...["new-session", "-d", "-s", session, "-x", `${columns}`, "-y", "15"],
      // tmux itself has the exit code not every time.
      ...["sh", "-c", '"$@"; echo "exit code: $?"; read _', "sh"],
      ...["env", ...env, Deno.execPath(), ...RUN, "client", ...name],
      ...["--connect", `127.0.0.1:${port}`],
    );
    return new Terminal(session);
  }

  /** Starts a client that is greeted by its name. */
  static async enter(port: number, name: string, columns = 70): Promise<Terminal> {
    const terminal = await Terminal.open({ port, name: [name], columns });
    await terminal.showsPart("Hello, " + name.slice(0, 4));
    await terminal.shows(...greeting(name, columns), ">");
    return terminal;
  }

  /** Types characters as they are. */
  async type(text: string): Promise<void> {
    await tmux("send-keys", "-t", `${this.#session}:`, "-l", "--", text);
  }

  /** Presses keys, by the names that tmux has for them. */
  async press(...keys: string[]): Promise<void> {
    await tmux("send-keys", "-t", `${this.#session}:`, ...keys);
  }

  /** Types a line. */
  async enter(line: string): Promise<void> {
    await this.type(line);
    await this.press("Enter");
  }

  /** The rows of the screen, as far as something is written on them; `-e` shows colours. */
  async screen(...flags: string[]): Promise<string[]> {
    const rows = await tmux("capture-pane", "-p", ...flags, "-t", `${this.#session}:`);
    return rows.trimEnd().split("\n").map((row) => row.trimEnd());
  }

  /** The screen comes to be exactly this. */
  async shows(...rows: string[]): Promise<void> {
    const wanted = JSON.stringify(rows);
    const shown = await poll(() => this.screen(), (screen) => JSON.stringify(screen) === wanted);
    assertEquals(shown, rows);
  }

  /** The screen comes to have this somewhere, however it is broken into rows. */
  async showsPart(text: string): Promise<void> {
    const shown = await poll(() => this.screen("-J"), (screen) => screen.join("\n").includes(text));
    assert(shown.join("\n").includes(text), `no ${JSON.stringify(text)} in:\n${shown.join("\n")}`);
  }

  /** The screen comes to end with these rows. */
  async showsLast(...rows: string[]): Promise<void> {
    const last = async () => (await this.screen()).slice(-rows.length);
    const wanted = JSON.stringify(rows);
    assertEquals(await poll(last, (shown) => JSON.stringify(shown) === wanted), rows);
  }

  /** The exit code, when the process has ended. */
  async code(): Promise<number> {
    const ended = /^exit code: (\d+)$/m;
    const screen = async () => (await this.screen()).join("\n");
    const shown = await poll(screen, (text) => ended.test(text));
    assertMatch(shown, ended);
    return Number(ended.exec(shown)?.[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await tmux("kill-session", "-t", this.#session);
  }
}

/** The rows that greet. */
function greeting(name: string, columns = 70): string[] {
  const text = `Hello, ${name}. /help tells what you can type.`;
  return (text.match(new RegExp(`.{1,${columns}}`, "g")) ?? []).map((row) => row.trimEnd());
}

/** Runs main.ts with a text as its input. */
async function pipe(
  input: string,
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [...RUN, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  await using child = command.spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  // Who ends without reading its input does not mind that it is lost.
  await writer.write(new TextEncoder().encode(input)).then(() => writer.close(), () => {});
  const { code, stdout, stderr } = await output;
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** A server as a process of its own, which can be killed. */
async function serverProcess(...flags: string[]): Promise<{ port: number } & AsyncDisposable> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...RUN, "serve", "--hostname", "127.0.0.1", "--log", "off", ...flags],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let said = "";
  for await (const chunk of child.stdout) {
    said += decoder.decode(chunk);
    if (said.includes("\n")) break;
  }
  const kill = async () => {
    child.kill("SIGKILL");
    await child.status;
  };
  return { port: Number(/:(\d+)\n/.exec(said)?.[1]), [Symbol.asyncDispose]: kill };
}

async function portOfNobody(): Promise<number> {
  await using server = serve();
  return server.port;
}

describe("the terminal client", () => {
  after(async () => {
    if (terminals === 0) return;
    const socket = await tmux("display-message", "-p", "#{socket_path}");
    await tmux("kill-server");
    await Deno.remove(socket.trimEnd());
  });

  itNeeds(TERMINAL, "lets two people chat, with all and with one", async () => {
    await using server = serve();
    await using alice = await Terminal.enter(server.port, "Alice");
    await using bob = await Terminal.enter(server.port, "Bob");
    await alice.enter("hello");
    await bob.shows(...greeting("Bob"), "Alice: hello", ">");
    await bob.enter("@Alice hi you");
    await bob.enter("//slash");
    await alice.shows(...greeting("Alice"), "> hello", "Bob: hi you", "Bob: /slash", ">");
    await alice.enter("/users");
    await alice.showsPart("2 here: Alice, Bob\n>");
    await alice.enter("@Nobody hi");
    await alice.showsPart("! User 'Nobody' doesn't exist!\n>");
    await alice.enter("/hlep");
    await alice.showsPart("! There is no /hlep: did you mean /help?\n>");
    await alice.enter("/help");
    await alice.showsPart("\n/quit        leave; your name stays, and mail waits for you\n");
  });

  itNeeds(TERMINAL, "shows a message above the line that is being typed", async () => {
    await using server = serve();
    await using bob = await Terminal.enter(server.port, "Bob");
    using alice = await Peer.connect(server.port);
    await alice.ask("register", "Alice");
    await bob.type("I am typi");
    await bob.showsPart("> I am typi");
    for (const text of ["one", "two", "three"]) await alice.ask("sendall", text);
    const messages = ["Alice: one", "Alice: two", "Alice: three"];
    await bob.shows(...greeting("Bob"), ...messages, "> I am typi");
    await bob.type("ng");
    await bob.shows(...greeting("Bob"), ...messages, "> I am typing");
    await bob.press("Enter");
    await bob.shows(...greeting("Bob"), ...messages, "> I am typing", ">");
    assertEquals(await alice.mail("receive"), ["Bob: I am typing"]);
  });

  itNeeds(TERMINAL, "keeps a line whole that wraps over rows, wherever the cursor is", async () => {
    await using server = serve();
    await using bob = await Terminal.enter(server.port, "Bob", 20);
    using alice = await Peer.connect(server.port);
    await alice.ask("register", "Alice");
    const before = greeting("Bob", 20);
    // Just one row, to its last column.
    await bob.type("123456789012345678");
    await bob.shows(...before, "> 123456789012345678");
    await alice.ask("sendall", "one");
    await bob.shows(...before, "Alice: one", "> 123456789012345678");
    await bob.type("abc日本語日本語日本語");
    const typed = ["> 123456789012345678", "abc日本語日本語日本", "語"];
    await bob.shows(...before, "Alice: one", ...typed);
    await alice.ask("sendall", "two");
    await bob.shows(...before, "Alice: one", "Alice: two", ...typed);
    await bob.press("Home");
    await alice.ask("sendall", "a message of two rows");
    const messages = ["Alice: one", "Alice: two", "Alice: a message of", "two rows"];
    await bob.shows(...before, ...messages, ...typed);
    await bob.press("Delete");
    const left = ["> 23456789012345678a", "bc日本語日本語日本語"];
    await bob.shows(...before, ...messages, ...left);
  });

  itNeeds(TERMINAL, "shows controls and overrides of direction escaped", async () => {
    await using server = serve();
    await using bob = await Terminal.enter(server.port, "Bob");
    using evil = await Peer.connect(server.port);
    await evil.ask("register", "\x1b[2J");
    await evil.ask("sendall", "\x1b[31mred\x07\r\n\x9b2J\u202eback");
    const escaped = "\\u001b[2J: \\u001b[31mred\\u0007\\u000d\\u000a\\u009b2J\\u202eback";
    await bob.shows(...greeting("Bob"), escaped, ">");
    await bob.enter("/users");
    await bob.showsPart("2 here: Bob, \\u001b[2J\n>");
  });

  itNeeds(TERMINAL, "gives a name the same colour every time", async () => {
    await using server = serve();
    await using bob = await Terminal.enter(server.port, "Bob");
    using alice = await Peer.connect(server.port);
    await alice.ask("register", "Alice");
    await alice.ask("sendall", "one");
    await alice.ask("sendall", "two");
    await bob.shows(...greeting("Bob"), "Alice: one", "Alice: two", ">");
    const [, one = "", two] = await bob.screen("-e");
    assertMatch(one.replaceAll("\x1b", "ESC"), /ESC\[38;5;\d+mAliceESC.*: one/);
    assertEquals(two, one.replace("one", "two"));
  });

  itNeeds(TERMINAL, "shows no colours where NO_COLOR is set", async () => {
    await using server = serve();
    await using bob = await Terminal.open({
      port: server.port,
      name: ["Bob"],
      env: ["NO_COLOR=1"],
    });
    await bob.shows(...greeting("Bob"), ">");
    using alice = await Peer.connect(server.port);
    await alice.ask("register", "Alice");
    await alice.ask("sendall", "plain");
    await bob.showsPart("Alice: plain");
    assertEquals((await bob.screen("-e"))[1], "Alice: plain");
  });

  itNeeds(TERMINAL, "says what is too long by the server's limits, and sends nothing", async () => {
    await using server = serve("--text-symbols-max", "5");
    await using bob = await Terminal.enter(server.port, "Bob");
    await bob.enter("123456");
    await bob.showsPart("! The text is too long: 6 symbols, at most 5 are allowed\n>");
    await bob.enter("@123456789 hi");
    await bob.showsPart("! The name is too long: 9 symbols, at most 8 are allowed\n>");
    await bob.enter("@Bob 👍👍👍👍👍");
    await bob.showsPart("Bob: 👍👍👍👍👍\n>");
    await bob.press("Up", "Up", "Up");
    await bob.showsPart("> 123456");
  });

  itNeeds(TERMINAL, "asks for a name, and for another one where it is refused", async () => {
    await using server = serve();
    using holder = await Peer.connect(server.port);
    await holder.ask("register", "Bob");
    await using terminal = await Terminal.open({ port: server.port });
    await terminal.shows("Your name?", ">");
    await terminal.enter("Bob");
    await terminal.showsPart("! 'Bob' already exists!\nYour name?\n>");
    await terminal.enter("123456789");
    await terminal.showsPart("! The name is too long: 9 symbols, at most 8 are allowed\n");
    await terminal.enter(" ");
    await terminal.enter(" A b ");
    await terminal.showsPart("Hello, A b. /help tells what you can type.\n>");
    await terminal.enter('@"A b" to myself');
    await terminal.showsPart("A b: to myself\n>");
  });

  itNeeds(TERMINAL, "leaves its name with /quit, and removes it with /logout", async () => {
    await using server = serve();
    using watcher = await Peer.connect(server.port);
    await watcher.ask("register", "W");
    const names = async () => {
      const names: (string | undefined)[] = [];
      const count = Number(await watcher.ask("users"));
      while (names.length < count) names.push(await watcher.frame());
      return names;
    };
    await using quitter = await Terminal.enter(server.port, "Q");
    await quitter.enter("/quit");
    assertEquals(await quitter.code(), 0);
    assertEquals(await names(), ["W", "Q"]);
    await using leaver = await Terminal.enter(server.port, "L");
    await leaver.enter("/logout");
    assertEquals(await leaver.code(), 0);
    assertEquals(await names(), ["W", "Q"]);
    const shown = (await leaver.screen()).filter((row) => row.startsWith("!"));
    assertEquals(shown, []);
  });

  for (const key of ["C-c", "C-d"]) {
    itNeeds(TERMINAL, `ends with ${key}, without a server too`, async () => {
      const server = await serverProcess("--port", "0");
      await using bob = await Terminal.enter(server.port, "Bob");
      await server[Symbol.asyncDispose]();
      await bob.showsPart("Connecting again ...");
      await bob.press("C-z");
      await bob.enter("hello?");
      await bob.showsPart("! Not connected, so this was not sent: hello?");
      await bob.press(key);
      assertEquals(await bob.code(), 0);
    });
  }

  itNeeds(TERMINAL, "comes back when the server was killed and starts again", async () => {
    const first = await serverProcess("--port", "0");
    const { port } = first;
    await using bob = await Terminal.enter(port, "Bob");
    await bob.type("half a li");
    await bob.showsPart("> half a li");
    await first[Symbol.asyncDispose]();
    await bob.showsPart("Connecting again ...");
    await using _second = await serverProcess("--port", `${port}`);
    await bob.showsPart("\nHello, Bob. /help tells what you can type.\n> half a li");
    using alice = await Peer.connect(port);
    await alice.ask("register", "Alice");
    await alice.ask("send", "Bob", "are you back?");
    await bob.showsPart("Alice: are you back?\n> half a li");
    await bob.enter("ne");
    assertEquals(await alice.mail("wait", "10"), ["Bob: half a line"]);
  });

  itNeeds(TERMINAL, "finds its mail when only the connection was lost", async () => {
    await using server = serve();
    const { port } = server;
    using alice = await Peer.connect(port);
    await alice.ask("register", "Alice");
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const first = relay(listener, port);
    await using bob = await Terminal.open({ port: listener.addr.port, name: ["Bob"] });
    const cut = await first;
    await bob.shows(...greeting("Bob"), ">");
    cut();
    await bob.showsPart("Connecting again ...");
    await alice.ask("send", "Bob", "while you were away");
    const second = relay(listener, port);
    await bob.showsPart("Nice to see you, Bob. /help tells what you can type.");
    await bob.showsPart("Alice: while you were away\n>");
    (await second)();
  });

  itNeeds(
    TERMINAL,
    "comes back to a server that is strict now, and to the first kind",
    async () => {
      const first = await serverProcess("--port", "0");
      const { port } = first;
      await using bob = await Terminal.enter(port, "Bob");
      await first[Symbol.asyncDispose]();
      await bob.showsPart("Connecting again ...");
      const second = await serverProcess("--port", `${port}`, "--strict");
      await bob.showsLast(...greeting("Bob"), ">");
      await bob.enter("@Bob strict");
      await bob.showsPart("Bob: strict\n>");
      await second[Symbol.asyncDispose]();
      await using _third = await serverProcess("--port", `${port}`);
      await bob.showsLast(...greeting("Bob"), ">");
      await bob.enter("@Bob free");
      await bob.showsPart("Bob: free\n>");
    },
  );

  itNeeds(TERMINAL, "polls a strict server, and asks for the name that it wants", async () => {
    await using server = serve("--strict");
    using peer = await Peer.connect(server.port);
    await peer.ask("register", "Bob");
    await using bob = await Terminal.open({ port: server.port });
    await bob.shows("Your name?", ">");
    await bob.enter("Rob");
    await bob.showsPart("! The server knows your address under another name: use that one\n");
    await bob.enter("Bob");
    await bob.showsPart("Nice to see you, Bob. /help tells what you can type.\n>");
    for (const text of ["one", "two"]) {
      await peer.ask("send", "Bob", text);
      await bob.showsPart(`Bob: ${text}\n>`);
    }
    await bob.enter("@Rob hi");
    await bob.showsPart("! User 'Rob' doesn't exist!\n>");
    await bob.enter("/quit");
    assertEquals(await bob.code(), 0);
  });
});

/** Takes the next connection whose client stays, to the server; the result cuts it in two. */
async function relay(listener: Deno.TcpListener, port: number): Promise<() => void> {
  const near = await listener.accept();
  const far = await Deno.connect({ hostname: "127.0.0.1", port });
  near.readable.pipeTo(far.writable).catch(() => {});
  far.readable.pipeTo(near.writable).catch(() => {});
  return () => {
    for (const conn of [near, far]) {
      try {
        conn.close();
      } catch {
        // A pipe that has ended has closed it.
      }
    }
  };
}

describe("the terminal client as a script", () => {
  itNeeds(PIPES, "takes lines in and puts messages out, without colours", async () => {
    await using server = serve();
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    const input = "hello\n@Bob hi\n\n@Alice to myself\n/users\n";
    const { code, stdout, stderr } = await pipe(input, ...client(server.port, "Alice"));
    assertEquals(stderr, "Hello, Alice. /help tells what you can type.\n");
    assertEquals(stdout.split("\n").sort(), ["", "2 here: Bob, Alice", "Alice: to myself"]);
    assertEquals(code, 0);
    assertEquals(await bob.mail("receive"), ["Alice: hello", "Alice: hi"]);
    await bob.ask("send", "Alice", "while you were away");
    const again = await pipe("", ...client(server.port, "Alice"));
    assertEquals(again, {
      code: 0,
      stdout: "Bob: while you were away\n",
      stderr: "Nice to see you, Alice. /help tells what you can type.\n",
    });
  });

  itNeeds(PIPES, "sends every one of many lines, the last without an end too", async () => {
    await using server = serve();
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    const lines = Array.from({ length: 500 }, (_, i) => `line ${i}`);
    const { code } = await pipe(lines.join("\n"), ...client(server.port, "Alice"));
    assertEquals(code, 0);
    assertEquals(await bob.mail("receive"), lines.map((line) => `Alice: ${line}`));
  });

  itNeeds(PIPES, "says on stderr what was refused, and goes on", async () => {
    await using server = serve();
    const input = `@Nobody hi\n${"x".repeat(61)}\n@Alice done\n`;
    const { code, stdout, stderr } = await pipe(input, ...client(server.port, "Alice"));
    assertEquals(stderr.split("\n").slice(1), [
      "! User 'Nobody' doesn't exist!",
      "! The text is too long: 61 symbols, at most 60 are allowed",
      "",
    ]);
    assertEquals({ code, stdout }, { code: 0, stdout: "Alice: done\n" });
  });

  itNeeds(PIPES, "works with a strict server", async () => {
    await using server = serve("--strict");
    const { code, stdout } = await pipe("@Alice hi\n", ...client(server.port, "Alice"));
    assertEquals({ code, stdout }, { code: 0, stdout: "Alice: hi\n" });
  });

  itNeeds(PIPES, "ends with 1 and a line that says why where it can't chat", async () => {
    await using server = serve();
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    await using full = serve("--connections-max", "1");
    using _only = await Peer.connect(full.port);
    const nobody = await portOfNobody();
    const cases: readonly (readonly [string[], string])[] = [
      [
        client(nobody, "Bob"),
        `No server answers at 127.0.0.1:${nobody} (deno task start starts one)`,
      ],
      [client(server.port, "Bob"), "'Bob' already exists!"],
      [
        client(server.port, "123456789"),
        "The name is too long: 9 symbols, at most 8 are allowed",
      ],
      [client(server.port), "Say who you are: client NAME"],
      [client(full.port, "Alice"), "Server is full!"],
    ];
    for (const [args, why] of cases) {
      assertEquals(await pipe("hello\n", ...args), { code: 1, stdout: "", stderr: `${why}\n` });
    }
  });
});

function client(port: number, ...name: string[]): string[] {
  return ["client", ...name, "--connect", `127.0.0.1:${port}`];
}

describe("main.ts ping", () => {
  for (const [kind, ...flags] of [["server"], ["strict server", "--strict"]] as const) {
    itNeeds(PIPES, `ends with 0 where a ${kind} answers`, async () => {
      await using server = serve(...flags);
      assertEquals(await pipe("", "ping", `127.0.0.1:${server.port}`), {
        code: 0,
        stdout: `127.0.0.1:${server.port} answers: 0 users\n`,
        stderr: "",
      });
    });
  }

  itNeeds(PIPES, "ends with 1 where none answers", async () => {
    const port = await portOfNobody();
    assertEquals(await pipe("", "ping", `127.0.0.1:${port}`), {
      code: 1,
      stdout: "",
      stderr: `No server answers at 127.0.0.1:${port} (deno task start starts one)\n`,
    });
  });

  for (
    const [what, bytes, why] of [
      [
        "says what is no protocol",
        new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n"),
        "What",
      ],
      ["says that it is full", encodeFrame("Server is full!"), "Server is full!"],
      ["closes", new Uint8Array(0), "The "],
    ] as const
  ) {
    itNeeds(PIPES, `ends with 1 where somebody ${what}`, async () => {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const pinging = pipe("", "ping", `127.0.0.1:${listener.addr.port}`);
      using conn = await listener.accept();
      await conn.write(bytes);
      if (bytes.length === 0) await conn.closeWrite();
      const { code, stdout, stderr } = await pinging;
      assertEquals({ code, stdout, why: stderr.slice(0, why.length) }, {
        code: 1,
        stdout: "",
        why,
      });
    });
  }
});
