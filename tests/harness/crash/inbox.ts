/** What the crash test knows of one receiver's mail: what must come, what may, and what came. */

/** A message that a client sent. */
export interface Message {
  readonly from: string;
  /** Counts the messages of the sender. */
  readonly number: number;
  readonly text: string;
  /** The receiver; none: `sendall`. */
  readonly to: string | undefined;
  /** Who was registered for sure before it was sent. */
  readonly present: ReadonlySet<string>;
  /** No limit of the server could be in its way. */
  readonly isRoomy: boolean;
  /** What its reply said; `"unknown"`: none has come. */
  outcome: "unknown" | "stored" | "stored in part" | "refused";
  /** When its reply came, on the clock of the ledger. */
  answeredAt: number;
  /** Somebody got it. */
  isFound: boolean;
}

/** Must this receiver have it? A `sendall` without a reply reached all or nobody. */
export function isDue(message: Message, receiver: string): boolean {
  const { outcome, to, present, isRoomy, isFound } = message;
  if (to !== undefined) return to === receiver && outcome === "stored";
  const isStored = outcome === "stored" || (outcome === "unknown" && isRoomy && isFound);
  return isStored && present.has(receiver);
}

/** The mail of one receiver, over all its connections. */
export class Inbox {
  readonly name: string;
  /** A `register` of the name was sent, or its reply has come. */
  registration: "none" | "begun" | "done" = "none";
  /** Messages that came, each once. */
  received = 0;
  /** Messages that a `wait` showed again. */
  repeated = 0;
  readonly #fail: (what: string) => void;
  /** Sent to this receiver, not refused, and not here yet. */
  readonly #awaited = new Set<Message>();
  readonly #received = new Set<Message>();
  /** The number of the last message of each sender. */
  readonly #last = new Map<string, number>();
  /** What a `wait` of this connection showed, while no later reply has come. */
  #shown: readonly Message[] = [];
  /** What was shown when a connection ended: the next mail begins with all of it, or has none. */
  #again: readonly Message[] = [];
  /** What the last `wait` showed. */
  #shownLast: readonly Message[] = [];
  /** When the `receive` that is under way was sent. */
  #receivingSince: number | undefined;
  /** Whatever a `receive` may have taken whose mail never came. */
  readonly #cut = new Set<Message>();
  /** Such a `receive` may be done only now, and take what is sent now. */
  #isTaking = false;
  /** For each such `receive`, what was in the mailbox for sure: it took all of it or nothing. */
  readonly #cutTogether: Message[][] = [];

  /**
   * A reply may be that the storage is away. Then a part of what was shown may be taken later, and
   * what a `receive` took is put back before all other mail, and what is being shown comes again.
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

  /** The message was refused. */
  forgo(message: Message): void {
    this.#awaited.delete(message);
    if (this.#received.has(message)) this.#complain(message, "was refused, and is here");
  }

  /** A `receive` is being sent. */
  receiving(now: number): void {
    this.#receivingSince = now;
  }

  /** A reply has come: what was shown before is taken for good. */
  replied(): void {
    this.#shown = [];
    this.#isTaking = false;
  }

  /** The name is held again: nothing is under way any more. */
  cameBack(): void {
    this.#isTaking = false;
  }

  /** Mail has come. */
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

  /** Of the `receive` that is under way, if one is, no mail will come. */
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

  /** At the end, when all mail has been fetched: names what is lost; how many a crash cut. */
  check(): number {
    const missing = [...this.#awaited].filter((message) => isDue(message, this.name));
    for (const message of missing) {
      if (!this.#cut.has(message)) this.#complain(message, `is lost (${message.outcome})`);
    }
    for (const together of this.#cutTogether) {
      const gone = together.filter((message) => this.#awaited.has(message));
      if (gone.length === 0 || gone.length === together.length) continue;
      this.#complain(gone[0]!, "is lost: the receive that was cut left others of its time");
    }
    return missing.filter((message) => this.#cut.has(message)).length;
  }

  /** What was shown before, and comes again as it may. */
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
      return this.#complain(message, outcome === "refused" ? "was refused" : "is not for it");
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
