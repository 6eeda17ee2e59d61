/** A journal in a file after its disk was full, or after only a part of a write reached the disk. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { step } from "../../lib/chat/step.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import type { Command } from "../../lib/protocol/command.ts";
import { type ChatState, emptyChat } from "../../lib/chat/state.ts";
import { JournalError, replay } from "../../lib/journal/journal.ts";
import {
  SCHEDULE,
  type Schedule,
  type SqliteJournal,
} from "../../lib/journal/sqlite/sqlite_journal.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import { snapshotRows } from "../../lib/chat/snapshot.ts";
import { itNeeds } from "../needs.ts";
import { SILENT, TempFile, until } from "../support.ts";

const FILES = { permissions: ["read", "write"] } as const;
/** Broadcasts may fill a mailbox, so that each batch changes the state. */
const SETTINGS = settingsOf(parseServerOptions(["--mailbox-broadcasts-max", "1000"]));
/** A snapshot is due after every batch, and written row by row. */
const HASTY: Schedule = {
  ...SCHEDULE,
  snapshotEntries: () => 1,
  sliceMs: 0,
  restMs: 0,
  progressMs: 1_000,
};

type Batch = readonly Entry[];

/** A batch of this many messages from Al to all. Batch 0 registers Al and Bob. */
function batch(number: number, messages = 1): Batch {
  const entry = (count: number, command: Command): Entry => {
    const actor = { session: { member: 0, count }, address: `10.0.0.${count}`, peer: "" };
    return { kind: "command", at: number, actor, command };
  };
  if (number === 0) {
    return [1, 2].map((one) => entry(one, { name: "register", user: ["Al", "Bob"][one - 1]! }));
  }
  return Array.from(
    { length: messages },
    (_, index) => entry(1, { name: "sendall", text: `${number}, ${index}`.padEnd(60) }),
  );
}

function stepAll(state: ChatState, entries: Batch): ChatState {
  return entries.reduce((before, entry) => step(before, entry).state, state);
}

function textOf(state: ChatState): string {
  return [...snapshotRows(state)].join("\n");
}

/** A journal, and the database that it writes with. */
function openWithDatabase(open: () => SqliteJournal) {
  const { exec } = DatabaseSync.prototype;
  let database!: DatabaseSync;
  DatabaseSync.prototype.exec = function (this: DatabaseSync, sql: string) {
    database = this;
    exec.call(this, sql);
  };
  try {
    return { journal: open(), database };
  } finally {
    DatabaseSync.prototype.exec = exec;
  }
}

/** Two ways for SQLite to fail when a part of its work is done, and how each is mended. */
const FAULTS = {
  "whose disk gets full": {
    error: "database or disk is full",
    amidBatches: "PRAGMA max_page_count = 40",
    amidSnapshot: (pages: number) => `PRAGMA max_page_count = ${pages + 6}`,
    mend: "PRAGMA max_page_count = 1000000",
  },
  "that fails": {
    error: "a fault",
    amidBatches: `CREATE TEMP TRIGGER fault AFTER INSERT ON batch WHEN length(NEW.body) > 5000
      BEGIN SELECT RAISE(ABORT, 'a fault'); END`,
    amidSnapshot: () =>
      `CREATE TEMP TRIGGER fault AFTER INSERT ON snapshot WHEN NEW.part = 3
      BEGIN SELECT RAISE(ABORT, 'a fault'); END`,
    mend: "DROP TRIGGER fault",
  },
} as const;

/** The files that `kill -9` would leave of an open journal. */
function killed(file: TempFile): { content: Uint8Array; wal: Uint8Array } {
  return { content: Deno.readFileSync(file.path), wal: Deno.readFileSync(`${file.path}-wal`) };
}

function walBytes(file: TempFile): number {
  return Deno.statSync(`${file.path}-wal`).size;
}

/** The state that is read from these files. */
function stateIn(content: Uint8Array, wal: Uint8Array): string {
  using file = new TempFile();
  Deno.writeFileSync(file.path, content);
  Deno.writeFileSync(`${file.path}-wal`, wal);
  const journal = file.open();
  try {
    return textOf(replay(journal.read(), SETTINGS));
  } finally {
    journal.abandon();
  }
}

for (const [what, { error, amidBatches, amidSnapshot, mend }] of Object.entries(FAULTS)) {
  describe(`a journal ${what}`, () => {
    itNeeds(
      FILES,
      "within a batch holds the batches that it has taken, and no others",
      () => {
        using file = new TempFile();
        const { journal, database } = openWithDatabase(() => file.open());
        // With such a small cache, parts of a batch are on the disk long before its commit.
        database.exec(`PRAGMA cache_size = 5; ${amidBatches}`);
        const taken: Batch[] = [];
        let refused = 0;
        for (let number = 0; number < 60; number++) {
          const entries = batch(number, 1 + (number * 37) % 200);
          try {
            journal.commit(entries);
            taken.push(entries);
          } catch (thrown) {
            assertEquals((thrown as Error).message, error);
            refused++;
          }
        }
        assert(refused > 5 && taken.length > 5, `${refused} of 60 were refused`);
        const { content, wal } = killed(file);
        assertEquals(stateIn(content, wal), textOf(stepAll(emptyChat(SETTINGS), taken.flat())));
        journal.abandon();
        const again = file.open();
        assertEquals([...again.read().batches], taken);
        again.abandon();
      },
    );

    itNeeds(
      FILES,
      "within a snapshot says so, and loses nothing then or later",
      async () => {
        using file = new TempFile();
        const failures: unknown[] = [];
        const listener = { ...SILENT, snapshotFailed: (thrown: unknown) => failures.push(thrown) };
        const { journal, database } = openWithDatabase(() => file.open(listener, HASTY));
        let state = emptyChat(SETTINGS);
        const commit = (entries: Batch) => {
          journal.commit(entries);
          state = stepAll(state, entries);
          const { content, wal } = killed(file);
          assertEquals(stateIn(content, wal), textOf(state));
        };
        commit(batch(0));
        commit(batch(1, 900));
        const { page_count: pages } = database.prepare("PRAGMA page_count").get()!;
        database.exec(amidSnapshot(Number(pages)));
        journal.published(state);
        await until(() => failures.length > 0, "the snapshot fails");
        assertEquals(failures.map((thrown) => (thrown as Error).message), [error]);
        commit(batch(2));
        database.exec(mend);
        commit(batch(3));
        journal.published(state);
        await journal.close(state);
        assertEquals(failures.length, 1);
        const again = file.open();
        assertEquals([...again.read().batches], []);
        assertEquals(textOf(replay(again.read(), SETTINGS)), textOf(state));
        again.abandon();
      },
    );
  });
}

/** Stores batches, and notes after each one the state and the length of the log. */
class Writer {
  readonly notes: { readonly state: string; readonly end: number }[] = [];
  readonly #file: TempFile;
  #state = emptyChat(SETTINGS);
  #number = 0;

  constructor(file: TempFile) {
    this.#file = file;
  }

  /** Notes the state now; it is in the file, and in the log up to `end`. */
  begin(end: number): void {
    this.notes.splice(0, Infinity, { state: textOf(this.#state), end });
  }

  write(journal: SqliteJournal, batches: number): ChatState {
    for (let i = 0; i < batches; i++) {
      const entries = batch(this.#number, 1 + (this.#number % 3) * 40);
      this.#number++;
      journal.commit(entries);
      this.#state = stepAll(this.#state, entries);
      this.notes.push({ state: textOf(this.#state), end: walBytes(this.#file) });
    }
    return this.#state;
  }
}

type Killed = ReturnType<typeof killed>;

/** Journals that are killed, by what they did before. */
const WAYS: Record<string, (file: TempFile, writer: Writer) => Killed | Promise<Killed>> = {
  "a new file": (file, writer) => {
    const journal = file.open();
    writer.begin(0);
    writer.write(journal, 10);
    const left = killed(file);
    journal.abandon();
    return left;
  },
  "batches behind a snapshot": async (file, writer) => {
    const first = file.open();
    await first.close(writer.write(first, 5));
    const journal = file.open();
    writer.begin(0);
    writer.write(journal, 10);
    const left = killed(file);
    journal.abandon();
    return left;
  },
  "batches over those of a snapshot": async (file, writer) => {
    const journal = file.open(SILENT, { ...HASTY, restMs: 60_000 });
    journal.published(writer.write(journal, 10));
    const looker = new DatabaseSync(file.path, { readOnly: true });
    const isSwitched = () =>
      looker.prepare("SELECT generation FROM current").get()!.generation === 1;
    await until(isSwitched, "the snapshot is written");
    looker.close();
    writer.begin(walBytes(file));
    writer.write(journal, 15);
    const left = killed(file);
    journal.abandon();
    return left;
  },
  "a snapshot between batches": async (file, writer) => {
    const journal = file.open(SILENT, HASTY);
    // A reader keeps SQLite from copying the log into the file.
    const reader = new DatabaseSync(file.path, { readOnly: true });
    reader.exec("BEGIN; SELECT * FROM batch");
    writer.begin(walBytes(file));
    journal.published(writer.write(journal, 10));
    const looker = new DatabaseSync(file.path, { readOnly: true });
    const batches = () => looker.prepare("SELECT count(*) AS count FROM batch").get()!.count;
    await until(() => batches() === 0, "the snapshot is written, and its batches are deleted");
    looker.close();
    writer.write(journal, 5);
    const left = killed(file);
    reader.close();
    journal.abandon();
    return left;
  },
};

const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

describe("a journal whose log was written in part when the machine went down", () => {
  for (const [way, kill] of Object.entries(WAYS)) {
    itNeeds(FILES, `holds its batches up to that part, and no others: ${way}`, async () => {
      using file = new TempFile();
      const writer = new Writer(file);
      const { content, wal } = await kill(file, writer);
      const { notes } = writer;
      const frameBytes = FRAME_HEADER_BYTES + new DataView(wal.buffer).getUint32(8);
      const check = (log: Uint8Array, end: number, how: string) => {
        const found = stateIn(content, log);
        const held = notes.findIndex(({ state }) => state === found);
        assertEquals(held, notes.findLastIndex((note) => note.end <= end), `${how} at ${end}`);
      };
      for (let end = notes[0]!.end || WAL_HEADER_BYTES; end < wal.length; end += frameBytes) {
        check(wal.subarray(0, end), end, "cut");
        const between = end + 1 + end * 7919 % (frameBytes - 1);
        check(wal.subarray(0, between), between, "cut");
        const torn = wal.slice().fill(0x55, between - 1, end + frameBytes);
        // A gap before commits that were completed is damage, one in the last commit is not.
        const isDamage = notes.at(-3)!.end >= end + frameBytes;
        if (isDamage) assertThrows(() => stateIn(content, torn), JournalError, "is damaged");
        else if (end >= notes.at(-2)!.end) check(torn, end, "a gap");
      }
      check(wal, wal.length, "whole");
    });
  }
});
