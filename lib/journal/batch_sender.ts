/**
 * The batches of one member of a shared chat on their way into the stream. They are numbered, one of
 * them is under way at a time, and it is sent again until it comes back out of the stream. So no
 * batch is missing, and a batch that comes twice is recognized by its number.
 */
import { encodeEntries } from "../chat/entry_codec.ts";
import type { Entry } from "../chat/entry.ts";

/** A text that has not come back is sent again this long (ms) after the last try to send it. */
const RESEND_MS = 500;

/**
 * A commit took too long. If its batch is stored later, it comes with the origin `"late"`. If it can't
 * be stored any more, `ended` gets its entries.
 */
export class LateError extends Error {}

/** The surroundings of a sender. */
export interface SenderOptions {
  /** Puts a text at the end of the stream, and then calls back; with an error if it may have failed. */
  readonly send: (id: string, body: string, sent: (error?: unknown) => void) => void;
  /** Why the last message was not stored; `undefined` where it was, or that is not known. */
  readonly refusal: () => string | undefined;
  /** Calls back after this time (ms). Returns a function that prevents that. */
  readonly later: (ms: number, call: () => void) => () => void;
  /** A commit that has not come back is given up after this time (ms). */
  readonly timeoutMs: number;
}

/** Sends a text again and again. Returns a function that stops that. */
export function sendRepeatedly(
  { send, later }: SenderOptions,
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
  /** Called when the commit is given up; `undefined` after that. */
  failed: ((error: Error) => void) | undefined;
  /** Prevents that the commit is given up. */
  readonly cancel: () => void;
}

/** Numbers the commits of one member, and sends them. */
export class BatchSender {
  readonly member: string;
  readonly #options: SenderOptions;
  /** The number of the last batch that has come back. */
  #batch = 0;
  /** The commit that is under way. */
  #sent: Commit | undefined;
  /** The commit after that, where the one under way was given up. */
  #next: Commit | undefined;
  /** Stops sending the batch that is under way. */
  #stop = () => {};

  constructor(member: string, options: SenderOptions) {
    this.member = member;
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.#sent === undefined;
  }

  /** Sends entries after those of the last commit. Calls back if they are not stored in time. */
  commit(entries: readonly Entry[], failed: (error: Error) => void): void {
    const cancel = this.#options.later(this.#options.timeoutMs, () => this.#giveUp(commit));
    const commit: Commit = { entries, failed, cancel };
    if (this.#sent === undefined) this.#send(commit);
    else this.#next = commit;
  }

  /**
   * A batch of this member has come. Returns whether its commit is waited for or was given up, or
   * `undefined` if it is not the batch that is under way.
   */
  cameBack(batch: number): "own" | "late" | undefined {
    if (this.#sent === undefined || batch !== this.#batch + 1) return undefined;
    const { failed } = this.#over(this.#sent, batch);
    const next = this.#next;
    this.#next = undefined;
    if (next !== undefined) this.#send(next);
    return failed === undefined ? "late" : "own";
  }

  /** Batches of this member up to this number may have come unseen: their replies are lost. */
  missed(last: number): void {
    if (this.#sent === undefined || last <= this.#batch) return;
    const { failed } = this.#over(this.#sent, last);
    failed?.(new LateError("The server has missed the batch, and its replies are lost"));
  }

  /**
   * The member has ended, and this was its last batch that came. Returns the entries that will never
   * be stored of the commit under way; the callbacks get errors that say `why`.
   */
  end(why: string, last = this.#batch): readonly Entry[] {
    const sent = this.#sent;
    const next = this.#next;
    this.close();
    sent?.failed?.(new LateError(why));
    next?.failed?.(new Error(why));
    return last > this.#batch ? [] : sent?.entries ?? [];
  }

  /** Sends nothing any more. Commits that wait are not called back. */
  close(): void {
    this.#stop();
    this.#sent?.cancel();
    this.#next?.cancel();
    this.#next = undefined;
  }

  #send(commit: Commit): void {
    this.#sent = commit;
    const { member } = this;
    const batch = this.#batch + 1;
    const first: Entry = { kind: "batch", at: Date.now(), member, batch };
    const body = encodeEntries([first, ...commit.entries]);
    this.#stop = sendRepeatedly(this.#options, `${member} ${batch}`, body);
  }

  /** The commit under way is stored, as the batch of this number. */
  #over(sent: Commit, batch: number): Commit {
    this.#stop();
    sent.cancel();
    this.#batch = batch;
    this.#sent = undefined;
    return sent;
  }

  #giveUp(commit: Commit): void {
    const { timeoutMs, refusal } = this.#options;
    const words = refusal() ?? "";
    const why = `The stream has not stored it within ${timeoutMs / 1_000} s` +
      (words && `. ${words}`);
    const { failed } = commit;
    commit.failed = undefined;
    if (this.#next !== commit) return failed?.(new LateError(why));
    this.#next = undefined;
    failed?.(new Error(why));
  }
}
