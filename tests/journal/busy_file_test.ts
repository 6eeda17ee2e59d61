/** A journal in a file under load: new batches overwrite those that a snapshot holds. */
import { assert, assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { emptyChat } from "../../lib/chat/state.ts";
import { replay } from "../../lib/journal/journal.ts";
import { SCHEDULE } from "../../lib/journal/sqlite/sqlite_journal.ts";
import { itNeeds } from "../needs.ts";
import { SILENT, TempFile, until } from "../support.ts";
import { BATCHES, command, FILES, rows, SETTINGS, stepAll } from "./entries.ts";

describe("a journal in a file that is busy", () => {
  /** A journal that never rests. */
  class Busy implements Disposable {
    readonly file = new TempFile();
    readonly state = stepAll(emptyChat(SETTINGS), BATCHES);
    journal = this.file.open(SILENT, { ...SCHEDULE, restMs: 60_000 });
    #generation = 0;

    /** What is in the file: its pages, its batches, and the snapshot that counts. */
    look(): { size: number; batches: number; generation: number } {
      using database = new DatabaseSync(this.file.path, { readOnly: true });
      return database.prepare(
        `SELECT page_count AS size, (SELECT count(*) FROM batch) AS batches, generation
         FROM pragma_page_count, current`,
      ).get() as ReturnType<Busy["look"]>;
    }

    /** Stores 100,000 entries in this many batches, and a snapshot that replaces them. */
    async work(batches: number): Promise<void> {
      for (let batch = 0; batch < batches; batch++) {
        const length = 100_000 / batches;
        this.journal.commit(Array.from({ length }, () => command(2, "send", "x")));
      }
      await until(() => {
        // A journal that still tidies up after the snapshot before does not begin one.
        this.journal.published(this.state);
        return this.look().generation > this.#generation;
      }, "the snapshot is written");
      this.#generation++;
    }

    [Symbol.dispose](): void {
      this.journal.abandon();
      this.file[Symbol.dispose]();
    }
  }

  itNeeds(FILES, "overwrites the batches that its snapshot holds", async () => {
    using busy = new Busy();
    await busy.work(100);
    const first = busy.look();
    for (let round = 0; round < 4; round++) await busy.work(100);
    const last = busy.look();
    assertEquals(last.batches, 100);
    // For a moment there are two snapshots.
    assert(first.size > 400 && last.size < first.size + 20, `${first.size}, ${last.size} pages`);
  });

  itNeeds(FILES, "finds batches in their order after it was killed", async () => {
    using busy = new Busy();
    await busy.work(10);
    const more = Array.from({ length: 15 }, (_, i) => [command(1, "sendall", `${i}`)]);
    for (const entries of more) busy.journal.commit(entries);
    assertEquals(busy.look().batches, 15);
    busy.journal.abandon();
    busy.journal = busy.file.open();
    assertEquals([...busy.journal.read().batches], more);
    assertEquals(rows(replay(busy.journal.read(), SETTINGS)), rows(stepAll(busy.state, more)));
  });

  itNeeds(
    FILES,
    "deletes batches that were not overwritten before the next snapshot",
    async () => {
      using busy = new Busy();
      await busy.work(1000);
      await busy.work(10);
      await until(() => busy.look().batches === 10, "all others are deleted");
    },
  );

  itNeeds(FILES, "keeps free pages while it is busy, and gives them back at rest", async () => {
    using busy = new Busy();
    await busy.work(100);
    busy.journal.abandon();
    // A server that was killed would leave the file like this.
    busy.journal = busy.file.open(SILENT, { ...SCHEDULE, restMs: 0 });
    await until(() => busy.look().size < 20, "the file is small");
    assertEquals(busy.look().batches, 0);
  });
});
