/**
 * A second chat, written from `docs/protocol.md` with arrays and loops and nothing of `lib/chat.ts`:
 * what the tests compare the first one with.
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
}

interface Person {
  readonly name: string;
  readonly address: string;
  /** The session that holds the name, or 0. */
  holder: number;
  /** Each as `sender: text`. */
  mail: string[];
}

/** Who asks: a session of an address. */
export interface Asker {
  readonly session: number;
  readonly address: string;
}

/** A chat of arrays. A reply is its frames in one list. */
export class Model {
  readonly #settings: ModelSettings;
  #people: Person[] = [];
  /** Sessions that have registered once, or logged out. */
  #marked: number[] = [];

  constructor(settings: ModelSettings) {
    this.#settings = settings;
  }

  register({ session, address }: Asker, name: string): string[] {
    const { strict, nameSymbolsMax, usersMax, usersPerAddressMax } = this.#settings;
    if (name === "") return ["Bad login!"];
    if (Array.from(name).length > nameSymbolsMax) return ["Login is too long!"];
    const owner = this.#people.find((person) => person.name === name);
    const here = this.#people.filter((person) => person.address === address);
    if (owner !== undefined) {
      const free = strict || owner.holder === 0 || owner.holder === session;
      if (owner.address !== address || !free) return [`'${name}' already exists!`];
      this.#hold(owner, session);
      return [`Nice to see you, ${name}`];
    }
    if (strict && here.length > 0) return [`'${address}:${session}' was used before!`];
    if (this.#people.length === usersMax) return ["Server is full!"];
    if (!strict && here.length === usersPerAddressMax) return ["Too many users from your address!"];
    const person = { name, address, holder: 0, mail: [] };
    this.#people.push(person);
    this.#hold(person, session);
    return [`Hello, ${name}`];
  }

  users(): string[] {
    return [String(this.#people.length), ...this.#people.map(({ name }) => name)];
  }

  send(asker: Asker, to: string, text: string): string[] {
    const wrong = this.#wrongText(text);
    if (wrong !== undefined) return wrong;
    const me = this.#whoIs(asker);
    if (me === undefined) return ["U aren't registered!"];
    const receiver = this.#people.find((person) => person.name === to);
    if (receiver === undefined) return [`User '${to}' doesn't exist!`];
    if (this.#isFull(receiver)) return [`Mailbox of '${to}' is full!`];
    if (this.#allMail() + 1 > this.#settings.messagesMax) return ["Server is full!"];
    receiver.mail.push(`${me.name}: ${text}`);
    return ["Message added to storage!"];
  }

  sendall(asker: Asker, text: string): string[] {
    const wrong = this.#wrongText(text);
    if (wrong !== undefined) return wrong;
    const me = this.#whoIs(asker);
    if (me === undefined) return ["U aren't registered!"];
    const others = this.#people.filter((person) => person !== me);
    const open = others.filter((person) => !this.#isFull(person));
    if (this.#allMail() + open.length > this.#settings.messagesMax) return ["Server is full!"];
    for (const person of open) person.mail.push(`${me.name}: ${text}`);
    const full = others.length - open.length;
    return [
      full === 0
        ? "Message added to storage!"
        : `Message added to storage! Full mailboxes: ${full}`,
    ];
  }

  receive(asker: Asker): string[] {
    const me = this.#whoIs(asker);
    if (me === undefined) return ["U aren't registered!"];
    const mail = me.mail;
    me.mail = [];
    return [String(mail.length), ...mail];
  }

  logout(asker: Asker): string[] {
    const me = this.#whoIs(asker);
    this.#people = this.#people.filter((person) => person !== me);
    this.#marked.push(asker.session);
    return ["U've been successfully logouted"];
  }

  /** The session's connection has ended. */
  end(session: number): void {
    for (const person of this.#people) if (person.holder === session) person.holder = 0;
    this.#marked = this.#marked.filter((marked) => marked !== session);
  }

  #hold(person: Person, session: number): void {
    if (this.#settings.strict) return;
    for (const other of this.#people) if (other.holder === session) other.holder = 0;
    person.holder = session;
    this.#marked.push(session);
  }

  #whoIs({ session, address }: Asker): Person | undefined {
    const here = this.#people.filter((person) => person.address === address);
    if (this.#settings.strict) return here[0];
    const held = this.#people.find((person) => person.holder === session);
    if (held !== undefined) return held;
    if (this.#marked.includes(session)) return undefined;
    return here.length === 1 && here[0]!.holder === 0 ? here[0] : undefined;
  }

  #wrongText(text: string): string[] | undefined {
    const max = this.#settings.textSymbolsMax;
    return Array.from(text).length > max
      ? [`Massage is too long! Max length = ${max}!`]
      : undefined;
  }

  #isFull(person: Person): boolean {
    return person.mail.length >= this.#settings.mailboxMessagesMax;
  }

  #allMail(): number {
    let sum = 0;
    for (const person of this.#people) sum += person.mail.length;
    return sum;
  }
}
