/**
 * A second chat, written from `docs/protocol.md` with arrays and loops and nothing of `lib/`:
 * what the tests compare the first one with. A reply is its frames in one list.
 */

/** What the model must know of the settings. */
export interface ModelSettings {
  readonly strict: boolean;
  readonly nameSymbolsMax: number;
  readonly textSymbolsMax: number;
  readonly usersMax: number;
  readonly usersPerAddressMax: number;
  readonly mailboxMessagesMax: number;
  readonly messagesMax: number;
  /** Here nobody is forgotten by the clock alone. */
  readonly usersExpireH: number;
}

interface Message {
  readonly id: number;
  /** Which message it is of all that the person ever got. */
  readonly place: number;
  readonly from: string;
  readonly text: string;
}

/** Somebody registered. */
export interface Person {
  /** Nobody had it before, and who registers later has a higher one. */
  readonly id: number;
  readonly name: string;
  readonly address: string;
  /** The session that holds the name, or 0. */
  holder: number;
  /** The last time that somebody let go of the name. */
  freeSince: number;
  mail: Message[];
  /** How many messages it ever got. */
  got: number;
}

/** Who asks: a session of an address. */
export interface Asker {
  readonly session: number;
  readonly address: string;
}

/** All that the model knows: plain data, so that a copy is easily made. */
interface Data {
  settings: ModelSettings;
  people: Person[];
  /** Sessions that have registered once, or logged out. */
  marked: number[];
  /** The messages that a `wait` has shown to a session. */
  shown: { session: number; messages: number[] }[];
  /** Who waits for whose mail, the longest first. */
  waiting: { session: number; person: number }[];
  lastPerson: number;
  lastMessage: number;
}

/** A chat of arrays. */
export class Model {
  /** The time, which only goes on when somebody sets it. */
  now = 0;
  #data: Data;

  constructor(settings: ModelSettings) {
    this.#data = {
      ...{ settings, people: [], marked: [], shown: [], waiting: [] },
      ...{ lastPerson: 0, lastMessage: 0 },
    };
  }

  get settings(): ModelSettings {
    return this.#data.settings;
  }

  get people(): readonly Person[] {
    return this.#data.people;
  }

  /** What a journal must keep, as a text. */
  get kept(): string {
    return JSON.stringify([this.#data.people, this.#data.marked]);
  }

  /** A model that goes its own way from here. */
  copy(): Model {
    const copy = new Model(this.settings);
    copy.#data = JSON.parse(JSON.stringify(this.#data));
    copy.now = this.now;
    return copy;
  }

  register({ session, address }: Asker, name: string): string[] {
    const { strict, nameSymbolsMax, usersMax, usersPerAddressMax } = this.settings;
    if (name === "") return ["Bad login!"];
    if (Array.from(name).length > nameSymbolsMax) return ["Login is too long!"];
    const owner = this.#named(name);
    const here = this.people.filter((person) => person.address === address);
    if (owner !== undefined) {
      const free = strict || owner.holder === 0 || owner.holder === session;
      if (owner.address !== address || !free) return [`'${name}' already exists!`];
      this.#hold(owner, session);
      return [`Nice to see you, ${name}`];
    }
    if (strict && here.length > 0) return [`'${address}:${session}' was used before!`];
    if (this.people.length >= usersMax) return ["Server is full!"];
    if (!strict && here.length >= usersPerAddressMax) return ["Too many users from your address!"];
    const id = ++this.#data.lastPerson;
    const person = { id, name, address, holder: 0, freeSince: this.now, mail: [], got: 0 };
    this.#data.people.push(person);
    this.#hold(person, session);
    return [`Hello, ${name}`];
  }

  users(): string[] {
    return [String(this.people.length), ...this.people.map(({ name }) => name)];
  }

  send(asker: Asker, to: string, text: string): string[] {
    const wrong = this.#wrongText(text);
    if (wrong !== undefined) return wrong;
    const me = this.whoIs(asker);
    if (me === undefined) return ["U aren't registered!"];
    const receiver = this.#named(to);
    if (receiver === undefined) return [`User '${to}' doesn't exist!`];
    if (this.#isFull(receiver)) return [`Mailbox of '${to}' is full!`];
    if (this.#allMail() + 1 > this.settings.messagesMax) return ["Server is full!"];
    this.#deliver(receiver, me.name, text);
    return ["Message added to storage!"];
  }

  sendall(asker: Asker, text: string): string[] {
    const wrong = this.#wrongText(text);
    if (wrong !== undefined) return wrong;
    const me = this.whoIs(asker);
    if (me === undefined) return ["U aren't registered!"];
    const others = this.people.filter((person) => person !== me);
    const open = others.filter((person) => !this.#isFull(person));
    if (this.#allMail() + open.length > this.settings.messagesMax) return ["Server is full!"];
    for (const person of open) this.#deliver(person, me.name, text);
    const full = others.length - open.length;
    return [
      full === 0
        ? "Message added to storage!"
        : `Message added to storage! Full mailboxes: ${full}`,
    ];
  }

  receive(asker: Asker): string[] {
    const me = this.whoIs(asker);
    if (me === undefined) return ["U aren't registered!"];
    const frames = mailFrames(me);
    me.mail = [];
    return frames;
  }

  /** Shows the mail; `undefined`: there is none, and the session waits for it from now on. */
  wait(asker: Asker, seconds: number): string[] | undefined {
    const me = this.whoIs(asker);
    if (me === undefined) return ["U aren't registered!"];
    if (me.mail.length > 0 || seconds === 0) return this.#show(asker.session, me);
    this.#data.waiting.push({ session: asker.session, person: me.id });
    return undefined;
  }

  logout(asker: Asker): string[] {
    const me = this.whoIs(asker);
    this.#data.people = this.people.filter((person) => person !== me);
    if (!this.settings.strict) this.#mark(asker.session);
    return ["U've been successfully logouted"];
  }

  /** A complete command has come: what was shown before leaves the mailbox. */
  acknowledge(session: number): void {
    for (const { messages } of this.#data.shown.filter((shown) => shown.session === session)) {
      for (const person of this.people) {
        person.mail = person.mail.filter(({ id }) => !messages.includes(id));
      }
    }
    this.#unshow(session);
  }

  /** What was shown up to this place leaves the mailbox; returns that. */
  take(id: number, through: number): readonly Message[] {
    const person = this.people.find((person) => person.id === id);
    const taken = person?.mail.filter(({ place }) => place <= through) ?? [];
    if (person !== undefined) person.mail = person.mail.filter(({ place }) => place > through);
    return taken;
  }

  /** A message goes back to the front. All have new places: who was shown them sees them again. */
  giveBack(id: number, from: string, text: string): void {
    const person = this.people.find((person) => person.id === id);
    if (person === undefined) return;
    const all = [{ from, text }, ...person.mail];
    person.mail = [];
    for (const mail of all) this.#deliver(person, mail.from, mail.text);
  }

  /** The session waits no longer: its reply, if it did wait. */
  endWait(session: number): string[] | undefined {
    const waiter = this.#data.waiting.find((waiter) => waiter.session === session);
    if (waiter === undefined) return undefined;
    this.#data.waiting = this.#data.waiting.filter((other) => other !== waiter);
    const person = this.people.find(({ id }) => id === waiter.person);
    return person === undefined ? ["U aren't registered!"] : this.#show(session, person);
  }

  /** The id of the person whose mail the session waits for. */
  waitsFor(session: number): number | undefined {
    return this.#data.waiting.find((waiter) => waiter.session === session)?.person;
  }

  /** Whose mail was shown to the session and not taken yet. */
  looksAt(session: number): string[] {
    const messages = this.#data.shown.filter((shown) => shown.session === session)
      .flatMap((shown) => shown.messages);
    return this.people.filter(({ mail }) => mail.some(({ id }) => messages.includes(id)))
      .map(({ name }) => name);
  }

  /** Who is to be mayNotWait because mail has come for these names; where it did not, nobody is. */
  wakenBy(names: readonly string[] | "everybody"): number[] {
    const { waiting } = this.#data;
    const receivers = this.people.filter(({ name, mail }) =>
      mail.length > 0 && (names === "everybody" || names.includes(name))
    );
    const first = receivers.map(({ id }) => waiting.find(({ person }) => person === id)?.session);
    return first.filter((session) => session !== undefined);
  }

  /** Who waits for somebody who is gone. */
  leftAlone(): number[] {
    const ids = this.people.map(({ id }) => id);
    return this.#data.waiting.filter(({ person }) => !ids.includes(person))
      .map(({ session }) => session);
  }

  /** Was there somebody of this id, who is gone? */
  hasLost(id: number): boolean {
    return id <= this.#data.lastPerson && this.nameOf(id) === undefined;
  }

  /** The name of the person of this id. */
  nameOf(id: number): string | undefined {
    return this.people.find((person) => person.id === id)?.name;
  }

  /** The session's connection has ended. */
  end(session: number): void {
    for (const person of this.people) {
      if (person.holder === session) this.#release(person);
    }
    this.#data.marked = this.#data.marked.filter((marked) => marked !== session);
    this.#data.waiting = this.#data.waiting.filter((waiter) => waiter.session !== session);
    this.#unshow(session);
  }

  /** Strict mode: somebody was here. */
  seen(address: string): void {
    for (const person of this.people) {
      if (person.address === address) person.freeSince = this.now;
    }
  }

  /** Removes who was away for so long; `present` are the addresses of open connections. */
  forgetAbsent(ms: number, present: readonly string[]): void {
    this.#data.people = this.people.filter((person) =>
      person.holder !== 0 || this.now - person.freeSince < ms ||
      this.settings.strict && present.includes(person.address)
    );
  }

  /** Removes somebody of this id, who is still away since then. */
  forget(id: number, freeSince: number | undefined): void {
    this.#data.people = this.people.filter((person) =>
      person.id !== id || person.holder !== 0 || person.freeSince !== freeSince
    );
  }

  /** From now on the chat goes on under these settings. */
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

  /** The server starts anew: no connection is left. */
  start(settings: ModelSettings): void {
    for (const person of this.people) if (person.holder !== 0) this.#release(person);
    Object.assign(this.#data, { settings, marked: [], shown: [], waiting: [] });
  }

  /** The person that acts where this one asks. */
  whoIs({ session, address }: Asker): Person | undefined {
    const here = this.people.filter((person) => person.address === address);
    if (this.settings.strict) return here[0];
    const held = this.people.find((person) => person.holder === session);
    if (held !== undefined) return held;
    if (this.#data.marked.includes(session)) return undefined;
    return here.length === 1 && here[0]!.holder === 0 ? here[0] : undefined;
  }

  #deliver(person: Person, from: string, text: string): void {
    person.mail.push({ id: ++this.#data.lastMessage, place: ++person.got, from, text });
  }

  #named(name: string): Person | undefined {
    return this.people.find((person) => person.name === name);
  }

  #show(session: number, person: Person): string[] {
    this.#unshow(session);
    const messages = person.mail.map(({ id }) => id);
    this.#data.shown.push({ session, messages });
    return mailFrames(person);
  }

  #unshow(session: number): void {
    this.#data.shown = this.#data.shown.filter((shown) => shown.session !== session);
  }

  #mark(session: number): void {
    if (!this.#data.marked.includes(session)) this.#data.marked.push(session);
  }

  #release(person: Person): void {
    person.holder = 0;
    person.freeSince = this.now;
  }

  #hold(person: Person, session: number): void {
    if (this.settings.strict) return;
    for (const other of this.people) {
      if (other.holder === session && other !== person) this.#release(other);
    }
    person.holder = session;
    this.#mark(session);
  }

  #wrongText(text: string): string[] | undefined {
    const max = this.settings.textSymbolsMax;
    return Array.from(text).length > max
      ? [`Massage is too long! Max length = ${max}!`]
      : undefined;
  }

  #isFull(person: Person): boolean {
    return person.mail.length >= this.settings.mailboxMessagesMax;
  }

  #allMail(): number {
    let sum = 0;
    for (const person of this.people) sum += person.mail.length;
    return sum;
  }
}

/** The reply that shows somebody's mail: a count, then sender and text of each message. */
export function mailFrames({ mail }: Person): string[] {
  return [String(mail.length), ...mail.flatMap(({ from, text }) => [from, text])];
}
