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
  /** The time (ms since 1970). */
  readonly now: () => number;
  /** Called if a slice fails. The batches are stored all the same. */
  readonly failed: (error: unknown) => void;
}

/** A snapshot that is being written. */
interface Writing {
  readonly generation: number;
  /** The last batch that the snapshot holds. */
  readonly through: number;
  readonly rows: Generator<string>;
  /** The number of the next row. */
  nextRow: number;
}

/** Writes one snapshot after another. */
export class SnapshotWriter {
  readonly #database: DatabaseSync;
  readonly #batches: BatchTable;
  readonly #options: WriterOptions;
  readonly #insert: StatementSync;
  readonly #switch: StatementSync;
  readonly #deleteOld: StatementSync;
  readonly #vacuum: StatementSync;
  /** The snapshot that counts. */
  #generation: number;
  /** The last snapshot that was begun, whether it was finished or not. */
  #lastGeneration: number;
  #writing: Writing | undefined;
  /** Are rows being deleted that the last snapshot has replaced? */
  #isTidying = false;
  /** The next slice. */
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `generation` is the snapshot that counts. */
  constructor(
    database: DatabaseSync,
    batches: BatchTable,
    generation: number,
    options: WriterOptions,
  ) {
    this.#database = database;
    this.#batches = batches;
    this.#options = options;
    this.#insert = database.prepare("INSERT INTO snapshot VALUES (?, ?, ?, ?)");
    this.#switch = database.prepare("UPDATE current SET at = ?, generation = ?, through = ?");
    this.#deleteOld = database.prepare(
      `DELETE FROM snapshot WHERE (generation, part) IN
         (SELECT generation, part FROM snapshot WHERE generation <> ? LIMIT ${SLICE_ROWS})`,
    );
    this.#vacuum = database.prepare(`PRAGMA incremental_vacuum(${SLICE_ROWS})`);
    this.#generation = generation;
    const last = numberFrom(database, "SELECT max(generation) FROM snapshot");
    this.#lastGeneration = Math.max(last, generation);
  }

  /** Is a snapshot being written, or what it replaces being deleted? */
  get isBusy(): boolean {
    return this.#writing !== undefined || this.#isTidying;
  }

  /** Begins a snapshot of the state after the last batch. It replaces one that is being written. */
  begin(state: ChatState): void {
    this.#writing = {
      generation: ++this.#lastGeneration,
      through: this.#batches.last,
      rows: snapshotRows(state),
      nextRow: 0,
    };
    this.#sliceIn(0);
  }

  /** Deletes later what a server that was killed has left. */
  tidyAtRest(): void {
    this.#sliceIn(this.#options.restMs);
  }

  /** Does all that is left to do, or as much as fits into this time (ms). */
  finish(ms: number): void {
    this.stop();
    const late = performance.now() + ms;
    try {
      while (this.#slice() !== undefined && performance.now() < late);
    } catch (error) {
      this.#options.failed(error);
    }
  }

  /** Stops writing, whatever is left to do. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #sliceIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      try {
        const nextMs = this.#slice();
        if (nextMs !== undefined) this.#sliceIn(nextMs);
      } catch (error) {
        // The rows of a snapshot that failed are deleted at rest.
        if (this.#writing !== undefined) this.tidyAtRest();
        this.#writing = undefined;
        this.#isTidying = false;
        this.#options.failed(error);
      }
    }, ms);
  }

  /** Does one slice of what is to be done. Returns when the next is due (ms); `undefined`: all is done. */
  #slice(): number | undefined {
    if (this.#writing !== undefined) return this.#writeRows(this.#writing);
    // At rest, few batches are to be expected: no free places are kept for them.
    if (!this.#isTidying) this.#batches.discardFree();
    if (this.#deleteRows()) return 0;
    if (!this.#isTidying) return this.#shrink();
    this.#isTidying = false;
    return this.#options.restMs;
  }

  /** Writes rows of a snapshot. The slice with the last row also makes this snapshot count. */
  #writeRows(writing: Writing): number {
    const { generation, through, rows } = writing;
    const late = performance.now() + this.#options.sliceMs;
    let isLast = false;
    this.#transaction(() => {
      do {
        const { done, value } = rows.next();
        isLast = done === true;
        if (!done) this.#insert.run(generation, writing.nextRow++, value, crc32(value));
      } while (performance.now() < late && !isLast);
      if (isLast) this.#switch.run(this.#options.now(), generation, through);
    });
    if (isLast) {
      this.#generation = generation;
      this.#batches.free(through);
      this.#writing = undefined;
      this.#isTidying = true;
    }
    return 0;
  }

  /** Deletes batches that the snapshot holds, and rows of other snapshots. Is more of them left? */
  #deleteRows(): boolean {
    const batches = this.#batches.deleteSurplus(SLICE_ROWS);
    const rows = this.#deleteOld.run(this.#generation).changes;
    return batches === SLICE_ROWS || rows === SLICE_ROWS;
  }

  /** Gives back free pages at the end of the file. */
  #shrink(): number | undefined {
    const before = this.#freePages();
    // Each page is a row of the result, and is given back when that row is read.
    this.#vacuum.all();
    const left = this.#freePages();
    // A copy made by SQLite may have lost the setting that this needs: then it changes nothing.
    if (left > 0 && left < before) return 0;
    // Only a checkpoint makes the file itself smaller.
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    return undefined;
  }

  #freePages(): number {
    return numberFrom(this.#database, "PRAGMA freelist_count");
  }

  #transaction(work: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      // SQLite itself ends the transaction for some errors, such as a full disk.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}
