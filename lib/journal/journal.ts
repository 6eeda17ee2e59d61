/**
 * The journal: puts the entries of a chat in order, and stores them before they are answered. Here is
 * what every journal does; the one in memory is here, too. Several servers share the one in
 * `shared_journal`, where the stream makes the order.
 */
import { step } from "../chat/step.ts";
import type { Entry } from "../chat/entry.ts";
import { type ChatState, emptyChat, RULES } from "../chat/state.ts";
import { ExitError } from "../errors.ts";
import type { Settings } from "../chat/settings.ts";
import { restoreSnapshot } from "../chat/snapshot.ts";
import type { SessionId } from "../chat/users.ts";

/** The content of a journal. */
export interface Stored {
  /** The rows of the last snapshot. */
  readonly rows: Iterable<string>;
  /** The batches after that snapshot, in their order. */
  readonly batches: Iterable<readonly Entry[]>;
  /** When something was last stored (ms since 1970), if the journal knows. */
  readonly at?: number;
}

/**
 * Called once per commit: without an argument when the batch is stored, else with the error. After a
 * {@link LateError} the batch may still be stored.
 */
export type CommitListener = (error?: unknown) => void;

/**
 * A commit took too long, and its result is not known yet. If its batch is stored later, it comes
 * with the origin `"late"`. If it can't be stored any more, `ended` gets its entries.
 */
export class LateError extends Error {}

/** A place where a chat is stored: memory, a file, or a stream that several servers share. */
export interface Journal {
  /** Reads what is stored. To be called once, before the first commit. */
  read(): Stored;
  /**
   * Calls back when the open batch is to end. A journal without this method ends each batch at the
   * end of the turn of the event loop.
   */
  afterTurn?(commit: () => void): void;
  /** Stores all entries of a batch, or none, and then calls back. */
  commit(entries: readonly Entry[], stored: CommitListener): void;
  /** Gets the state after each commit, to write a snapshot in the background. Never throws. */
  published(state: ChatState): void;
  /** Writes a last snapshot of the state if it is worth it and time allows, and closes everything. */
  close(state: ChatState): Promise<void>;
  /** Present if several servers share the journal. */
  readonly sharing?: Sharing;
}

/**
 * Where a batch comes from: `"own"` is a batch of this member that is waited for, `"late"` is a batch
 * of this member whose commit was given up, `"foreign"` is a batch of another member.
 */
export type Origin = "own" | "late" | "foreign";

/** Gets the events of a journal that several servers share. */
export interface SharingListener {
  /** The next batch of the common order has come. The commit of an own batch is called back later. */
  came(batch: readonly Entry[], origin: Origin): void;
  /** This server has missed batches: from now on the state is this one. */
  reset(state: ChatState): void;
  /**
   * This member has ended, and all its sessions with it; the server joins again as a new member.
   * `lost` are entries of commits that were reported as late, and will never be stored.
   */
  ended(lost: readonly Entry[]): void;
  /** Another member wants the name that this session holds. Resolves when it has ended, or stays. */
  asked(session: SessionId): Promise<void>;
}

/** The methods of a journal that several servers share: it makes the order of all their batches. */
export interface Sharing {
  /** The id of this member; `undefined` while this server takes no part in the chat. */
  readonly member: string | undefined;
  /** Is this server too far behind the other members to serve? */
  readonly isBehind: boolean;
  /** Sets the listener. To be called once, before the first batch comes. */
  follow(listener: SharingListener): void;
  /** Asks a member for a name of its session. Resolves to `false` if that member does not answer. */
  ask(member: string, session: SessionId): Promise<boolean>;
}

/** A journal that keeps nothing: the chat ends with the process. */
export const memoryJournal: Journal = {
  read: () => ({ rows: [], batches: [] }),
  commit: (_entries, stored) => stored(),
  published: () => {},
  close: () => Promise.resolve(),
};

/** Commits a batch, and resolves when it is stored. Rejects with the error if it is not. */
export function commitAndWait(journal: Journal, entries: readonly Entry[]): Promise<void> {
  return new Promise((resolve, reject) =>
    journal.commit(entries, (error) => error === undefined ? resolve() : reject(error))
  );
}

/** At least this many entries lie between two snapshots of a large chat. */
const SNAPSHOT_ENTRIES = 100_000;

/**
 * The number of entries after which the next snapshot is due. It is never below `alive`, the number
 * of users and messages: so a snapshot writes no more than the entries before it did. A small chat
 * may have snapshots sooner, but never before `least` entries.
 */
export function entriesPerSnapshot(alive: number, least = SNAPSHOT_ENTRIES): number {
  return Math.max(alive, Math.min(least + 4 * alive, SNAPSHOT_ENTRIES));
}

/** A journal that can't be used. */
export class JournalError extends ExitError {}

/**
 * The state after everything that is stored, or an empty chat with `settings` if nothing is stored.
 * Throws {@link JournalError}.
 */
export function replay({ rows, batches }: Stored, settings: Settings): ChatState {
  let state = requireKnownRules(restoreSnapshot(rows) ?? emptyChat(settings));
  for (const entries of batches) {
    for (const entry of entries) state = requireKnownRules(step(state, entry).state);
  }
  return state;
}

/** Returns the state. Throws {@link JournalError} if this release does not know its rules. */
export function requireKnownRules(state: ChatState): ChatState {
  if (state.rules <= RULES) return state;
  throw new JournalError(
    `The stored chat is of a newer release (rules ${state.rules}, this one knows ${RULES}): ` +
      "use that release, or choose another --data or --stream",
  );
}
