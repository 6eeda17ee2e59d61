/** The rules of a chat in its journal and its snapshot, and when a snapshot is due. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { step } from "../../lib/chat/step.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import { emptyChat, RULES } from "../../lib/chat/state.ts";
import { entriesPerSnapshot, type Journal, memoryJournal } from "../../lib/journal/journal.ts";
import { restoreSnapshot } from "../../lib/chat/snapshot.ts";
import { itNeeds, NET } from "../needs.ts";
import { serveOn } from "../support.ts";
import { BATCHES, command, rows, SETTINGS, stepAll } from "./entries.ts";

describe("the rules", () => {
  it("are set by the start of a server, and kept in a snapshot", () => {
    const chat = emptyChat(SETTINGS);
    const { state } = step(chat, { kind: "start", at: 1, rules: 7, settings: SETTINGS });
    assertEquals(state.rules, 7);
    assertEquals(restoreSnapshot(rows(state))?.rules, 7);
  });

  itNeeds(NET, "of a server are stored when it starts", async () => {
    const stored: Entry[] = [];
    const commit: Journal["commit"] = (entries) => void stored.push(...entries);
    const journal = { ...memoryJournal, commit };
    await using _server = serveOn(journal);
    assertEquals(stored.map((entry) => entry.kind === "start" && entry.rules), [RULES]);
  });
});

describe("a snapshot", () => {
  it("is due sooner in a small chat, and never writes more rows than there were entries", () => {
    for (const alive of [0, 100, 10_000, 1_000_000]) {
      assert(entriesPerSnapshot(alive, 25_000) >= alive);
      assertEquals(entriesPerSnapshot(alive), Math.max(alive, 100_000));
    }
    assertEquals([0, 100, 10_000, 50_000].map((alive) => entriesPerSnapshot(alive, 25_000)), [
      25_000,
      25_400,
      65_000,
      100_000,
    ]);
  });

  it("gives back a state that decides the same", () => {
    const state = stepAll(emptyChat({ ...SETTINGS, mailboxMessagesMax: 2 }), BATCHES);
    const restored = restoreSnapshot(rows(state))!;
    assertEquals(rows(restored), rows(state));
    const next = command(2, "send", "full");
    assertEquals(step(restored, next).reply, step(state, next).reply);
  });
});
