/**
 * The journal in a SQLite file: a row a batch, and a snapshot that is written in slices. A batch is
 * written over one that a snapshot holds: a new row takes five pages to write, another row's place
 * one.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import type { Entry } from "../../chat/entry.ts";
import { type ChatState, countUsersAndMail } from "../../chat/state.ts";
import type { CommitListener, Journal, Stored } from "../journal.ts";
import { snapshotRows } from "../../chat/snapshot.ts";
import { type OpenFile, openFile, openFileToRead, toJournalError } from "./file.ts";
import { SqliteReader } from "./reader.ts";
import { encodeEntries } from "../../chat/entry_codec.ts";

/** How a journal spreads its work over time. */
export interface Schedule {
  /** A snapshot is due after so many entries, where so many users and messages are there. */
  readonly snapshotEntries: (alive: number) => number;
  /** A slice of a snapshot takes about so long, in milliseconds; then others have their batch. */
  readonly sliceMs: number;
  /**
   * The file is made smaller when for so long no snapshot was begun, in milliseconds: under load its
   * free pages are soon used again, and to give them back would cost a fifth of what can be stored.
   */
  readonly restMs: number;
  /** A line of progress is due so often while much is read, in milliseconds. */
  readonly progressMs: number;
}

/**
 * A snapshot costs no more than the entries before it. Where little is alive it comes sooner: of fewer
 * places that batches are written over, more are still in the processor's cache.
 */
function snapshotEntries(alive: number): number {
  return Math.max(alive, Math.min(25_000 + 4 * alive, 100_000));
}

/** How a server does. */
export const SCHEDULE: Schedule = {
  snapshotEntries,
  sliceMs: 4,
  restMs: 5_000,
  progressMs: 1_000,
};
/** So many rows, or pages, are let go of in a slice. */
const SLICE_ROWS = 200;
/** A stop takes no longer for a last snapshot, in milliseconds: the entries are as good. */
const CLOSE_MS = 2_000;
/** A stop writes a snapshot where it replaces more entries than this share of what it holds. */
const SHARE_WORTH = 0.1;

/** What a journal in a file tells whoever runs it. */
export interface FileListener {
  /** So many rows were read, and reading goes on. */
  progress(rows: number): void;
  /** A snapshot could not be written; the entries are all stored. */
  snapshotFailed(error: unknown): void;
}

/** A snapshot that is being written. */
interface Writing {
  readonly generation: number;
  /** The last batch that it holds. */
  readonly through: number;
  readonly rows: Generator<string>;
  /** The number of the next row. */
  nextRow: number;
}

/** A journal in a file. */
export class SqliteJournal implements Journal {
  readonly #file: OpenFile;
  readonly #database: DatabaseSync;
  readonly #reader: SqliteReader;
  readonly #listener: FileListener;
  readonly #schedule: Schedule;
  readonly #statements = new Map<string, StatementSync>();
  /** The snapshot that counts, and the last batch that it holds. */
  #generation: number;
  #through: number;
  /** The last snapshot that was begun, whether it was finished or not. */
  #lastGeneration: number;
  /** Where the batches behind the snapshot that counts are, in their order. */
  #places: number[];
  /** Where batches are that the snapshot holds: the next ones are written over them. */
  #free: number[];
  /** The same, of rows that are let go of: nothing was written over them for long. */
  #stale: number[] = [];
  /** New rows are put behind this one. */
  #lastPlace: number;
  /** When something was last stored; a clock that is set back does not make it earlier. */
  #at: number;
  /** Entries behind the last snapshot. */
  #entries = 0;
  #writing: Writing | undefined;
  /** What the last snapshot replaces is let go of, before another is begun. */
  #isTidying = false;
  /** The next slice. */
  #timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(path: string, file: OpenFile, listener: FileListener, schedule: Schedule) {
    this.#file = file;
    this.#database = file.database;
    this.#listener = listener;
    this.#schedule = schedule;
    const progress = (rows: number) => listener.progress(rows);
    const reader = new SqliteReader(path, file.database, schedule.progressMs, progress);
    this.#reader = reader;
    const current = reader.numbers("SELECT generation, through FROM current");
    this.#generation = current.generation!;
    this.#through = current.through!;
    this.#places = reader.places("behind", this.#through);
    this.#free = reader.places("up to", this.#through);
    this.#lastPlace = reader.numbers("SELECT max(place) AS last FROM batch").last ?? 0;
    const last = reader.numbers("SELECT max(generation) AS last FROM snapshot").last ?? 0;
    this.#lastGeneration = Math.max(last, this.#generation);
    this.#at = this.size().at;
  }

  /** Opens a file, or makes it, for this process alone. Throws {@link JournalError}. */
  static open(path: string, listener: FileListener, schedule: Schedule = SCHEDULE): SqliteJournal {
    const journal = SqliteJournal.#of(path, openFile(path), listener, schedule);
    // A server that was killed may have left what is of no use any more.
    journal.#sliceIn(schedule.restMs);
    return journal;
  }

  /** Opens a file to read it, while a server may be using it. Throws {@link JournalError}. */
  static openToRead(path: string, listener: FileListener): SqliteJournal {
    return SqliteJournal.#of(path, openFileToRead(path), listener, SCHEDULE);
  }

  static #of(
    path: string,
    file: OpenFile,
    listener: FileListener,
    schedule: Schedule,
  ): SqliteJournal {
    try {
      return new SqliteJournal(path, file, listener, schedule);
    } catch (error) {
      file.close();
      throw toJournalError(path, error);
    }
  }

  read(): Stored {
    return {
      rows: this.#reader.snapshot(this.#generation),
      batches: this.#commits(),
      at: this.#at,
    };
  }

  afterTurn(commit: () => void): void {
    setImmediate(commit);
  }

  commit(entries: readonly Entry[], stored: CommitListener): void {
    try {
      this.#insert(entries);
    } catch (error) {
      return stored(error);
    }
    stored();
  }

  #insert(entries: readonly Entry[]): void {
    const body = encodeEntries(entries);
    const place = this.#free.at(-1) ?? this.#lastPlace + 1;
    this.#prepared("INSERT OR REPLACE INTO batch VALUES (?, ?, ?, ?, ?)").run(
      place,
      this.#lastBatch + 1,
      this.#now(),
      body,
      crc32(body),
    );
    if (this.#free.pop() === undefined) this.#lastPlace = place;
    this.#places.push(place);
    this.#entries += entries.length;
  }

  published(state: ChatState): void {
    const isBusy = this.#writing !== undefined || this.#isTidying;
    if (isBusy || this.#entries < this.#schedule.snapshotEntries(countUsersAndMail(state))) return;
    this.#begin(state);
    this.#sliceIn(0);
  }

  close(state: ChatState): Promise<void> {
    clearTimeout(this.#timer);
    try {
      const late = performance.now() + CLOSE_MS;
      if (this.#entries > SHARE_WORTH * countUsersAndMail(state)) this.#begin(state);
      while (this.#slice() !== undefined && performance.now() < late);
    } catch (error) {
      this.#listener.snapshotFailed(error);
    }
    this.#file.close();
    return Promise.resolve();
  }

  /** The size of the file in bytes, and when something was last stored, in milliseconds since 1970. */
  size(): { bytes: number; at: number } {
    return this.#reader.size();
  }

  /** Closes without writing anything. */
  abandon(): void {
    clearTimeout(this.#timer);
    this.#file.close();
  }

  /** A new snapshot of the state, from its first row on. */
  #begin(state: ChatState): void {
    this.#writing = {
      generation: ++this.#lastGeneration,
      through: this.#lastBatch,
      rows: snapshotRows(state),
      nextRow: 0,
    };
    this.#entries = 0;
  }

  #sliceIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      try {
        const nextMs = this.#slice();
        if (nextMs !== undefined) this.#sliceIn(nextMs);
      } catch (error) {
        // Its rows are let go of later.
        if (this.#writing !== undefined) this.#sliceIn(this.#schedule.restMs);
        this.#writing = undefined;
        this.#isTidying = false;
        this.#listener.snapshotFailed(error);
      }
    }, ms);
  }

  /** Writes a slice of the snapshot, or tidies up behind it: when the next is due; or all is done. */
  #slice(): number | undefined {
    if (this.#writing !== undefined) return this.#writeRows(this.#writing);
    // At rest no more is to be written soon.
    if (!this.#isTidying) this.#discardFree();
    if (this.#removeRows() >= SLICE_ROWS) return 0;
    if (!this.#isTidying) return this.#shrink();
    this.#isTidying = false;
    return this.#schedule.restMs;
  }

  /** The last slice switches to the new snapshot. */
  #writeRows(writing: Writing): number {
    const { generation, through, rows } = writing;
    const late = performance.now() + this.#schedule.sliceMs;
    const insert = this.#prepared("INSERT INTO snapshot VALUES (?, ?, ?, ?)");
    let isLast = false;
    this.#transaction(() => {
      do {
        const { done, value } = rows.next();
        isLast = done === true;
        if (!done) insert.run(generation, writing.nextRow++, value, crc32(value));
      } while (performance.now() < late && !isLast);
      if (isLast) {
        this.#prepared("UPDATE current SET at = ?, generation = ?, through = ?").run(
          this.#now(),
          generation,
          through,
        );
      }
    });
    if (isLast) {
      this.#generation = generation;
      this.#discardFree();
      this.#free = this.#places.splice(0, through - this.#through);
      this.#through = through;
      this.#writing = undefined;
      this.#isTidying = true;
    }
    return 0;
  }

  /** What is free, and was not written over until now, is let go of. */
  #discardFree(): void {
    this.#stale = this.#stale.concat(this.#free);
    this.#free = [];
  }

  /** Lets go of some of what the snapshot replaces, and of so many rows: their pages are free then. */
  #removeRows(): number {
    let removed = 0;
    const places = this.#stale.slice(-SLICE_ROWS);
    this.#transaction(() => {
      const batch = this.#prepared("DELETE FROM batch WHERE place = ?");
      for (const place of places) batch.run(place);
      const rows = this.#prepared(
        `DELETE FROM snapshot WHERE (generation, number) IN
           (SELECT generation, number FROM snapshot WHERE generation <> ? LIMIT ${SLICE_ROWS})`,
      );
      removed = places.length + Number(rows.run(this.#generation).changes);
    });
    this.#stale.length -= places.length;
    return removed;
  }

  /** Gives back some of the pages that are free. */
  #shrink(): number | undefined {
    const before = this.#freePages();
    // A row for each page: `exec` would take but the first.
    this.#prepared(`PRAGMA incremental_vacuum(${SLICE_ROWS})`).all();
    const left = this.#freePages();
    // Who has copied the file with SQLite may have batched it off.
    if (left > 0 && left < before) return 0;
    // Only a checkpoint makes the file itself smaller.
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    return undefined;
  }

  get #lastBatch(): number {
    return this.#through + this.#places.length;
  }

  #now(): number {
    return this.#at = Math.max(this.#at, Date.now());
  }

  #freePages(): number {
    return this.#reader.numbers("PRAGMA freelist_count").freelist_count!;
  }

  #transaction(work: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      // A full disk may have ended the transaction already.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  *#commits(): Generator<readonly Entry[]> {
    for (const entries of this.#reader.batches(this.#places, this.#through + 1)) {
      this.#entries += entries.length;
      yield entries;
    }
  }

  #prepared(query: string): StatementSync {
    const known = this.#statements.get(query) ?? this.#database.prepare(query);
    this.#statements.set(query, known);
    return known;
  }
}
