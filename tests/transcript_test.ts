import { describe } from "@std/testing/bdd";
import { itNeeds, missing } from "./support.ts";
import { CUTS, parseTranscript, runTranscript } from "./transcript.ts";

const NEEDS = { permissions: ["net", "read"] } as const;
const folder = new URL("./transcripts/", import.meta.url);

function names(): string[] {
  if (missing(NEEDS) !== undefined) return ["..."];
  return Array.from(Deno.readDirSync(folder), ({ name }) => name)
    .filter((name) => name.endsWith(".txt")).sort();
}

describe("the transcript", () => {
  for (const name of names()) {
    for (const cut of CUTS) {
      itNeeds(NEEDS, `${name} goes as written, ${cut}`, async () => {
        const source = await Deno.readTextFile(new URL(name, folder));
        await runTranscript(parseTranscript(source), cut);
      });
    }
  }
});
