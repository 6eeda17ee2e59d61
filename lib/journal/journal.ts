/**
 * The journal stores the entries of a chat in their order, before they are answered. This one is for
 * one server; several servers share the one in `shared_journal`.
 */
import { stepBatch } from "../chat/batch.ts";
import type { Entry } from "../chat/entry.ts";
import { type ChatState, emptyChat, RULES } from "../chat/state.ts";
import { ExitError } from "../errors.ts";
import type { Settings } from "../chat/settings.ts";
import { restoreSnapshot } from "../chat/snapshot.ts";

/** The content of a journal. */
export interface Stored {
  /** The rows of the last snapshot. */
  readonly rows: Iterable<string>;
  /** The batches after it, in their order. */
  readonly batches: Iterable<readonly Entry[]>;
  /** When something was last stored (ms since 1970), if the journal knows. */
  readonly at?: number;
}

/** A place where one server stores its chat: memory or a file. */
export interface Journal {
  /** To be called once, before the first commit. */
  read(): Stored;
  /** Stores all entries of a batch. Throws if it can't, and has stored none then. */
  commit(entries: readonly Entry[]): void;
  /** Throws where what it stores could be lost, or has no place. Called every second. */
  check?(): void;
  /** Gets the state after each commit, to write a snapshot in the background. Never throws. */
  published(state: ChatState): void;
  /** Writes a last snapshot of the state if it is worth it and time allows, and closes. */
  close(state: ChatState): Promise<void>;
}

/** A journal that keeps nothing: the chat ends with the process. */
export const memoryJournal: Journal = {
  read: () => ({ rows: [], batches: [] }),
  commit: () => {},
  published: () => {},
  close: () => Promise.resolve(),
};

/** A journal that can't be used. */
export class JournalError extends ExitError {}

/** The stream of a shared chat is not the one that this server joined, or has lost messages. */
export class LostStreamError extends JournalError {}

/** At least this many entries lie between two snapshots of a large chat. */
const SNAPSHOT_ENTRIES = 100_000;

/**
 * The number of entries after which the next snapshot is due: at least `alive`, the number of users
 * and messages, so that it writes no more than the entries did. A small chat may have it sooner, but
 * not before `least` entries.
 */
export function entriesPerSnapshot(alive: number, least = SNAPSHOT_ENTRIES): number {
  return Math.max(alive, Math.min(least + 4 * alive, SNAPSHOT_ENTRIES));
}

/**
 * The state after everything that is stored, or an empty chat with `settings` if nothing is stored.
 * Throws {@link JournalError}.
 */
export function replay({ rows, batches }: Stored, settings: Settings): ChatState {
  let state = requireKnownRules(restoreSnapshot(rows) ?? emptyChat(settings));
  for (const leading of batches) {
    state = requireKnownRules(stepBatch(state, { leading, requests: [] }, 0, "decide").state);
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
