/**
 * The batches of one member of a shared chat on their way into the stream. They are numbered, one of
 * them is under way at a time, and it is sent again until it comes back out of the stream. So no
 * batch is missing, and a batch that comes twice is recognized by its number.
 */
import { encodeEntries } from "../chat/entry_codec.ts";
import type { Entry } from "../chat/entry.ts";
import { type CommitListener, LateError } from "./journal.ts";

/** A text that has not come back is sent again this long (ms) after the last try to send it. */
const RESEND_MS = 500;

/** The surroundings of a sender. */
export interface SenderOptions {
  /** Puts a text at the end of the stream, and then calls back; with an error if it may have failed. */
  readonly send: (id: string, body: string, sent: (error?: unknown) => void) => void;
  /** Calls back after this time (ms). Returns a function that prevents it. */
  readonly later: (ms: number, call: () => void) => () => void;
  /** A commit that has not come back is given up after this time (ms). */
  readonly timeoutMs: number;
  /** A batch with a longer text (UTF-16 units) is split into several batches. */
  readonly bodyLengthMax: number;
}

/** Sends a text again and again. Returns a function that stops it. */
export function sendRepeatedly(
  { send, later }: Pick<SenderOptions, "send" | "later">,
  id: string,
  body: string,
): () => void {
  let isStopped = false;
  let cancel = () => {};
  const attempt = () =>
    send(id, body, () => {
      if (!isStopped) cancel = later(RESEND_MS, attempt);
    });
  attempt();
  return () => {
    isStopped = true;
    cancel();
  };
}

interface Commit {
  readonly entries: readonly Entry[];
  /** Called when the commit is stored; `undefined` once it is given up. */
  stored: CommitListener | undefined;
  /** Prevents that the commit is given up. */
  readonly cancel: () => void;
}

/** Sends the commits of one member. */
export class BatchSender {
  readonly member: string;
  readonly #options: SenderOptions;
  /** The number of the last batch that has come back. */
  #batch = 0;
  /** The commit that is being stored, and its batches that have not come back. */
  #storing: { readonly commit: Commit; batches: readonly (readonly Entry[])[] } | undefined;
  /** The commit after that. */
  #next: Commit | undefined;
  /** Stops sending the batch that is under way. */
  #stop = () => {};
  #isClosed = false;

  constructor(member: string, options: SenderOptions) {
    this.member = member;
    this.#options = options;
  }

  /** Is no batch under way? */
  get isIdle(): boolean {
    return this.#storing === undefined;
  }

  /** Stores entries after those of the last commit. */
  commit(entries: readonly Entry[], stored: CommitListener): void {
    const cancel = this.#options.later(this.#options.timeoutMs, () => this.#giveUp(commit));
    const commit: Commit = { entries, stored, cancel };
    if (this.#storing === undefined) this.#store(commit);
    else this.#next = commit;
  }

  /**
   * A batch of this member has come. Returns whether its commit is waited for or was given up, or
   * `undefined` if it is not the batch that is under way.
   */
  cameBack(batch: number): "own" | "late" | undefined {
    if (this.#storing === undefined || batch !== this.#batch + 1) return undefined;
    this.#count(this.#storing);
    return this.#storing.commit.stored === undefined ? "late" : "own";
  }

  /** The batch under way may have come unseen: this one was the last that came. */
  missed(last: number): void {
    if (this.#storing !== undefined && last > this.#batch) this.#count(this.#storing);
  }

  /** Sends the next batch, after the last one has come back and was stepped. */
  goOn(): void {
    if (this.#storing === undefined) return;
    if (this.#storing.batches.length > 0) return this.#sendBatch(this.#storing.batches);
    const { commit } = this.#storing;
    this.#storing = undefined;
    const next = this.#next;
    this.#next = undefined;
    commit.cancel();
    commit.stored?.();
    if (next !== undefined) this.#store(next);
  }

  /**
   * The member has ended, and this was its last batch that came. Returns the entries that will never
   * be stored of the commit under way; their listeners get errors that say `why`.
   */
  end(why: string, last = this.#batch): readonly Entry[] {
    this.close();
    const { commit, batches = [] } = this.#storing ?? {};
    const lost = batches.slice(last - this.#batch).flat();
    const next = this.#next;
    this.#storing = undefined;
    this.#next = undefined;
    commit?.stored?.(new LateError(why));
    next?.stored?.(new Error(why));
    return lost;
  }

  /** Sends nothing any more. Commits that wait are not called back. */
  close(): void {
    this.#isClosed = true;
    this.#stop();
    this.#storing?.commit.cancel();
    this.#next?.cancel();
  }

  #store(commit: Commit): void {
    const batches = this.#split(commit.entries);
    this.#storing = { commit, batches };
    this.#sendBatch(batches);
  }

  #split(entries: readonly Entry[]): readonly (readonly Entry[])[] {
    const isShort = encodeEntries(entries).length <= this.#options.bodyLengthMax;
    if (isShort || entries.length === 1) return [entries];
    const half = entries.length >> 1;
    return [...this.#split(entries.slice(0, half)), ...this.#split(entries.slice(half))];
  }

  #sendBatch([entries = []]: readonly (readonly Entry[])[]): void {
    if (this.#isClosed) return;
    const { member } = this;
    const batch = this.#batch + 1;
    const first: Entry = { kind: "batch", at: Date.now(), member, batch };
    const body = encodeEntries([first, ...entries]);
    this.#stop = sendRepeatedly(this.#options, `${member} ${batch}`, body);
  }

  /** The batch that is under way has come. */
  #count(storing: { batches: readonly (readonly Entry[])[] }): void {
    this.#stop();
    this.#batch++;
    storing.batches = storing.batches.slice(1);
  }

  #giveUp(commit: Commit): void {
    const why = `The stream has not stored it within ${this.#options.timeoutMs / 1_000} s`;
    const { stored } = commit;
    commit.stored = undefined;
    if (this.#next !== commit) return stored?.(new LateError(why));
    this.#next = undefined;
    stored?.(new Error(why));
  }
}
