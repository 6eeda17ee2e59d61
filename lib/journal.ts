/** The journal: puts what happens to a chat in order, and makes it durable before it is answered. */
import { type ChatState, emptyChat, type Entry, RULES, step } from "./chat.ts";
import type { Settings } from "./settings.ts";
import { restoreSnapshot } from "./snapshot.ts";

/** What a journal holds. */
export interface Stored {
  /** The rows of the last snapshot. */
  readonly rows: Iterable<string>;
  /** The entries behind it, turn by turn. */
  readonly turns: Iterable<readonly Entry[]>;
}

/** Hears what has become of a commit: it is stored, or the error that kept it from being so. */
export type CommitListener = (error?: unknown) => void;

/** One engine of a journal. */
export interface Journal {
  /** What was stored before this run; to be read once, before the first commit. */
  read(): Stored;
  /** Calls back when the turn is over: what has come by then is committed as one. */
  endTurn(commit: () => void): void;
  /** Stores a turn's entries, all or none, and calls back: with an error where none are stored. */
  commit(entries: readonly Entry[], stored: CommitListener): void;
  /** The state after all that was committed, to be stored in the background. Never throws. */
  published(state: ChatState): void;
  /** Stores the state once more, if there is time, and lets go of everything. */
  close(state: ChatState): Promise<void>;
}

/** Nothing outlives the process, and there is nothing to wait for. */
export const memoryJournal: Journal = {
  read: () => ({ rows: [], turns: [] }),
  endTurn: (commit) => setImmediate(commit),
  commit: (_entries, stored) => stored(),
  published: () => {},
  close: () => Promise.resolve(),
};

/** Stores a turn, and waits for it. Throws where it can't be stored. */
export function committed(journal: Journal, entries: readonly Entry[]): Promise<void> {
  return new Promise((resolve, reject) =>
    journal.commit(entries, (error) => error === undefined ? resolve() : reject(error))
  );
}

/** A journal that can't be used: one clear line that says what to do. */
export class JournalError extends Error {}

/** The state that a journal holds; with `settings` where it holds none. Throws {@link JournalError}. */
export function replay({ rows, turns }: Stored, settings: Settings): ChatState {
  let state = known(restoreSnapshot(rows) ?? emptyChat(settings));
  for (const entries of turns) {
    for (const entry of entries) state = known(step(state, entry).state);
  }
  return state;
}

/** The same state, whose rules this release must know to go on from it. */
function known(state: ChatState): ChatState {
  if (state.rules <= RULES) return state;
  throw new JournalError(
    `The stored chat is of a newer release (rules ${state.rules}, this one knows ${RULES}): ` +
      "use that release, or choose another --data",
  );
}
