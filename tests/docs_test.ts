/** What the docs promise is run: the examples in hex, the Python client, the list of flags. */
import { assert, assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { describe } from "@std/testing/bdd";
import { hex } from "../lib/text/printable.ts";
import { SERVER_FLAGS } from "../lib/options.ts";
import { helpLines } from "../lib/flags.ts";
import { itNeeds } from "./needs.ts";
import { Peer } from "./peer.ts";
import { serve } from "./support.ts";

const ROOT = new URL("../", import.meta.url);

function read(name: string): string {
  return Deno.readTextFileSync(new URL(name, ROOT));
}

function blocks(text: string, language: string): string[] {
  return Array.from(text.matchAll(/```(\w*)\n([^]*?)```/g)).filter(([, name]) => name === language)
    .map(([, , block]) => block!);
}

/** The bytes at the beginning of a line; words behind them are a remark. */
function bytesOf(line: string): Uint8Array {
  const [pairs = ""] = /^((?:[0-9a-f]{2}(?:\s+|$))*)/.exec(line.slice(2)) ?? [];
  return Uint8Array.from(pairs.trim().split(/\s+/), (pair) => parseInt(pair, 16));
}

async function runExample(block: string): Promise<void> {
  await using server = serve();
  using peer = await Peer.connect(server.port);
  const got = peer.conn.readable.getReader();
  let left: Uint8Array = new Uint8Array(0);
  for (const line of block.trim().split("\n")) {
    const bytes = bytesOf(line);
    if (line.startsWith(">")) await peer.write(bytes);
    else {
      while (left.length < bytes.length) left = concat([left, (await got.read()).value!]);
      assertEquals(hex(left.subarray(0, bytes.length), 99), hex(bytes, 99));
      left = left.slice(bytes.length);
    }
  }
  assertEquals(left.length, 0);
}

describe("docs/protocol.md", () => {
  itNeeds({ permissions: ["net", "read"] }, "has examples in hex that go as written", async () => {
    const examples = blocks(read("docs/protocol.md"), "wire");
    assertEquals(examples.length, 2);
    for (const example of examples) await runExample(example);
  });
});

describe("README.md", () => {
  itNeeds(
    { permissions: ["net", "read", "run"], programs: ["python3"] },
    "has a client in Python that works",
    async () => {
      await using server = serve();
      const [script = ""] = blocks(read("README.md"), "python");
      const { stdout, stderr } = await new Deno.Command("python3", {
        args: ["-c", script.replace("31337", `${server.port}`)],
      }).output();
      assertEquals(new TextDecoder().decode(stderr), "");
      assertEquals(
        new TextDecoder().decode(stdout),
        "Hello, Eve\nMessage added to storage!\n1\nEve: Hello\n",
      );
    },
  );

  itNeeds(
    { permissions: ["net", "read", "run"] },
    "has a client in TypeScript that works, and whose types are right",
    async () => {
      await using server = serve();
      const [script = ""] = blocks(read("README.md"), "ts");
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--check", "--no-prompt", "--allow-net", "-"],
        cwd: new URL(".", ROOT).pathname,
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      await new Response(script.replace("31337", `${server.port}`)).body!.pipeTo(child.stdin);
      const { stdout, success } = await child.output();
      assertEquals({ success, stdout: new TextDecoder().decode(stdout) }, {
        success: true,
        stdout: "Tess: Hello\n",
      });
    },
  );

  itNeeds({ permissions: ["read"] }, "has at most 1,000 words", () => {
    const words = read("README.md").split(/\s+/).filter(Boolean).length;
    assert(words <= 1_000, `${words} words`);
  });
});

describe("docs/operations.md", () => {
  itNeeds(
    { permissions: ["read", "run"], programs: ["sh"] },
    "shows what inspect really prints",
    () => {
      const [sample = ""] = blocks(read("docs/operations.md"), "console");
      const [, line = "", printed] = /^\$ (.*)\n([^]*)$/.exec(sample) ?? [];
      const { stdout } = new Deno.Command("sh", {
        args: ["-c", line.replace("deno", Deno.execPath())],
        cwd: new URL(".", ROOT).pathname,
      }).outputSync();
      assertEquals(new TextDecoder().decode(stdout), printed);
    },
  );

  itNeeds({ permissions: ["read"] }, "lists every flag once, by topic, as --help does", () => {
    const listed = blocks(read("docs/operations.md"), "flags").join("").trimEnd().split("\n");
    assertEquals(listed.sort(), helpLines(SERVER_FLAGS).split("\n").sort());
  });
});

describe("the docs", () => {
  itNeeds({ permissions: ["read"] }, "link only to files that are there", () => {
    const pages = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "lib/README.md"].concat(
      Array.from(Deno.readDirSync(new URL("docs/", ROOT)), ({ name }) => `docs/${name}`)
        .filter((name) => name.endsWith(".md")),
    );
    const broken = pages.flatMap((page) =>
      Array.from(read(page).matchAll(/\]\(([^):#]+)(?:#[^)]*)?\)/g), ([, link]) => link!)
        .filter((link) => !isThere(new URL(link, new URL(page, ROOT))))
        .map((link) => `${page}: ${link}`)
    );
    assertEquals(broken, []);
  });
});

function isThere(path: URL): boolean {
  try {
    return Deno.statSync(path) !== undefined;
  } catch {
    return false;
  }
}
