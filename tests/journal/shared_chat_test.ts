/** A chat that several servers share: what the entries of its members mean. */
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { followBatch } from "../../lib/chat/batch.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import type { Command } from "../../lib/protocol/command.ts";
import { type ChatState, emptyChat } from "../../lib/chat/state.ts";
import * as mailbox from "../../lib/chat/mailboxes.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import { restoreSnapshot, snapshotRows } from "../../lib/chat/snapshot.ts";
import type { SessionId } from "../../lib/chat/users.ts";

const SETTINGS = settingsOf(parseServerOptions([]));
const OTHER_SETTINGS = settingsOf(parseServerOptions(["--text-symbols-max", "61"]));

function join(member: string, { settings = SETTINGS, rules = 2, at = 1 } = {}): Entry[] {
  return [{ kind: "join", at, member, rules, settings }];
}

/** A batch of a member, with a command of one of its sessions. */
function batch(
  member: string,
  number: number,
  session: SessionId,
  command: Command,
  at = 1,
): Entry[] {
  const actor = { session, address: "10.0.0.1", peer: `10.0.0.1:${session.member}` };
  return [{ kind: "batch", at, member, batch: number }, { kind: "command", at, actor, command }];
}

/** The state after these batches, and the codes of all replies; `-` for a batch that does not count. */
function play(batches: readonly (readonly Entry[])[], from = emptyChat(SETTINGS)) {
  let state = from;
  const codes: string[] = [];
  for (const batch of batches) {
    const stepped = followBatch(state, { leading: batch, requests: [] });
    state = stepped?.state ?? state;
    const replies = stepped?.leadingReplies.filter((reply) => reply !== undefined) ??
      [{ code: "-" }];
    codes.push(...replies.map(({ code }) => code));
  }
  return { state, codes };
}

function textsOf(state: ChatState, name: string): string[] {
  const { id } = state.users.byName.get(name)!;
  return Array.from(mailbox.read(state.mailboxes, id), ({ text }) => text);
}

const AL = { member: 1, count: 1 };
const BOB = { member: 2, count: 1 };
const TWO_MEMBERS = [join("a"), join("b")];
const AL_IS_IN = [...TWO_MEMBERS, batch("a", 1, AL, { name: "register", user: "Al" })];
const note = (number: number, text: string) =>
  batch("a", number, AL, { name: "send", to: "Al", text });

describe("a chat that several servers share", () => {
  it("counts every batch of a member once, however often it comes", () => {
    const { state, codes } = play([...AL_IS_IN, note(2, "one"), note(2, "one"), note(3, "two")]);
    assertEquals(codes, ["welcome", "sent", "-", "sent"]);
    assertEquals(textsOf(state, "Al"), ["one", "two"]);
  });

  it("counts no batch after a gap, and none of a member that it does not know", () => {
    const { codes } = play([
      ...AL_IS_IN,
      note(3, "after a gap"),
      batch("c", 1, { member: 3, count: 1 }, { name: "register", user: "Cy" }),
      note(2, "in its batch"),
    ]);
    assertEquals(codes, ["welcome", "-", "-", "sent"]);
  });

  it("ends all sessions of a member that leaves, and counts no later batch of it", () => {
    const leave: Entry[] = [{ kind: "leave", at: 5, member: "a" }];
    const { state, codes } = play([
      ...AL_IS_IN,
      note(2, "kept"),
      leave,
      note(3, "too late"),
      batch("b", 1, BOB, { name: "register", user: "Al" }),
      batch("b", 2, BOB, { name: "receive" }),
    ]);
    assertEquals(codes, ["welcome", "sent", "-", "welcome-back", "mail"]);
    assertEquals([...state.users.byMember].map(([member]) => member), [2]);
    assertEquals(state.members.all.map(({ id }) => id), ["b"]);
  });

  it("refuses a member with other settings while a member with these is left", () => {
    const other = join("c", { settings: OTHER_SETTINGS });
    const refused = play([...TWO_MEMBERS, other]).state;
    assertEquals(refused.members.all.map(({ id }) => id), ["a", "b"]);
    assertEquals(refused.settings, SETTINGS);
    const leaves = ["a", "b"].map((member): Entry[] => [{ kind: "leave", at: 1, member }]);
    const { settings, members } = play([...leaves, other], refused).state;
    assertEquals(settings, OTHER_SETTINGS);
    assertEquals(members.all.map(({ id, number }) => [id, number]), [["c", 3]]);
  });

  it("keeps its rules when a newer server joins, and raises them when all members know the new ones", () => {
    const { state } = play([join("a", { rules: 2 }), join("b", { rules: 3 })]);
    const raise: Entry[] = [{ kind: "raise", rules: 3 }];
    assertEquals(state.rules, 2);
    assertEquals(play([raise], state).state.rules, 2);
    const leave: Entry[] = [{ kind: "leave", at: 1, member: "a" }];
    assertEquals(play([leave, raise, raise], state).state.rules, 3);
    // A member that knows only older rules has come too late.
    const { rules, members } = play([leave, raise, join("c", { rules: 2 })], state).state;
    assertEquals([rules, members.all.map(({ id }) => id)], [3, ["b"]]);
  });

  it("never goes back in time, whatever the clocks of the servers say", () => {
    const { state } = play([
      join("a", { at: 1_000 }),
      batch("a", 1, AL, { name: "register", user: "Al" }, 5_000),
      join("b", { at: 10 }),
      batch("b", 1, BOB, { name: "register", user: "Bob" }, 20),
      [{ kind: "leave", at: 30, member: "b" }],
    ]);
    const { id } = state.users.byName.get("Bob")!;
    assertEquals(state.users.presence.get(id)!.freeSince, 5_000);
    assertEquals(state.members.at, 5_000);
  });

  it("puts mail that no client got back in front, where a `take` from before does not remove it", () => {
    const { state, codes } = play([
      ...AL_IS_IN,
      note(2, "one"),
      note(3, "two"),
      batch("a", 4, AL, { name: "receive" }),
      note(5, "three"),
    ]);
    assertEquals(codes.at(-2), "mail");
    const { id } = state.users.byName.get("Al")!;
    const shown = { user: "Al", id, through: 3 };
    const back = (text: string): Entry => {
      return { kind: "return", user: "Al", id, mail: { from: "Al", text, network: "10.0.0.1" } };
    };
    const first: Entry = { kind: "batch", at: 1, member: "a", batch: 6 };
    const take: Entry = {
      kind: "take",
      actor: { session: AL, address: "10.0.0.1", peer: "" },
      shown,
    };
    const after = play([[first, back("two"), back("one"), take]], state).state;
    assertEquals(textsOf(after, "Al"), ["one", "two", "three"]);
  });

  it("does not forget a user who has come back since it was decided", () => {
    const gone = play([...AL_IS_IN, [{ kind: "leave", at: 7, member: "a" }]]).state;
    const { id } = gone.users.byName.get("Al")!;
    const forget: Entry[] = [
      { kind: "batch", at: 9, member: "b", batch: 2 },
      { kind: "forget", user: "Al", id, freeSince: 7 },
    ];
    const back = play([batch("b", 1, BOB, { name: "register", user: "Al" }, 8)], gone).state;
    assertEquals(play([forget], back).state.users.byId.size, 1);
    const ping = play([batch("b", 1, BOB, { name: "ping" }, 8)], gone).state;
    assertEquals(play([forget], ping).state.users.byId.size, 0);
  });

  it("is the same again after a snapshot", () => {
    const { state } = play([...AL_IS_IN, note(2, "one")]);
    const rows = [...snapshotRows(state)];
    const restored = restoreSnapshot(rows)!;
    assertEquals([...snapshotRows(restored)], rows);
    assertEquals(play([note(2, "one"), note(3, "two")], restored).codes, ["-", "sent"]);
  });
});
