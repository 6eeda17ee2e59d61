/**
 * The naive chat, with which the tests compare the real one. It is written from `docs/protocol.md`
 * with arrays and loops, and imports nothing from `lib/`. A reply is a list of its frames.
 */

/** The settings that the model knows. */
export interface ModelSettings {
  readonly strict: boolean;
  readonly nameSymbolsMax: number;
  readonly textSymbolsMax: number;
  readonly usersMax: number;
  readonly usersPerAddressMax: number;
  readonly mailboxMessagesMax: number;
  readonly mailboxBroadcastsMax: number;
  readonly messagesMax: number;
  readonly messagesPerAddressMax: number;
  /** Always 0: users are forgotten by a step, not by the clock. */
  readonly usersExpireH: number;
}

/** The commands that a sender does as a user. */
const ACTING = ["send", "sendall", "receive", "wait", "logout"];
const HOUR_MS = 3_600_000;

interface Message {
  readonly id: number;
  /** Its number among all messages that the person ever got. */
  readonly place: number;
  readonly from: string;
  readonly text: string;
  /** The address of the sender. */
  readonly address: string;
  /** The number of the `sendall` that sent it; 0 for a message that was sent to one user. */
  readonly broadcast: number;
}

/** A registered user. */
export interface Person {
  /** Unique; later persons have higher ids. */
  readonly id: number;
  readonly name: string;
  readonly address: string;
  /** The session that holds the name; 0 if none does. */
  holder: number;
  /** The last time that a session let go of the name (ms). */
  freeSince: number;
  mail: Message[];
  /** The number of messages that the person ever got. */
  got: number;
}

/** The sender of a command: a session from an address. */
export interface Sender {
  readonly session: number;
  readonly address: string;
}

/** All that the model knows, as plain data, so that a copy is simple. */
interface Data {
  settings: ModelSettings;
  people: Person[];
  /** The sessions that have registered or logged out before. */
  marked: number[];
  /** The messages that a `wait` has shown to a session, and that were not taken yet. */
  shown: { session: number; person: number; messages: number[] }[];
  /** The sessions that wait, each for the mail of a person, oldest first. */
  waiting: { session: number; person: number }[];
  /** The place of the last message of a person that was shown to one of those who waited for it. */
  served: { person: number; place: number }[];
  lastPerson: number;
  lastMessage: number;
  lastBroadcast: number;
}

/** The naive chat. */
export class Model {
  /** The time in milliseconds, which the user of the model sets. */
  now = 0;
  #data: Data;

  constructor(settings: ModelSettings) {
    this.#data = {
      ...{ settings, people: [], marked: [], shown: [], waiting: [], served: [] },
      ...{ lastPerson: 0, lastMessage: 0, lastBroadcast: 0 },
    };
  }

  get settings(): ModelSettings {
    return this.#data.settings;
  }

  get people(): readonly Person[] {
    return this.#data.people;
  }

  /** The state that a journal must store, as a text. */
  get durable(): string {
    return JSON.stringify([this.#data.people, this.#data.marked]);
  }

  /** A copy of the model, independent of this one. */
  copy(): Model {
    const copy = new Model(this.settings);
    copy.#data = JSON.parse(JSON.stringify(this.#data));
    copy.now = this.now;
    return copy;
  }

  register({ session, address }: Sender, name: string): string[] {
    const { strict, nameSymbolsMax, usersMax } = this.settings;
    if (name === "") return ["Bad login!"];
    if (Array.from(name).length > nameSymbolsMax) return ["Login is too long!"];
    const owner = this.#findPerson(name);
    const here = this.people.filter((person) => person.address === address);
    if (owner !== undefined) {
      const free = strict || owner.holder === 0 || owner.holder === session;
      if (owner.address !== address || !free) return [`'${name}' already exists!`];
      this.#holdName(owner, session);
      return [`Nice to see you, ${name}`];
    }
    if (strict && here.length > 0) return [`'${address}:${session}' was used before!`];
    if (this.people.length >= usersMax) return ["Server is full!"];
    const near = this.people.filter((person) => areNear(person.address, address));
    const most = this.settings.usersPerAddressMax || Math.max(10, Math.ceil(usersMax / 10));
    if (!strict && near.length >= most) return ["Too many users from your address!"];
    const id = ++this.#data.lastPerson;
    const person = { id, name, address, holder: 0, freeSince: this.now, mail: [], got: 0 };
    this.#data.people.push(person);
    this.#holdName(person, session);
    return [`Hello, ${name}`];
  }

  users(): string[] {
    return [String(this.people.length), ...this.people.map(({ name }) => name)];
  }

  send(sender: Sender, to: string, text: string): string[] {
    const refusal = this.#checkText(text);
    if (refusal !== undefined) return refusal;
    const me = this.whoIs(sender);
    if (me === undefined) return ["U aren't registered!"];
    const receiver = this.#findPerson(to);
    if (receiver === undefined) return [`User '${to}' doesn't exist!`];
    if (this.#isFull(receiver)) return [`Mailbox of '${to}' is full!`];
    const noRoom = this.#checkRoom(me);
    if (noRoom !== undefined) return noRoom;
    this.#deliver(receiver, me.name, text, me.address, 0);
    return ["Message added to storage!"];
  }

  sendall(sender: Sender, text: string): string[] {
    const refusal = this.#checkText(text);
    if (refusal !== undefined) return refusal;
    const me = this.whoIs(sender);
    if (me === undefined) return ["U aren't registered!"];
    const others = this.people.filter((person) => person !== me);
    const open = others.filter((person) => !this.#isFull(person) && !this.#isClosed(person));
    const noRoom = open.length > 0 ? this.#checkRoom(me) : undefined;
    if (noRoom !== undefined) return noRoom;
    const broadcast = ++this.#data.lastBroadcast;
    for (const person of open) this.#deliver(person, me.name, text, me.address, broadcast);
    const full = others.length - open.length;
    return [
      full === 0
        ? "Message added to storage!"
        : `Message added to storage! Full mailboxes: ${full}`,
    ];
  }

  receive(sender: Sender): string[] {
    const me = this.whoIs(sender);
    if (me === undefined) return ["U aren't registered!"];
    const frames = mailFrames(me);
    me.mail = [];
    return frames;
  }

  /** Shows the mail. Returns `undefined` if there is none: then the session waits from now on. */
  wait(sender: Sender, seconds: number): string[] | undefined {
    const me = this.whoIs(sender);
    if (me === undefined) return ["U aren't registered!"];
    if (me.mail.length > 0 || seconds === 0) return this.#show(sender.session, me);
    this.#data.waiting.push({ session: sender.session, person: me.id });
    return undefined;
  }

  logout(sender: Sender): string[] {
    const me = this.whoIs(sender);
    this.#data.people = this.people.filter((person) => person !== me);
    if (!this.settings.strict) this.#markSession(sender.session);
    return ["U've been successfully logouted"];
  }

  /**
   * A complete command has come: the mail that was shown before leaves the mailbox, unless the sender
   * is another person by now.
   */
  acknowledge(sender: Sender): void {
    const me = this.whoIs(sender);
    for (const { session, person, messages } of this.#data.shown) {
      if (session !== sender.session || person !== me?.id) continue;
      me.mail = me.mail.filter(({ id }) => !messages.includes(id));
    }
    this.#forgetShown(sender.session);
  }

  /** Takes a person's messages up to this place out of the mailbox, and returns them. */
  take(id: number, through: number): readonly Message[] {
    const person = this.people.find((person) => person.id === id);
    const taken = person?.mail.filter(({ place }) => place <= through) ?? [];
    if (person !== undefined) person.mail = person.mail.filter(({ place }) => place > through);
    return taken;
  }

  /**
   * Puts a message back to the front. All messages get new places, and those shown are shown again.
   */
  putBack(id: number, from: string, text: string, address: string): void {
    const person = this.people.find((person) => person.id === id);
    if (person === undefined) return;
    const all = [{ from, text, address, broadcast: 0 }, ...person.mail];
    person.mail = [];
    for (const mail of all) {
      this.#deliver(person, mail.from, mail.text, mail.address, mail.broadcast);
    }
  }

  /** Ends the session's `wait`. Returns its reply, or `undefined` if the session does not wait. */
  endWait(session: number): string[] | undefined {
    const waiter = this.#data.waiting.find((waiter) => waiter.session === session);
    if (waiter === undefined) return undefined;
    this.#data.waiting = this.#data.waiting.filter((other) => other !== waiter);
    const person = this.people.find(({ id }) => id === waiter.person);
    return person === undefined ? ["U aren't registered!"] : this.#show(session, person);
  }

  /** The id of the person for whose mail the session waits. */
  personAwaitedBy(session: number): number | undefined {
    return this.#data.waiting.find((waiter) => waiter.session === session)?.person;
  }

  /** Ends the session's `wait` without a reply. Returns `false` if the session does not wait. */
  stopWaiting(session: number): boolean {
    const { waiting } = this.#data;
    this.#data.waiting = waiting.filter((waiter) => waiter.session !== session);
    return this.#data.waiting.length < waiting.length;
  }

  /** The persons whose mail was shown to the session. */
  shownTo(session: number): number[] {
    const shown = this.#data.shown.filter((shown) => shown.session === session);
    return shown.filter(({ messages }) => messages.length > 0).map(({ person }) => person);
  }

  /**
   * The sessions that wait and are to be told something now: of each person with new mail the one
   * that has waited longest, and all that wait for a person who was removed. All mail of `again` is
   * new, and only that person counts then.
   */
  served(again?: number): number[] {
    const sessions: number[] = [];
    for (const id of new Set(this.#data.waiting.map(({ person }) => person))) {
      if (again !== undefined && id !== again) continue;
      const waiting = this.#data.waiting.filter(({ person }) => person === id);
      const person = this.people.find((person) => person.id === id);
      const before = this.#data.served.find((served) => served.person === id)?.place ?? 0;
      if (person === undefined) sessions.push(...waiting.map(({ session }) => session));
      else if (person.mail.length > 0 && (again !== undefined || person.got > before)) {
        this.#data.served = this.#data.served.filter((served) => served.person !== id);
        this.#data.served.push({ person: id, place: person.got });
        sessions.push(waiting[0]!.session);
      }
    }
    return sessions;
  }

  /** The session's connection has ended. */
  end(session: number): void {
    for (const person of this.people) {
      if (person.holder === session) this.#freeName(person);
    }
    this.#data.marked = this.#data.marked.filter((marked) => marked !== session);
    this.#data.waiting = this.#data.waiting.filter((waiter) => waiter.session !== session);
    this.#forgetShown(session);
  }

  /** Strict mode: a connection from this address was open. */
  seen(address: string): void {
    for (const person of this.people) {
      if (person.address === address) person.freeSince = this.now;
    }
  }

  /** The connection of a session has ended: in strict mode its address was seen until now. */
  leave({ session, address }: Sender): void {
    this.end(session);
    if (!this.settings.strict) return;
    const isLongUnseen = this.people.some((person) =>
      person.address === address && this.now - person.freeSince >= HOUR_MS
    );
    if (isLongUnseen) this.seen(address);
  }

  /** The persons who were away for `ms` at this time; `present` are the addresses of open connections. */
  absent(ms: number, present: readonly string[], now: number): Person[] {
    return this.people.filter((person) =>
      person.holder === 0 && now - person.freeSince >= ms &&
      !(this.settings.strict && present.includes(person.address))
    );
  }

  /** Removes a person, if no session has held the name since then. */
  forget(id: number, freeSince: number | undefined): void {
    this.#data.people = this.people.filter((person) =>
      person.id !== id || person.holder !== 0 || person.freeSince !== freeSince
    );
  }

  /** Sets the settings. Users and mail stay. */
  choose(settings: ModelSettings): void {
    this.#data.settings = settings;
  }

  /** May the chat go on under these settings? In strict mode an address has one user. */
  allows(settings: ModelSettings): boolean {
    if (!settings.strict || this.settings.strict) return true;
    return this.people.every((one) =>
      this.people.every((other) => one === other || one.address !== other.address)
    );
  }

  /** The server starts again: all sessions have ended. */
  start(settings: ModelSettings): void {
    for (const person of this.people) if (person.holder !== 0) this.#freeName(person);
    Object.assign(this.#data, { settings, marked: [], shown: [], waiting: [], served: [] });
  }

  /** The person as whom the sender acts. */
  whoIs({ session, address }: Sender): Person | undefined {
    const here = this.people.filter((person) => person.address === address);
    if (this.settings.strict) return here[0];
    const held = this.people.find((person) => person.holder === session);
    if (held !== undefined) return held;
    if (this.#data.marked.includes(session)) return undefined;
    return here.length === 1 && here[0]!.holder === 0 ? here[0] : undefined;
  }

  /**
   * The other session that holds the name which the command needs, if both have the same address. It
   * has some time to end.
   */
  blockerOf(
    { session, address }: Sender,
    [name, first = "", second = ""]: readonly string[],
  ): number | undefined {
    if (this.settings.strict) return undefined;
    if (name === "register") {
      if (Array.from(first).length > this.settings.nameSymbolsMax) return undefined;
      const owner = this.#findPerson(first);
      const isOther = owner?.address === address && owner.holder !== 0 && owner.holder !== session;
      return isOther ? owner.holder : undefined;
    }
    const text = name === "sendall" ? first : second;
    if (name?.startsWith("send") && this.#checkText(text) !== undefined) return undefined;
    if (!ACTING.includes(name ?? "") || this.#data.marked.includes(session)) return undefined;
    const here = this.people.filter((person) => person.address === address);
    const [only] = here;
    return here.length === 1 && only!.holder !== session && only!.holder !== 0
      ? only!.holder
      : undefined;
  }

  #deliver(person: Person, from: string, text: string, address: string, broadcast: number): void {
    const id = ++this.#data.lastMessage;
    person.mail.push({ id, place: ++person.got, from, text, address, broadcast });
  }

  #findPerson(name: string): Person | undefined {
    return this.people.find((person) => person.name === name);
  }

  #show(session: number, person: Person): string[] {
    this.#forgetShown(session);
    const messages = person.mail.map(({ id }) => id);
    this.#data.shown.push({ session, person: person.id, messages });
    return mailFrames(person);
  }

  #forgetShown(session: number): void {
    this.#data.shown = this.#data.shown.filter((shown) => shown.session !== session);
  }

  #markSession(session: number): void {
    if (!this.#data.marked.includes(session)) this.#data.marked.push(session);
  }

  #freeName(person: Person): void {
    person.holder = 0;
    person.freeSince = this.now;
  }

  #holdName(person: Person, session: number): void {
    if (this.settings.strict) return;
    for (const other of this.people) {
      if (other.holder === session && other !== person) this.#freeName(other);
    }
    person.holder = session;
    this.#markSession(session);
  }

  #checkText(text: string): string[] | undefined {
    const max = this.settings.textSymbolsMax;
    return Array.from(text).length > max
      ? [`Massage is too long! Max length = ${max}!`]
      : undefined;
  }

  #isFull(person: Person): boolean {
    return person.mail.length >= this.settings.mailboxMessagesMax;
  }

  /** Has the mailbox as many broadcasts as it may have? */
  #isClosed(person: Person): boolean {
    const { strict, mailboxMessagesMax, mailboxBroadcastsMax } = this.settings;
    const most = mailboxBroadcastsMax || mailboxMessagesMax - Math.floor(mailboxMessagesMax / 10);
    return !strict && person.mail.filter(({ broadcast }) => broadcast > 0).length >= most;
  }

  /** The refusal of a message of this person, if the chat has no room for it. */
  #checkRoom({ address }: Person): string[] | undefined {
    const { strict, messagesMax, messagesPerAddressMax } = this.settings;
    const share = messagesPerAddressMax || Math.max(10, Math.ceil(messagesMax / 10));
    if (!strict && this.countMail(address) >= share) return ["Too much mail from your address!"];
    return this.countMail() >= messagesMax ? ["Server is full!"] : undefined;
  }

  /** The number of messages that wait, all or those from near an address. A broadcast counts once. */
  countMail(from?: string): number {
    const all = this.people.flatMap(({ mail }) => mail)
      .filter(({ address }) => from === undefined || areNear(address, from));
    const broadcasts = new Set(
      all.map(({ broadcast }) => broadcast).filter((number) => number > 0),
    );
    return all.filter(({ broadcast }) => broadcast === 0).length + broadcasts.size;
  }

  /** The number of broadcasts that wait. */
  countBroadcasts(): number {
    const all = this.people.flatMap(({ mail }) => mail.map(({ broadcast }) => broadcast));
    return new Set(all.filter((number) => number > 0)).size;
  }

  /** Each network that has users or mail, with the numbers of both. */
  shares(): [network: string, users: number, mail: number][] {
    const addresses = this.people.flatMap(({ address, mail }) => [
      address,
      ...mail.map(({ address }) => address),
    ]);
    return [...new Set(addresses.map(networkOf))].map((network) => [
      network,
      this.people.filter(({ address }) => networkOf(address) === network).length,
      this.countMail(network),
    ]);
  }
}

/** Of an IPv6 address, which must have its first four groups before `::`, these groups. */
function networkOf(address: string): string {
  return address.split("::")[0]!;
}

/** Do both addresses count together? */
function areNear(one: string, other: string): boolean {
  return networkOf(one) === networkOf(other);
}

/** The reply that shows a person's mail: a count, then sender and text of each message. */
export function mailFrames({ mail }: Person): string[] {
  return [String(mail.length), ...mail.flatMap(({ from, text }) => [from, text])];
}
