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
  /** The last that ended: who was paused meanwhile learns what became of its last batch. */
  readonly ended: readonly Pick<Run, "id" | "batch">[];
  /** The latest time that any of them told, in milliseconds since 1970. */
  readonly at: number;
}

/** So many that ended are remembered. */
const ENDED_MAX = 32;

/** Nobody shares the chat. */
export const NO_RUNS: Runs = { all: [], next: 1, ended: [], at: 0 };

/** A run by its id. */
export function findRun({ all }: Runs, id: string): Run | undefined {
  return all.find((run) => run.id === id);
}

/** The last batch of a run that has come; `undefined` for one that nobody remembers. */
export function lastBatch({ all, ended }: Runs, id: string): number | undefined {
  return [...all, ...ended].find((run) => run.id === id)?.batch;
}

/**
 * Does the batch of this number come next? Not one that came before, is behind a gap, or of a run
 * that is over.
 */
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
export function removeRun(runs: Runs, { id, batch }: Run): Runs {
  const ended = [...runs.ended, { id, batch }].slice(-ENDED_MAX);
  return { ...runs, all: runs.all.filter((run) => run.id !== id), ended };
}
