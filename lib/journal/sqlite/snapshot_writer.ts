/**
 * Writes snapshots into a journal's file in the background, a slice at a time, and deletes what each
 * new snapshot replaces. `SqliteJournal` begins one after `entriesPerSnapshot` entries (in
 * `journal/journal`: 25,000 or more), and at a stop.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { snapshotRows } from "../../chat/snapshot.ts";
import type { ChatState } from "../../chat/state.ts";
import type { BatchTable } from "./batch_table.ts";
import { numberFrom } from "./file.ts";

/** A slice deletes this many rows, or gives back this many pages, at most. */
const SLICE_ROWS = 200;

/** How a {@link SnapshotWriter} works. */
export interface WriterOptions {
  /** A slice of a snapshot takes about this long (ms); commits can run between two slices. */
  readonly sliceMs: number;
  /**
   * The file is made smaller when no snapshot was begun for this long (ms). Under load its free pages
   * are soon used again, and giving them back would cost a fifth of the batches that can be stored.
   */
  readonly restMs: number;
  /** Called if a slice fails. The batches are stored all the same. */
  readonly failed: (error: unknown) => void;
}

/** Work in slices. Each `yield` ends a slice, and gives the pause before the next one (ms). */
type Work = Generator<number, void>;

/** Writes one snapshot after another. */
export class SnapshotWriter {
  readonly #database: DatabaseSync;
  readonly #batches: BatchTable;
  readonly #options: WriterOptions;
  readonly #insert: StatementSync;
  readonly #switch: StatementSync;
  readonly #deleteOld: StatementSync;
  readonly #vacuum: StatementSync;
  #work!: Work;
  /** The next slice of the work. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isBusy = false;

  /** Deletes at rest what a server that was killed has left. */
  constructor(database: DatabaseSync, batches: BatchTable, options: WriterOptions) {
    this.#database = database;
    this.#batches = batches;
    this.#options = options;
    this.#insert = database.prepare("INSERT INTO snapshot VALUES (?, ?, ?, ?)");
    this.#switch = database.prepare("UPDATE current SET at = ?, generation = ?, through = ?");
    this.#deleteOld = database.prepare(
      `DELETE FROM snapshot WHERE (generation, part) IN
         (SELECT generation, part FROM snapshot
          WHERE generation <> (SELECT generation FROM current) LIMIT ${SLICE_ROWS})`,
    );
    this.#vacuum = database.prepare(`PRAGMA incremental_vacuum(${SLICE_ROWS})`);
    this.#goOn(this.#tidy(), options.restMs);
  }

  /** Is a snapshot being written, or what it replaces being deleted? */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /**
   * Begins a snapshot of the state after the last batch, at this time (ms since 1970). It replaces a
   * snapshot that is being written.
   */
  begin(state: ChatState, at: number): void {
    this.#isBusy = true;
    this.#goOn(this.#replace(state, at, this.#batches.last), 0);
  }

  /** Does all that is left to do, or as much as fits into this time (ms). */
  finish(ms: number): void {
    this.stop();
    const late = performance.now() + ms;
    try {
      while (!this.#work.next().done && performance.now() < late);
    } catch (error) {
      this.#options.failed(error);
    }
  }

  /** Stops writing, whatever is left to do. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Does the next slice of this work after a pause (ms), and then the rest of it. */
  #goOn(work: Work, pauseMs: number): void {
    clearTimeout(this.#timer);
    this.#work = work;
    this.#timer = setTimeout(() => {
      try {
        const { done, value } = work.next();
        if (!done) this.#goOn(work, value);
      } catch (error) {
        // The rows of a snapshot that failed are deleted at rest.
        if (this.#isBusy) this.#goOn(this.#tidy(), this.#options.restMs);
        this.#isBusy = false;
        this.#options.failed(error);
      }
    }, pauseMs);
  }

  /** Writes a snapshot that holds the batches up to `through`, and deletes what it replaces. */
  *#replace(state: ChatState, at: number, through: number): Work {
    const generation = 1 + numberFrom(this.#database, "SELECT max(generation) FROM snapshot");
    try {
      let late = this.#beginSlice();
      let part = 0;
      for (const row of snapshotRows(state)) {
        this.#insert.run(generation, part++, row, crc32(row));
        if (performance.now() < late) continue;
        this.#database.exec("COMMIT");
        yield 0;
        late = this.#beginSlice();
      }
      // With its last rows the snapshot counts.
      this.#switch.run(at, generation, through);
      this.#database.exec("COMMIT");
    } catch (error) {
      // SQLite itself ends the transaction for some errors, such as a full disk.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
    this.#batches.free(through);
    while (this.#deleteRows()) yield 0;
    this.#isBusy = false;
    yield this.#options.restMs;
    yield* this.#tidy();
  }

  /** Begins a transaction. Returns when the slice is to end (ms, as `performance.now`). */
  #beginSlice(): number {
    this.#database.exec("BEGIN IMMEDIATE");
    return performance.now() + this.#options.sliceMs;
  }

  /** Deletes all that no snapshot needs, and gives back free pages at the end of the file. */
  *#tidy(): Work {
    // At rest, few batches are to be expected: no free places are kept for them.
    this.#batches.discardFree();
    while (this.#deleteRows()) yield 0;
    let before = Infinity;
    let free = this.#freePages();
    // A copy made by SQLite may have lost the setting that this needs: then it changes nothing.
    while (free > 0 && free < before) {
      // Each page is a row of the result, and is given back when that row is read.
      this.#vacuum.all();
      yield 0;
      before = free;
      free = this.#freePages();
    }
    // Only a checkpoint makes the file itself smaller.
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  /** Deletes batches that the snapshot holds, and rows of other snapshots. Is more of them left? */
  #deleteRows(): boolean {
    const batches = this.#batches.deleteSurplus(SLICE_ROWS);
    const rows = this.#deleteOld.run().changes;
    return batches === SLICE_ROWS || rows === SLICE_ROWS;
  }

  #freePages(): number {
    return numberFrom(this.#database, "PRAGMA freelist_count");
  }
}
