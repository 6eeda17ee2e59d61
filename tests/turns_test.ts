import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Entry } from "../lib/chat.ts";
import { type Journal, memoryJournal, replay } from "../lib/journal.ts";
import { Log } from "../lib/log.ts";
import { parseServerOptions, settingsOf } from "../lib/options.ts";
import { snapshotRows } from "../lib/snapshot.ts";
import { openTurns } from "../lib/turns.ts";
import { SimulatedJournal } from "./simulations/journal.ts";

const SETTINGS = settingsOf(parseServerOptions([]));
const SILENT = new Log({ write: (bytes) => Promise.resolve(bytes.length) }, {
  format: "off",
  linesMax: 0,
});
const AL = { session: 1, address: "10.0.0.1", peer: "10.0.0.1:1" };

function register(user: string): Entry {
  return { kind: "command", at: 1, actor: AL, command: { name: "register", user } };
}

const END: Entry = { kind: "end", at: 2, session: AL.session };

/** The names of the users that a journal holds, and who is held. */
function usersIn(journal: Journal): string[] {
  const { users } = replay(journal.read(), SETTINGS);
  return users.byId.values().map(({ name, id }) => {
    return users.presence.get(id)!.session === undefined ? name : `${name} (here)`;
  });
}

/** Turns over a journal that does what it is told, and what was said of every job. */
function openWorld() {
  const journal = new SimulatedJournal();
  const turns = openTurns(SETTINGS, journal, SILENT);
  const said: string[] = [];
  const add = (job: string) =>
    turns.add({
      done: () => said.push(`${job} is done`),
      undo: () => said.push(`${job} is undone`),
    });
  return { journal, turns, said, add };
}

describe("Turns.close()", () => {
  it("stores the open turn, and who waits for its end hears that it is done", async () => {
    const { journal, turns, said, add } = openWorld();
    turns.apply(register("Al"));
    add("register");
    const settled = turns.settled();
    turns.close();
    await settled;
    assertEquals(said, ["register is done"]);
    assertEquals(usersIn(journal), ["Al (here)"]);
  });

  it("undoes the open turn where it can't be stored, and stores what was before", async () => {
    const { journal, turns, said, add } = openWorld();
    turns.apply(register("Al"));
    add("register");
    journal.end("well");
    turns.apply(END);
    turns.apply(register("Bob"));
    add("register of Bob");
    add("receive");
    const settled = turns.settled();
    journal.mood = "fails";
    turns.close();
    await settled;
    assertEquals(said, ["register is done", "register of Bob is undone", "receive is undone"]);
    assertEquals(usersIn(journal), ["Al (here)"]);
    // The turn is over: a timer that comes late finds nothing.
    journal.end("well");
    assertEquals(usersIn(journal), ["Al (here)"]);
  });

  for (const mood of ["well", "fails"] as const) {
    it(`tries once more to store what is owed: it goes ${mood}`, () => {
      const { journal, turns, add } = openWorld();
      turns.apply(register("Al"));
      add("register");
      journal.end("well");
      turns.apply(END);
      turns.add({ undo: () => turns.owe([END]) });
      journal.end("fails");
      assertEquals(usersIn(journal), ["Al (here)"]);
      journal.mood = mood;
      turns.close();
      assertEquals(usersIn(journal), [mood === "well" ? "Al" : "Al (here)"]);
      // The next server holds nobody anyway.
      openTurns(SETTINGS, journal, SILENT);
      assertEquals(usersIn(journal), ["Al"]);
    });
  }
});

describe("a turn that was stored", () => {
  it("counts, even if what is done behind the commit fails", () => {
    const { journal, turns, said, add } = openWorld();
    turns.apply(register("Al"));
    add("register");
    turns.add({
      done: () => {
        throw new Error("a mistake of ours");
      },
      undo: () => said.push("it is undone"),
    });
    assertThrows(() => journal.end("well"), Error, "a mistake of ours");
    assertEquals(said, ["register is done"]);
    assertEquals(usersIn(journal), ["Al (here)"]);
    assertEquals([...snapshotRows(turns.published)], [
      ...snapshotRows(replay(journal.read(), SETTINGS)),
    ]);
    assertEquals(turns.candidate, turns.published);
    turns.apply(END);
    add("end");
    journal.end("well");
    assertEquals(said, ["register is done", "end is done"]);
    assertEquals(usersIn(journal), ["Al"]);
  });

  it("counts, even if the journal can't be told of the state", () => {
    const said: string[] = [];
    const published = () => {
      throw new Error("a mistake of ours");
    };
    const endTurn = (commit: () => void) => commit();
    const turns = openTurns(SETTINGS, { ...memoryJournal, endTurn, published }, SILENT);
    turns.apply(register("Al"));
    const job = { done: () => said.push("done"), undo: () => said.push("undone") };
    assertThrows(() => turns.add(job), Error, "a mistake of ours");
    assertEquals(said, ["done"]);
    assertEquals(turns.published.users.byId.values().map(({ name }) => name), ["Al"]);
    assertEquals(turns.candidate, turns.published);
  });
});
