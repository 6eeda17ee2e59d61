import { assertEquals, assertMatch } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { cluster } from "./cluster.ts";
import { someSeed } from "../crash/crash.ts";
import { NATS_CLUSTER } from "../../journal/nats.ts";
import { itNeeds } from "../../support.ts";

const HASTY = new URL("hasty_server.ts", import.meta.url);

describe("servers that share a chat and fail again and again", () => {
  itNeeds(NATS_CLUSTER, "keep all that they have acknowledged, and know the same", async () => {
    const { summary, failures } = await cluster({ rounds: 3, seed: someSeed() });
    console.log(summary);
    assertEquals(failures, [], summary);
  });

  itNeeds(NATS_CLUSTER, "are found out where they acknowledge before it is stored", async () => {
    const { summary, failures } = await cluster({
      rounds: 3,
      seed: someSeed(),
      command: [HASTY],
    });
    assertMatch(failures.join("\n"), /is lost \(stored\)/, summary);
  });
});
