import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Entry } from "../../lib/chat/entry.ts";
import { type Journal, memoryJournal, replay } from "../../lib/journal/journal.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import { snapshotRows } from "../../lib/chat/snapshot.ts";
import { openChat } from "../../lib/engine/group_commit.ts";
import { SimulatedJournal } from "../harness/simulator/journal.ts";
import { SILENT_LOG } from "../support.ts";

const SETTINGS = settingsOf(parseServerOptions([]));
const AL = { session: { member: 0, count: 1 }, address: "10.0.0.1", peer: "10.0.0.1:1" };

function register(user: string): Entry {
  return { kind: "command", at: 1, actor: AL, command: { name: "register", user } };
}

const END: Entry = { kind: "end", at: 2, session: AL.session };

/** The names of the users that a journal holds; `(here)` where a session holds the name. */
function usersIn(journal: Journal): string[] {
  const { users } = replay(journal.read(), SETTINGS);
  return users.byId.values().map(({ name, id }) => {
    return users.presence.get(id)!.session === undefined ? name : `${name} (here)`;
  });
}

/** A chat over a simulated journal, and a record of what became of each job. */
function openWorld() {
  const journal = new SimulatedJournal();
  const commits = openChat(SETTINGS, journal, SILENT_LOG);
  const said: string[] = [];
  const add = (job: string) =>
    commits.add({
      done: () => said.push(`${job} is done`),
      undo: () => said.push(`${job} is undone`),
    });
  return { journal, commits, said, add };
}

describe("GroupCommit.close()", () => {
  it("stores the open batch, and does its jobs", async () => {
    const { journal, commits, said, add } = openWorld();
    commits.apply(register("Al"));
    add("register");
    const settled = commits.settled();
    commits.close();
    await settled;
    assertEquals(said, ["register is done"]);
    assertEquals(usersIn(journal), ["Al (here)"]);
  });

  it("undoes the jobs of an open batch that can't be stored, and keeps the batch before", async () => {
    const { journal, commits, said, add } = openWorld();
    commits.apply(register("Al"));
    add("register");
    journal.end("stores");
    commits.apply(END);
    commits.apply(register("Bob"));
    add("register of Bob");
    add("receive");
    const settled = commits.settled();
    journal.outcome = "fails";
    commits.close();
    await settled;
    assertEquals(said, ["register is done", "register of Bob is undone", "receive is undone"]);
    assertEquals(usersIn(journal), ["Al (here)"]);
    // The batch is over, so the end of the turn finds nothing to store.
    journal.end("stores");
    assertEquals(usersIn(journal), ["Al (here)"]);
  });

  for (const outcome of ["stores", "fails"] as const) {
    it(`tries once more to store overdue entries: the journal ${outcome}`, () => {
      const { journal, commits, add } = openWorld();
      commits.apply(register("Al"));
      add("register");
      journal.end("stores");
      commits.apply(END);
      commits.add({ undo: () => commits.storeEventually([END]) });
      journal.end("fails");
      assertEquals(usersIn(journal), ["Al (here)"]);
      journal.outcome = outcome;
      commits.close();
      assertEquals(usersIn(journal), [outcome === "stores" ? "Al" : "Al (here)"]);
      // The start of the next server ends all sessions anyway.
      openChat(SETTINGS, journal, SILENT_LOG);
      assertEquals(usersIn(journal), ["Al"]);
    });
  }
});

describe("a batch that was stored", () => {
  it("stays stored when a job of it throws", () => {
    const { journal, commits, said, add } = openWorld();
    commits.apply(register("Al"));
    add("register");
    commits.add({
      done: () => {
        throw new Error("a mistake of ours");
      },
      undo: () => said.push("it is undone"),
    });
    assertThrows(() => journal.end("stores"), Error, "a mistake of ours");
    assertEquals(said, ["register is done"]);
    assertEquals(usersIn(journal), ["Al (here)"]);
    assertEquals([...snapshotRows(commits.published)], [
      ...snapshotRows(replay(journal.read(), SETTINGS)),
    ]);
    assertEquals(commits.candidate, commits.published);
    commits.apply(END);
    add("end");
    journal.end("stores");
    assertEquals(said, ["register is done", "end is done"]);
    assertEquals(usersIn(journal), ["Al"]);
  });

  it("stays stored when the journal throws as it gets the state", () => {
    const said: string[] = [];
    let published = () => {};
    let end = () => {};
    const afterTurn = (commit: () => void) => void (end = commit);
    const journal = { ...memoryJournal, afterTurn, published: () => published() };
    const commits = openChat(SETTINGS, journal, SILENT_LOG);
    published = () => {
      throw new Error("a mistake of ours");
    };
    commits.apply(register("Al"));
    commits.add({ done: () => said.push("done"), undo: () => said.push("undone") });
    assertThrows(end, Error, "a mistake of ours");
    assertEquals(said, ["done"]);
    assertEquals(commits.published.users.byId.values().map(({ name }) => name), ["Al"]);
    assertEquals(commits.candidate, commits.published);
  });
});

describe("a batch that is opened while the one before is being stored", () => {
  it("is stored next, and its jobs are done then", () => {
    const { journal, commits, said, add } = openWorld();
    commits.apply(register("Al"));
    add("register");
    journal.begin();
    add("a look at Al");
    commits.apply(END);
    add("end");
    assertEquals(said, []);
    assertEquals(usersIn(journal), []);
    journal.end("stores");
    assertEquals([said, usersIn(journal)], [["register is done"], ["Al (here)"]]);
    journal.end("stores");
    assertEquals(said.slice(1), ["a look at Al is done", "end is done"]);
    assertEquals(usersIn(journal), ["Al"]);
  });

  it("is done at once when it holds nothing to store", async () => {
    const { journal, commits, said, add } = openWorld();
    commits.apply(register("Al"));
    add("register");
    journal.begin();
    add("a look at Al");
    const settled = commits.settled();
    journal.end("stores");
    await settled;
    assertEquals(said, ["register is done", "a look at Al is done"]);
    assertEquals(journal.hasWork, false);
  });

  it("is dropped with it: all is put back, the last job first, and then undone", () => {
    const { journal, commits, said } = openWorld();
    const note = (what: string) => () => said.push(what);
    const job = (name: string) => ({
      done: note(`${name} is done`),
      restore: note(`${name} is put back`),
      undo: note(`${name} is undone`),
    });
    commits.apply(register("Al"));
    commits.add(job("1"));
    commits.add(job("2"));
    journal.begin();
    commits.apply(END);
    commits.add(job("3"));
    journal.end("fails");
    assertEquals(said, [
      ...["3 is put back", "2 is put back", "1 is put back"],
      ...["1 is undone", "2 is undone", "3 is undone"],
    ]);
    assertEquals(usersIn(journal), []);
    assertEquals(commits.candidate, commits.published);
    assertEquals(commits.settled(), undefined);
  });

  it("is stored by close(), like the one before", async () => {
    const { journal, commits, said, add } = openWorld();
    commits.apply(register("Al"));
    add("register");
    journal.begin();
    commits.apply(END);
    add("end");
    const closed = commits.close();
    journal.end("stores");
    assertEquals(said, ["register is done"]);
    journal.end("stores");
    await closed;
    assertEquals(said, ["register is done", "end is done"]);
    assertEquals(usersIn(journal), ["Al"]);
  });
});
