/** A journal in memory, which stores, fails or crashes when a step says so. */
import type { Entry } from "../../../lib/chat/entry.ts";
import type { ChatState } from "../../../lib/chat/state.ts";
import type { CommitListener, Journal, Stored } from "../../../lib/journal/journal.ts";
import { snapshotRows } from "../../../lib/chat/snapshot.ts";
import { decodeEntries, encodeEntries } from "../../../lib/chat/entry_codec.ts";

type Outcome = "stores" | "fails" | "crashes";

/** Outlives the processes of the server. */
export class SimulatedJournal implements Journal {
  /** All batches that were ever stored, each as the text of its entries. */
  readonly history: string[] = [];
  /** What the next commit does. A crash stores the batch, but does not call back. */
  outcome: Outcome = "stores";
  readonly #misread: (stored: Stored) => Stored;
  #rows: string[] = [];
  /** The batches behind the snapshot. */
  #batches: string[] = [];
  /** Ends the open batch. */
  #endBatch: (() => void) | undefined;
  /** Executes the commit that was begun. */
  #begun: (() => void) | undefined;
  /** Is a commit only begun, and executed by a later step? */
  #onlyBegins = false;
  #writing: { rows: Generator<string>; written: string[]; batches: number } | undefined;

  /** `misread` is a fault: it changes what is read. */
  constructor(misread: (stored: Stored) => Stored = (stored) => stored) {
    this.#misread = misread;
  }

  read(): Stored {
    return this.#misread({ rows: this.#rows, batches: decodeAll(this.#batches) });
  }

  afterTurn(commit: () => void): void {
    this.#endBatch = commit;
  }

  commit(entries: readonly Entry[], stored: CommitListener): void {
    if (this.#onlyBegins) this.#begun = () => this.#store(entries, stored);
    else this.#store(entries, stored);
  }

  #store(entries: readonly Entry[], stored: CommitListener): void {
    const outcome = this.outcome;
    this.outcome = "stores";
    if (outcome === "fails") return stored(new Error("The disk is full"));
    const batch = encodeEntries(entries);
    this.history.push(batch);
    this.#batches.push(batch);
    if (outcome !== "crashes") stored();
  }

  published(): void {}

  close(state: ChatState): Promise<void> {
    this.beginSnapshot(state);
    this.writeAll();
    return Promise.resolve();
  }

  /** Is a batch open, or being stored? */
  get hasWork(): boolean {
    return this.#endBatch !== undefined || this.isStoring;
  }

  /** Is a batch being stored? */
  get isStoring(): boolean {
    return this.#begun !== undefined;
  }

  /** Ends the open batch, and begins to store it. */
  begin(): void {
    this.#onlyBegin(() => this.#closeBatch());
  }

  /**
   * Ends the commit that was begun, and begins the next one; or ends the open batch and commits it.
   */
  end(outcome: Outcome): void {
    const begun = this.#begun;
    this.#begun = undefined;
    if (begun === undefined && this.#endBatch === undefined) return;
    this.outcome = outcome;
    if (begun === undefined) this.#closeBatch();
    else this.#onlyBegin(begun);
  }

  #closeBatch(): void {
    const endBatch = this.#endBatch;
    this.#endBatch = undefined;
    endBatch?.();
  }

  /** Commits that `work` makes are only begun. */
  #onlyBegin(work: () => void): void {
    this.#onlyBegins = true;
    try {
      work();
    } finally {
      this.#onlyBegins = false;
    }
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
    this.#endBatch = undefined;
    this.#begun = undefined;
    this.#writing = undefined;
  }
}

/** The entries of stored batches. */
export function decodeAll(batches: readonly string[]): Entry[][] {
  return batches.map((batch) => decodeEntries(batch));
}
