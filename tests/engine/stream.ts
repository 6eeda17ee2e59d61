/** A stream that is the test itself, and a server on it. */
import { decodeEntries, encodeEntries } from "../../lib/chat/entry_codec.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import type { Settings } from "../../lib/chat/settings.ts";
import { emptyChat, RULES } from "../../lib/chat/state.ts";
import { SharedCommits } from "../../lib/engine/shared_commits.ts";
import { type Carrier, SharedJournal } from "../../lib/journal/shared_journal.ts";
import { SILENT_LOG, until } from "../support.ts";

/** A timer of a journal. */
interface Timer {
  readonly ms: number;
  readonly call: () => void;
}

/** A commit that has not come back is given up after this time (ms). */
const TIMEOUT_MS = 5_000;
/** The most characters in the entries of a message. */
export const BODY_LENGTH_MAX = 100_000;

/** A stream, and the journal of one server on it. */
export class Stream implements Carrier {
  readonly journal: SharedJournal;
  readonly commits: SharedCommits;
  asked: ((isThere: boolean) => void) | undefined;
  /** The number of messages in the stream behind the one that comes. */
  pending = 0;
  readonly #timers = new Set<Timer>();
  readonly #sent: string[] = [];
  #members = 0;
  #last = 0;

  constructor(settings: Settings) {
    this.journal = new SharedJournal(this, 0, {
      settings,
      timeoutMs: TIMEOUT_MS,
      bodyLengthMax: BODY_LENGTH_MAX,
      newId: () => `member ${++this.#members}`,
      failed: (error) => {
        throw error;
      },
      later: (ms, call) => {
        const timer = { ms, call };
        this.#timers.add(timer);
        return () => this.#timers.delete(timer);
      },
    });
    this.commits = new SharedCommits(emptyChat(settings), this.journal, SILENT_LOG);
  }

  send(_id: string, body: string, sent: (error?: unknown) => void): void {
    this.#sent.push(body);
    sent();
  }

  /** The entries of the messages that were sent, and have not come back. */
  get sent(): Entry[][] {
    return this.#sent.map((body) => decodeEntries(body));
  }

  /** Loses the messages that were sent. */
  lose(): void {
    this.#sent.length = 0;
  }

  /** A batch comes from the stream. */
  hear(...batch: readonly Entry[]): void {
    this.journal.receive(++this.#last, encodeEntries(batch), this.pending);
  }

  /** Waits until the server has sent batches, and lets them come back. */
  async comeBack(): Promise<void> {
    await until(() => this.#sent.length > 0, "something is sent");
    this.comeBackNow();
  }

  /** Lets the batches come back that the server has sent. */
  comeBackNow(): void {
    for (const body of this.#sent.splice(0)) this.hear(...decodeEntries(body));
  }

  /** Lets the commits that are under way be given up. */
  giveUp(): void {
    for (const timer of [...this.#timers]) {
      if (timer.ms !== TIMEOUT_MS) continue;
      this.#timers.delete(timer);
      timer.call();
    }
  }

  /** Another member is asked; the test says by `asked` whether it answers. */
  ask(): Promise<boolean> {
    return new Promise((resolve) => this.asked = resolve);
  }

  answer(): void {}

  save(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A server that has joined a chat, and another member. */
export async function join(settings: Settings): Promise<{ stream: Stream }> {
  const stream = new Stream(settings);
  const joined = stream.journal.join();
  await stream.comeBack();
  await joined;
  stream.hear({ kind: "join", at: 1, member: "other", rules: RULES, settings });
  return { stream };
}
