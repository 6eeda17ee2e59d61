/**
 * Group commit: the commands of one turn of the event loop are a batch, and the journal stores the
 * entries of a batch as one commit.
 *
 * A command is stepped on the candidate state when it comes. When its batch is stored, the
 * candidate is published, and the replies of the batch may leave. Commands that come meanwhile are
 * the next batch, stepped on the same candidate. If a batch can't be stored, both batches are
 * dropped: the candidate is the published state again, the jobs of both are undone. A
 * command that would have changed the chat gets `Storage is not available, try again!` (for example
 * because the disk is full), any other a reply from the published state.
 *
 * With a shared journal there is no candidate: the journal puts the batches of all servers in
 * order, and each server steps a batch when it comes from there. Only then are its replies known.
 */
import { conflict, step, stepBatch } from "../chat/step.ts";
import type { Entry } from "../chat/entry.ts";
import { type ChatState, RULES } from "../chat/state.ts";
import { forgetLoopTime, within } from "../clock.ts";
import {
  type Journal,
  JournalError,
  LateError,
  type Origin,
  replay,
  requireKnownRules,
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

/**
 * Opens the chat that the journal holds, with these settings; an empty journal begins a chat.
 * Throws {@link JournalError}.
 */
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

/** `close` waits at most this long until all batches are stored (ms). */
const CLOSE_MS = 2_000;
/** After a commit that failed, overdue entries are tried again after this long (ms). */
const RETRY_MS = 1_000;

/** The reply to a command that could not be stored. */
export const STORAGE_AWAY: Reply = { code: "storage-away" };

/** Work for the end of a batch: `done` if it is stored, else `restore` and then `undo`. */
export interface Job {
  /** Called when the batch is stored, and its answers are final. */
  readonly done?: (() => void) | undefined;
  /** Called when the batch is dropped, the last job first: puts back what the job overwrote. */
  readonly restore?: () => void;
  /**
   * Called when the batch is dropped, after `restore` of all jobs. With `isLate` a shared journal
   * may still store the batch.
   */
  readonly undo?: (isLate: boolean) => void;
}

/** Hears of a shared chat. */
export interface Follower extends Pick<SharingListener, "asked"> {
  /** This member has ended, and its sessions with it. */
  ended(): void;
  /** A batch of any member has come, and is in the state. */
  came(batch: readonly Entry[]): void;
  /** The state was replaced: the batches that led to it do not come. */
  reset(): void;
}

/** Entries that are stored as one commit, and all that waits for them. */
interface Batch {
  readonly entries: Entry[];
  /** For each entry the answer that gets its reply, if any. */
  readonly answers: (Answer | undefined)[];
  readonly jobs: Job[];
  /** When it was opened (ms, see `#clock`). */
  readonly begunAt: number;
  /** Resolves when the batch is over; made by {@link GroupCommit.settled}. */
  over?: PromiseWithResolvers<void>;
}

/** Owns the state of the chat, published and candidate: nothing else of the chat is mutable. */
export class GroupCommit {
  readonly #journal: Journal;
  readonly #log: Log;
  readonly #meter: Meter | undefined;
  #published: ChatState;
  #candidate: ChatState;
  /** The batch that takes entries and jobs now. */
  #open: Batch | undefined;
  /** The batch that the journal is storing. If it is dropped, the open one is dropped too. */
  #storing: Batch | undefined;
  /** Entries that have to be stored, and could not be yet. They lead the next batch. */
  #overdue: Entry[] = [];
  #isFailing = false;
  /** The next try to store overdue entries while commits fail. */
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** With a shared journal: the replies of that part of the storing batch that has come back. */
  #ownReplies: (Reply | undefined)[] = [];
  #follower: Follower | undefined;
  /** The latest time that `now` has returned, or that is stored (ms since 1970). */
  #at: number;

  /** `state` is what the journal holds, and `at` the time of its last commit (ms since 1970). */
  constructor(state: ChatState, journal: Journal, log: Log, meter?: Meter, at = 0) {
    this.#at = at;
    this.#published = state;
    this.#candidate = state;
    this.#journal = journal;
    this.#log = log;
    this.#meter = meter;
    journal.sharing?.follow({
      came: (batch, origin) => this.#receive(batch, origin),
      reset: (next) => {
        this.#published = this.#candidate = requireKnownRules(next);
        this.#follower?.reset();
      },
      ended: (lost) => this.#memberEnded(lost),
      asked: (session) => this.#follower?.asked(session) ?? Promise.resolve(),
    });
  }

  /** The shared journal; `undefined` where this server shares its chat with no other. */
  get sharing(): Sharing | undefined {
    return this.#journal.sharing;
  }

  /** Is the journal shared? Then the reply to a command is known only when its batch comes back. */
  get isShared(): boolean {
    return this.sharing !== undefined;
  }

  /** This member's number, for the ids of its sessions; `undefined` while it has not joined. */
  get member(): number | undefined {
    const { sharing } = this;
    if (sharing === undefined) return 0;
    return sharing.member === undefined
      ? undefined
      : findMember(this.#published.members, sharing.member)?.number;
  }

  /**
   * The time for entries (ms since 1970). It never goes back: after a clock that was years behind
   * is corrected, users who were here would count as absent for years.
   */
  now(): number {
    return this.#at = Math.max(this.#at, Date.now());
  }

  /** The time that `now` returned last: for entries whose time does not matter. */
  get lastNow(): number {
    return this.#at;
  }

  /** Could the last batch not be stored? */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** Has this server still to join, or to read many batches of the other members? */
  get isBehind(): boolean {
    return this.member === undefined || this.sharing?.isBehind === true;
  }

  /** Sets the follower of a shared chat. */
  follow(follower: Follower): void {
    this.#follower = follower;
  }

  /** Stores the `start` of this server. */
  start(settings: Settings): void {
    this.storeEventually([{ kind: "start", at: this.now(), rules: RULES, settings }]);
    this.#storeNow();
  }

  /** The stored state. */
  get published(): ChatState {
    return this.#published;
  }

  /** The state after all entries so far. No client may hear of it before the batches are over. */
  get candidate(): ChatState {
    return this.#candidate;
  }

  /** Steps the candidate, and adds the entry to the batch if it has changed it. */
  apply(entry: Entry): void {
    const { state } = this.isShared ? { state: this.#candidate } : step(this.#candidate, entry);
    if (this.isShared || state !== this.#candidate) this.append(entry, state);
  }

  /**
   * Adds an entry to the batch. `state` is the candidate after it, and the reply of `answer` is
   * final when the batch is over.
   */
  append(entry: Entry, state: ChatState, answer?: Answer): void {
    if (!this.isShared) this.#candidate = state;
    const batch = this.#openBatch();
    batch.entries.push(entry);
    batch.answers.push(answer);
  }

  /** Adds a job to the open batch. It is done at once if no batch is open or being stored. */
  add(job: Job): void {
    if (this.#open === undefined && this.#storing === undefined) return job.done?.();
    this.#openBatch().jobs.push(job);
  }

  /** Stores these entries even if the batch can't be stored: they are tried again and again. */
  storeEventually(entries: readonly Entry[]): void {
    this.#overdue.push(...entries);
    if (!this.isShared) this.#candidate = stepAll(this.#candidate, entries);
  }

  /** The reply to a command whose batch was dropped: one that would change the state is refused. */
  revisedReply(entry: Entry): Reply {
    const { state, reply } = step(this.#candidate, entry);
    return state === this.#candidate && reply !== undefined ? reply : STORAGE_AWAY;
  }

  /** Resolves when the batches of now are over; `undefined` if none is open or being stored. */
  settled(): Promise<void> | undefined {
    const last = this.#open ?? this.#storing;
    if (last === undefined) return undefined;
    last.over ??= Promise.withResolvers();
    return last.over.promise;
  }

  /** Resolves when all batches are over, and overdue entries were tried once more. */
  async settledAll(): Promise<void> {
    while (this.#storing !== undefined) await this.settled();
    if (this.#open !== undefined || this.#overdue.length > 0) this.#storeNow();
    while (this.#storing !== undefined) await this.settled();
  }

  /** Stores what is open or overdue, and closes the journal. */
  async close(): Promise<void> {
    await within(CLOSE_MS, this.settledAll());
    clearTimeout(this.#retry);
    await this.#journal.close(this.#published);
  }

  /** The open batch. It ends when the journal says so, or after the batch that is being stored. */
  #openBatch(): Batch {
    if (this.#open !== undefined) return this.#open;
    const batch = this.#newBatch();
    this.#open = batch;
    if (this.#storing !== undefined) return batch;
    const end = () => this.#endBatch(batch);
    if (this.#journal.afterTurn === undefined) setImmediate(end);
    else this.#journal.afterTurn(end);
    return batch;
  }

  #newBatch(): Batch {
    return { entries: [], answers: [], jobs: [], begunAt: this.#clock() };
  }

  /** The time for the meter (ms); 0 without one. */
  #clock(): number {
    return this.#meter === undefined ? 0 : performance.now();
  }

  /** Stores the batch, or ends it where it has nothing to store. */
  #endBatch(batch: Batch): void {
    // `#storeNow` may have ended it already.
    if (batch !== this.#open) return;
    const hasOverdue = this.#overdue.length > 0 && !this.#isFailing;
    if (batch.entries.length > 0 || hasOverdue) return this.#store(batch);
    this.#open = undefined;
    this.#settle(batch, () => finish(batch));
  }

  /** Ends the open batch before its time. Without one, overdue entries are stored alone. */
  #storeNow(): void {
    this.#store(this.#open ?? this.#newBatch());
  }

  /** Commits the batch, behind the overdue entries. */
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
      this.#noteOutcome(error);
      const isLate = error instanceof LateError;
      if (error === undefined || isLate) this.#overdue = this.#overdue.slice(overdue.length);
      this.#settle(batch, () => {
        if (error !== undefined) this.#drop(batch, isLate);
        else if (this.isShared) this.#answer(batch, overdue.length);
        else this.#publish(batch, state);
      });
    });
  }

  /** Ends a batch, and begins to store the one that was opened meanwhile. */
  #settle(batch: Batch, settle: () => void): void {
    try {
      settle();
    } finally {
      this.#storing = undefined;
      batch.over?.resolve();
      this.#meter?.batched(this.#clock() - batch.begunAt);
      if (this.#open !== undefined) this.#endBatch(this.#open);
    }
  }

  /** Logs when commits begin to fail and when they succeed again, and plans the next try. */
  #noteOutcome(error: unknown): void {
    if (error === undefined) {
      if (this.#isFailing) this.#log.event("journal-recovered", {});
    } else if (!this.#isFailing) {
      this.#log.event("journal-failed", { error: messageOf(error) });
    }
    this.#isFailing = error !== undefined;
    if (this.#isFailing && !this.isShared) {
      this.#retry ??= setTimeout(() => this.#tryAgain(), RETRY_MS);
    }
  }

  /**
   * Stores overdue entries even though no command opens a batch: a proxy sends no clients to a
   * server whose commits fail.
   */
  #tryAgain(): void {
    this.#retry = undefined;
    if (this.#isFailing && this.#storing === undefined) this.#storeNow();
  }

  #publish(batch: Batch, state: ChatState): void {
    this.#published = state;
    finish(batch);
    this.#journal.published(state);
  }

  /** Drops the batch, and the open one, whose entries were stepped on it. */
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
    const replies = this.#ownReplies;
    this.#ownReplies = [];
    this.#returnMail(replies);
  }

  /** Steps a batch that has come from a shared journal. */
  #receive(batch: readonly Entry[], origin: Origin): void {
    const stepped = stepBatch(this.#published, batch);
    if (stepped === undefined) return;
    this.#published = this.#candidate = requireKnownRules(stepped.state);
    this.#noteOutcome(undefined);
    const replies = stepped.replies.slice(1);
    if (origin === "own") this.#ownReplies.push(...replies);
    else if (origin === "late") this.#returnMail(replies);
    this.#follower?.came(batch);
    this.#journal.published(this.#published);
    // Overdue entries can be stored now, and perhaps no command opens a batch here any more.
    if (this.#overdue.length > 0 && this.#storing === undefined) this.#openBatch();
  }

  /** Fills in the answers of a batch that has come back, behind this many overdue entries. */
  #answer(batch: Batch, overdue: number): void {
    const replies = this.#ownReplies.slice(overdue);
    this.#ownReplies = [];
    for (const [place, answer] of batch.answers.entries()) {
      if (answer !== undefined) answer.reply = replies[place] ?? answer.reply;
    }
    finish(batch);
  }

  /** Puts mail back that was taken for these replies: no client gets them. */
  #returnMail(replies: readonly (Reply | undefined)[]): void {
    for (const reply of replies) {
      if (reply?.code !== "mail" || reply.count === 0) continue;
      const { user, id } = reply.shown;
      const entries = reply.mail().map((mail) => ({ kind: "return", user, id, mail } as const));
      // Each message goes to the front of the mailbox, so the oldest is the last one.
      entries.reverse();
      for (const entry of entries) this.apply(entry);
      this.add({ undo: (isLate) => isLate || this.storeEventually(entries) });
    }
  }

  /** This member has ended. Of its overdue entries only mail that goes back still counts. */
  #memberEnded(lost: readonly Entry[]): void {
    this.#log.event("ended-by-others", {});
    this.#overdue = [...lost, ...this.#overdue].filter(({ kind }) => kind === "return");
    this.#follower?.ended();
  }
}

function finish({ jobs }: Batch): void {
  for (const job of jobs) job.done?.();
}

function stepAll(state: ChatState, entries: readonly Entry[]): ChatState {
  return entries.reduce((before, entry) => step(before, entry).state, state);
}
