/** A journal of arrays of text, which fails and dies when it is told to. */
import type { ChatState, Entry } from "../../lib/chat.ts";
import type { Journal, Stored } from "../../lib/journal.ts";
import { snapshotRows } from "../../lib/snapshot.ts";

/** Outlives the processes that use it. */
export class SimulatedJournal implements Journal {
  /** All turns that were ever stored, each as the text of its entries. */
  readonly history: string[] = [];
  /** How the next commit goes: `dies` stores the turn, but nobody hears of it. */
  mood: "well" | "fails" | "dies" = "well";
  readonly #misread: (stored: Stored) => Stored;
  #rows: string[] = [];
  /** The turns behind the snapshot. */
  #turns: string[] = [];
  #commit: (() => void) | undefined;
  #writing: { rows: Generator<string>; written: string[]; turns: number } | undefined;

  /** With `misread` something else is read than what was stored. */
  constructor(misread: (stored: Stored) => Stored = (stored) => stored) {
    this.#misread = misread;
  }

  read(): Stored {
    return this.#misread({ rows: this.#rows, turns: parseTurns(this.#turns) });
  }

  endTurn(commit: () => void): void {
    this.#commit = commit;
  }

  commit(entries: readonly Entry[]): void {
    const { mood } = this;
    this.mood = "well";
    if (mood === "fails") throw new Error("The disk is full");
    const turn = JSON.stringify(entries);
    this.history.push(turn);
    this.#turns.push(turn);
    if (mood === "dies") throw new Error("The process is gone");
  }

  published(): void {}

  close(state: ChatState): void {
    this.beginSnapshot(state);
    this.writeAll();
  }

  /** Is a turn open? */
  get isAwaited(): boolean {
    return this.#commit !== undefined;
  }

  /** The turn is over. */
  end(mood: SimulatedJournal["mood"]): void {
    const commit = this.#commit;
    this.#commit = undefined;
    if (commit === undefined) return;
    this.mood = mood;
    commit();
  }

  /** A snapshot of a state that is stored; it counts when its last row is written. */
  beginSnapshot(state: ChatState): void {
    this.#writing = { rows: snapshotRows(state), written: [], turns: this.#turns.length };
  }

  /** Writes a row, or does what is due behind the last; `false` where nothing is left to do. */
  goOn(): boolean {
    if (this.#writing === undefined) return false;
    const { rows, written, turns } = this.#writing;
    const { done, value } = rows.next();
    if (!done) written.push(value);
    else {
      this.#rows = written;
      this.#turns = this.#turns.slice(turns);
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
    this.#writing = undefined;
  }
}

/** The entries of stored turns. */
export function parseTurns(turns: readonly string[]): Entry[][] {
  return turns.map((turn) => JSON.parse(turn));
}
