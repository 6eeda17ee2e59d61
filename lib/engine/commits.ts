/**
 * Group commit: what a batch changes is stored as one commit, and its replies leave then.
 * `LocalCommits` steps a batch, stores it and publishes the next state. `SharedCommits` sends a batch
 * to the journal that several servers share, and steps it when it comes back.
 */
import type { Changed, Outcome } from "../chat/batch.ts";
import type { Entry } from "../chat/entry.ts";
import type { ChatState } from "../chat/state.ts";
import type { SessionId } from "../chat/users.ts";
import { messageOf } from "../errors.ts";
import type { SharedJournal } from "../journal/shared_journal.ts";
import type { Log } from "../log.ts";
import type { Meter } from "../meter.ts";
import type { Pending } from "./session.ts";

export interface CommitsListener {
  /** Takes what a batch has made of items. Returns `true` if some are left for the next batch. */
  settled(pending: Pending, outcome: Outcome): boolean;
  /** The stored state has other mail in these mailboxes. */
  changed(changed: Changed): void;
  /** This member of a shared chat has ended, and its sessions with it. */
  ended(): void;
  /** Another member wants the name that this session holds. Resolves when it has ended, or stays. */
  asked(session: SessionId): Promise<void>;
}

/** Owns the state of a chat, and what waits to change it. */
export abstract class Commits {
  protected readonly log: Log;
  protected readonly meter: Meter | undefined;
  protected listener: CommitsListener = {
    settled: () => false,
    changed: () => {},
    ended: () => {},
    asked: () => Promise.resolve(),
  };
  /** The items that wait for the next batch. */
  protected queue: Pending[] = [];
  /** Entries that lead the next batch. What could not be stored is tried again. */
  protected leading: Entry[] = [];
  /** Resolves when the batch of `leading` is over. */
  protected leadingOver: PromiseWithResolvers<void> | undefined;
  /** When the last entry before this server's own was made (ms since 1970); 0 if there is none. */
  storedAt: number;
  #published: ChatState;
  /** Why the last batch could not be stored; `undefined` if it was. */
  #failure: string | undefined;
  /** The latest time that `now` has returned, or that is stored (ms since 1970). */
  #at: number;
  #isPlanned = false;

  /** `state` is what the journal holds, and `at` the time of its last commit (ms since 1970). */
  constructor(state: ChatState, log: Log, meter: Meter | undefined, at: number) {
    this.#published = state;
    this.log = log;
    this.meter = meter;
    this.#at = this.storedAt = at;
  }

  /** The shared journal; `undefined` where this server shares its chat with no other. */
  abstract readonly sharing: SharedJournal | undefined;

  /** This member's number, for the ids of its sessions; `undefined` while it has not joined. */
  abstract get member(): number | undefined;

  /** Has this server still to join, or to read many batches of the other members? */
  abstract get isBehind(): boolean;

  /** Stores what waits, within a bounded time, and closes the journal. */
  abstract close(): Promise<void>;

  /**
   * Forms a batch of what waits, and has it stored. What could not be stored before goes with it;
   * with `isRetry` it is tried again even alone.
   */
  protected abstract process(isRetry?: boolean): void;

  /** The stored state. */
  get published(): ChatState {
    return this.#published;
  }

  /** Could the last batch not be stored? */
  get isFailing(): boolean {
    return this.#failure !== undefined;
  }

  /** Why the last batch could not be stored; `undefined` if it was. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /**
   * The time for entries (ms since 1970). It never goes back: after a clock that was years behind
   * is corrected, users who were here would count as absent for years.
   */
  now(): number {
    return this.#at = Math.max(this.#at, Date.now());
  }

  /** Sets the listener. To be called once, before anything is entered. */
  listen(listener: CommitsListener): void {
    this.listener = listener;
  }

  /** Enters items into the batch of this turn. */
  enter(pending: Pending): void {
    this.queue.push(pending);
    this.processAfterTurn();
  }

  /** Enters entries that no session has made. Resolves when their batch is over, stored or not. */
  store(...entries: readonly Entry[]): Promise<void> {
    this.leading.push(...entries);
    this.leadingOver ??= Promise.withResolvers();
    this.processAfterTurn();
    return this.leadingOver.promise;
  }

  protected processAfterTurn(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      this.process();
    });
  }

  /** The time for the meter (ms); 0 without one. */
  protected clock(): number {
    return this.meter === undefined ? 0 : performance.now();
  }

  /** Goes on with a state that is stored. */
  protected publish(state: ChatState): void {
    this.#published = state;
    if (this.isFailing) this.log.event("journal-recovered", {});
    this.#failure = undefined;
  }

  /** Notes the error of a commit. The first of several in a row is logged. */
  protected noteFailure(error: unknown, isLogged = !this.isFailing): void {
    const failure = messageOf(error);
    if (isLogged) this.log.event("journal-failed", { error: failure });
    this.#failure = failure;
  }

  /** Hands over the outcomes of items. What is left of them goes into the next batch. */
  protected settle(pendings: readonly Pending[], outcomes: readonly Outcome[]): void {
    pendings.forEach((pending, i) => {
      if (this.listener.settled(pending, outcomes[i]!)) this.enter(pending);
    });
  }
}
