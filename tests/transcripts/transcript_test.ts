import { describe } from "@std/testing/bdd";
import { KINDS } from "../journal/kinds.ts";
import { itNeeds, missing, type Needs } from "../needs.ts";
import { serveIn } from "../support.ts";
import { CUTS, parseTranscript, runTranscript } from "./transcript.ts";

const NEEDS: Needs = { permissions: ["net", "read"] };
const folder = new URL("./", import.meta.url);

function names(): string[] {
  if (missing(NEEDS) !== undefined) return ["..."];
  return Array.from(Deno.readDirSync(folder), ({ name }) => name)
    .filter((name) => name.endsWith(".txt")).sort();
}

for (const [where, { needs, room }] of Object.entries(KINDS)) {
  const both = { ...needs, permissions: [...NEEDS.permissions, ...needs.permissions] };
  describe(`over a chat ${where}, the transcript`, () => {
    for (const name of names()) {
      for (const cut of CUTS) {
        itNeeds(both, `${name} goes as written, ${cut}`, async () => {
          const source = await Deno.readTextFile(new URL(name, folder));
          await using chat = await room();
          await runTranscript(
            parseTranscript(source),
            cut,
            (...flags) => serveIn(chat, ...flags),
          );
        });
      }
    }
  });
}
