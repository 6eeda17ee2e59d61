import { assertEquals, assertMatch } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { crash, someSeed } from "./crash.ts";
import { itNeeds } from "../../support.ts";

const PROCESSES_AND_FILES = { permissions: ["net", "run", "read", "write"] } as const;
const FORGETFUL = new URL("forgetful_server.ts", import.meta.url);
/** What a journal may forget, and what comes of it. */
const FINDINGS = {
  everything: /is lost \(stored\)/,
  some: /is lost|came twice/,
  late: /is lost|came twice/,
  takes: /came twice/,
} as const;

describe("a server that is killed again and again", () => {
  itNeeds(PROCESSES_AND_FILES, "keeps all that it has acknowledged", async () => {
    const { summary, failures } = await crash({ rounds: 4, seed: someSeed() });
    console.log(summary);
    assertEquals(failures, [], summary);
  });

  for (const [what, finding] of Object.entries(FINDINGS)) {
    itNeeds(PROCESSES_AND_FILES, `is found out where its journal forgets: ${what}`, async () => {
      const { summary, failures } = await crash({
        rounds: 30,
        seed: someSeed(),
        commands: [[FORGETFUL, what]],
      });
      assertMatch(failures.join("\n"), finding, summary);
    });
  }
});
