/** The terminal client as a script uses it: lines through pipes. */
import { assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serve, until } from "../support.ts";
import { closedPort, RUN, runDeno } from "./program.ts";

const UNIX = { permissions: ["net", "run", "read"], programs: ["sh"] } as const;
const PIPES = { permissions: ["net", "run", "read"] } as const;

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The arguments of Deno that run the client. */
function clientArgs(port: number, ...name: string[]): string[] {
  return [...RUN, "client", ...name, "--connect", `127.0.0.1:${port}`];
}

/** Runs the client with a text as its input. */
async function pipe(input: string | Uint8Array, port: number, ...name: string[]) {
  return await runDeno(clientArgs(port, ...name), input);
}

describe("the terminal client as a script", () => {
  itNeeds(PIPES, "sends lines and prints messages, without colours", async () => {
    await using server = serve();
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    const input = "hello\n@Bob hi\n\n@Alice to myself\n/users\n";
    const { code, stdout, stderr } = await pipe(input, server.port, "Alice");
    assertEquals(stderr, "Hello, Alice. /help tells what you can type.\n");
    assertEquals(stdout.split("\n").sort(), ["", "2 here: Bob, Alice", "Alice: to myself"]);
    assertEquals(code, 0);
    assertEquals(await bob.mail("receive"), ["Alice: hello", "Alice: hi"]);
    await bob.ask("send", "Alice", "while you were away");
    const again = await pipe("", server.port, "Alice");
    assertEquals(again, {
      code: 0,
      stdout: "Bob: while you were away\n",
      stderr: "Nice to see you, Alice. /help tells what you can type.\n",
    });
  });

  itNeeds(PIPES, "sends all of 500 lines, also the last one without a newline", async () => {
    await using server = serve();
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    const lines = Array.from({ length: 500 }, (_, i) => `line ${i}`);
    const { code } = await pipe(lines.join("\n"), server.port, "Alice");
    assertEquals(code, 0);
    assertEquals(await bob.mail("receive"), lines.map((line) => `Alice: ${line}`));
  });

  itNeeds(PIPES, "says on stderr which lines were refused, goes on, and ends with 1", async () => {
    await using server = serve();
    const input = `@Nobody hi\n${"x".repeat(61)}\n@Alice done\n`;
    const { code, stdout, stderr } = await pipe(input, server.port, "Alice");
    assertEquals(stderr.split("\n").slice(1), [
      "! Line 1: User 'Nobody' doesn't exist!",
      "! Line 2: The text is too long: 61 symbols, at most 60 are allowed",
      "2 lines refused",
      "",
    ]);
    assertEquals({ code, stdout }, { code: 1, stdout: "Alice: done\n" });
  });

  describe("never makes public what is private", () => {
    const utf16 = (text: string, isLittle: boolean) =>
      Uint8Array.from([...text].flatMap((symbol) => {
        const unit = symbol.charCodeAt(0);
        return isLittle ? [unit & 0xff, unit >> 8] : [unit >> 8, unit & 0xff];
      }));
    const isUtf16 = "It is not UTF-8 but perhaps UTF-16: save the file as UTF-8. It was not sent";
    const files: readonly { name: string; bytes: Uint8Array; mail: string[]; says: string[] }[] = [
      { name: "a byte order mark", bytes: utf8("\ufeff@Bob secret\n"), mail: ["secret"], says: [] },
      {
        name: "a byte order mark in front of each of two files",
        bytes: utf8("\ufeff@Bob one\n\ufeff@Bob two\n"),
        mail: ["one", "two"],
        says: [],
      },
      { name: "Windows line ends", bytes: utf8("@Bob secret\r\n"), mail: ["secret"], says: [] },
      {
        name: "separators within a line",
        bytes: utf8("@Bob a\u2028b\u2029c\u0085d\rsecret\n"),
        mail: ["a\u2028b\u2029c\u0085d\rsecret"],
        says: [],
      },
      {
        name: "blanks in front",
        bytes: utf8(" \t\u3000@Bob secret\n"),
        mail: ["secret"],
        says: [],
      },
      {
        name: "Latin-1",
        bytes: Uint8Array.from("@Bob caf\xe9\n", (symbol) => symbol.charCodeAt(0)),
        mail: [],
        says: ["! Line 1: It is not UTF-8: save the file as UTF-8. It was not sent"],
      },
      ...[true, false].map((isLittle) => ({
        name: `UTF-16, ${isLittle ? "little" : "big"}-endian`,
        bytes: utf16("\ufeff@Bob secret\n@Bob more\n", isLittle),
        mail: [],
        says: [1, 2].map((line) => `! Line ${line}: ${isUtf16}`),
      })),
      {
        name: "a line without an end",
        bytes: utf8("@Bob " + "x".repeat(70_000) + "\n@Bob secret"),
        mail: ["secret"],
        says: ["! Line 1: It is longer than 65536 bytes. It was not sent"],
      },
    ];
    for (const { name, bytes, mail, says } of files) {
      itNeeds(PIPES, `in a file with ${name}`, async () => {
        await using server = serve();
        using bob = await Peer.connect(server.port);
        using eve = await Peer.connect(server.port);
        await bob.ask("register", "Bob");
        await eve.ask("register", "Eve");
        const { stderr } = await pipe(bytes, server.port, "Alice");
        const told = stderr.split("\n").filter((line) => line.startsWith("!"));
        assertEquals(told.slice(0, says.length), says);
        assertEquals(await bob.mail("receive"), mail.map((text) => `Alice: ${text}`));
        assertEquals(await eve.mail("receive"), []);
      });
    }
  });

  itNeeds(PIPES, "shows names with all that can't be seen", async () => {
    await using server = serve();
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob\u200d");
    await bob.ask("sendall", "too early");
    const { stdout } = await pipe("@Alice 👩‍👩‍👧\n/users\n", server.port, "Alice");
    assertEquals(stdout.split("\n").sort(), ["", "2 here: Bob\\u200d, Alice", "Alice: 👩‍👩‍👧"]);
  });

  itNeeds(UNIX, "ends when nobody reads its output, and leaves the mail", async () => {
    await using server = serve();
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    const client = [Deno.execPath(), ...clientArgs(server.port, "Bob")];
    // The input stays open until the client ends.
    await using shell = new Deno.Command("sh", {
      args: ["-c", `sleep 60 | { "$@"; kill $$; } | head -n 1`, "sh", ...client],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    await until(() => server.lines.some((line) => line.includes("user=Bob")), "Bob is here");
    await al.ask("send", "Bob", "one");
    assertEquals((await shell.stdout.getReader().read()).value?.length, 8);
    for (const text of ["two", "three", "four"]) await al.ask("send", "Bob", text);
    await until(
      () => server.lines.filter((line) => line.includes("disconnected")).length === 1,
      "the client ends",
    );
    using bob = await Peer.connect(server.port);
    assertEquals(await bob.ask("register", "Bob"), "Nice to see you, Bob");
    assertEquals((await bob.mail("receive")).slice(-2), ["Al: three", "Al: four"]);
  });

  itNeeds(UNIX, "says that its output can't be written, and leaves the mail", async () => {
    await using server = serve();
    using al = await Peer.connect(server.port);
    using bob = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await bob.ask("register", "Bob");
    await al.ask("send", "Bob", "one");
    bob.close();
    const client = [Deno.execPath(), ...clientArgs(server.port, "Bob")];
    const { code, stderr } = await new Deno.Command("sh", {
      args: ["-c", `"$@" < /dev/null > /dev/full`, "sh", ...client],
    }).output();
    assertEquals(new TextDecoder().decode(stderr).split("\n").slice(1), [
      "The client ends, as its output can't be written: No space left on device (os error 28)",
      "",
    ]);
    assertEquals(code, 1);
    using again = await Peer.connect(server.port);
    await again.ask("register", "Bob");
    assertEquals(await again.mail("receive"), ["Al: one"]);
  });

  itNeeds(PIPES, "works with a strict server", async () => {
    await using server = serve("--strict");
    const { code, stdout } = await pipe("@Alice hi\n", server.port, "Alice");
    assertEquals({ code, stdout }, { code: 0, stdout: "Alice: hi\n" });
  });

  itNeeds(PIPES, "ends with 1 and one line that says why, where it can't chat", async () => {
    await using server = serve();
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    await using full = serve("--connections-max", "1");
    using _only = await Peer.connect(full.port);
    const closed = await closedPort();
    const cases: readonly (readonly [number, string[], string])[] = [
      [closed, ["Bob"], `No server answers at 127.0.0.1:${closed} (deno task start starts one)`],
      [server.port, ["Bob"], "'Bob' already exists!"],
      [server.port, ["123456789"], "The name is too long: 9 symbols, at most 8 are allowed"],
      [server.port, [], "Say who you are: client NAME"],
      [full.port, ["Alice"], "Server is full!"],
    ];
    for (const [port, name, why] of cases) {
      assertEquals(await pipe("hello\n", port, ...name), {
        code: 1,
        stdout: "",
        stderr: `${why}\n`,
      });
    }
  });
});
