/** The ledger of a harness: all messages and replies of its clients, and all broken promises. */
import type { Refusal, Result } from "../../../lib/client/client.ts";
import type { Mail } from "../../../lib/protocol/reply.ts";
import { Inbox, type Message } from "./inbox.ts";

/** The reply to a `send` or `sendall`. */
type SendResult = Result<{ readonly full?: number }>;

/** The messages of one chat, over all its crashes. */
export class Ledger {
  /** The broken promises, a sentence each. */
  readonly failures: string[] = [];
  readonly #inboxes: ReadonlyMap<string, Inbox>;
  readonly #messages = new Map<string, Message>();
  /** A clock that counts events. */
  #now = 0;
  #present: ReadonlySet<string> = new Set();
  /** The time of the last acknowledgement, or of the last {@link work} (ms). */
  #silentSince = 0;
  /** The longest time without an acknowledgement while the clients work (ms). */
  longestSilenceMs = 0;
  /** How often a reply said that the storage is away. */
  storageAway = 0;
  /** How often a name was still held when its user came back. */
  nameTaken = 0;

  /** With `mayFail` a reply may say that the storage is away. */
  constructor(names: readonly string[], mayFail: boolean) {
    this.#inboxes = new Map(
      names.map((name) => [name, new Inbox(name, mayFail, (what) => this.fail(what))]),
    );
  }

  /** Records a broken promise. */
  fail(what: string): void {
    this.failures.push(what);
  }

  inbox(name: string): Inbox {
    return this.#inboxes.get(name)!;
  }

  /** The time of a new event: later than all before. */
  tick(): number {
    return ++this.#now;
  }

  /** The clients begin to work, after a rest. */
  work(): void {
    this.#silentSince = performance.now();
  }

  /** True if a refusal is due to a failed server or storage: the command may still be carried out. */
  excuses({ code }: Refusal): boolean {
    if (code === "storage-away") this.storageAway++;
    if (code === "name-taken") this.nameTaken++;
    return code === "storage-away" || code === "name-taken";
  }

  /** The reply to a `register` has come. `wasTried`: this user had sent one before. */
  registered(inbox: Inbox, wasTried: boolean, result: Result<{ readonly again: boolean }>): void {
    const { name, registration } = inbox;
    if (!result.ok) {
      if (registration === "done") this.fail(`${name} is registered, and got: ${result.text}`);
      return;
    }
    if (registration === "done" && !result.again) this.fail(`${name} was registered, and is lost`);
    if (!wasTried && result.again) this.fail(`${name} comes back, and was never registered`);
    inbox.registration = "done";
    inbox.cameBack();
    this.#present = new Set(this.#present).add(name);
  }

  /** A message is being sent: to one receiver, or without one to all others. */
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

  /** The reply to a `receive` or `wait` has come, with this mail. */
  came(inbox: Inbox, mail: readonly Mail[], how: "receive" | "wait"): void {
    const known: Message[] = [];
    for (const { from, text } of mail) {
      const message = this.#messages.get(text);
      if (message?.from === from) known.push(message);
      else this.fail(`'${text}' from ${from}, mailbox of ${inbox.name}: was never sent`);
    }
    inbox.came(known, how);
  }

  /** To be called when all mail has been fetched: reports lost messages, returns the counts in words. */
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
