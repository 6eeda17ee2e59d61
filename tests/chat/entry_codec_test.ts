import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Entry } from "../../lib/chat/entry.ts";
import { DEFAULT_SETTINGS } from "../../lib/chat/settings.ts";
import { decodeEntries, encodeEntries } from "../../lib/chat/entry_codec.ts";

const AL = { session: { member: 0, count: 3 }, address: "10.0.0.1", peer: "10.0.0.1:5000" };
const BOB = {
  session: { member: 2 ** 32, count: 2 ** 32 + 3 },
  address: "fe80::1",
  peer: "[fe80::1]:5001",
};
const command = (at: number, actor: typeof AL, command: object) =>
  ({ kind: "command", at, actor, command }) as Entry;

describe("the text of a batch", () => {
  it("gives back every kind of entry", () => {
    const entries: Entry[] = [
      { kind: "start", at: 1, rules: 1, settings: DEFAULT_SETTINGS },
      command(1_000_000_000_007, AL, { name: "register", user: "Al" }),
      command(1_000_000_000_005, BOB, { name: "register", user: "Бо👍" }),
      command(1_000_000_000_007, AL, { name: "send", to: "Бо👍", text: 'a "quoted"\n\0 text' }),
      { kind: "take", actor: AL, shown: { user: "Al", id: 1, through: 2 } },
      command(1_000_000_000_008, AL, { name: "sendall", text: "" }),
      command(1_000_000_000_009, BOB, { name: "receive" }),
      command(1_000_000_000_009, BOB, { name: "wait", seconds: 2.5 }),
      command(1_000_000_000_009, BOB, { name: "logout" }),
      { kind: "seen", at: 5, address: "10.0.0.1" },
      { kind: "forget", user: "Al", id: 1 },
      { kind: "end", at: 9, session: BOB.session, address: BOB.address },
    ];
    assertEquals(decodeEntries(encodeEntries(entries)), entries);
    assertEquals(decodeEntries(encodeEntries([])), []);
  });

  it("gives back consecutive commands, alike or not", () => {
    const send = (text: string) => command(7, AL, { name: "send", to: "Bob", text });
    const receive = command(7, AL, { name: "receive" });
    const end: Entry = { kind: "end", at: 7, session: BOB.session, address: BOB.address };
    const entries = [
      ...[send("1"), send("2"), send("3"), receive, receive, receive, send("4")],
      ...[command(7, BOB, { name: "sendall", text: "5" }), send("6"), end, send("7")],
      ...[command(8, AL, { name: "send", to: "Al", text: "8" }), send("9")],
    ];
    for (let from = 0; from < entries.length; from++) {
      for (let to = from; to <= entries.length; to++) {
        const some = entries.slice(from, to);
        assertEquals(decodeEntries(encodeEntries(some)), some);
      }
    }
  });

  it("is less than a third of the entries in JSON for a pipeline of messages", () => {
    const message = command(1_000_000_000_000, AL, {
      name: "send",
      to: "Bob",
      text: "x".repeat(40),
    });
    const entries = Array<Entry>(16).fill(message);
    assert(encodeEntries(entries).length < JSON.stringify(entries).length / 3);
  });
});
