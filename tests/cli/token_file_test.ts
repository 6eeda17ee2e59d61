/** `--admin-token-file` as a process reads it. */
import { assertEquals, assertMatch } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { get } from "../http/requests.ts";
import { itNeeds } from "../needs.ts";
import { MAIN, runDeno, ServerProcess } from "./program.ts";

const NEEDS = { permissions: ["net", "run", "read", "write"] } as const;
const TOKEN = "s3cret-of-the-teacher";

/** The arguments of Deno for a server with this file, which it may read if `mayRead`. */
function argsOf(path: string, mayRead = true): string[] {
  const allowed = ["--allow-net", ...mayRead ? [`--allow-read=${path}`] : []];
  const flags = ["--port", "0", "--http", "0", "--admin-token-file", path];
  return ["run", "--no-prompt", ...allowed, MAIN, ...flags];
}

async function withFile(text: string, test: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, text);
    await test(path);
  } finally {
    await Deno.remove(path);
  }
}

describe("--admin-token-file", () => {
  itNeeds(
    NEEDS,
    "names a file with the token, which no list of processes shows",
    () =>
      withFile(`${TOKEN}\n`, async (path) => {
        await using server = await ServerProcess.startDeno(argsOf(path), { stderr: "null" });
        const [url] = /http:\S+/.exec(server.line)!;
        const statusOf = async (token: string) =>
          (await get(`${url}metrics`, { authorization: `Bearer ${token}` })).status;
        assertEquals(await statusOf(TOKEN), 200);
        assertEquals(await statusOf(`${TOKEN}s`), 401);
      }),
  );

  itNeeds(
    NEEDS,
    "refuses a token that can be guessed, and a file that can't be read",
    () =>
      withFile("s3cret\n", async (path) => {
        const short = await runDeno(argsOf(path));
        assertEquals(short.code, 2);
        assertMatch(short.stderr, /^The token in \S+ has 6 symbols, which can be guessed: .+\n$/);
        const absent = await runDeno(argsOf(`${path}.none`));
        assertEquals(absent.code, 1);
        assertMatch(absent.stderr, /^Cannot read \S+\.none: .+\n$/);
        const denied = await runDeno(argsOf(path, false));
        assertEquals(denied.code, 2);
        assertMatch(denied.stderr, / Run: deno run --allow-net --allow-read=\S+ main\.ts .+\n$/);
      }),
  );
});
