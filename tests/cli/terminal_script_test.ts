/** The terminal client as a script uses it: lines through pipes. */
import { assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serve } from "../support.ts";
import { closedPort, RUN, runDeno } from "./program.ts";

const PIPES = { permissions: ["net", "run", "read"] } as const;

/** Runs the client with a text as its input. */
async function pipe(input: string, port: number, ...name: string[]) {
  return await runDeno([...RUN, "client", ...name, "--connect", `127.0.0.1:${port}`], input);
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

  itNeeds(PIPES, "says on stderr what was refused, and goes on", async () => {
    await using server = serve();
    const input = `@Nobody hi\n${"x".repeat(61)}\n@Alice done\n`;
    const { code, stdout, stderr } = await pipe(input, server.port, "Alice");
    assertEquals(stderr.split("\n").slice(1), [
      "! User 'Nobody' doesn't exist!",
      "! The text is too long: 61 symbols, at most 60 are allowed",
      "",
    ]);
    assertEquals({ code, stdout }, { code: 0, stdout: "Alice: done\n" });
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
