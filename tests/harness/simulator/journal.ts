/** A journal of arrays of text, which fails and dies when it is told to. */
import type { Entry } from "../../../lib/chat/entry.ts";
import type { ChatState } from "../../../lib/chat/state.ts";
import type { CommitListener, Journal, Stored } from "../../../lib/journal/journal.ts";
import { snapshotRows } from "../../../lib/chat/snapshot.ts";
import { decodeEntries, encodeEntries } from "../../../lib/chat/entry_codec.ts";

/** Outlives the processes that use it. */
export class SimulatedJournal implements Journal {
  /** All batches that were ever stored, each as the text of its entries. */
  readonly history: string[] = [];
  /** How the next commit goes: `dies` stores the batch, but nobody hears of it. */
  mood: "well" | "fails" | "dies" = "well";
  readonly #misread: (stored: Stored) => Stored;
  #rows: string[] = [];
  /** The batches behind the snapshot. */
  #batches: string[] = [];
  #commit: (() => void) | undefined;
  /** A commit that waits for what becomes of it. */
  #held: (() => void) | undefined;
  #holds = false;
  #writing: { rows: Generator<string>; written: string[]; batches: number } | undefined;

  /** With `misread` something else is read than what was stored. */
  constructor(misread: (stored: Stored) => Stored = (stored) => stored) {
    this.#misread = misread;
  }

  read(): Stored {
    return this.#misread({ rows: this.#rows, batches: decodeAll(this.#batches) });
  }

  afterTurn(commit: () => void): void {
    this.#commit = commit;
  }

  commit(entries: readonly Entry[], stored: CommitListener): void {
    if (this.#holds) this.#held = () => this.#store(entries, stored);
    else this.#store(entries, stored);
  }

  #store(entries: readonly Entry[], stored: CommitListener): void {
    const { mood } = this;
    this.mood = "well";
    if (mood === "fails") return stored(new Error("The disk is full"));
    const batch = encodeEntries(entries);
    this.history.push(batch);
    this.#batches.push(batch);
    if (mood !== "dies") stored();
  }

  published(): void {}

  close(state: ChatState): Promise<void> {
    this.beginSnapshot(state);
    this.writeAll();
    return Promise.resolve();
  }

  /** Is something to be stored? */
  get isAwaited(): boolean {
    return this.#commit !== undefined || this.isStoring;
  }

  /** Is a batch being stored? */
  get isStoring(): boolean {
    return this.#held !== undefined;
  }

  /** The batch is over, and is stored from now on. */
  begin(): void {
    this.#whileHolding(() => this.#afterTurn());
  }

  /** The batch is over, and stored or not; what has come behind it is stored from now on. */
  end(mood: SimulatedJournal["mood"]): void {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined && this.#commit === undefined) return;
    this.mood = mood;
    if (held === undefined) this.#afterTurn();
    else this.#whileHolding(held);
  }

  #afterTurn(): void {
    const commit = this.#commit;
    this.#commit = undefined;
    commit?.();
  }

  #whileHolding(work: () => void): void {
    this.#holds = true;
    try {
      work();
    } finally {
      this.#holds = false;
    }
  }

  /** A snapshot of a state that is stored; it counts when its last row is written. */
  beginSnapshot(state: ChatState): void {
    this.#writing = { rows: snapshotRows(state), written: [], batches: this.#batches.length };
  }

  /** Writes a row, or does what is due behind the last; `false` where nothing is left to do. */
  goOn(): boolean {
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

  /** Writes all rows that are left. */
  writeAll(): void {
    while (this.goOn());
  }

  /** The process is gone, and all that it had not stored. */
  lose(): void {
    this.#commit = undefined;
    this.#held = undefined;
    this.#writing = undefined;
  }
}

/** The entries of stored batches. */
export function decodeAll(batches: readonly string[]): Entry[][] {
  return batches.map((batch) => decodeEntries(batch));
}
