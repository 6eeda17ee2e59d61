/** A journal in memory, which stores, fails or crashes as a step says. */
import type { Entry } from "../../../lib/chat/entry.ts";
import type { ChatState } from "../../../lib/chat/state.ts";
import type { Journal, Stored } from "../../../lib/journal/journal.ts";
import { snapshotRows } from "../../../lib/chat/snapshot.ts";
import { decodeEntries, encodeEntries } from "../../../lib/chat/entry_codec.ts";

type Outcome = "stores" | "fails" | "crashes";

/** Outlives the processes of the server. */
export class SimulatedJournal implements Journal {
  /** All batches that were ever stored, each as the text of its entries. */
  readonly history: string[] = [];
  /** What commits do. In a crash the batch is stored, but the server does not hear of it. */
  outcome: Outcome = "stores";
  readonly #misread: (stored: Stored) => Stored;
  #rows: string[] = [];
  /** The batches behind the snapshot. */
  #batches: string[] = [];
  #writing: { rows: Generator<string>; written: string[]; batches: number } | undefined;

  /** `misread` is a fault: it changes what is read. */
  constructor(misread: (stored: Stored) => Stored = (stored) => stored) {
    this.#misread = misread;
  }

  read(): Stored {
    return this.#misread({ rows: this.#rows, batches: decodeAll(this.#batches) });
  }

  commit(entries: readonly Entry[]): void {
    if (this.outcome === "fails") throw new Error("The disk is full");
    const batch = encodeEntries(entries);
    this.history.push(batch);
    this.#batches.push(batch);
    if (this.outcome === "crashes") throw new Error("The process has ended");
  }

  published(): void {}

  close(state: ChatState): Promise<void> {
    this.beginSnapshot(state);
    this.writeAll();
    return Promise.resolve();
  }

  /**
   * Begins a snapshot of a stored state. It replaces the last one when all its rows are written.
   */
  beginSnapshot(state: ChatState): void {
    this.#writing = { rows: snapshotRows(state), written: [], batches: this.#batches.length };
  }

  /**
   * Writes the next row of the snapshot, or ends it. Returns `false` if there is no snapshot to
   * write.
   */
  writeRow(): boolean {
    if (this.#writing === undefined) return false;
    const { rows, written, batches } = this.#writing;
    const { done, value } = rows.next();
    if (!done) written.push(value);
    else {
      this.#rows = written;
      this.#batches = this.#batches.slice(batches);
      this.#writing = undefined;
    }
    return true;
  }

  /** Writes the rest of the snapshot. */
  writeAll(): void {
    while (this.writeRow());
  }

  /** Drops all that the process had not stored. */
  crash(): void {
    this.#writing = undefined;
  }
}

/** The entries of stored batches. */
export function decodeAll(batches: readonly string[]): Entry[][] {
  return batches.map((batch) => decodeEntries(batch));
}
