/**
 * The turns: what comes in one turn of the event loop is stepped on a candidate; the journal stores
 * all that changed it as one; then the candidate is published, and the replies may leave, together.
 * What comes while it is stored is the next turn, stepped on the same candidate. Where a turn can't
 * be stored, both are dropped, and every job of them is undone.
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
  /** The turn could not be stored: what it has overwritten is put back, the latest first. */
  readonly restore?: () => void;
  /** The turn could not be stored, and all that it has overwritten is put back: what follows. */
  readonly undo?: () => void;
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
  /** What comes now is of this turn. */
  #open: Turn | undefined;
  /** The journal has this one; the open one follows it, and falls with it. */
  #storing: Turn | undefined;
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

  /** Stores the first entry of a run. */
  start(settings: Settings): void {
    this.owe([{ kind: "start", at: Date.now(), rules: RULES, settings }]);
    this.#store(this.#opened());
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
    this.#opened().entries.push(entry);
    this.#candidate = state;
  }

  /** Adds a job to the turn; where nothing waits to be stored, it is done. */
  add(job: Job): void {
    if (this.#open === undefined && this.#storing === undefined) return job.done?.();
    const turn = this.#opened();
    turn.jobs.push(job);
    const isFirst = turn.jobs.length === 1 && this.#storing === undefined;
    if (isFirst) this.#journal.endTurn(() => this.#end(turn));
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

  /** The end of all that waits to be stored, where something does. */
  settled(): Promise<void> | undefined {
    const last = this.#open ?? this.#storing;
    if (last === undefined) return undefined;
    last.over ??= Promise.withResolvers();
    return last.over.promise;
  }

  /** Stores what is left, what is owed too, and closes the journal. */
  async close(): Promise<void> {
    while (this.#storing !== undefined) await this.settled();
    if (this.#open !== undefined || this.#owed.length > 0) this.#store(this.#opened());
    while (this.#storing !== undefined) await this.settled();
    await this.#journal.close(this.#published);
  }

  #opened(): Turn {
    return this.#open ??= { entries: [], jobs: [], begunAt: this.#now() };
  }

  /** In milliseconds; the time is looked at only where somebody measures. */
  #now(): number {
    return this.#meter === undefined ? 0 : performance.now();
  }

  #end(turn: Turn): void {
    // A stop may have ended it already.
    if (turn !== this.#open) return;
    if (turn.entries.length > 0) return this.#store(turn);
    this.#open = undefined;
    this.#settle(turn, () => done(turn));
  }

  /** The journal has the open turn from now on, with all that is owed. */
  #store(turn: Turn): void {
    this.#open = undefined;
    this.#storing = turn;
    const state = this.#candidate;
    const from = this.#now();
    this.#journal.commit([...this.#owed, ...turn.entries], (error) => {
      this.#meter?.committed(this.#now() - from);
      this.#tell(error);
      this.#settle(turn, () => error === undefined ? this.#publish(turn, state) : this.#drop(turn));
    });
  }

  /** The turn is over; what has come meanwhile is the next. */
  #settle(turn: Turn, settle: () => void): void {
    try {
      settle();
    } finally {
      this.#storing = undefined;
      turn.over?.resolve();
      this.#meter?.turned(this.#now() - turn.begunAt);
      if (this.#open !== undefined) this.#end(this.#open);
    }
  }

  #tell(error: unknown): void {
    if (error === undefined) {
      if (this.#isFailing) this.#log.event("journal-recovered", {});
    } else if (!this.#isFailing) {
      const message = error instanceof Error ? error.message : String(error);
      this.#log.event("journal-failed", { error: message });
    }
    this.#isFailing = error !== undefined;
  }

  #publish(turn: Turn, state: ChatState): void {
    this.#owed = [];
    this.#published = state;
    done(turn);
    this.#journal.published(state);
  }

  /** What came behind the turn was stepped on it, and goes with it. */
  #drop(turn: Turn): void {
    const next = this.#open;
    this.#open = undefined;
    this.#candidate = stepAll(this.#published, this.#owed);
    const jobs = [...turn.jobs, ...next?.jobs ?? []];
    for (const job of jobs.toReversed()) job.restore?.();
    for (const job of jobs) job.undo?.();
    next?.over?.resolve();
  }
}

function done({ jobs }: Turn): void {
  for (const job of jobs) job.done?.();
}

function stepAll(state: ChatState, entries: readonly Entry[]): ChatState {
  return entries.reduce((before, entry) => step(before, entry).state, state);
}
