import { assertEquals, assertMatch } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { itNeeds } from "../../needs.ts";
import { someSeed } from "../command_line.ts";
import { crash } from "./crash.ts";

const PROCESSES_AND_FILES = { permissions: ["net", "run", "read", "write"] } as const;
const LOSSY_JOURNAL = new URL("lossy_journal_server.ts", import.meta.url);
/** On a busy machine few batches are stored between two kills: then 1 lost of 100 is found late. */
const CATCH_ROUNDS_MAX = 200;
/** What a lossy journal stores, and the failure that the harness must report. */
const LOSSES = {
  "no-batch": /is lost \(stored\)/,
  "not-every-batch": /is lost|came twice/,
  "batches-late": /is lost|came twice/,
  "no-take": /came twice/,
} as const;

describe("a server that is killed again and again", () => {
  itNeeds(PROCESSES_AND_FILES, "keeps all that it has acknowledged", async () => {
    const { summary, failures } = await crash({ rounds: 4, seed: someSeed() });
    console.log(summary);
    assertEquals(failures, [], summary);
  });

  for (const [loss, failure] of Object.entries(LOSSES)) {
    itNeeds(
      PROCESSES_AND_FILES,
      `is caught when its journal stores ${loss.replaceAll("-", " ")}`,
      async () => {
        const { summary, failures } = await crash({
          rounds: CATCH_ROUNDS_MAX,
          seed: someSeed(),
          commands: [[LOSSY_JOURNAL, loss]],
        });
        assertMatch(failures.join("\n"), failure, summary);
      },
    );
  }
});
