/** The clients of docs/clients/: each is built, and speaks to a server and to connections that are odd. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { settingsOf } from "../../lib/chat/settings.ts";
import { emptyChat } from "../../lib/chat/state.ts";
import { applyCommand } from "../../lib/chat/commands.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { encodeFrame } from "../../lib/protocol/frame.ts";
import { MISTAKE_CODES } from "../../lib/protocol/mistake.ts";
import { encodeReply } from "../../lib/protocol/reply_encoder.ts";
import { itNeeds } from "../needs.ts";
import { serve } from "../support.ts";

const FOLDER = new URL("../../docs/clients/", import.meta.url).pathname;
const PERMISSIONS = ["net", "run", "read", "write"] as const;

/** A client: its file, the programs that it needs, and how it is built and started. */
interface Client {
  readonly file: string;
  readonly programs: readonly string[];
  /** The arguments of gcc for those that are built. */
  readonly build?: readonly string[];
  readonly interpreter?: string;
}

const CLIENTS: readonly Client[] = [
  { file: "client.py", programs: ["python3"], interpreter: "python3" },
  { file: "client.c", programs: ["gcc"], build: ["-Wall", "-Wextra", "-Werror"] },
  { file: "client.s", programs: ["gcc"], build: ["-nostdlib", "-static"] },
  { file: "client.sh", programs: ["bash", "od"], interpreter: "bash" },
];

/** Builds the client, and runs it on lines of commands. Returns what it prints, without the last line. */
async function run(client: Client, port: number, lines: readonly string[]): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  try {
    const source = FOLDER + client.file;
    const program = client.interpreter ?? `${folder}/client`;
    if (client.build !== undefined) {
      const args = [...client.build, "-o", program, source];
      const { success, stderr } = await new Deno.Command("gcc", { args }).output();
      assertEquals([success, new TextDecoder().decode(stderr)], [true, ""]);
    }
    const args = client.interpreter === undefined ? [] : [source];
    const child = new Deno.Command(program, {
      args: [...args, "127.0.0.1", `${port}`],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    writer.write(new TextEncoder().encode(lines.map((line) => `${line}\n`).join("")))
      .then(() => writer.close()).catch(() => {});
    const { stdout } = await child.output();
    return new TextDecoder().decode(stdout).trimEnd().split("\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A server of one connection that answers each command by the next of these lists of bytes. */
function answerBy(replies: readonly Uint8Array[][]) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using conn = await listener.accept();
    conn.setNoDelay(true);
    for (const pieces of replies) {
      await conn.read(new Uint8Array(1_024));
      for (const piece of pieces) {
        await conn.write(piece);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    }
  })();
  return {
    port: listener.addr.port,
    [Symbol.asyncDispose]: async () => {
      await serving;
      listener.close();
    },
  };
}

const frames = (...texts: string[]) => concat(texts.map(encodeFrame));
const byByte = (bytes: Uint8Array) => Array.from(bytes, (byte) => Uint8Array.of(byte));

for (const client of CLIENTS) {
  const needs = { permissions: PERMISSIONS, programs: client.programs };

  describe(`docs/clients/${client.file}`, () => {
    itNeeds(needs, "registers, lists, sends, receives, and prints each frame", async () => {
      await using server = serve();
      assertEquals(
        await run(client, server.port, [
          "receive",
          "register Stu",
          "users",
          "send Stu Привет, %s \\n!",
          "sendall two  blanks",
          "receive",
          "receive",
        ]),
        [
          "U aren't registered!",
          "Hello, Stu",
          "1",
          "Stu",
          "Message added to storage!",
          "Message added to storage!",
          "1",
          "Stu",
          "Привет, %s \\n!",
          "0",
        ],
      );
    });

    itNeeds(needs, "prints the explanation of a mistake", async () => {
      await using server = serve();
      const [line] = await run(client, server.port, ["regsiter Stu", "users"]);
      assertStringIncludes(line!, "Did you mean 'register'?");
    });

    itNeeds(needs, "reads replies that come byte by byte, or many in one piece", async () => {
      await using server = answerBy([
        byByte(frames("2", "Al", "Bo")),
        [frames("1", "Al", "hi")],
        byByte(frames("U aren't registered!")),
      ]);
      assertEquals(await run(client, server.port, ["users", "receive", "receive"]), [
        "2",
        "Al",
        "Bo",
        "1",
        "Al",
        "hi",
        "U aren't registered!",
      ]);
    });
  });
}

describe("docs/clients.md", () => {
  const read = (path: string) =>
    Deno.readTextFileSync(new URL(`../../docs/${path}`, import.meta.url));

  itNeeds({ permissions: ["read"] }, "shows the client in Python as it is", () => {
    const [, shown] = /```python\n([^]*?)```/.exec(read("clients.md"))!;
    assertEquals(shown, read("clients/client.py"));
  });

  itNeeds({ permissions: ["read"] }, "names the code of each mistake in its table", () => {
    const table = read("clients.md").split("## Mistakes")[1]!;
    assertEquals(MISTAKE_CODES.filter((code) => !table.includes(`\`${code}\``)), []);
  });

  it("tells the largest replies in bytes", () => {
    const options = parseServerOptions([]);
    const { usersMax, mailboxMessagesMax, nameSymbolsMax, textSymbolsMax } = options;
    const frame = (symbols: number) => 4 + 4 * symbols;
    const count = (number: number) => 4 + String(number).length;
    const actor = { session: { member: 0, count: 1 }, address: "::1", peer: "[::1]:1" };
    const help = applyCommand(emptyChat(settingsOf(options)), actor, 0, { name: "help" }).reply;
    const sizes = [
      count(usersMax) + usersMax * frame(nameSymbolsMax),
      count(mailboxMessagesMax) +
      mailboxMessagesMax * (frame(nameSymbolsMax) + frame(textSymbolsMax)),
      encodeReply(help).length,
      404,
    ];
    const expected = sizes.map((size) => size.toLocaleString("en-US"));
    const text = Deno.permissions.querySync({ name: "read" }).state === "granted"
      ? read("clients.md")
      : expected.join();
    assertEquals(expected.filter((size) => !text.includes(size)), []);
  });
});
