import { type Batch, type BatchResult, type Request, stepBatch } from "../chat/batch.ts";
import type { Entry } from "../chat/entry.ts";
import { conflict } from "../chat/step.ts";
import { type ChatState, RULES } from "../chat/state.ts";
import { forgetLoopTime } from "../clock.ts";
import { type Journal, JournalError, replay } from "../journal/journal.ts";
import type { Log } from "../log.ts";
import type { Meter } from "../meter.ts";
import type { Settings } from "../chat/settings.ts";
import { Commits } from "./commits.ts";
import type { Pending } from "./session.ts";

/** A batch has at most this many items; the others are in the next one. */
const BATCH_ITEMS_MAX = 10_000;
/** After a commit that failed, what has to be stored is tried again after this long (ms). */
const RETRY_MS = 1_000;
/** The journal is checked at this interval (ms). */
const CHECK_MS = 1_000;

/**
 * Opens the chat that the journal holds, with these settings; an empty journal begins a chat.
 * Throws {@link JournalError}.
 */
export function openChat(settings: Settings, journal: Journal, log: Log, meter?: Meter): Commits {
  const stored = journal.read();
  const state = replay(stored, settings);
  const why = conflict(state, settings);
  if (why !== undefined) throw new JournalError(`The stored chat can't go on: ${why}`);
  const commits = new LocalCommits(state, stored.at ?? 0, journal, log, meter);
  commits.start(settings);
  return commits;
}

/** The commits of a server that has its chat alone, in memory or in a file. */
class LocalCommits extends Commits {
  readonly #journal: Journal;
  /** The next try while commits fail. */
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #checking: ReturnType<typeof setInterval> | undefined;

  constructor(state: ChatState, at: number, journal: Journal, log: Log, meter?: Meter) {
    super(state, log, meter, at);
    this.#journal = journal;
    if (journal.check !== undefined) this.#checking = setInterval(() => this.#check(), CHECK_MS);
  }

  readonly sharing = undefined;
  readonly member = 0;
  readonly isBehind = false;

  /** Stores the `start` of this server. */
  start(settings: Settings): void {
    const start: Entry = { kind: "start", at: this.now(), rules: RULES, settings };
    this.#carryOut({ leading: [start], requests: [] }, false);
  }

  async close(): Promise<void> {
    while (this.queue.length > 0) this.process();
    if (this.leading.length > 0) this.process(true);
    clearTimeout(this.#retry);
    clearInterval(this.#checking);
    await this.#journal.close(this.published);
  }

  protected process(isRetry = false): void {
    const begunAt = this.clock();
    const over = this.leadingOver;
    this.leadingOver = undefined;
    const { pendings, requests } = this.#takeRequests();
    const batch = { leading: this.leading, requests };
    const { outcomes, changed } = this.#carryOut(batch, isRetry || over !== undefined);
    this.settle(pendings, outcomes);
    this.listener.changed(changed);
    over?.resolve();
    this.meter?.batched(this.clock() - begunAt);
    this.#journal.published(this.published);
  }

  /** Takes the first items of the queue, at most {@link BATCH_ITEMS_MAX}. */
  #takeRequests(): { pendings: readonly Pending[]; requests: readonly Request[] } {
    const requests: Request[] = [];
    for (let left = BATCH_ITEMS_MAX; left > 0 && requests.length < this.queue.length;) {
      const request = this.queue[requests.length]!.request(left);
      requests.push(request);
      left -= request.items.length;
    }
    const pendings = this.queue.splice(0, requests.length);
    if (this.queue.length > 0) this.processAfterTurn();
    return { pendings, requests };
  }

  /** Steps a batch, and stores what it changes. If that fails, the next state is dropped. */
  #carryOut(batch: Batch, isRetry: boolean): BatchResult {
    const at = this.now();
    const result = stepBatch(this.published, batch, at, "decide");
    const { entries } = result;
    if (entries.length === 0 && !(isRetry && this.isFailing)) {
      this.leading = [];
      return result;
    }
    const isNew = entries.length > batch.leading.length;
    if (isNew || isRetry || !this.isFailing) this.#commit(entries, result.state);
    if (!this.isFailing) {
      this.leading = [];
      return result;
    }
    this.#retryLater();
    const refused = stepBatch(this.published, batch, at, "refuse");
    this.leading = [...refused.entries];
    // The state that stands is the one of before.
    return { ...refused, changed: [] };
  }

  #retryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      if (this.isFailing) this.process(true);
    }, RETRY_MS);
  }

  #check(): void {
    try {
      this.#journal.check?.();
    } catch (error) {
      this.noteFailure(error);
      this.#retryLater();
    }
  }

  #commit(entries: readonly Entry[], next: ChatState): void {
    const from = this.clock();
    try {
      this.#journal.commit(entries);
      this.publish(next);
    } catch (error) {
      this.noteFailure(error);
    }
    forgetLoopTime();
    this.meter?.committed(this.clock() - from);
  }
}
