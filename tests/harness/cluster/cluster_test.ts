import { assertEquals, assertMatch } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { NATS_CLUSTER } from "../../journal/nats.ts";
import { itNeeds } from "../../needs.ts";
import { someSeed } from "../command_line.ts";
import { cluster } from "./cluster.ts";

const EARLY_REPLY = new URL("early_reply_server.ts", import.meta.url);

describe("servers that share a chat and fail again and again", () => {
  itNeeds(NATS_CLUSTER, "keep all that they have acknowledged, and agree on the chat", async () => {
    const { summary, failures } = await cluster({ rounds: 3, seed: someSeed() });
    console.log(summary);
    assertEquals(failures, [], summary);
  });

  itNeeds(NATS_CLUSTER, "are caught when they reply before a batch is stored", async () => {
    const { summary, failures } = await cluster({
      rounds: 3,
      seed: someSeed(),
      command: [EARLY_REPLY],
    });
    assertMatch(failures.join("\n"), /is lost \(stored\)/, summary);
  });
});
