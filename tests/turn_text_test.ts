import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Entry } from "../lib/chat.ts";
import { parseTurn, turnText } from "../lib/turn_text.ts";

const AL = { session: 3, address: "10.0.0.1", peer: "10.0.0.1:5000" };
const BOB = { session: 4, address: "fe80::1", peer: "[fe80::1]:5001" };
const command = (at: number, actor: typeof AL, command: object) =>
  ({ kind: "command", at, actor, command }) as Entry;

describe("the text of a turn", () => {
  it("gives back every kind of entry", () => {
    const entries: Entry[] = [
      { kind: "start", at: 1, settings: {} as Entry & never },
      command(1_000_000_000_007, AL, { name: "register", user: "Al" }),
      command(1_000_000_000_005, BOB, { name: "register", user: "Бо👍" }),
      command(1_000_000_000_007, AL, { name: "send", to: "Бо👍", text: 'a "quoted"\n\0 text' }),
      { kind: "take", shown: { user: "Al", id: 1, through: 2 } },
      command(1_000_000_000_008, AL, { name: "sendall", text: "" }),
      command(1_000_000_000_009, BOB, { name: "receive" }),
      command(1_000_000_000_009, BOB, { name: "wait", seconds: 2.5 }),
      command(1_000_000_000_009, BOB, { name: "logout" }),
      { kind: "seen", at: 5, address: "10.0.0.1" },
      { kind: "forget", user: "Al", id: 1 },
      { kind: "end", at: 9, session: 4 },
    ];
    assertEquals(parseTurn(turnText(entries)), entries);
    assertEquals(parseTurn(turnText([])), []);
  });

  it("is at most a half of the entries in JSON for a pipeline of messages", () => {
    const message = command(1_000_000_000_000, AL, {
      name: "send",
      to: "Bob",
      text: "x".repeat(40),
    });
    const entries = Array<Entry>(16).fill(message);
    assert(turnText(entries).length < JSON.stringify(entries).length / 2);
  });
});
