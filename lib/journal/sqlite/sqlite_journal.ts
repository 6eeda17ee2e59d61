/** The journal in a SQLite file: a row for each batch, and from time to time a snapshot. */
import type { Entry } from "../../chat/entry.ts";
import { type ChatState, countUsersAndMail } from "../../chat/state.ts";
import { entriesPerSnapshot, type Journal, type Stored } from "../journal.ts";
import { BatchTable } from "./batch_table.ts";
import { type OpenFile, openFile, toJournalError } from "./file.ts";
import { FileGuard, type GuardListener, LOG_LIMITS, type LogLimits } from "./guard.ts";
import { SqliteReader } from "./reader.ts";
import { type Slices, SnapshotWriter } from "./snapshot_writer.ts";

export interface Schedule extends Slices, LogLimits {
  /** The number of entries after which a snapshot is due; `alive` is the number of users and messages. */
  readonly snapshotEntries: (alive: number) => number;
  /** While much is read, the listener is told at this interval (ms). */
  readonly progressMs: number;
}

/** The schedule of a server. */
export const SCHEDULE: Schedule = {
  snapshotEntries: (alive) => entriesPerSnapshot(alive, 25_000),
  sliceMs: 4,
  restMs: 5_000,
  progressMs: 1_000,
  ...LOG_LIMITS,
};
/** A server that stops spends at most this long (ms) on a last snapshot. */
const CLOSE_MS = 2_000;
/** It writes one if that replaces more entries than this share of its items. */
const WORTH_SHARE = 0.1;

export interface FileListener extends GuardListener {
  /** This many rows were read, and there are more. */
  progress(rows: number): void;
  /** A snapshot could not be written. The entries are all stored. */
  snapshotFailed(error: unknown): void;
}

/** A journal in a file. */
export class SqliteJournal implements Journal {
  readonly #file: OpenFile;
  readonly #reader: SqliteReader;
  readonly #batches: BatchTable;
  readonly #writer: SnapshotWriter;
  readonly #guard: FileGuard;
  readonly #schedule: Schedule;
  /** When something was last stored (ms since 1970). It never goes back. */
  #at: number;
  /** The number of entries after the last snapshot. */
  #entries = 0;

  private constructor(path: string, file: OpenFile, listener: FileListener, schedule: Schedule) {
    const { database } = file;
    this.#file = file;
    this.#schedule = schedule;
    const progress = (rows: number) => listener.progress(rows);
    this.#reader = new SqliteReader(path, database, progress, schedule.progressMs);
    this.#at = this.#reader.at;
    this.#batches = new BatchTable(database, this.#reader);
    this.#guard = new FileGuard(path, database, this.#batches, listener, schedule);
    const failed = (error: unknown) => listener.snapshotFailed(error);
    this.#writer = new SnapshotWriter(database, this.#batches, schedule, failed);
  }

  /** Opens a file for this process alone, or creates it. Throws {@link JournalError}. */
  static open(path: string, listener: FileListener, schedule: Schedule = SCHEDULE): SqliteJournal {
    const file = openFile(path);
    try {
      return new SqliteJournal(path, file, listener, schedule);
    } catch (error) {
      file.close();
      throw toJournalError(path, error);
    }
  }

  read(): Stored {
    const { batches, ...stored } = this.#reader.read();
    return { ...stored, batches: this.#counted(batches) };
  }

  commit(entries: readonly Entry[]): void {
    this.#guard.require();
    this.#batches.insert(entries, this.#now());
    this.#file.mark.write(this.#batches.last);
    this.#entries += entries.length;
  }

  check(): void {
    this.#guard.look();
  }

  published(state: ChatState): void {
    const isDue = this.#entries >= this.#schedule.snapshotEntries(countUsersAndMail(state));
    if (isDue && !this.#writer.isBusy) this.#beginSnapshot(state);
  }

  close(state: ChatState): Promise<void> {
    if (this.#entries > WORTH_SHARE * countUsersAndMail(state)) this.#beginSnapshot(state);
    this.#writer.finish(CLOSE_MS);
    this.#file.close();
    return Promise.resolve();
  }

  /** Closes the file, and writes no snapshot. */
  abandon(): void {
    this.#writer.stop();
    this.#file.close();
  }

  #beginSnapshot(state: ChatState): void {
    this.#entries = 0;
    this.#writer.begin(state, this.#now());
  }

  #now(): number {
    return this.#at = Math.max(this.#at, Date.now());
  }

  *#counted(batches: Iterable<readonly Entry[]>): Generator<readonly Entry[]> {
    for (const entries of batches) {
      this.#entries += entries.length;
      yield entries;
    }
  }
}
