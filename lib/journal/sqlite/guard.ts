/** Looks now and then whether the file is still what its name points to, and whether its log is small. */
import type { DatabaseSync } from "node:sqlite";
import { JournalError } from "../journal.ts";
import type { BatchTable } from "./batch_table.ts";
import { numberFrom, openReader, toJournalError } from "./file.ts";
import { FRAME_HEADER_BYTES } from "./log_check.ts";

export interface LogLimits {
  /** A log (-wal) of this size (bytes) is emptied. SQLite itself empties it at 8 MB, if it can. */
  readonly emptyBytes: number;
  /** Nothing is stored while the log is larger than this (bytes). One second may add to it. */
  readonly bytesMax: number;
}

export const LOG_LIMITS: LogLimits = { emptyBytes: 32_000_000, bytesMax: 256_000_000 };

export interface GuardListener {
  /** The log can't be emptied, and grows. */
  checkpointFailed(error: string, bytes: number): void;
  /** The size of the log at each look (bytes). */
  logBytes(bytes: number): void;
}

/** Guards the open file of a journal. */
export class FileGuard {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #batches: BatchTable;
  readonly #listener: GuardListener;
  readonly #limits: LogLimits;
  readonly #pageBytes: number;
  readonly #isOurs: (info: Deno.FileInfo) => boolean;
  #isTold = false;
  /** The error that the last look has found; `undefined` if it has found none. */
  #trouble: JournalError | undefined;

  constructor(
    path: string,
    database: DatabaseSync,
    batches: BatchTable,
    listener: GuardListener,
    limits: LogLimits,
  ) {
    this.#path = path;
    this.#database = database;
    this.#batches = batches;
    this.#listener = listener;
    this.#limits = limits;
    this.#pageBytes = numberFrom(database, "PRAGMA page_size");
    const { dev, ino } = Deno.statSync(path);
    this.#isOurs = (info) => info.dev === dev && info.ino === ino;
  }

  /** Throws the error that the last look has found. */
  require(): void {
    if (this.#trouble !== undefined) throw this.#trouble;
  }

  /** Looks, and throws {@link JournalError} where what is stored could be lost. */
  look(): void {
    try {
      this.#requireName();
      this.#requireReadable();
      this.#requireSmallLog();
      this.#trouble = undefined;
    } catch (error) {
      this.#trouble = toJournalError(this.#path, error);
      throw this.#trouble;
    }
  }

  #requireName(): void {
    let what = "was removed or moved away";
    try {
      if (this.#isOurs(Deno.statSync(this.#path))) return;
      what = "was replaced by another file";
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    throw new JournalError(
      `The file of --data ${what} while the server uses it: put it back, or start the server again`,
    );
  }

  /** Another connection opens the files by their names. */
  #requireReadable(): void {
    try {
      using reader = openReader(this.#path);
      if (this.#batches.isSeenBy(reader)) return;
    } catch {
      // It can't read the log at all.
    }
    throw new JournalError(
      "What was stored can't be read again: was the -wal of the file of --data removed or replaced? " +
        "Stop the server, which saves all in the file itself, and start it again",
    );
  }

  #requireSmallLog(): void {
    const { emptyBytes, bytesMax } = this.#limits;
    let bytes = this.#checkpoint("NOOP");
    let error: string | undefined;
    if (bytes > emptyBytes) {
      error = "another program reads the file all the time";
      try {
        bytes = this.#checkpoint("TRUNCATE");
      } catch (thrown) {
        error = toJournalError(this.#path, thrown).message;
      }
    }
    this.#listener.logBytes(bytes);
    const isLarge = error !== undefined && bytes > emptyBytes;
    if (isLarge && !this.#isTold) this.#listener.checkpointFailed(error!, bytes);
    this.#isTold = isLarge;
    if (bytes <= bytesMax) return;
    throw new JournalError(
      `The -wal of the file of --data is larger than ${bytesMax} bytes: ${error}`,
    );
  }

  /** Moves what it can from the log to the file. Returns the size of the log (bytes). */
  #checkpoint(mode: "NOOP" | "TRUNCATE"): number {
    const { log } = this.#database.prepare(`PRAGMA wal_checkpoint(${mode})`).get() as {
      log: number;
    };
    return log * (this.#pageBytes + FRAME_HEADER_BYTES);
  }
}
