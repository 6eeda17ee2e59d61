/**
 * The commits: what comes in one turn of the event loop is stepped on a candidate; the journal stores
 * all that changed it as one; then the candidate is published, and the replies may leave, together.
 * What comes while it is stored is the next batch, stepped on the same candidate. Where a batch can't
 * be stored, both are dropped, and every job of them is undone.
 *
 * Where several servers share the journal there is no candidate: the order is made there, and only
 * what comes back is stepped, whoever has sent it. Then the replies are known.
 */
import { conflict, step, stepBatch } from "../chat/step.ts";
import type { Entry } from "../chat/entry.ts";
import { type ChatState, RULES } from "../chat/state.ts";
import { forgetLoopTime, within } from "../clock.ts";
import {
  type Journal,
  JournalError,
  known,
  LateError,
  type Origin,
  replay,
  type Sharing,
  type SharingListener,
} from "../journal/journal.ts";
import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Meter } from "../meter.ts";
import type { Reply } from "../protocol/reply.ts";
import type { Answer } from "./session.ts";
import { findMember } from "../chat/members.ts";
import type { Settings } from "../chat/settings.ts";

/** Goes on from what the journal holds, under these settings. Throws {@link JournalError}. */
export function openChat(
  settings: Settings,
  journal: Journal,
  log: Log,
  meter?: Meter,
): GroupCommit {
  const stored = journal.read();
  const state = replay(stored, settings);
  const why = conflict(state, settings);
  if (why !== undefined) throw new JournalError(`The stored chat can't go on: ${why}`);
  const commits = new GroupCommit(state, journal, log, meter, stored.at);
  commits.start(settings);
  return commits;
}

/** At its end a server waits no longer for what it has sent away to be stored, in milliseconds. */
const CLOSE_MS = 2_000;
/** While commits can't be stored it is tried again so often, in milliseconds. */
const RETRY_MS = 1_000;

/** The reply to what could not be stored. */
export const STORAGE_AWAY: Reply = { code: "storage-away" };

/** One thing that was done in a batch. */
export interface Job {
  /** The batch was stored, and its answers are final. */
  readonly done?: (() => void) | undefined;
  /** The batch could not be stored: what it has overwritten is put back, the latest first. */
  readonly restore?: () => void;
  /**
   * The batch could not be stored, and all that it has overwritten is put back: what follows. A batch
   * that is late is stored some time.
   */
  readonly undo?: (isLate: boolean) => void;
}

/** Hears of a chat that several servers share. */
export interface Follower extends Pick<SharingListener, "asked"> {
  /** This member is over: its sessions are no more. */
  ended(): void;
  /** A batch has come, of whichever server, and is in the state. */
  came(batch: readonly Entry[]): void;
  /** The state is another one, by commits that nobody will hear of. */
  missed(): void;
}

interface Batch {
  readonly entries: Entry[];
  /** To each entry the answer that waits for it, if somebody waits. */
  readonly answers: (Answer | undefined)[];
  readonly jobs: Job[];
  /** When it was opened, for the meter. */
  readonly begunAt: number;
  /** Made for who asks. */
  over?: PromiseWithResolvers<void>;
}

/** Owns the one mutable variable: the state of the chat, published and candidate. */
export class GroupCommit {
  readonly #journal: Journal;
  readonly #log: Log;
  readonly #meter: Meter | undefined;
  #published: ChatState;
  #candidate: ChatState;
  /** What comes now is of this batch. */
  #open: Batch | undefined;
  /** The journal has this one; the open one follows it, and falls with it. */
  #storing: Batch | undefined;
  /** Entries that must be stored, and could not be yet. */
  #overdue: Entry[] = [];
  #isFailing = false;
  /** The next try while it fails. */
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Where the journal is shared: the replies of what has come of the batch that is stored. */
  #came: (Reply | undefined)[] = [];
  #follower: Follower | undefined;

  /** The latest time that {@link GroupCommit.now} has told. */
  #at: number;

  /** Goes on from the state that the journal holds, and at what time something was stored last. */
  constructor(state: ChatState, journal: Journal, log: Log, meter?: Meter, at = 0) {
    this.#at = at;
    this.#published = state;
    this.#candidate = state;
    this.#journal = journal;
    this.#log = log;
    this.#meter = meter;
    journal.sharing?.follow({
      came: (batch, origin) => this.#hear(batch, origin),
      reset: (next) => {
        this.#published = this.#candidate = known(next);
        this.#follower?.missed();
      },
      ended: (lost) => this.#begin(lost),
      asked: (session) => this.#follower?.asked(session) ?? Promise.resolve(),
    });
  }

  /** What other servers share; `undefined` where the chat is this server's alone. */
  get sharing(): Sharing | undefined {
    return this.#journal.sharing;
  }

  /** Do several servers share the chat? Then a command's reply is known when its batch is stored. */
  get isShared(): boolean {
    return this.sharing !== undefined;
  }

  /** This server in the ids of its sessions; `undefined` while it takes no part. */
  get member(): number | undefined {
    const { sharing } = this;
    if (sharing === undefined) return 0;
    return sharing.member === undefined
      ? undefined
      : findMember(this.#published.members, sharing.member)?.number;
  }

  /**
   * The time for entries, in milliseconds since 1970. It never goes back: who was here while the
   * clock was years behind would be long absent when it is right again.
   */
  now(): number {
    return this.#at = Math.max(this.#at, Date.now());
  }

  /** The time that it told last. */
  get lastNow(): number {
    return this.#at;
  }

  /** Could the last batch not be stored? */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** Is there much that other servers did, and that this one does not know of yet? */
  get isBehind(): boolean {
    return this.member === undefined || this.sharing?.isBehind === true;
  }

  /** From now on this one hears of a chat that several servers share. */
  follow(follower: Follower): void {
    this.#follower = follower;
  }

  /** Stores the first entry of a member. */
  start(settings: Settings): void {
    this.storeEventually([{ kind: "start", at: this.now(), rules: RULES, settings }]);
    this.#storeNow();
  }

  /** The state that is stored. */
  get published(): ChatState {
    return this.#published;
  }

  /** The state with all that has come since; nobody may be told of it before the batch is over. */
  get candidate(): ChatState {
    return this.#candidate;
  }

  /** Steps the candidate; what changed it is stored at the end of the batch. */
  apply(entry: Entry): void {
    const { state } = this.isShared ? { state: this.#candidate } : step(this.#candidate, entry);
    if (this.isShared || state !== this.#candidate) this.take(entry, state);
  }

  /**
   * The same where the candidate was stepped already, to `state`. The answer is final when the batch
   * is over.
   */
  take(entry: Entry, state: ChatState, answer?: Answer): void {
    if (!this.isShared) this.#candidate = state;
    const batch = this.#opened();
    batch.entries.push(entry);
    batch.answers.push(answer);
  }

  /** Adds a job to the batch; where nothing waits to be stored, it is done. */
  add(job: Job): void {
    if (this.#open === undefined && this.#storing === undefined) return job.done?.();
    this.#opened().jobs.push(job);
  }

  /** These entries must be stored even if the batch can't be: they are tried again and again. */
  storeEventually(entries: readonly Entry[]): void {
    this.#overdue.push(...entries);
    if (!this.isShared) this.#candidate = stepAll(this.#candidate, entries);
  }

  /** The reply after a batch was dropped; where it would change the state, the storage is needed. */
  replyAnew(entry: Entry): Reply {
    const { state, reply } = step(this.#candidate, entry);
    return state === this.#candidate && reply !== undefined ? reply : STORAGE_AWAY;
  }

  /** The end of all that waits to be stored, where something does. */
  settled(): Promise<void> | undefined {
    const last = this.#open ?? this.#storing;
    if (last === undefined) return undefined;
    last.over ??= Promise.withResolvers();
    return last.over.promise;
  }

  /** The same, and what is overdue is tried once more. */
  async settledAll(): Promise<void> {
    while (this.#storing !== undefined) await this.settled();
    if (this.#open !== undefined || this.#overdue.length > 0) this.#storeNow();
    while (this.#storing !== undefined) await this.settled();
  }

  /** Stores what is left, and closes the journal. */
  async close(): Promise<void> {
    await within(CLOSE_MS, this.settledAll());
    clearTimeout(this.#retry);
    await this.#journal.close(this.#published);
  }

  /** The open batch. It ends when the journal says so, or behind the one that is being stored. */
  #opened(): Batch {
    if (this.#open !== undefined) return this.#open;
    const batch = this.#newBatch();
    this.#open = batch;
    if (this.#storing === undefined) this.#journal.afterTurn(() => this.#end(batch));
    return batch;
  }

  #newBatch(): Batch {
    return { entries: [], answers: [], jobs: [], begunAt: this.#clock() };
  }

  /** In milliseconds; the time is looked at only where somebody measures. */
  #clock(): number {
    return this.#meter === undefined ? 0 : performance.now();
  }

  #end(batch: Batch): void {
    // A stop may have ended it already.
    if (batch !== this.#open) return;
    const hasOverdue = this.#overdue.length > 0 && !this.#isFailing;
    if (batch.entries.length > 0 || hasOverdue) return this.#store(batch);
    this.#open = undefined;
    this.#settle(batch, () => done(batch));
  }

  /** The open batch ends before its time; where none is open, what is overdue is stored alone. */
  #storeNow(): void {
    this.#store(this.#open ?? this.#newBatch());
  }

  /** The journal has the open batch from now on, with all that is overdue. */
  #store(batch: Batch): void {
    this.#open = undefined;
    this.#storing = batch;
    const state = this.#candidate;
    const from = this.#clock();
    const overdue = this.#overdue;
    const entries = overdue.length === 0 ? batch.entries : [...overdue, ...batch.entries];
    this.#journal.commit(entries, (error) => {
      forgetLoopTime();
      this.#meter?.committed(this.#clock() - from);
      this.#tell(error);
      const isLate = error instanceof LateError;
      if (error === undefined || isLate) this.#overdue = this.#overdue.slice(overdue.length);
      this.#settle(batch, () => {
        if (error !== undefined) this.#drop(batch, isLate);
        else if (this.isShared) this.#answer(batch, overdue.length);
        else this.#publish(batch, state);
      });
    });
  }

  /** The batch is over; what has come meanwhile is the next. */
  #settle(batch: Batch, settle: () => void): void {
    try {
      settle();
    } finally {
      this.#storing = undefined;
      batch.over?.resolve();
      this.#meter?.batched(this.#clock() - batch.begunAt);
      if (this.#open !== undefined) this.#end(this.#open);
    }
  }

  #tell(error: unknown): void {
    if (error === undefined) {
      if (this.#isFailing) this.#log.event("journal-recovered", {});
    } else if (!this.#isFailing) {
      this.#log.event("journal-failed", { error: messageOf(error) });
    }
    this.#isFailing = error !== undefined;
    if (this.#isFailing && !this.isShared) {
      // No other timer is touched before: the first one costs 8 ms of a server's start.
      this.#retry ??= setTimeout(() => this.#tryAgain(), RETRY_MS);
    }
  }

  /** Who sends nobody here while it fails, as a proxy does, would never let it find out otherwise. */
  #tryAgain(): void {
    this.#retry = undefined;
    if (this.#isFailing && this.#storing === undefined) this.#storeNow();
  }

  #publish(batch: Batch, state: ChatState): void {
    this.#published = state;
    done(batch);
    this.#journal.published(state);
  }

  /** What came behind the batch was stepped on it, and goes with it. */
  #drop(batch: Batch, isLate: boolean): void {
    const next = this.#open;
    this.#open = undefined;
    this.#candidate = this.isShared ? this.#published : stepAll(this.#published, this.#overdue);
    const answers = [...batch.answers, ...next?.answers ?? []];
    for (const answer of answers) if (answer !== undefined) answer.reply = STORAGE_AWAY;
    const jobs = [...batch.jobs, ...next?.jobs ?? []];
    for (const job of jobs.toReversed()) job.restore?.();
    for (const job of batch.jobs) job.undo?.(isLate);
    for (const job of next?.jobs ?? []) job.undo?.(false);
    next?.over?.resolve();
    const came = this.#came;
    this.#came = [];
    this.#putBack(came);
  }

  /** A batch of the common order. */
  #hear(batch: readonly Entry[], origin: Origin): void {
    const stepped = stepBatch(this.#published, batch);
    if (stepped === undefined) return;
    this.#published = this.#candidate = known(stepped.state);
    this.#tell(undefined);
    const replies = stepped.replies.slice(1);
    if (origin === "own") this.#came.push(...replies);
    else if (origin === "late") this.#putBack(replies);
    this.#follower?.came(batch);
    this.#journal.published(this.#published);
    // GroupCommit come again, and nobody else may ever open one here.
    if (this.#overdue.length > 0 && this.#storing === undefined) this.#opened();
  }

  /** All of the batch has come, behind what was overdue. */
  #answer(batch: Batch, overdue: number): void {
    const replies = this.#came.slice(overdue);
    this.#came = [];
    for (const [place, answer] of batch.answers.entries()) {
      if (answer !== undefined) answer.reply = replies[place] ?? answer.reply;
    }
    done(batch);
  }

  /** Mail that was taken for replies that nobody gets goes back. */
  #putBack(replies: readonly (Reply | undefined)[]): void {
    for (const reply of replies) {
      if (reply?.code !== "mail" || reply.count === 0) continue;
      const { user, id } = reply.shown;
      const entries = reply.mail().map((mail) => ({ kind: "return", user, id, mail } as const));
      // Each goes to the front.
      entries.reverse();
      for (const entry of entries) this.apply(entry);
      this.add({ undo: (isLate) => isLate || this.storeEventually(entries) });
    }
  }

  /** The member before is over, with all that its sessions overdue. What nobody got still goes back. */
  #begin(lost: readonly Entry[]): void {
    this.#log.event("ended-by-others", {});
    this.#overdue = [...lost, ...this.#overdue].filter(({ kind }) => kind === "return");
    this.#follower?.ended();
  }
}

function done({ jobs }: Batch): void {
  for (const job of jobs) job.done?.();
}

function stepAll(state: ChatState, entries: readonly Entry[]): ChatState {
  return entries.reduce((before, entry) => step(before, entry).state, state);
}
