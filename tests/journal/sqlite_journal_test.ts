/** The journal in a file: what it gives back, and which files it refuses. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { emptyChat, RULES } from "../../lib/chat/state.ts";
import { commitAndWait, JournalError, replay } from "../../lib/journal/journal.ts";
import { openFileToRead } from "../../lib/journal/sqlite/file.ts";
import { SqliteReader } from "../../lib/journal/sqlite/reader.ts";
import { SCHEDULE, SqliteJournal } from "../../lib/journal/sqlite/sqlite_journal.ts";
import { itNeeds } from "../needs.ts";
import { serveOn, SILENT, TempFile, until } from "../support.ts";
import { BATCHES, command, FILES, rows, SETTINGS, sizeWithLog, stepAll } from "./entries.ts";

describe("a journal in a file", () => {
  itNeeds(FILES, "gives back what was committed, in order", async () => {
    using file = new TempFile();
    const journal = file.open();
    for (const entries of BATCHES) await commitAndWait(journal, entries);
    journal.abandon();
    const again = file.open();
    assertEquals([...again.read().batches], BATCHES);
    assertEquals(rows(replay(again.read(), SETTINGS)), rows(stepAll(emptyChat(SETTINGS), BATCHES)));
    again.abandon();
  });

  itNeeds(
    FILES,
    "gives back the state that it was closed with, and what came behind it",
    async () => {
      using file = new TempFile();
      const journal = file.open();
      const state = stepAll(emptyChat(SETTINGS), BATCHES);
      for (const entries of BATCHES) await commitAndWait(journal, entries);
      await journal.close(state);
      const again = file.open();
      assertEquals([...again.read().batches], []);
      const more = [command(1, "sendall", "later")];
      await commitAndWait(again, more);
      again.abandon();
      const third = file.open();
      assertEquals(rows(replay(third.read(), SETTINGS)), rows(stepAll(state, [more])));
      third.abandon();
    },
  );

  it("takes a snapshot the sooner the less is alive, and none that costs more", () => {
    const { snapshotEntries } = SCHEDULE;
    assert(snapshotEntries(100) < snapshotEntries(10_000));
    for (const alive of [0, 100, 10_000, 1_000_000]) assert(snapshotEntries(alive) >= alive);
  });

  itNeeds(
    FILES,
    "writes snapshots in the background, and is at rest as small as what is alive",
    async () => {
      using file = new TempFile();
      const journal = file.open(SILENT, { ...SCHEDULE, restMs: 0 });
      let state = stepAll(emptyChat(SETTINGS), BATCHES.slice(0, 1));
      await commitAndWait(journal, BATCHES[0]!);
      for (let round = 0; round < 3; round++) {
        for (let batch = 0; batch < 101; batch++) {
          const entries = Array.from({ length: 1000 }, () => command(2, "send", "x".repeat(60)));
          // Full mailboxes refuse, and only what changes the state is an entry; here all are stored.
          await commitAndWait(journal, entries);
        }
        state = stepAll(state, [[command(2, "send", `${round}`)]]);
        journal.published(state);
        const isSmall = () => sizeWithLog(file.path) < 100_000;
        assertEquals(isSmall(), false);
        await until(isSmall, "it is as small as what is alive");
      }
      journal.abandon();
      const again = file.open();
      assertEquals(rows(replay(again.read(), SETTINGS)), rows(state));
      again.abandon();
    },
  );

  itNeeds(FILES, "tells how far it is while much is read", async () => {
    using file = new TempFile();
    const journal = file.open();
    for (const entries of BATCHES) await commitAndWait(journal, entries);
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

  itNeeds(FILES, "can be read while a server uses it, as it was at one moment", async () => {
    using file = new TempFile();
    const journal = file.open();
    for (const entries of BATCHES) await commitAndWait(journal, entries);
    const { database, close } = openFileToRead(file.path);
    await commitAndWait(journal, [command(1, "sendall", "later")]);
    assertEquals([...new SqliteReader(file.path, database).read().batches], BATCHES);
    close();
    journal.abandon();
  });

  itNeeds(FILES, "that is no journal is refused and stays as it is", () => {
    using file = new TempFile();
    const contents = [
      new TextEncoder().encode("These are my notes, and no database. ".repeat(100)),
      new Uint8Array(5000).fill(7),
      Uint8Array.of(7),
    ];
    for (const content of contents) {
      Deno.writeFileSync(file.path, content);
      const { message } = assertThrows(() => file.open(), JournalError);
      assertStringIncludes(message, "is no journal of this server: choose another --data");
      assertEquals(Deno.readFileSync(file.path), content);
    }
  });

  itNeeds(FILES, "that is another database is refused and stays as it is", () => {
    using file = new TempFile();
    const database = new DatabaseSync(file.path);
    database.exec("CREATE TABLE notes (text TEXT)");
    database.close();
    const content = Deno.readFileSync(file.path);
    const { message } = assertThrows(() => file.open(), JournalError);
    assertStringIncludes(message, "is a database, but no journal of this server");
    assertEquals(Deno.readFileSync(file.path), content);
  });

  itNeeds(FILES, "of a newer release is refused", () => {
    using file = new TempFile();
    file.open().abandon();
    const database = new DatabaseSync(file.path);
    database.exec("PRAGMA user_version = 99");
    database.close();
    const { message } = assertThrows(() => file.open(), JournalError);
    assertStringIncludes(message, "was written by a newer release (format 99, this one knows 1)");
  });

  for (const where of ["its snapshot", "a batch"]) {
    itNeeds(FILES, `that has newer rules in ${where} is refused and stays as it is`, async () => {
      using file = new TempFile();
      const journal = file.open();
      const rules = RULES + 1;
      await commitAndWait(journal, [{ kind: "start", at: 1, rules, settings: SETTINGS }]);
      if (where === "a batch") journal.abandon();
      else journal.close({ ...emptyChat(SETTINGS), rules });
      const content = Deno.readFileSync(file.path);
      const newer = file.open();
      const { message } = assertThrows(() => serveOn(newer), JournalError);
      newer.abandon();
      assertEquals(
        message,
        `The stored chat is of a newer release (rules ${rules}, this one knows ${RULES}): ` +
          "use that release, or choose another --data or --stream",
      );
      assertEquals(Deno.readFileSync(file.path), content);
    });
  }

  itNeeds(
    FILES,
    "that is damaged is refused, wherever a byte was changed in what it holds",
    async () => {
      using file = new TempFile();
      const journal = file.open();
      for (const entries of BATCHES) await commitAndWait(journal, entries);
      await journal.close(stepAll(emptyChat(SETTINGS), BATCHES));
      const again = file.open();
      await commitAndWait(again, [command(1, "sendall", "a text to be found")]);
      await again.close(emptyChat(SETTINGS));
      const content = Deno.readFileSync(file.path);
      const latin1 = Array.from(content, (byte) => String.fromCharCode(byte)).join("");
      for (const text of ['"kind":"chat"']) {
        const damaged = content.slice();
        damaged[latin1.indexOf(text) + 3] = 0x58;
        Deno.writeFileSync(file.path, damaged);
        const broken = file.open();
        const { message } = assertThrows(() => replay(broken.read(), SETTINGS), JournalError);
        assertStringIncludes(message, "is damaged: move it away");
        broken.abandon();
        assertEquals(Deno.readFileSync(file.path), damaged);
      }
    },
  );

  for (const missing of ["batch WHERE id = 2", "snapshot"]) {
    itNeeds(FILES, `that has lost rows is refused: no ${missing}`, async () => {
      using file = new TempFile();
      const state = stepAll(emptyChat(SETTINGS), BATCHES);
      let journal = file.open();
      for (const entries of BATCHES) await commitAndWait(journal, entries);
      if (missing === "snapshot") await journal.close(state);
      else journal.abandon();
      using database = new DatabaseSync(file.path);
      database.exec(`DELETE FROM ${missing}`);
      journal = file.open();
      const { message } = assertThrows(() => replay(journal.read(), SETTINGS), JournalError);
      assertStringIncludes(message, "is damaged: move it away");
      journal.abandon();
    });
  }

  itNeeds(
    FILES,
    "that is damaged stays as it is, and what a killed server left beside it",
    async () => {
      using file = new TempFile();
      const journal = file.open();
      for (let i = 0; i < 2000; i++) {
        await commitAndWait(journal, [
          command(1, "sendall", "x".repeat(60)),
        ]);
      }
      const wal = Deno.readFileSync(`${file.path}-wal`);
      const content = Deno.readFileSync(file.path);
      journal.abandon();
      // A page in the middle, of which the log knows nothing.
      const pageBytes = new DataView(content.buffer).getUint16(16);
      content.fill(0x58, pageBytes * 5, pageBytes * 6);
      Deno.writeFileSync(file.path, content);
      Deno.writeFileSync(`${file.path}-wal`, wal.subarray(0, 32 + (24 + pageBytes) * 3));
      const beside = Deno.readFileSync(`${file.path}-wal`);
      const { message } = assertThrows(() => file.open(), JournalError);
      assertStringIncludes(message, "is damaged: move it away");
      assertEquals(Deno.readFileSync(file.path), content);
      assertEquals(Deno.readFileSync(`${file.path}-wal`), beside);
    },
  );

  itNeeds(FILES, "grows by nothing when the server is stopped again and again", async () => {
    using file = new TempFile();
    let state = stepAll(emptyChat(SETTINGS), BATCHES.slice(0, 1));
    const mail = Array.from({ length: 1000 }, () => command(2, "send", "x".repeat(60)));
    state = stepAll(state, [mail]);
    const sizes: number[] = [];
    for (let stops = 0; stops < 4; stops++) {
      const journal = file.open();
      await commitAndWait(
        journal,
        stops === 0 ? [...BATCHES[0]!, ...mail] : [{ kind: "end", at: 1, session: 7 }],
      );
      await journal.close(state);
      sizes.push(Deno.statSync(file.path).size);
    }
    assertEquals(new Set(sizes).size, 1, `${sizes}`);
  });

  itNeeds(FILES, "lets go of what a killed server has left of a snapshot", async () => {
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
  });

  itNeeds(FILES, "is a file whatever its name means to SQLite", () => {
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

  itNeeds(FILES, "that was cut off is refused", async () => {
    using file = new TempFile();
    const journal = file.open();
    for (let i = 0; i < 200; i++) {
      await commitAndWait(journal, [command(1, "sendall", "x".repeat(60))]);
    }
    await journal.close(stepAll(emptyChat(SETTINGS), BATCHES));
    const content = Deno.readFileSync(file.path);
    Deno.writeFileSync(file.path, content.subarray(0, content.length - 4096));
    const { message } = assertThrows(() => file.open(), JournalError);
    assertStringIncludes(message, "is damaged");
  });
});
