/** The terminal client in a pseudo-terminal, as people use it. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { after, describe } from "@std/testing/bdd";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serve } from "../support.ts";
import { MAIN, ServerProcess } from "./program.ts";
import { closeTerminals, greeting, Terminal } from "./terminal.ts";

const TERMINAL = { permissions: ["net", "run", "read", "write"], programs: ["tmux"] } as const;

/** Starts a server as a process of its own, which can be killed. */
async function serverProcess(port: number, ...flags: string[]): Promise<ServerProcess> {
  const address = ["--hostname", "127.0.0.1", "--port", `${port}`];
  return await ServerProcess.start(...address, "--log", "off", ...flags);
}

describe("the terminal client", () => {
  after(closeTerminals);

  itNeeds(TERMINAL, "lets two users chat, with all users and with one", async () => {
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

  itNeeds(TERMINAL, "sends a pasted text of several lines as one line", async () => {
    await using server = serve();
    await using alice = await Terminal.enter(server.port, "Alice");
    using bob = await Peer.connect(server.port);
    using eve = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    await eve.ask("register", "Eve");
    await alice.type("@Bob ");
    await alice.paste("my\nsecret\r\nis\u2028this\n");
    await alice.showsPart("> @Bob my secret is this");
    await alice.press("Enter");
    await alice.paste("  @Bob and\nthis");
    await alice.press("Enter");
    await alice.type("@Bob or\u2028that");
    await alice.press("Enter");
    await alice.enter("/users");
    await alice.showsPart("3 here: Alice, Bob, Eve\n");
    assertEquals(await eve.mail("receive"), []);
    const texts = ["my secret is this ", "and this", "or that"];
    assertEquals(await bob.mail("receive"), texts.map((text) => `Alice: ${text}`));
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

  itNeeds(TERMINAL, "keeps an input that wraps over rows, wherever the cursor is", async () => {
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
    const input = ["> 123456789012345678", "abc日本語日本語日本", "語"];
    await bob.shows(...before, "Alice: one", ...input);
    await alice.ask("sendall", "two");
    await bob.shows(...before, "Alice: one", "Alice: two", ...input);
    await bob.press("Home");
    await alice.ask("sendall", "a message of two rows");
    const messages = ["Alice: one", "Alice: two", "Alice: a message of", "two rows"];
    await bob.shows(...before, ...messages, ...input);
    await bob.press("Delete");
    const left = ["> 23456789012345678a", "bc日本語日本語日本語"];
    await bob.shows(...before, ...messages, ...left);
  });

  itNeeds(TERMINAL, "escapes control characters and marks of direction", async () => {
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

  itNeeds(
    { permissions: ["net", "run"], programs: ["script"] },
    "gets no escape sequences where TERM is dumb, which it may know",
    async () => {
      await using server = serve();
      const client = [Deno.execPath(), "run", "--quiet", "--allow-net", "--allow-env=TERM", MAIN]
        .concat(["client", "Bob", "--connect", `127.0.0.1:${server.port}`]).join(" ");
      for (const [term, hasEscapes] of [["dumb", false], ["xterm", true]] as const) {
        const child = new Deno.Command("script", {
          args: ["-qec", client, "/dev/null"],
          env: { TERM: term },
          stdin: "piped",
          stdout: "piped",
          stderr: "null",
        }).spawn();
        const input = child.stdin.getWriter();
        await input.write(new TextEncoder().encode("hello\n/quit\n"));
        const { stdout } = await child.output();
        input.close().catch(() => {});
        const shown = new TextDecoder().decode(stdout);
        assertStringIncludes(shown, "Bob. /help tells what you can type.");
        assertEquals(shown.includes("\x1b"), hasEscapes, shown);
      }
    },
  );

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

  itNeeds(
    TERMINAL,
    "asks for a name, and for another one where the server refuses it",
    async () => {
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
    },
  );

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
      const server = await serverProcess(0);
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

  for (const [signal, code] of [["INT", 130], ["TERM", 143], ["HUP", 129]] as const) {
    itNeeds(TERMINAL, `leaves the terminal as it was at SIG${signal}`, async () => {
      await using server = await serverProcess(0);
      await using bob = await Terminal.enter(server.port, "Bob");
      await bob.signal(signal);
      assertEquals(await bob.code(), code);
      await bob.paste("typed");
      await bob.showsLast(`exit code: ${code}`, "typed");
    });
  }

  itNeeds(TERMINAL, "frees the terminal at Ctrl-Z, and takes it back when it goes on", async () => {
    await using server = await serverProcess(0);
    await using bob = await Terminal.enter(server.port, "Bob");
    const hint = "Ctrl-Z once more pauses the client, Enter goes on";
    await bob.press("C-z");
    await bob.paste("by the terminal");
    await bob.showsLast(hint, "by the terminal");
    await bob.press("C-u");
    await bob.signal("CONT");
    await bob.showsPart("\n>");
    await bob.paste("/us\ners");
    await bob.showsPart("> /us ers");
  });

  itNeeds(TERMINAL, "comes back when the server was killed and starts again", async () => {
    const first = await serverProcess(0);
    const { port } = first;
    await using bob = await Terminal.enter(port, "Bob");
    await bob.type("half a li");
    await bob.showsPart("> half a li");
    await first[Symbol.asyncDispose]();
    await bob.showsPart("Connecting again ...");
    await using _second = await serverProcess(port);
    await bob.showsPart("\nHello, Bob. /help tells what you can type.\n> half a li");
    using alice = await Peer.connect(port);
    await alice.ask("register", "Alice");
    await alice.ask("send", "Bob", "are you back?");
    await bob.showsPart("Alice: are you back?\n> half a li");
    await bob.enter("ne");
    assertEquals(await alice.mail("wait", "10"), ["Bob: half a line"]);
  });

  itNeeds(TERMINAL, "finds its mail after it lost only the connection", async () => {
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
    "comes back to a server that is strict now, and to one that is not strict again",
    async () => {
      const first = await serverProcess(0);
      const { port } = first;
      await using bob = await Terminal.enter(port, "Bob");
      await first[Symbol.asyncDispose]();
      await bob.showsPart("Connecting again ...");
      const second = await serverProcess(port, "--strict");
      await bob.showsLast(...greeting("Bob"), ">");
      await bob.enter("@Bob strict");
      await bob.showsPart("Bob: strict\n>");
      await second[Symbol.asyncDispose]();
      await using _third = await serverProcess(port);
      await bob.showsLast(...greeting("Bob"), ">");
      await bob.enter("@Bob free");
      await bob.showsPart("Bob: free\n>");
    },
  );

  itNeeds(
    TERMINAL,
    "polls a strict server, and asks for the name that the server expects",
    async () => {
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
    },
  );
});

/** Relays the next connection to the server. The result cuts it. */
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
