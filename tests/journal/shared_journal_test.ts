/** A chat that several servers share: what its entries mean, and how a server sends its own. */
import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { stepBatch } from "../../lib/chat/step.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import type { Command } from "../../lib/protocol/command.ts";
import { type ChatState, emptyChat } from "../../lib/chat/state.ts";
import { JournalError, LateError, type Origin } from "../../lib/journal/journal.ts";
import * as mailbox from "../../lib/chat/mailboxes.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import { type Carrier, SharedJournal } from "../../lib/journal/shared_journal.ts";
import { restoreSnapshot, snapshotRows } from "../../lib/chat/snapshot.ts";
import { decodeEntries, encodeEntries } from "../../lib/chat/entry_codec.ts";
import { type SessionId, sessionOf } from "../../lib/chat/users.ts";

const SETTINGS = settingsOf(parseServerOptions([]));
const OTHERS = settingsOf(parseServerOptions(["--text-symbols-max", "61"]));

function join(member: string, { settings = SETTINGS, rules = 2, at = 1 } = {}): Entry[] {
  return [{ kind: "join", at, member, rules, settings }];
}

/** What a session did, as a batch of its member. */
function batch(
  member: string,
  number: number,
  session: SessionId,
  command: Command,
  at = 1,
): Entry[] {
  const actor = { session, address: "10.0.0.1", peer: `10.0.0.1:${session}` };
  return [{ kind: "batch", at, member, batch: number }, { kind: "command", at, actor, command }];
}

/** The state after these batches, and the codes of all replies; `-` for a batch that does not count. */
function play(batches: readonly (readonly Entry[])[], from = emptyChat(SETTINGS)) {
  let state = from;
  const codes: string[] = [];
  for (const batch of batches) {
    const stepped = stepBatch(state, batch);
    state = stepped?.state ?? state;
    const replies = stepped?.replies.filter((reply) => reply !== undefined) ?? [{ code: "-" }];
    codes.push(...replies.map(({ code }) => code));
  }
  return { state, codes };
}

function textsOf(state: ChatState, name: string): string[] {
  const { id } = state.users.byName.get(name)!;
  return Array.from(mailbox.read(state.mailboxes, id), ({ text }) => text);
}

const AL = sessionOf(1, 1);
const BOB = sessionOf(2, 1);
/** The first member of a server is over. */
const OVER = encodeEntries([{ kind: "leave", at: 1, member: "member1" }]);
const TWO_RUNS = [join("a"), join("b")];
const AL_IS_IN = [...TWO_RUNS, batch("a", 1, AL, { name: "register", user: "Al" })];
const note = (number: number, text: string) =>
  batch("a", number, AL, { name: "send", to: "Al", text });

describe("a chat that several servers share", () => {
  it("counts every batch of a member once, however often it comes", () => {
    const { state, codes } = play([...AL_IS_IN, note(2, "one"), note(2, "one"), note(3, "two")]);
    assertEquals(codes, ["welcome", "sent", "-", "sent"]);
    assertEquals(textsOf(state, "Al"), ["one", "two"]);
  });

  it("counts nothing behind a gap, nor of a member that it does not know", () => {
    const { codes } = play([
      ...AL_IS_IN,
      note(3, "behind a gap"),
      batch("c", 1, sessionOf(3, 1), { name: "register", user: "Cy" }),
      note(2, "in its batch"),
    ]);
    assertEquals(codes, ["welcome", "-", "-", "sent"]);
  });

  it("ends all sessions of a member that is over, and counts none of its batches any more", () => {
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

  it("takes nobody in with other settings, until nobody is left who has them", () => {
    const other = join("c", { settings: OTHERS });
    const refused = play([...TWO_RUNS, other]).state;
    assertEquals(refused.members.all.map(({ id }) => id), ["a", "b"]);
    assertEquals(refused.settings, SETTINGS);
    const leaves = ["a", "b"].map((member): Entry[] => [{ kind: "leave", at: 1, member }]);
    const { settings, members } = play([...leaves, other], refused).state;
    assertEquals(settings, OTHERS);
    assertEquals(members.all.map(({ id, number }) => [id, number]), [["c", 3]]);
  });

  it("keeps its rules when a newer server joins, and raises them when all know the new ones", () => {
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

  it("puts back what nobody got, before what has come since, and what is shown comes again", () => {
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
      return { kind: "return", user: "Al", id, mail: { from: "Al", text } };
    };
    const first: Entry = { kind: "batch", at: 1, member: "a", batch: 6 };
    const after = play([[first, back("two"), back("one"), { kind: "take", shown }]], state).state;
    assertEquals(textsOf(after, "Al"), ["one", "two", "three"]);
  });

  it("does not forget who has come back since it was decided", () => {
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

/** A stream in memory that does what it is told. */
class FakeCarrier implements Carrier {
  /** What was sent: its id. */
  readonly sent: string[] = [];
  readonly #bodies: string[] = [];
  readonly #acknowledge: ((error?: unknown) => void)[] = [];
  isClosed = false;

  send(id: string, body: string, sent: (error?: unknown) => void): void {
    this.sent.push(id);
    this.#bodies.push(body);
    this.#acknowledge.push(sent);
  }

  /** What the last message sent said. */
  get body(): string {
    return this.#bodies.at(-1)!;
  }

  /** The last message was stored, or not, as far as anybody knows. */
  tell(error?: unknown): void {
    this.#acknowledge.at(-1)!(error);
  }

  ask(): Promise<boolean> {
    return Promise.resolve(false);
  }

  answer(): void {}
  save(): void {}

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

/** A server's journal, its state, and timers that go off when they are told to. */
function openWorld(bodyLengthMax = 100_000) {
  const carrier = new FakeCarrier();
  const timers = new Set<{ ms: number; call: () => void }>();
  const heard: string[] = [];
  let id = 0;
  let state = emptyChat(SETTINGS);
  let last = 0;
  const journal = new SharedJournal(carrier, 0, {
    settings: SETTINGS,
    timeoutMs: 5_000,
    bodyLengthMax,
    newId: () => `member${++id}`,
    failed: (error) => heard.push(`failed: ${error}`),
    later: (ms, call) => {
      const timer = { ms, call };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  });
  journal.follow({
    came: (batch: readonly Entry[], origin: Origin) => {
      const stepped = stepBatch(state, batch);
      heard.push(`${origin} ${batch.map(({ kind }) => kind)}${stepped ? "" : " (not counted)"}`);
      state = stepped?.state ?? state;
      if (stepped !== undefined) journal.published(state);
    },
    reset: (next) => state = next,
    ended: (lost) => heard.push(["ended, lost:", ...lost.map(({ kind }) => kind)].join(" ")),
    asked: () => Promise.resolve(),
  });
  return {
    ...{ journal, carrier, heard },
    /** A message comes from the stream. */
    come: (body: string) => journal.receive(++last, body, 0),
    /** These messages are not in the stream any more, but in a snapshot. */
    miss: (...bodies: string[]) => {
      last += bodies.length;
      const next = bodies.reduce(
        (before, body) => stepBatch(before, decodeEntries(body))?.state ?? before,
        state,
      );
      journal.reset(next, last);
    },
    /** The last that was sent comes back. */
    comeBack: () => journal.receive(++last, carrier.body, 0),
    pass: (ms: number) => {
      for (const timer of [...timers].filter((timer) => timer.ms === ms)) {
        timers.delete(timer);
        timer.call();
      }
    },
    commit: (...names: string[]) => {
      const actor = { session: sessionOf(1, 1), address: "10.0.0.1", peer: "" };
      const entries = names.map((user): Entry => ({
        ...{ kind: "command", at: 1, actor, command: { name: "register", user } },
      }));
      journal.commit(entries, (error) => {
        const how = error instanceof LateError ? "late" : error === undefined ? "stored" : "failed";
        heard.push(`${names}: ${how}`);
      });
    },
  };
}

/** The same, where the server takes part. */
function openJoined(bodyLengthMax?: number) {
  const world = openWorld(bodyLengthMax);
  world.journal.join();
  world.comeBack();
  world.heard.length = 0;
  return world;
}

describe("a journal that several servers share", () => {
  it("stores nothing before it takes leave, and takes part when its own entry comes", async () => {
    const { journal, commit, comeBack, heard } = openWorld();
    const joined = journal.join();
    commit("Al");
    assertEquals([journal.member, heard], [undefined, ["Al: failed"]]);
    comeBack();
    await joined;
    assertEquals(journal.member, "member1");
  });

  it("does not take part where one with other settings came first", async () => {
    const { journal, carrier, come, comeBack } = openWorld();
    const joined = journal.join();
    const own = carrier.body;
    come(own.replace("member1", "another").replace('"textSymbolsMax":60', '"textSymbolsMax":61'));
    comeBack();
    await assertRejects(() => joined, JournalError, "have other settings");
    assertEquals(journal.member, undefined);
  });

  it("calls a commit stored when it comes back, not when it was sent or acknowledged", () => {
    const { carrier, commit, comeBack, heard } = openJoined();
    commit("Al");
    carrier.tell();
    assertEquals(heard, []);
    comeBack();
    assertEquals(heard, ["own batch,command", "Al: stored"]);
  });

  it("sends again what does not come back, under the same number", () => {
    const { carrier, commit, comeBack, pass, heard } = openJoined();
    commit("Al");
    carrier.tell(new Error("away"));
    const body = carrier.body;
    pass(500);
    carrier.tell();
    pass(500);
    assertEquals(carrier.sent, ["member1 joins", "member1 1", "member1 1", "member1 1"]);
    assertEquals(carrier.body, body);
    comeBack();
    comeBack();
    assertEquals(heard, [
      "own batch,command",
      "Al: stored",
      "foreign batch,command (not counted)",
    ]);
    pass(500);
    commit("Bob");
    assertEquals(carrier.sent.at(-1), "member1 2");
  });

  it("has one batch under way, and says of what takes too long whether it may still come", () => {
    const { carrier, commit, comeBack, pass, heard } = openJoined();
    commit("Al");
    pass(5_000);
    commit("Bob");
    pass(5_000);
    commit("Cy");
    assertEquals(heard, ["Al: late", "Bob: failed"]);
    comeBack();
    assertEquals(heard.slice(2), ["late batch,command"]);
    assertEquals(carrier.sent.at(-1), "member1 2");
    comeBack();
    assertEquals(heard.slice(3), ["own batch,command", "Cy: stored"]);
  });

  it("parts what is too long for a message, and calls it stored when all of it is", () => {
    const { carrier, commit, comeBack, heard } = openJoined(200);
    const names = Array.from({ length: 100 }, (_, index) => `U${index}`);
    commit(...names);
    const users: string[] = [];
    while (heard.at(-1) !== `${names}: stored`) {
      for (const entry of decodeEntries(carrier.body)) {
        if (entry.kind === "command" && "user" in entry.command) users.push(entry.command.user);
      }
      comeBack();
    }
    assertEquals(users, names);
    assertEquals(carrier.sent.length > 3, true);
  });

  it("goes on as another member when its own is over, and what was under way has failed", () => {
    const { journal, carrier, commit, come, comeBack, heard } = openJoined();
    commit("Al");
    come(OVER);
    assertEquals(heard, ["foreign leave", "Al: late", "ended, lost: command"]);
    assertEquals([journal.member, carrier.sent.at(-1)], [undefined, "member2 joins"]);
    comeBack();
    assertEquals(journal.member, "member2");
    commit("Bob");
    assertEquals(carrier.sent.at(-1), "member2 1");
  });

  it("has missed messages: its member has to end, and what is under way is stored before that", () => {
    const { journal, carrier, commit, come, miss, comeBack, heard, pass } = openJoined();
    commit("Al");
    const { body } = carrier;
    miss(encodeEntries(join("other")));
    assertEquals([journal.member, carrier.sent.at(-1), heard], ["member1", "member1 leaves", []]);
    come(body);
    assertEquals(heard, ["own batch,command", "Al: stored"]);
    carrier.tell(new Error("away"));
    pass(500);
    assertEquals(carrier.sent.filter((id) => id === "member1 leaves").length, 2);
    comeBack();
    assertEquals(heard.slice(2), ["foreign leave", "ended, lost:"]);
    assertEquals(carrier.sent.at(-1), "member2 joins");
  });

  it("has missed what was under way: nobody knows the reply, and nothing of it is lost", () => {
    const { carrier, commit, miss, comeBack, heard, pass } = openJoined();
    commit("Al");
    const { body } = carrier;
    pass(500);
    miss(body);
    pass(500);
    assertEquals([carrier.sent, heard], [["member1 joins", "member1 1", "member1 leaves"], []]);
    comeBack();
    assertEquals(heard, ["foreign leave", "Al: late", "ended, lost:"]);
  });

  it("has missed its own end: then it knows whether what was under way came before", () => {
    const before = openJoined();
    before.commit("Al");
    before.miss(before.carrier.body, OVER);
    assertEquals(before.heard, ["Al: late", "ended, lost:"]);
    const behind = openJoined();
    behind.commit("Al");
    behind.miss(OVER, behind.carrier.body);
    assertEquals(behind.heard, ["Al: late", "ended, lost: command"]);
  });

  it("has missed its own beginning, and takes part", async () => {
    const { journal, carrier, miss } = openWorld();
    const joined = journal.join();
    miss(carrier.body);
    await joined;
    assertEquals(journal.member, "member1");
  });

  it("says at its end that it is over, so that nobody has to ask for it", async () => {
    const { journal, carrier } = openJoined();
    const closed = journal.close();
    assertEquals(carrier.sent.at(-1), "member1 leaves");
    carrier.tell();
    await closed;
    assertEquals(carrier.isClosed, true);
  });
});
