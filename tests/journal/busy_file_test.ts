/** A journal in a file under load: batches over those that a snapshot holds. */
import { assert, assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { emptyChat } from "../../lib/chat/state.ts";
import { commitAndWait, replay } from "../../lib/journal/journal.ts";
import { SCHEDULE } from "../../lib/journal/sqlite/sqlite_journal.ts";
import { itNeeds } from "../needs.ts";
import { SILENT, TempFile, until } from "../support.ts";
import { BATCHES, command, FILES, rows, SETTINGS, stepAll } from "./entries.ts";

describe("a journal in a file that is busy", () => {
  /** A journal that never rests, what a look into its file shows, and rounds of work for it. */
  class Busy implements Disposable {
    readonly file = new TempFile();
    readonly state = stepAll(emptyChat(SETTINGS), BATCHES);
    journal = this.file.open(SILENT, { ...SCHEDULE, restMs: 60_000 });
    #generation = 0;

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
        await commitAndWait(this.journal, Array.from({ length }, () => command(2, "send", "x")));
      }
      await until(() => {
        // It is left out while the journal tidies up behind the snapshot before.
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

  itNeeds(FILES, "writes batches over those that its snapshot holds", async () => {
    using busy = new Busy();
    await busy.work(100);
    const first = busy.look();
    for (let round = 0; round < 4; round++) await busy.work(100);
    const last = busy.look();
    assertEquals(last.batches, 100);
    // A snapshot is there twice for a moment.
    assert(first.size > 400 && last.size < first.size + 20, `${first.size}, ${last.size} pages`);
  });

  itNeeds(FILES, "finds them in their order when it was killed", async () => {
    using busy = new Busy();
    await busy.work(10);
    const more = Array.from({ length: 15 }, (_, i) => [command(1, "sendall", `${i}`)]);
    for (const entries of more) await commitAndWait(busy.journal, entries);
    assertEquals(busy.look().batches, 15);
    busy.journal.abandon();
    busy.journal = busy.file.open();
    assertEquals([...busy.journal.read().batches], more);
    assertEquals(rows(replay(busy.journal.read(), SETTINGS)), rows(stepAll(busy.state, more)));
  });

  itNeeds(
    FILES,
    "lets go of batches over which none was written until the next one",
    async () => {
      using busy = new Busy();
      await busy.work(1000);
      await busy.work(10);
      await until(() => busy.look().batches === 10, "all others are gone");
    },
  );

  itNeeds(FILES, "keeps what it can, and gives it back at rest", async () => {
    using busy = new Busy();
    await busy.work(100);
    busy.journal.abandon();
    // As who was killed finds it.
    busy.journal = busy.file.open(SILENT, { ...SCHEDULE, restMs: 0 });
    await until(() => busy.look().size < 20, "it is as small as what is alive");
    assertEquals(busy.look().batches, 0);
  });
});
