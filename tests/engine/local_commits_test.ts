/** The commits of a server that has its chat alone. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import type { Item } from "../../lib/chat/batch.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import { read } from "../../lib/chat/mailboxes.ts";
import type { ChatState } from "../../lib/chat/state.ts";
import { Engine } from "../../lib/engine/engine.ts";
import { openChat } from "../../lib/engine/local_commits.ts";
import type { Answers, Session } from "../../lib/engine/session.ts";
import { type Journal, replay, type Stored } from "../../lib/journal/journal.ts";
import { items, rows, SETTINGS, textOf } from "../chat/batches.ts";
import { SILENT_LOG, until } from "../support.ts";
import { allOf } from "./answers.ts";

const AWAY = "Storage is not available, try again!";
const SENT = "Message added to storage!";
const NOT_REGISTERED = "U aren't registered!";
const END: Item = { kind: "end" };

/** A journal in memory that fails when a test says so. */
class TestJournal implements Journal {
  readonly batches: (readonly Entry[])[] = [];
  readonly states: ChatState[] = [];
  isFailing = false;
  isClosed = false;
  /** The number of commits that were tried. */
  tries = 0;

  read(): Stored {
    return { rows: [], batches: [...this.batches] };
  }

  commit(entries: readonly Entry[]): void {
    this.tries++;
    if (this.isFailing) throw new Error("The disk is full");
    this.batches.push(entries);
  }

  published(state: ChatState): void {
    this.states.push(state);
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }

  /** The kinds of the entries of each batch, behind the start of the server. */
  get kinds(): string[][] {
    return this.batches.slice(1).map((entries) =>
      entries.map((entry) => entry.kind === "command" ? entry.command.name : entry.kind)
    );
  }

  /** The names of the users that it holds; `(here)` where a session holds the name. */
  get users(): string[] {
    const { users } = replay(this.read(), SETTINGS);
    return users.byId.values().map(({ name, id }) => {
      return users.presence.get(id)!.session === undefined ? name : `${name} (here)`;
    });
  }
}

/** A chat over a journal, and sessions that each have an address of their own. */
function open(journal = new TestJournal()) {
  const commits = openChat(SETTINGS, journal, SILENT_LOG);
  const engine = new Engine(commits, SILENT_LOG);
  let opened = 0;
  const openSession = (address = `10.0.0.${++opened}`) => engine.open(address, `${address}:1`);
  const enter = (session: Session, ...texts: string[]) => engine.enter(session, items(...texts));
  const ask = async (session: Session, ...texts: string[]) =>
    repliesOf(await enter(session, ...texts));
  return { journal, commits, engine, openSession, enter, ask };
}

function repliesOf({ replies }: Answers): string[] {
  return replies.map(textOf);
}

/** The end of this turn of the event loop, when its batch is over. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function mailOf({ users, mailboxes }: ChatState, name: string): string[] {
  return read(mailboxes, users.byName.get(name)!.id).map(({ text }) => text);
}

describe("a batch", () => {
  it("is what came in one turn of the event loop, from all sessions in its order", async () => {
    const { journal, commits, openSession, enter } = open();
    const [al, bob] = [openSession(), openSession()];
    const first = enter(al, "register Al", "send Al 1");
    const second = enter(bob, "register Bob", "send Al 2", "users");
    assertEquals(commits.published.users.byId.size, 0);
    await turn();
    assertEquals(journal.kinds, [["register", "send", "register", "send"]]);
    assertEquals(repliesOf(await first), ["Hello, Al", SENT]);
    assertEquals(repliesOf(await second), ["Hello, Bob", SENT, "users: Al Bob"]);
    assertEquals(mailOf(commits.published, "Al"), ["1", "2"]);
  });

  it("is not stored where it changes nothing", async () => {
    const { journal, openSession, ask } = open();
    assertEquals(await ask(openSession(), "ping", "receive"), ["pong", NOT_REGISTERED]);
    assertEquals([journal.tries, journal.kinds], [1, []]);
  });

  it("has at most 10,000 items, and all are answered in their order", async () => {
    const { journal, commits, openSession, enter, ask } = open();
    const [al, bob] = [openSession(), openSession()];
    await ask(al, "register Al");
    await ask(bob, "register Bob");
    const texts = Array.from({ length: 24_999 }, (_, i) => ["send Al 1", "receive"][i % 2]!);
    const many = enter(al, ...texts);
    const few = enter(bob, "send Al 2", "users");
    const { replies } = await allOf(many);
    assertEquals(replies.length, texts.length);
    assert(replies.every((reply, i) => reply?.code === (i % 2 === 0 ? "sent" : "mail")));
    assertEquals(repliesOf(await few), [SENT, "users: Al Bob"]);
    assert(journal.batches.every((entries) => entries.length <= 10_000));
    assert(journal.batches.length >= 5);
    const rest = mailOf(commits.published, "Al").length;
    const taken = replies.map((reply) => reply?.code === "mail" ? reply.count : 0);
    assertEquals(taken.reduce((sum, count) => sum + count, rest), 12_501);
    assertEquals(rows(replay(journal.read(), SETTINGS)), rows(commits.published));
  });

  it("is told to the journal when it is stored", async () => {
    const { journal, commits, openSession, ask } = open();
    await ask(openSession(), "register Al");
    assertEquals(journal.states.at(-1) === commits.published, true);
    assertEquals(journal.states.at(-1)!.users.byName.get("Al")?.id, 1);
  });

  it("stays stored when the journal throws as it gets the state", async () => {
    const { journal, commits, openSession, enter } = open();
    journal.published = () => {
      throw new Error("a mistake of ours");
    };
    const answers = enter(openSession(), "register Al");
    await assertRejects(() => commits.close(), Error, "a mistake of ours");
    assertEquals(repliesOf(await answers), ["Hello, Al"]);
    assertEquals(commits.published.users.byId.size, 1);
    journal.published = () => {};
    await turn();
  });
});

describe("a batch that can't be stored", () => {
  it("changes nothing, and each command of it is judged alone", async () => {
    const { journal, commits, openSession, enter, ask } = open();
    const [al, bob] = [openSession(), openSession()];
    await ask(al, "register Al", "send Al 1");
    const { published } = commits;
    journal.isFailing = true;
    const first = enter(al, "send Al 2", "wait", "ping", "receive", "users");
    const second = enter(bob, "register Bob", "send Al 3", "users");
    assertEquals(repliesOf(await first), [AWAY, "mail, Al: 1", "pong", AWAY, "users: Al"]);
    assertEquals(repliesOf(await second), [AWAY, NOT_REGISTERED, "users: Al"]);
    assertEquals([commits.published === published, commits.isFailing], [true, true]);
    journal.isFailing = false;
    assertEquals(await ask(al, "receive"), ["mail"]);
    assertEquals([commits.isFailing, journal.kinds.at(-1)], [false, ["take"]]);
    await commits.close();
  });

  it("shows its mail to no session that waits", async () => {
    const { journal, commits, engine, openSession, ask, enter } = open();
    const [al, bob] = [openSession(), openSession()];
    await ask(al, "register Al");
    await ask(bob, "register Bob");
    const { parked } = await enter(al, "wait");
    let shown: string | undefined;
    parked!.then((reply) => shown = textOf(reply));
    journal.isFailing = true;
    assertEquals(await ask(bob, "send Al 1"), [AWAY]);
    await turn();
    assertEquals(shown, undefined);
    journal.isFailing = false;
    assertEquals(await ask(bob, "send Al 2"), [SENT]);
    await turn();
    assertEquals(shown, "mail, Bob: 2");
    engine.stop();
    await commits.close();
  });

  it("leaves the ends of sessions, which lead the next batch that changes something", async () => {
    const { journal, commits, engine, openSession, ask } = open();
    const [al, bob] = [openSession("10.0.0.1"), openSession("10.0.0.1")];
    await ask(al, "register Al");
    journal.isFailing = true;
    engine.end(al);
    await turn();
    assertEquals(journal.users, ["Al (here)"]);
    const tries = journal.tries;
    // The name is free for a client that comes back, though that can't be stored either.
    assertEquals(await ask(bob, "ping", "receive"), ["pong", "mail"]);
    assertEquals(journal.tries, tries);
    assertEquals(await ask(bob, "register Al"), [AWAY]);
    journal.isFailing = false;
    assertEquals(await ask(bob, "register Al"), ["Nice to see you, Al"]);
    assertEquals(journal.kinds, [["register"], ["end", "register"]]);
    assertEquals(journal.users, ["Al (here)"]);
    await commits.close();
  });

  it("leaves ends that are tried again by a timer until they are stored", async () => {
    const { journal, engine, openSession, ask, commits } = open();
    const al = openSession();
    await ask(al, "register Al");
    journal.isFailing = true;
    engine.end(al);
    await turn();
    const tries = journal.tries;
    await until(() => journal.tries > tries, "it is tried again");
    assertEquals(journal.users, ["Al (here)"]);
    journal.isFailing = false;
    await until(() => journal.users[0] === "Al", "the end is stored");
    assertEquals(journal.kinds, [["register"], ["end"]]);
    assertEquals(commits.isFailing, false);
    await commits.close();
  });

  it("leaves entries of no session too, and says when it is over", async () => {
    const { journal, commits, openSession, ask } = open();
    await ask(openSession(), "register Al");
    journal.isFailing = true;
    await commits.store({ kind: "forget", user: "Al", id: 1 });
    assertEquals(commits.published.users.byId.size, 1);
    journal.isFailing = false;
    await commits.close();
    assertEquals(commits.published.users.byId.size, 0);
    assertEquals(journal.kinds, [["register"], ["forget"]]);
  });
});

describe("the end of a session", () => {
  it("is stored though its client goes while a command waits for another session", async () => {
    const { journal, commits, engine, openSession, ask } = open();
    const [al, bob] = [openSession("10.0.0.1"), openSession("10.0.0.1")];
    await ask(al, "register Al");
    await ask(bob, "register Bob");
    const held = allOf(engine.enter(bob, items("ping", "register Al")));
    await turn();
    engine.end(bob);
    await Promise.race([held, sleep(400)]);
    await turn();
    assertEquals(journal.users, ["Al (here)", "Bob"]);
    await commits.close();
  });
});

describe("LocalCommits.close()", () => {
  it("stores what waits, answers it, and closes the journal", async () => {
    const { journal, commits, engine, openSession, enter, ask } = open();
    const [al, bob] = [openSession(), openSession()];
    await ask(al, "register Al");
    const answers = enter(bob, "register Bob");
    engine.enter(al, [END]);
    await commits.close();
    assertEquals(repliesOf(await answers), ["Hello, Bob"]);
    assertEquals([journal.users, journal.isClosed], [["Al", "Bob (here)"], true]);
    const { tries, states } = journal;
    await turn();
    assertEquals([journal.tries, journal.states.length], [tries, states.length]);
  });

  for (const stores of [true, false]) {
    it(`tries once more to store an end: the journal ${stores ? "stores" : "fails"}`, async () => {
      const { journal, commits, engine, openSession, ask } = open();
      const al = openSession();
      await ask(al, "register Al");
      journal.isFailing = true;
      engine.end(al);
      await turn();
      assertEquals(journal.users, ["Al (here)"]);
      journal.isFailing = !stores;
      await commits.close();
      assertEquals(journal.users, [stores ? "Al" : "Al (here)"]);
      const { tries } = journal;
      await sleep(1_100);
      assertEquals(journal.tries, tries);
      // The start of the next server ends all sessions anyway.
      journal.isFailing = false;
      openChat(SETTINGS, journal, SILENT_LOG);
      assertEquals(journal.users, ["Al"]);
    });
  }

  it("keeps the batch before one that can't be stored", async () => {
    const { journal, commits, openSession, enter, ask } = open();
    const al = openSession();
    await ask(al, "register Al");
    journal.isFailing = true;
    const answers = enter(al, "send Al 1", "register Bob");
    await commits.close();
    assertEquals(repliesOf(await answers), [AWAY, AWAY]);
    assertEquals(journal.users, ["Al (here)"]);
  });
});
