import { assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { make, MODES, stateHash } from "./journals/make.ts";
import { itNeeds, missing, serveOn, TempFile } from "./support.ts";
import { parseTranscript, runTranscript } from "./transcripts/transcript.ts";

const NEEDS = { permissions: ["net", "read", "write"] } as const;
const FOLDER = new URL("./journals/", import.meta.url);

function names(): string[] {
  if (missing(NEEDS) !== undefined) return ["..."];
  return Array.from(Deno.readDirSync(FOLDER), ({ name }) => name)
    .filter((name) => name.endsWith(".db")).sort();
}

/** Replays a copy of a journal, and then serves on it. */
async function check(journal: URL): Promise<void> {
  using copy = new TempFile();
  Deno.copyFileSync(journal, copy.path);
  const story = Deno.readTextFileSync(new URL(journal.href.replace(/db$/, "txt")));
  const stored = copy.open();
  assertEquals(stateHash(stored), /^# The state: (\w+)\n/.exec(story)?.[1]);
  stored.abandon();
  await runTranscript(
    parseTranscript(story),
    "whole",
    (...flags) => serveOn(copy.open(), ...flags),
  );
}

describe("the journal of a release", () => {
  for (const name of names()) {
    itNeeds(NEEDS, `${name} leads to the same state as ever, and its mail is there`, async () => {
      await check(new URL(name, FOLDER));
    });
  }

  for (const mode of MODES) {
    itNeeds(NEEDS, `can be made in ${mode} mode`, async () => {
      using file = new TempFile();
      const folder = new URL(`file://${file.folder}/`);
      await make(mode, folder);
      const [made = ""] = Array.from(Deno.readDirSync(folder), ({ name }) => name)
        .filter((name) => name.endsWith(".db"));
      await check(new URL(made, folder));
    });
  }
});
