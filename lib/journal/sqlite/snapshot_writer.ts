/**
 * Writes snapshots into a journal's file in the background, a slice at a time, and deletes what each
 * new snapshot replaces. `SqliteJournal` says when one is due.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { snapshotRows } from "../../chat/snapshot.ts";
import type { ChatState } from "../../chat/state.ts";
import type { BatchTable } from "./batch_table.ts";
import { checksum } from "./checksum.ts";
import { numberFrom } from "./file.ts";

/** A slice deletes this many rows, or gives back this many pages, at most. */
const SLICE_ROWS = 200;

export interface Slices {
  /** A slice of a snapshot takes about this long (ms); commits can run between two slices. */
  readonly sliceMs: number;
  /** The file is made smaller when no snapshot was begun for this long (ms). */
  readonly restMs: number;
}

/** Each `yield` ends a slice, and gives the pause before the next one (ms). */
type Work = Generator<number, void>;

/** Works in the background, and at a stop in one go. */
export class SnapshotWriter {
  readonly #database: DatabaseSync;
  readonly #batches: BatchTable;
  readonly #slices: Slices;
  readonly #failed: (error: unknown) => void;
  readonly #deleteOld: StatementSync;
  #work!: Work;
  /** The next slice of the work. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isBusy = false;

  /**
   * Deletes at rest what a server that was killed has left. `failed` is called if a slice fails; the
   * batches are stored all the same.
   */
  constructor(
    database: DatabaseSync,
    batches: BatchTable,
    slices: Slices,
    failed: (error: unknown) => void,
  ) {
    this.#database = database;
    this.#batches = batches;
    this.#slices = slices;
    this.#failed = failed;
    this.#deleteOld = database.prepare(
      `DELETE FROM snapshot WHERE (generation, part) IN
         (SELECT generation, part FROM snapshot
          WHERE generation <> (SELECT generation FROM current) LIMIT ${SLICE_ROWS})`,
    );
    this.#goOn(this.#tidy(), slices.restMs);
  }

  /** Is a snapshot being written, or what it replaces being deleted? */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Begins a snapshot of the state after the last batch, at this time (ms since 1970). */
  begin(state: ChatState, at: number): void {
    this.#isBusy = true;
    this.#goOn(this.#replace(state, at, this.#batches.last), 0);
  }

  /** Does what is left to do, or as much as fits into this time (ms). */
  finish(ms: number): void {
    this.stop();
    const late = performance.now() + ms;
    try {
      while (!this.#work.next().done && performance.now() < late);
    } catch (error) {
      this.#failed(error);
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Does this work, from its next slice on, after a pause (ms). It replaces other work. */
  #goOn(work: Work, pauseMs: number): void {
    clearTimeout(this.#timer);
    this.#work = work;
    this.#timer = setTimeout(() => {
      try {
        const { done, value } = work.next();
        if (!done) this.#goOn(work, value);
      } catch (error) {
        // The rows of a snapshot that failed are deleted at rest.
        if (this.#isBusy) this.#goOn(this.#tidy(), this.#slices.restMs);
        this.#isBusy = false;
        this.#failed(error);
      }
    }, pauseMs);
  }

  *#replace(state: ChatState, at: number, through: number): Work {
    const database = this.#database;
    const generation = 1 + numberFrom(database, "SELECT max(generation) FROM snapshot");
    const insert = database.prepare("INSERT INTO snapshot VALUES (?, ?, ?, ?)");
    try {
      let late = this.#beginSlice();
      let part = 0;
      for (const row of snapshotRows(state)) {
        insert.run(generation, part, row, checksum(row, part, generation));
        part++;
        if (performance.now() < late) continue;
        database.exec("COMMIT");
        yield 0;
        late = this.#beginSlice();
      }
      // With its last rows the snapshot counts.
      const values = [at, generation, through, part];
      database.prepare("UPDATE current SET at = ?, generation = ?, through = ?, parts = ?, crc = ?")
        .run(...values, checksum("", ...values));
      database.exec("COMMIT");
    } catch (error) {
      // SQLite itself ends the transaction for some errors, such as a full disk.
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
    this.#batches.free(through);
    while (this.#deleteRows()) yield 0;
    this.#isBusy = false;
    yield this.#slices.restMs;
    yield* this.#tidy();
  }

  /** Begins a transaction. Returns when its slice is to end (ms, as `performance.now`). */
  #beginSlice(): number {
    this.#database.exec("BEGIN IMMEDIATE");
    return performance.now() + this.#slices.sliceMs;
  }

  /** Deletes all that no snapshot needs, and gives back free pages. */
  *#tidy(): Work {
    // At rest, few batches are to be expected: no free places are kept for them.
    this.#batches.discardFree();
    while (this.#deleteRows()) yield 0;
    const vacuum = this.#database.prepare(`PRAGMA incremental_vacuum(${SLICE_ROWS})`);
    const freePages = () => numberFrom(this.#database, "PRAGMA freelist_count");
    let before = Infinity;
    // A copy made by SQLite may have lost the setting that this needs: then it changes nothing.
    for (let free = freePages(); free > 0 && free < before; free = freePages()) {
      // Each page is a row of the result, and is given back when that row is read.
      vacuum.all();
      yield 0;
      before = free;
    }
    // Only a checkpoint makes the file itself smaller.
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  /** Deletes a slice of what no snapshot needs. Returns whether more may be left. */
  #deleteRows(): boolean {
    const batches = this.#batches.deleteSurplus(SLICE_ROWS);
    const rows = this.#deleteOld.run().changes;
    return batches === SLICE_ROWS || rows === SLICE_ROWS;
  }
}
