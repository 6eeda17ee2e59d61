/** The books of the crash tests: all that its clients sent, were told and got, and what is wrong. */
import type { Refusal, Result } from "../../../lib/client/client.ts";
import type { Mail } from "../../../lib/protocol/reply.ts";
import { Inbox, type Message } from "./inbox.ts";

/** What a reply to `send` or `sendall` says. */
type SendResult = Result<{ readonly full?: number }>;

/** One chat over all its crashes. */
export class Ledger {
  /** What went wrong. */
  readonly failures: string[] = [];
  readonly #inboxes: ReadonlyMap<string, Inbox>;
  readonly #messages = new Map<string, Message>();
  /** A clock that tells only what came before what. */
  #now = 0;
  #present: ReadonlySet<string> = new Set();
  /** When something was acknowledged last, or the clients set to work. */
  #silentSince = 0;
  /** The longest time at work without an acknowledgement, in milliseconds. */
  longestSilenceMs = 0;
  /** Replies that the storage is away. */
  away = 0;
  /** Names that were still held when their user came back. */
  taken = 0;

  /** `mayFail`: a reply may be that the storage is away. */
  constructor(names: readonly string[], mayFail: boolean) {
    this.#inboxes = new Map(
      names.map((name) => [name, new Inbox(name, mayFail, (what) => this.fail(what))]),
    );
  }

  /** Something is not as it was promised. */
  fail(what: string): void {
    this.failures.push(what);
  }

  /** The books of one receiver. */
  inbox(name: string): Inbox {
    return this.#inboxes.get(name)!;
  }

  /** A time later than all before. */
  tick(): number {
    return ++this.#now;
  }

  /** The clients set to work, or rest from now on. */
  work(): void {
    this.#silentSince = performance.now();
  }

  /** Excuses a refusal where servers and their storage fail: its command may have been done. */
  excuses({ code }: Refusal): boolean {
    if (code === "storage-away") this.away++;
    if (code === "name-taken") this.taken++;
    return code === "storage-away" || code === "name-taken";
  }

  /** The reply to a `register`: who was registered once comes back. */
  registered(inbox: Inbox, wasTried: boolean, result: Result<{ readonly again: boolean }>): void {
    const { name, registration } = inbox;
    if (!result.ok) {
      if (registration === "done") this.fail(`${name} is registered, and was told: ${result.text}`);
      return;
    }
    if (registration === "done" && !result.again) this.fail(`${name} was registered, and is lost`);
    if (!wasTried && result.again) this.fail(`${name} comes back, and never was here`);
    inbox.registration = "done";
    inbox.cameBack();
    this.#present = new Set(this.#present).add(name);
  }

  /** A message is being sent; without a receiver to all others. */
  begin(from: string, number: number, to: string | undefined, isRoomy: boolean): Message {
    const text = `${from} ${number}`;
    const message: Message = {
      ...{ from, number, text, to, isRoomy, present: this.#present },
      ...{ outcome: "unknown", answeredAt: Infinity, isFound: false },
    };
    this.#messages.set(text, message);
    for (const inbox of this.#receivers(message)) inbox.await(message);
    return message;
  }

  /** The reply to a message has come. */
  answered(message: Message, result: SendResult): void {
    message.answeredAt = this.tick();
    message.outcome = !result.ok ? "refused" : result.full ? "stored in part" : "stored";
    if (result.ok) return this.#acknowledged();
    if (message.isRoomy && result.code !== "no-such-user") {
      this.fail(`'${message.text}' of ${message.from} was refused: ${result.text}`);
    }
    for (const inbox of this.#receivers(message)) inbox.forgo(message);
  }

  /** Mail has come. */
  came(inbox: Inbox, mail: readonly Mail[], how: "receive" | "wait"): void {
    const known: Message[] = [];
    for (const { from, text } of mail) {
      const message = this.#messages.get(text);
      if (message?.from === from) known.push(message);
      else this.fail(`'${text}' from ${from}, mailbox of ${inbox.name}: was never sent`);
    }
    inbox.came(known, how);
  }

  /** At the end, when all mail has been fetched: what is lost is named, the rest counted. */
  check(): string {
    const inboxes = [...this.#inboxes.values()];
    const cut = inboxes.reduce((sum, inbox) => sum + inbox.check(), 0);
    const received = inboxes.reduce((sum, inbox) => sum + inbox.received, 0);
    const repeated = inboxes.reduce((sum, inbox) => sum + inbox.repeated, 0);
    const messages = [...this.#messages.values()];
    const count = (holds: (message: Message) => boolean) => messages.filter(holds).length;
    const inPart = count(({ outcome }) => outcome === "stored in part");
    const stored = inPart + count(({ outcome }) => outcome === "stored");
    const refused = count(({ outcome }) => outcome === "refused");
    const found = count(({ outcome, isFound }) => outcome === "unknown" && isFound);
    const notFound = count(({ outcome, isFound }) => outcome === "unknown" && !isFound);
    return `${stored} messages acknowledged (${inPart} in part), ${refused} refused, ` +
      `${received} received, unacknowledged ${found} found and ${notFound} not, ` +
      `${cut} cut by a receive, ${repeated} shown twice`;
  }

  #acknowledged(): void {
    const now = performance.now();
    this.longestSilenceMs = Math.max(this.longestSilenceMs, now - this.#silentSince);
    this.#silentSince = now;
  }

  #receivers({ from, to }: Message): Inbox[] {
    if (to !== undefined) return [this.inbox(to)];
    return [...this.#inboxes.values()].filter(({ name }) => name !== from);
  }
}
