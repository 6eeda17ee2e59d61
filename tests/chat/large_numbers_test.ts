/** Users, sessions, members and messages whose numbers do not fit into 32 bits. */
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Entry } from "../../lib/chat/entry.ts";
import { read, taken } from "../../lib/chat/mailboxes.ts";
import { DEFAULT_SETTINGS } from "../../lib/chat/settings.ts";
import { restoreSnapshot, snapshotRows } from "../../lib/chat/snapshot.ts";
import { type ChatState, emptyChat } from "../../lib/chat/state.ts";
import { step } from "../../lib/chat/step.ts";
import { type SessionId, sessions } from "../../lib/chat/users.ts";
import type { Command } from "../../lib/protocol/command.ts";

const EMPTY = emptyChat(DEFAULT_SETTINGS);

/** A command of a session. Each session has an address of its own. */
function command(session: SessionId, command: Command): Entry {
  const address = `${session.member}, ${session.count}`;
  return { kind: "command", at: 1, actor: { session, address, peer: "" }, command };
}

function after(state: ChatState, ...entries: Entry[]): ChatState {
  return entries.reduce((before, entry) => step(before, entry).state, state);
}

/** The state as a snapshot gives it back, with `change` made to the text of each row. */
function restored(state: ChatState, change = (row: string) => row): ChatState {
  return restoreSnapshot(Array.from(snapshotRows(state), change))!;
}

/** The texts in the mailbox of each user. */
function mail({ users, mailboxes }: ChatState): Record<string, string[]> {
  return Object.fromEntries(
    users.byId.values().map(({ name, id }) => [name, read(mailboxes, id).map(({ text }) => text)]),
  );
}

/** The names that sessions hold; `-` for a session that holds none. */
function held(state: ChatState): string[] {
  return Array.from(sessions(state.users), ([, user]) => user?.name ?? "-");
}

describe("a chat that had 2^32 users", () => {
  const [al, bob, cy, eve] = [1, 2, 3, 4].map((count) => ({ member: 0, count }));
  const before = after(
    EMPTY,
    command(al!, { name: "register", user: "Al" }),
    command(bob!, { name: "register", user: "Bob" }),
    command(cy!, { name: "register", user: "Cy" }),
    command(cy!, { name: "send", to: "Al", text: "for Al alone" }),
  );
  const old = restored(before, (row) => row.replace('"nextId":4', `"nextId":${2 ** 32 + 1}`));
  const state = after(old, command(eve!, { name: "register", user: "Eve" }));

  it("gives each user its own mail, and keeps the order of registration", () => {
    assertEquals(state.users.byName.get("Eve")?.id, 2 ** 32 + 1);
    assertEquals(Object.keys(mail(state)), ["Al", "Bob", "Cy", "Eve"]);
    const next = after(
      state,
      command(cy!, { name: "send", to: "Al", text: "2" }),
      command(cy!, { name: "send", to: "Eve", text: "for Eve" }),
      command(eve!, { name: "sendall", text: "to all" }),
    );
    const expected = {
      Al: ["for Al alone", "2", "to all"],
      Bob: ["to all"],
      Cy: ["to all"],
      Eve: ["for Eve"],
    };
    assertEquals(mail(next), expected);
    assertEquals(mail(restored(next)), expected);
  });

  it("removes the user that logs out, and no other", () => {
    const next = after(state, command(eve!, { name: "logout" }));
    assertEquals(mail(next), { Al: ["for Al alone"], Bob: [], Cy: [] });
  });
});

describe("a mailbox from which 2^32 messages were taken", () => {
  it("gives each message once", () => {
    const al = { member: 0, count: 1 };
    const note = (text: string) => command(al, { name: "send", to: "Al", text });
    const old = restored(
      after(EMPTY, command(al, { name: "register", user: "Al" }), note("1"), note("2")),
      (row) => row.replace('"taken":0', `"taken":${2 ** 32 - 1}`),
    );
    const take = (through: number): Entry => {
      const actor = { session: al, address: "0, 1", peer: "" };
      return { kind: "take", actor, shown: { user: "Al", id: 1, through } };
    };
    const next = after(old, note("3"), take(2 ** 32), take(2 ** 32));
    assertEquals(mail(next), { Al: ["2", "3"] });
    const more = after(restored(next), take(2 ** 32 + 1));
    assertEquals(mail(more), { Al: ["3"] });
    assertEquals(taken(more.mailboxes, 1), 2 ** 32 + 1);
  });
});

describe("sessions whose numbers have the same lowest 32 bits", () => {
  const NUMBERS = [1, 2 ** 32 + 1, 2 ** 33 + 1, 2 ** 52 + 1];
  const ids = NUMBERS.flatMap((member) => NUMBERS.map((count) => ({ member, count })));
  const nameOf = ({ member, count }: SessionId) => `${member}/${count}`;
  const full = after(
    emptyChat({ ...DEFAULT_SETTINGS, nameSymbolsMax: 60 }),
    ...ids.map((session) => command(session, { name: "register", user: nameOf(session) })),
  );

  it("hold a name each", () => {
    assertEquals(held(full), ids.map(nameOf));
    assertEquals(held(restored(full)), ids.map(nameOf));
    assertEquals(Array.from(sessions(restored(full).users), ([session]) => session), ids);
  });

  it("log out alone", () => {
    for (const [at, session] of ids.entries()) {
      const next = restored(after(full, command(session, { name: "logout" })));
      assertEquals(held(next), ids.map(nameOf).with(at, "-"));
    }
  });

  it("end alone", () => {
    for (const [at, session] of ids.entries()) {
      const next = restored(after(full, { kind: "end", at: 1, session, address: "" }));
      assertEquals(held(next), ids.map(nameOf).toSpliced(at, 1));
    }
  });

  it("end with their member alone", () => {
    const { settings } = full;
    const join = (member: string): Entry => ({ kind: "join", at: 1, member, rules: 1, settings });
    let state = full;
    for (const number of NUMBERS) {
      state = after({ ...state, members: { ...state.members, next: number } }, join(`${number}`));
    }
    for (const number of NUMBERS) {
      const next = restored(after(state, { kind: "leave", at: 1, member: `${number}` }));
      assertEquals(held(next), ids.filter(({ member }) => member !== number).map(nameOf));
      assertEquals(next.members.all.map((member) => member.number).includes(number), false);
    }
  });
});
