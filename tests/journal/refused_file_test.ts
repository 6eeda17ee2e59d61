/** Files that a journal refuses, and leaves as they are: other files, newer ones, damaged ones. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { emptyChat, RULES } from "../../lib/chat/state.ts";
import { JournalError, replay } from "../../lib/journal/journal.ts";
import { itNeeds } from "../needs.ts";
import { serveOn, TempFile } from "../support.ts";
import { BATCHES, command, FILES, SETTINGS, stepAll } from "./entries.ts";

describe("a file for a journal", () => {
  itNeeds(FILES, "is refused and stays as it is if it is no database", () => {
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

  itNeeds(FILES, "is refused and stays as it is if it is another database", () => {
    using file = new TempFile();
    const database = new DatabaseSync(file.path);
    database.exec("CREATE TABLE notes (text TEXT)");
    database.close();
    const content = Deno.readFileSync(file.path);
    const { message } = assertThrows(() => file.open(), JournalError);
    assertStringIncludes(message, "is a database, but no journal of this server");
    assertEquals(Deno.readFileSync(file.path), content);
  });

  itNeeds(FILES, "is refused if its format is newer", () => {
    using file = new TempFile();
    file.open().abandon();
    const database = new DatabaseSync(file.path);
    database.exec("PRAGMA user_version = 99");
    database.close();
    const { message } = assertThrows(() => file.open(), JournalError);
    assertStringIncludes(message, "was written by a newer release (format 99, this one knows 1)");
  });

  for (const where of ["its snapshot", "a batch"]) {
    itNeeds(FILES, `is refused and stays as it is if ${where} has newer rules`, () => {
      using file = new TempFile();
      const journal = file.open();
      const rules = RULES + 1;
      journal.commit([{ kind: "start", at: 1, rules, settings: SETTINGS }]);
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
    "is refused and stays as it is if a byte of a batch or of the snapshot has changed",
    async () => {
      using file = new TempFile();
      const journal = file.open();
      for (const entries of BATCHES) journal.commit(entries);
      await journal.close(stepAll(emptyChat(SETTINGS), BATCHES));
      const again = file.open();
      again.commit([command(1, "sendall", "a text to be found")]);
      again.abandon();
      const content = Deno.readFileSync(file.path);
      const latin1 = Array.from(content, (byte) => String.fromCharCode(byte)).join("");
      for (const text of ['"kind":"chat"', "a text to be found"]) {
        assert(latin1.includes(text));
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
    itNeeds(FILES, `is refused if rows are missing: ${missing}`, async () => {
      using file = new TempFile();
      const state = stepAll(emptyChat(SETTINGS), BATCHES);
      let journal = file.open();
      for (const entries of BATCHES) journal.commit(entries);
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
    "stays as it is if it is damaged, and its log too",
    () => {
      using file = new TempFile();
      const journal = file.open();
      for (let i = 0; i < 2000; i++) {
        journal.commit([command(1, "sendall", "x".repeat(60))]);
      }
      const wal = Deno.readFileSync(`${file.path}-wal`);
      const content = Deno.readFileSync(file.path);
      journal.abandon();
      // A page in the middle, which is not in the log.
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

  itNeeds(FILES, "is refused if its end is missing", async () => {
    using file = new TempFile();
    const journal = file.open();
    for (let i = 0; i < 200; i++) {
      journal.commit([command(1, "sendall", "x".repeat(60))]);
    }
    await journal.close(stepAll(emptyChat(SETTINGS), BATCHES));
    const content = Deno.readFileSync(file.path);
    Deno.writeFileSync(file.path, content.subarray(0, content.length - 4096));
    const { message } = assertThrows(() => file.open(), JournalError);
    assertStringIncludes(message, "is damaged");
  });
});
