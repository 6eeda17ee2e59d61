/** The journal: puts what happens to a chat in order, and makes it durable before it is answered. */
import { step } from "../chat/step.ts";
import type { Entry } from "../chat/entry.ts";
import { type ChatState, emptyChat, RULES } from "../chat/state.ts";
import { ExitError } from "../errors.ts";
import type { Settings } from "../chat/settings.ts";
import { restoreSnapshot } from "../chat/snapshot.ts";
import type { SessionId } from "../chat/users.ts";

/** What a journal holds. */
export interface Stored {
  /** The rows of the last snapshot. */
  readonly rows: Iterable<string>;
  /** The entries behind it, batch by batch. */
  readonly batches: Iterable<readonly Entry[]>;
  /** When something was last stored, in milliseconds since 1970, where the journal knows. */
  readonly at?: number;
}

/**
 * Hears what has become of a commit: it is stored, or the error that kept it from being so. A
 * {@link LateError} says that it may still come.
 */
export type CommitListener = (error?: unknown) => void;

/** A commit took too long: it will be stored later, and told of as `"late"`, or its member is over. */
export class LateError extends Error {}

/** One engine of a journal. */
export interface Journal {
  /** What was stored before this member; to be read once, before the first commit. */
  read(): Stored;
  /** Calls back when the batch is over: what has come by then is committed as one. */
  afterTurn(commit: () => void): void;
  /** Stores a batch's entries, all or none, and calls back: with an error where none are stored. */
  commit(entries: readonly Entry[], stored: CommitListener): void;
  /** The state after all that was committed, to be stored in the background. Never throws. */
  published(state: ChatState): void;
  /** Stores the state once more, if there is time, and lets go of everything. */
  close(state: ChatState): Promise<void>;
  /** Where several servers share the journal. */
  readonly sharing?: Sharing;
}

/** Whose batch it is: of this member, and waited for; of this member, and given up; or of another member. */
export type Origin = "own" | "late" | "foreign";

/** Hears what happens in a journal that several servers share. */
export interface SharingListener {
  /** The next batch of the common order; behind one of its own, its commit is called back. */
  came(batch: readonly Entry[], origin: Origin): void;
  /** The state is another one from here on: what came since the last batch can't be had any more. */
  reset(state: ChatState): void;
  /**
   * This member is over, and takes part again as another: its sessions are no more. Of what was told of
   * as late, these entries will never come.
   */
  ended(lost: readonly Entry[]): void;
  /** Another member wants a name of this session: resolves when it has ended, or goes on. */
  asked(session: SessionId): Promise<void>;
}

/** What a journal does that several servers share: there the order of all their batches is made. */
export interface Sharing {
  /** This member; none while it takes no part. */
  readonly member: string | undefined;
  /** Many batches have come that were not told yet. */
  readonly isBehind: boolean;
  /** To be called before anything comes. */
  follow(listener: SharingListener): void;
  /** Another member's session stands in the way: `false` where that member does not answer. */
  ask(member: string, session: SessionId): Promise<boolean>;
}

/** Nothing outlives the process, and there is nothing to wait for. */
export const memoryJournal: Journal = {
  read: () => ({ rows: [], batches: [] }),
  afterTurn: (commit) => setImmediate(commit),
  commit: (_entries, stored) => stored(),
  published: () => {},
  close: () => Promise.resolve(),
};

/** Stores a batch, and waits for it. Throws where it can't be stored. */
export function committed(journal: Journal, entries: readonly Entry[]): Promise<void> {
  return new Promise((resolve, reject) =>
    journal.commit(entries, (error) => error === undefined ? resolve() : reject(error))
  );
}

/** A journal that can't be used. */
export class JournalError extends ExitError {}

/** The state that a journal holds; with `settings` where it holds none. Throws {@link JournalError}. */
export function replay({ rows, batches }: Stored, settings: Settings): ChatState {
  let state = known(restoreSnapshot(rows) ?? emptyChat(settings));
  for (const entries of batches) {
    for (const entry of entries) state = known(step(state, entry).state);
  }
  return state;
}

/** The same state, whose rules this release must know to go on from it. Throws {@link JournalError}. */
export function known(state: ChatState): ChatState {
  if (state.rules <= RULES) return state;
  throw new JournalError(
    `The stored chat is of a newer release (rules ${state.rules}, this one knows ${RULES}): ` +
      "use that release, or choose another --data or --stream",
  );
}
