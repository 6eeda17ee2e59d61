/** The journal in a file: what it gives back, its snapshots, its size. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { emptyChat } from "../../lib/chat/state.ts";
import { JournalError, replay } from "../../lib/journal/journal.ts";
import { openFileToRead } from "../../lib/journal/sqlite/file.ts";
import { SqliteReader } from "../../lib/journal/sqlite/reader.ts";
import { SCHEDULE, SqliteJournal } from "../../lib/journal/sqlite/sqlite_journal.ts";
import { itNeeds } from "../needs.ts";
import { SILENT, TempFile, until } from "../support.ts";
import { BATCHES, command, FILES, rows, SETTINGS, sizeWithLog, stepAll } from "./entries.ts";

describe("a journal in a file", () => {
  itNeeds(FILES, "gives back the batches that were committed, in their order", () => {
    using file = new TempFile();
    const journal = file.open();
    for (const entries of BATCHES) journal.commit(entries);
    journal.abandon();
    const again = file.open();
    assertEquals([...again.read().batches], BATCHES);
    assertEquals(rows(replay(again.read(), SETTINGS)), rows(stepAll(emptyChat(SETTINGS), BATCHES)));
    again.abandon();
  });

  itNeeds(
    FILES,
    "gives back the state that it was closed with, and the batches after it",
    async () => {
      using file = new TempFile();
      const journal = file.open();
      const state = stepAll(emptyChat(SETTINGS), BATCHES);
      for (const entries of BATCHES) journal.commit(entries);
      await journal.close(state);
      const again = file.open();
      assertEquals([...again.read().batches], []);
      const more = [command(1, "sendall", "later")];
      again.commit(more);
      again.abandon();
      const third = file.open();
      assertEquals(rows(replay(third.read(), SETTINGS)), rows(stepAll(state, [more])));
      third.abandon();
    },
  );

  itNeeds(
    FILES,
    "writes snapshots in the background, and is small again at rest",
    async () => {
      using file = new TempFile();
      const journal = file.open(SILENT, { ...SCHEDULE, restMs: 0 });
      let state = stepAll(emptyChat(SETTINGS), BATCHES.slice(0, 1));
      journal.commit(BATCHES[0]!);
      for (let round = 0; round < 3; round++) {
        for (let batch = 0; batch < 101; batch++) {
          const entries = Array.from({ length: 1000 }, () => command(2, "send", "x".repeat(60)));
          // The mailbox is full, but a journal stores what it gets.
          journal.commit(entries);
        }
        state = stepAll(state, [[command(2, "send", `${round}`)]]);
        journal.published(state);
        const isSmall = () => sizeWithLog(file.path) < 100_000;
        assertEquals(isSmall(), false);
        await until(isSmall, "it is small");
      }
      journal.abandon();
      const again = file.open();
      assertEquals(rows(replay(again.read(), SETTINGS)), rows(state));
      again.abandon();
    },
  );

  itNeeds(FILES, "tells how many rows it has read, while it reads", () => {
    using file = new TempFile();
    const journal = file.open();
    for (const entries of BATCHES) journal.commit(entries);
    journal.abandon();
    const read = (progressMs: number): number[] => {
      const told: number[] = [];
      const listener = { ...SILENT, progress: (rows: number) => told.push(rows) };
      const again = file.open(listener, { ...SCHEDULE, progressMs });
      replay(again.read(), SETTINGS);
      again.abandon();
      return told;
    };
    assertEquals(read(0), [1, 2, 3]);
    assertEquals(read(60_000), []);
  });

  itNeeds(FILES, "is for one server alone", () => {
    using file = new TempFile();
    const journal = file.open();
    const { message } = assertThrows(() => file.open(), JournalError);
    assertStringIncludes(message, "is in use by another server");
    journal.abandon();
    file.open().abandon();
  });

  itNeeds(FILES, "can be read while a server uses it, as it was when it was opened", () => {
    using file = new TempFile();
    const journal = file.open();
    for (const entries of BATCHES) journal.commit(entries);
    const { database, close } = openFileToRead(file.path);
    journal.commit([command(1, "sendall", "later")]);
    assertEquals([...new SqliteReader(file.path, database).read().batches], BATCHES);
    close();
    journal.abandon();
  });

  itNeeds(FILES, "does not grow when the server is stopped again and again", async () => {
    using file = new TempFile();
    let state = stepAll(emptyChat(SETTINGS), BATCHES.slice(0, 1));
    const mail = Array.from({ length: 1000 }, () => command(2, "send", "x".repeat(60)));
    state = stepAll(state, [mail]);
    const sizes: number[] = [];
    for (let stops = 0; stops < 4; stops++) {
      const journal = file.open();
      journal.commit(
        stops === 0
          ? [...BATCHES[0]!, ...mail]
          : [{ kind: "end", at: 1, session: { member: 0, count: 7 }, address: "10.0.0.7" }],
      );
      await journal.close(state);
      sizes.push(Deno.statSync(file.path).size);
    }
    assertEquals(new Set(sizes).size, 1, `${sizes}`);
  });

  itNeeds(
    FILES,
    "deletes the rows of a snapshot that a killed server has not finished",
    async () => {
      using file = new TempFile();
      file.open().abandon();
      const database = new DatabaseSync(file.path);
      const insert = database.prepare("INSERT INTO snapshot VALUES (1, ?, ?, 0)");
      for (let row = 0; row < 1000; row++) insert.run(row, "x".repeat(1000));
      database.close();
      const journal = file.open(SILENT, { ...SCHEDULE, restMs: 0 });
      await until(() => Deno.statSync(file.path).size < 100_000, "it is small");
      assertEquals([...journal.read().rows], []);
      journal.abandon();
    },
  );

  itNeeds(FILES, "is a file, even if its name is special to SQLite", () => {
    using file = new TempFile();
    const before = Deno.cwd();
    Deno.chdir(file.folder);
    try {
      for (const name of [":memory:", "file:x.db?mode=memory"]) {
        SqliteJournal.open(name, SILENT).abandon();
        assert(Deno.statSync(name).size > 0);
      }
    } finally {
      Deno.chdir(before);
    }
  });
});
