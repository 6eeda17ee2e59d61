import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import config from "../../deno.json" with { type: "json" };
import { itNeeds, missing } from "../needs.ts";

const NEEDS = { permissions: ["run", "read", "write"] } as const;
const NAME = "makes a standalone binary that runs";
const ROOT = new URL("../..", import.meta.url).pathname;
const decoder = new TextDecoder();

/** Executes the command of `deno task compile`, with another path for the binary. */
function compile(output: string): { success: boolean; stderr: string } {
  const [, ...words] = config.tasks.compile.command.split(" ");
  const { success, stderr } = new Deno.Command(Deno.execPath(), {
    args: words.map((word) => word === "asvt-chat" ? output : word),
    cwd: ROOT,
  }).outputSync();
  return { success, stderr: decoder.decode(stderr) };
}

describe("deno task compile", () => {
  if (missing(NEEDS) !== undefined) return itNeeds(NEEDS, NAME, () => {});
  const folder = Deno.makeTempDirSync();
  const { success, stderr } = compile(`${folder}/asvt-chat`);
  // The command downloads a runtime. Where it can't be reached the test is skipped, in CI too.
  if (!success && stderr.includes("error sending request for url")) {
    Deno.removeSync(folder, { recursive: true });
    return it.skip(`${NAME} (skipped: the runtime can't be downloaded here)`, () => {});
  }
  it(NAME, () => {
    try {
      assertEquals({ success, stderr: success ? "" : stderr }, { success: true, stderr: "" });
      const { stdout } = new Deno.Command(`${folder}/asvt-chat`, { args: ["--version"] })
        .outputSync();
      assertMatch(decoder.decode(stdout), /^\d+\.\d+\.\d+\n$/);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
});
