/**
 * The runs: the server processes that share a chat, and how far each has come. A process that starts
 * anew is another run. Pure.
 */

/** A server process. */
export interface Run {
  /** Chosen by the process, by chance. */
  readonly id: string;
  /** Stands in the ids of its sessions. */
  readonly number: number;
  /** Its last batch of entries. */
  readonly batch: number;
  /** The newest rules that it knows. */
  readonly rules: number;
}

export interface Runs {
  readonly all: readonly Run[];
  /** The number of the next run. */
  readonly next: number;
  /** The latest time that any of them told, in milliseconds since 1970. */
  readonly at: number;
}

/** Nobody shares the chat. */
export const NO_RUNS: Runs = { all: [], next: 1, at: 0 };

/** A run by its id. */
export function findRun({ all }: Runs, id: string): Run | undefined {
  return all.find((run) => run.id === id);
}

/** Does the batch of this number come next? Not one that came before, is behind a gap, or of a run that is over. */
export function isNextBatch(runs: Runs, id: string, batch: number): boolean {
  return findRun(runs, id)?.batch === batch - 1;
}

/** The batch of this number has come. */
export function countBatch(runs: Runs, id: string, batch: number): Runs {
  return { ...runs, all: runs.all.map((run) => run.id === id ? { ...run, batch } : run) };
}

/** One more run; there is none of its id. */
export function addRun(runs: Runs, id: string, rules: number): Runs {
  const run = { id, number: runs.next, batch: 0, rules };
  return { ...runs, all: [...runs.all, run], next: runs.next + 1 };
}

/** The run is over. */
export function removeRun(runs: Runs, id: string): Runs {
  return { ...runs, all: runs.all.filter((run) => run.id !== id) };
}
