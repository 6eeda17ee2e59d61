/**
 * The turns: what comes in one turn of the event loop is stepped on a candidate; the journal stores
 * all that changed it as one; then the candidate is published, and the replies may leave, together.
 * Where it can't be stored, the candidate is dropped, and every job of the turn is undone.
 */
import { type ChatState, conflict, type Entry, RULES, step } from "./chat.ts";
import { type Journal, JournalError, replay } from "./journal.ts";
import type { Log } from "./log.ts";
import type { Meter } from "./meter.ts";
import type { Reply } from "./reply.ts";
import type { Settings } from "./settings.ts";

/** Goes on from what the journal holds, under these settings. Throws {@link JournalError}. */
export function openTurns(
  settings: Settings,
  journal: Journal,
  log: Log,
  meter?: Meter,
): Turns {
  const state = replay(journal.read(), settings);
  const why = conflict(state, settings);
  if (why !== undefined) throw new JournalError(`The stored chat can't go on: ${why}`);
  const turns = new Turns(state, journal, log, meter);
  turns.start(settings);
  return turns;
}

/** One thing that was done in a turn. */
export interface Job {
  /** The turn was stored. */
  readonly done?: (() => void) | undefined;
  /** The turn could not be stored. */
  readonly undo: () => void;
}

interface Turn {
  readonly entries: Entry[];
  readonly jobs: Job[];
  /** When it was opened, for the meter. */
  readonly begunAt: number;
  /** Made for who asks. */
  over?: PromiseWithResolvers<void>;
}

/** Owns the one mutable variable: the state of the chat, published and candidate. */
export class Turns {
  readonly #journal: Journal;
  readonly #log: Log;
  readonly #meter: Meter | undefined;
  #published: ChatState;
  #candidate: ChatState;
  #turn: Turn | undefined;
  /** Entries that must be stored, and could not be yet. */
  #owed: Entry[] = [];
  #isFailing = false;

  /** Goes on from the state that the journal holds. */
  constructor(state: ChatState, journal: Journal, log: Log, meter?: Meter) {
    this.#published = state;
    this.#candidate = state;
    this.#journal = journal;
    this.#log = log;
    this.#meter = meter;
  }

  /** Could the last turn not be stored? */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** The first entry of a run. Throws what the journal throws. */
  start(settings: Settings): void {
    const entry: Entry = { kind: "start", at: Date.now(), rules: RULES, settings };
    this.#journal.commit([entry]);
    this.#published = step(this.#published, entry).state;
    this.#candidate = this.#published;
  }

  /** The state that is stored. */
  get published(): ChatState {
    return this.#published;
  }

  /** The state with all that has come since; nobody may be told of it before the turn is over. */
  get candidate(): ChatState {
    return this.#candidate;
  }

  /** Steps the candidate; what changed it is stored at the end of the turn. */
  apply(entry: Entry): void {
    this.take(entry, step(this.#candidate, entry).state);
  }

  /** The same where the candidate was stepped already, to `state`. */
  take(entry: Entry, state: ChatState): void {
    if (state === this.#candidate) return;
    this.#turn ??= this.#newTurn();
    this.#turn.entries.push(entry);
    this.#candidate = state;
  }

  /** Adds a job to the turn; where none is open, it is done. */
  add(job: Job): void {
    const turn = this.#turn;
    if (turn === undefined) return job.done?.();
    turn.jobs.push(job);
    if (turn.jobs.length === 1) this.#journal.endTurn(() => this.#end(turn));
  }

  /** These entries must be stored even if the turn can't be: they are tried again and again. */
  owe(entries: readonly Entry[]): void {
    this.#owed.push(...entries);
    this.#candidate = stepAll(this.#candidate, entries);
  }

  /** The reply after a turn was dropped; where it would change the state, the storage is needed. */
  replyAnew(entry: Entry): Reply {
    const { state, reply } = step(this.#candidate, entry);
    return state === this.#candidate && reply !== undefined ? reply : { code: "storage-away" };
  }

  /** The end of the turn, where one is open. */
  settled(): Promise<void> | undefined {
    if (this.#turn === undefined) return undefined;
    this.#turn.over ??= Promise.withResolvers();
    return this.#turn.over.promise;
  }

  /** Stores what is left, and closes the journal. */
  close(): void {
    if (this.#owed.length > 0) this.#turn ??= this.#newTurn();
    if (this.#turn !== undefined) this.#end(this.#turn);
    this.#journal.close(this.#published);
  }

  #newTurn(): Turn {
    return { entries: [], jobs: [], begunAt: this.#meter === undefined ? 0 : performance.now() };
  }

  #end(turn: Turn): void {
    // A stop may have ended it already.
    if (turn !== this.#turn) return;
    this.#turn = undefined;
    try {
      if (this.#store(turn)) this.#publish(turn);
      else this.#drop(turn);
    } finally {
      turn.over?.resolve();
      this.#meter?.turned(performance.now() - turn.begunAt);
    }
  }

  /** Only the commit decides whether a turn counts: what comes behind it can't undo it. */
  #store(turn: Turn): boolean {
    const from = this.#meter === undefined ? 0 : performance.now();
    try {
      this.#journal.commit([...this.#owed, ...turn.entries]);
      this.#meter?.committed(performance.now() - from);
      if (this.#isFailing) this.#log.event("journal-recovered", {});
      this.#isFailing = false;
      return true;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (!this.#isFailing) this.#log.event("journal-failed", { error: message });
      this.#isFailing = true;
      return false;
    }
  }

  #publish(turn: Turn): void {
    this.#owed = [];
    this.#published = this.#candidate;
    for (const job of turn.jobs) job.done?.();
    this.#journal.published(this.#published);
  }

  #drop(turn: Turn): void {
    this.#candidate = stepAll(this.#published, this.#owed);
    for (const { undo } of turn.jobs) undo();
  }
}

function stepAll(state: ChatState, entries: readonly Entry[]): ChatState {
  return entries.reduce((before, entry) => step(before, entry).state, state);
}
