/** How a shared journal sends the batches of its member, and joins and ends as a member. */
import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { decodeEntries, encodeEntries } from "../../lib/chat/entry_codec.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import { emptyChat, RULES } from "../../lib/chat/state.ts";
import { followBatch } from "../../lib/chat/batch.ts";
import { LateError } from "../../lib/journal/batch_sender.ts";
import { JournalError, LostStreamError } from "../../lib/journal/journal.ts";
import { type Carrier, type Origin, SharedJournal } from "../../lib/journal/shared_journal.ts";
import { parseServerOptions } from "../../lib/options.ts";

const SETTINGS = settingsOf(parseServerOptions([]));
/** The texts of messages: the server's first member leaves, and another server joins. */
const LEAVES = encodeEntries([{ kind: "leave", at: 1, member: "member1" }]);
const OTHER_JOINS = encodeEntries([
  { kind: "join", at: 1, member: "other", rules: RULES, settings: SETTINGS },
]);

/** A stream in memory: the test decides what is acknowledged, and what comes. */
class FakeCarrier implements Carrier {
  /** The ids of the messages that were sent. */
  readonly sent: string[] = [];
  readonly #bodies: string[] = [];
  readonly #acknowledge: ((error?: unknown) => void)[] = [];
  isClosed = false;

  send(id: string, body: string, sent: (error?: unknown) => void): void {
    this.sent.push(id);
    this.#bodies.push(body);
    this.#acknowledge.push(sent);
  }

  /** The text of the last message that was sent. */
  get body(): string {
    return this.#bodies.at(-1)!;
  }

  /** Acknowledges the last message, or says that it may be lost. */
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

/** A server's journal and state, with timers that go off when the test says so. */
function openWorld() {
  const carrier = new FakeCarrier();
  const timers = new Set<{ ms: number; call: () => void }>();
  const heard: string[] = [];
  let id = 0;
  let state = emptyChat(SETTINGS);
  let last = 0;
  const journal = new SharedJournal(carrier, 0, {
    settings: SETTINGS,
    timeoutMs: 5_000,
    bodyLengthMax: 100_000,
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
      const stepped = followBatch(state, { leading: batch, requests: [] });
      heard.push(`${origin} ${batch.map(({ kind }) => kind)}${stepped ? "" : " (not counted)"}`);
      state = stepped?.state ?? state;
      if (stepped !== undefined) journal.published(state);
    },
    reset: (next) => state = next,
    ended: (lost) => heard.push(["ended, lost:", ...lost.map(({ kind }) => kind)].join(" ")),
    asked: () => Promise.resolve(),
    skipped: (number) => heard.push(`skipped ${number}`),
    lost: (error) => heard.push(`lost: ${error.message}`),
  });
  return {
    ...{ journal, carrier, heard },
    /** A message comes out of the stream. */
    come: (body: string) => journal.receive(++last, body, 0),
    /** These messages are purged before they come, and a snapshot holds them. */
    miss: (...bodies: string[]) => {
      last += bodies.length;
      const next = bodies.reduce(
        (before, body) => {
          const batch = { leading: decodeEntries(body), requests: [] };
          return followBatch(before, batch)?.state ?? before;
        },
        state,
      );
      journal.reset(next, last);
    },
    /** The last message that was sent comes back. */
    comeBack: () => journal.receive(++last, carrier.body, 0),
    pass: (ms: number) => {
      for (const timer of [...timers].filter((timer) => timer.ms === ms)) {
        timers.delete(timer);
        timer.call();
      }
    },
    commit: (...names: string[]) => {
      const actor = { session: { member: 1, count: 1 }, address: "10.0.0.1", peer: "" };
      const entries = names.map((user): Entry => ({
        ...{ kind: "command", at: 1, actor, command: { name: "register", user } },
      }));
      journal.commit(entries, (error) => {
        heard.push(`${names}: ${error instanceof LateError ? "late" : "failed"}`);
      });
    },
  };
}

/** The same, after the server has joined. */
function openJoined() {
  const world = openWorld();
  world.journal.join();
  world.comeBack();
  world.heard.length = 0;
  return world;
}

describe("a journal that several servers share", () => {
  it("stores nothing before its own `join` has come back", async () => {
    const { journal, commit, comeBack, heard } = openWorld();
    const joined = journal.join();
    commit("Al");
    assertEquals([journal.member, heard], [undefined, ["Al: failed"]]);
    comeBack();
    await joined;
    assertEquals(journal.member, "member1");
  });

  it("does not join if a server with other settings came first", async () => {
    const { journal, carrier, come, comeBack } = openWorld();
    const joined = journal.join();
    const own = carrier.body;
    come(own.replace("member1", "another").replace('"textSymbolsMax":60', '"textSymbolsMax":61'));
    comeBack();
    await assertRejects(() => joined, JournalError, "have other settings");
    assertEquals(journal.member, undefined);
  });

  it("has stored a commit when it comes back, not when it was acknowledged", () => {
    const { carrier, commit, comeBack, heard } = openJoined();
    commit("Al");
    carrier.tell();
    assertEquals(heard, []);
    comeBack();
    assertEquals(heard, ["own batch,command"]);
  });

  it("sends a batch that does not come back again, under the same number", () => {
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
    assertEquals(heard, ["own batch,command", "foreign batch,command (not counted)"]);
    pass(500);
    commit("Bob");
    assertEquals(carrier.sent.at(-1), "member1 2");
  });

  it("has one batch under way, and says whether a commit that takes too long may still be stored", () => {
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
    assertEquals(heard.slice(3), ["own batch,command"]);
  });

  it("joins again when its member was ended, and the batch under way has failed", () => {
    const { journal, carrier, commit, come, comeBack, heard } = openJoined();
    commit("Al");
    come(LEAVES);
    assertEquals(heard, ["foreign leave", "Al: late", "ended, lost: command"]);
    assertEquals([journal.member, carrier.sent.at(-1)], [undefined, "member2 joins"]);
    comeBack();
    assertEquals(journal.member, "member2");
    commit("Bob");
    assertEquals(carrier.sent.at(-1), "member2 1");
  });

  it("leaves after it has missed messages, and its batch under way may be stored before that", () => {
    const { journal, carrier, commit, come, miss, comeBack, heard, pass } = openJoined();
    commit("Al");
    const { body } = carrier;
    miss(OTHER_JOINS);
    assertEquals([journal.member, carrier.sent.at(-1), heard], ["member1", "member1 leaves", []]);
    come(body);
    assertEquals(heard, ["own batch,command"]);
    carrier.tell(new Error("away"));
    pass(500);
    assertEquals(carrier.sent.filter((id) => id === "member1 leaves").length, 2);
    comeBack();
    assertEquals(heard.slice(1), ["foreign leave", "ended, lost:"]);
    assertEquals(carrier.sent.at(-1), "member2 joins");
  });

  it("has no reply to a batch under way that it has missed, and loses none of its entries", () => {
    const { carrier, commit, miss, comeBack, heard, pass } = openJoined();
    commit("Al");
    const { body } = carrier;
    pass(500);
    miss(body);
    pass(500);
    assertEquals(carrier.sent, ["member1 joins", "member1 1", "member1 leaves"]);
    assertEquals(heard, ["Al: late"]);
    comeBack();
    assertEquals(heard.slice(1), ["foreign leave", "ended, lost:"]);
  });

  it("knows after it has missed its own end whether the batch under way came before it", () => {
    const before = openJoined();
    before.commit("Al");
    before.miss(before.carrier.body, LEAVES);
    assertEquals(before.heard, ["Al: late", "ended, lost:"]);
    const behind = openJoined();
    behind.commit("Al");
    behind.miss(LEAVES, behind.carrier.body);
    assertEquals(behind.heard, ["Al: late", "ended, lost: command"]);
  });

  it("takes part after it has missed its own `join`", async () => {
    const { journal, carrier, miss } = openWorld();
    const joined = journal.join();
    miss(carrier.body);
    await joined;
    assertEquals(journal.member, "member1");
  });

  it("skips a message that is no batch, and takes the next one", () => {
    const { journal, come, comeBack, commit, heard } = openJoined();
    for (const body of ["", "{}", "\ufffd\0", "[0,{}]"]) come(body);
    assertEquals([journal.through, journal.isBehind], [5, false]);
    commit("Al");
    comeBack();
    assertEquals(heard.slice(0, 2), ["skipped 2", "skipped 3"]);
    assertEquals(heard.slice(4), ["own batch,command"]);
  });

  it("says in the error of a commit why the stream does not store it", () => {
    const { journal, carrier, heard, pass } = openJoined();
    journal.commit([], (error) => heard.push(error.message));
    carrier.tell(new Error("maximum bytes exceeded"));
    pass(5_000);
    assertEquals(heard, ["The stream has not stored it within 5 s. maximum bytes exceeded"]);
  });

  it("sends nothing into a stream that is lost, and stores nothing any more", async () => {
    const { journal, carrier, commit, heard, pass } = openJoined();
    commit("Al");
    const sent = carrier.sent.length;
    journal.lose(new LostStreamError("made anew"));
    commit("Bob");
    carrier.tell();
    pass(500);
    assertEquals(heard, ["lost: made anew", "Al: late", "Bob: failed"]);
    // No other member is ended because it does not answer.
    assertEquals(await journal.ask("other", { member: 2, count: 1 }), true);
    await journal.close();
    assertEquals([carrier.sent.length, carrier.isClosed], [sent, true]);
  });

  it("does not join a stream that is lost", async () => {
    const { journal } = openWorld();
    const joined = journal.join();
    journal.lose(new LostStreamError("made anew"));
    await assertRejects(() => joined, LostStreamError, "made anew");
  });

  it("leaves when it is closed", async () => {
    const { journal, carrier } = openJoined();
    const closed = journal.close();
    assertEquals(carrier.sent.at(-1), "member1 leaves");
    carrier.tell();
    await closed;
    assertEquals(carrier.isClosed, true);
  });
});
