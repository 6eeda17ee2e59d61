/** The mail of one receiver as a harness knows it: mail that must come, mail that may, mail that came. */

/** A message that a client sent. */
export interface Message {
  readonly from: string;
  /** The sender numbers its messages from 1. */
  readonly number: number;
  readonly text: string;
  /** The receiver; none for a `sendall`. */
  readonly to: string | undefined;
  /** The users who were registered for sure before it was sent. */
  readonly present: ReadonlySet<string>;
  /** No limit of the server can have refused it. */
  readonly isRoomy: boolean;
  /** What its reply said; `"unknown"` while there is no reply. */
  outcome: "unknown" | "stored" | "stored in part" | "refused";
  /** The time of its reply, on the clock of the ledger. */
  answeredAt: number;
  /** A receiver got it. */
  isFound: boolean;
}

/** True if the receiver must get the message. A `sendall` without a reply reached all or none. */
export function isDue(message: Message, receiver: string): boolean {
  const { outcome, to, present, isRoomy, isFound } = message;
  if (to !== undefined) return to === receiver && outcome === "stored";
  const isStored = outcome === "stored" || (outcome === "unknown" && isRoomy && isFound);
  return isStored && present.has(receiver);
}

/** The mail of one receiver, on one connection after the other. */
export class Inbox {
  readonly name: string;
  /** `"begun"` when a `register` of the name was sent, `"done"` when its reply has come. */
  registration: "none" | "begun" | "done" = "none";
  /** The number of different messages that came. */
  received = 0;
  /** How often a `wait` showed a message again. */
  repeated = 0;
  readonly #fail: (what: string) => void;
  /** Messages to this receiver that were not refused and have not come yet. */
  readonly #awaited = new Set<Message>();
  readonly #received = new Set<Message>();
  /** The number of the last message of each sender. */
  readonly #last = new Map<string, number>();
  /** The mail that a `wait` of this connection showed, until a later reply comes. */
  #shown: readonly Message[] = [];
  /** The mail shown when a connection ended: the next mail begins with all of it, or has none of it. */
  #again: readonly Message[] = [];
  /** The mail that the last `wait` showed. */
  #shownLast: readonly Message[] = [];
  /** The time at which the `receive` that has no reply yet was sent. */
  #receivingSince: number | undefined;
  /** Messages that a `receive` may have taken whose reply never came: a cut `receive`. */
  readonly #cut = new Set<Message>();
  /** A cut `receive` may be carried out only now, and take messages that are sent now. */
  #isTaking = false;
  /** For each cut `receive`, the mail that was in the mailbox for sure: it took all of it or none. */
  readonly #cutTogether: Message[][] = [];

  /**
   * A reply may say that the storage is away. Then a part of the shown mail may be taken later, mail
   * that a `receive` took is put back before all other mail, and mail that is being shown comes again.
   */
  readonly #mayFail: boolean;

  constructor(name: string, mayFail: boolean, fail: (what: string) => void) {
    this.name = name;
    this.#mayFail = mayFail;
    this.#fail = fail;
  }

  /** A message is being sent here. */
  await(message: Message): void {
    this.#awaited.add(message);
    if (this.#isTaking) this.#cut.add(message);
  }

  /** The message was refused, so it must not come. */
  forgo(message: Message): void {
    this.#awaited.delete(message);
    if (this.#received.has(message)) this.#complain(message, "was refused, and is here");
  }

  /** A `receive` is being sent. */
  receiving(now: number): void {
    this.#receivingSince = now;
  }

  /** A reply has come: mail that was shown before it is taken for good. */
  replied(): void {
    this.#shown = [];
    this.#isTaking = false;
  }

  /** The user is registered again: no earlier command is still to be carried out. */
  cameBack(): void {
    this.#isTaking = false;
  }

  /** The reply to a `receive` or `wait` has come, with this mail. */
  came(mail: readonly Message[], how: "receive" | "wait"): void {
    const repeated = this.#repeatedIn(mail);
    for (const message of mail) if (!repeated.includes(message)) this.#admit(message);
    this.repeated += repeated.length;
    for (const message of mail) this.#cut.delete(message);
    this.#again = [];
    this.#receivingSince = undefined;
    this.#shown = how === "wait" ? mail : [];
    this.#shownLast = this.#shown;
  }

  /** The connection has ended. */
  disconnected(): void {
    if (this.#shown.length > 0) this.#again = this.#shown;
    this.#shown = [];
    this.cut();
  }

  /** The `receive` that has no reply yet, if there is one, will get none. */
  cut(): void {
    const since = this.#receivingSince;
    if (since === undefined) return;
    this.#receivingSince = undefined;
    this.#isTaking = this.#mayFail;
    const wasThere = (message: Message) =>
      isDue(message, this.name) && message.answeredAt < since && !this.#cut.has(message);
    this.#cutTogether.push([...this.#awaited].filter(wasThere));
    const shown = this.#mayFail ? [...this.#again, ...this.#shown] : [];
    for (const message of [...this.#awaited, ...shown]) this.#cut.add(message);
  }

  /**
   * To be called when all mail has been fetched: reports lost messages, and returns the number of those
   * that a cut `receive` may have taken.
   */
  check(): number {
    const missing = [...this.#awaited].filter((message) => isDue(message, this.name));
    for (const message of missing) {
      if (!this.#cut.has(message)) this.#complain(message, `is lost (${message.outcome})`);
    }
    for (const together of this.#cutTogether) {
      const gone = together.filter((message) => this.#awaited.has(message));
      if (gone.length === 0 || gone.length === together.length) continue;
      this.#complain(gone[0]!, "is lost: the receive that was cut took only a part of the mail");
    }
    return missing.filter((message) => this.#cut.has(message)).length;
  }

  /** The messages of this mail that were shown before and may come again. */
  #repeatedIn(mail: readonly Message[]): readonly Message[] {
    const isBack = (message: Message) => this.#mayFail && this.#cut.has(message);
    const end = mail.findIndex((message) => !isBack(message));
    const back = mail.slice(0, end === -1 ? mail.length : end);
    const shown = back.length > 0 ? this.#shownLast : [...this.#again, ...this.#shown];
    const taken = this.#mayFail ? Math.max(0, shown.indexOf(mail[back.length]!)) : 0;
    const left = shown.slice(taken);
    const isLeft = left.every((message, index) => message === mail[back.length + index]);
    return [...back.filter((message) => this.#received.has(message)), ...isLeft ? left : []];
  }

  #admit(message: Message): void {
    const { from, number, outcome } = message;
    if (this.#received.has(message)) return this.#complain(message, "came twice");
    if (!this.#awaited.delete(message)) {
      return this.#complain(message, outcome === "refused" ? "was refused" : "is for another user");
    }
    const last = this.#last.get(from) ?? 0;
    if (number < last && !(this.#mayFail && this.#cut.has(message))) {
      this.#complain(message, `came behind number ${last}`);
    }
    this.#last.set(from, Math.max(number, last));
    this.#received.add(message);
    this.received++;
    message.isFound = true;
  }

  #complain({ text, to }: Message, what: string): void {
    this.#fail(`'${text}' to ${to ?? "all"}, mailbox of ${this.name}: ${what}`);
  }
}
