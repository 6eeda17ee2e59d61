/**
 * The naive server: the naive chat, in batches that are stored, fail, or are lost in a crash. To go
 * back it keeps copies of the whole chat.
 */
import { Model, type ModelSettings, type Sender } from "./model.ts";

/** A command and its arguments; `<ff>` is a byte that is not UTF-8. */
export type Words = readonly string[];

/** The reply that must leave; `undefined` while the command waits for mail. */
export interface Expected {
  frames: readonly string[] | undefined;
}

/** How a word writes a byte that is not UTF-8. */
export const BAD_BYTE = "<ff>";
const STORAGE_AWAY = ["Storage is not available, try again!"];
const HOUR_MS = 3_600_000;

/** One thing that happened in a batch. */
type Item =
  & { readonly at: number }
  & (
    | {
      readonly kind: "command";
      readonly sender: Sender;
      readonly words: Words;
      readonly changed: boolean;
      /** The person whose mail it waits for. */
      readonly waitsFor: number | undefined;
      readonly expected: Expected;
    }
    | {
      readonly kind: "end-wait";
      readonly sender: Pick<Sender, "session">;
      readonly expected: Expected;
    }
    | { readonly kind: "end"; readonly sender: Sender; readonly seen: boolean }
  );

/** The reply to a command with an argument that is no UTF-8 or no number; `undefined` to others. */
export function refusalOf([name, first = "", second = ""]: Words): string | undefined {
  if (name === "register" && first.includes(BAD_BYTE)) return "Can't decode login!";
  if (name === "sendall" && first.includes(BAD_BYTE)) {
    return "Can't decode message! It is not UTF-8.";
  }
  if (name === "send" && first.includes(BAD_BYTE)) return "Can't decode receiver! It is not UTF-8.";
  if (name === "send" && second.includes(BAD_BYTE)) return "Can't decode message! It is not UTF-8.";
  if (name === "wait" && !/^[0-9]+$/.test(first)) return "Bad number of seconds!";
  return undefined;
}

/** What strict mode does with the connection after a reply. */
export function endingOf([name]: Words, reply: string): "open" | "close" | "silent" {
  if (reply.endsWith("It is not UTF-8.")) return "silent";
  if (reply.startsWith("Massage is too long!")) return "close";
  if (name === "register") return /^(Hello|Nice to see you), /.test(reply) ? "open" : "close";
  return name === "send" && reply === "U aren't registered!" ? "close" : "open";
}

/** The names of the users for whom mail has come. */
type News = readonly string[] | "all";

/** What happened in one batch. */
interface Batch {
  /** The chat before it. */
  readonly start: Model;
  readonly items: Item[];
  readonly news: News[];
  /** Must it be stored? */
  changed: boolean;
}

/** The naive server. */
export class ModelServer {
  /** The chat with all that has happened, stored or not. */
  chat: Model;
  #stored: Model;
  /** The batch that is being stored, and the chat after it. */
  #storing: (Batch & { readonly after: Model }) | undefined;
  #open: Batch;
  #waiting = new Map<number, Expected>();

  constructor(settings: ModelSettings) {
    this.chat = new Model(settings);
    this.#stored = this.chat;
    this.#open = newBatch(this.chat);
  }

  /** Is there a change that is not stored yet? */
  get hasWork(): boolean {
    return this.#storing !== undefined || this.#open.changed;
  }

  command(sender: Sender, words: Words): Expected {
    const expected: Expected = { frames: undefined };
    const changed = this.#change(() => expected.frames = replyTo(this.chat, sender, words));
    // A session that begins to wait later sees what the command did.
    if (changed && this.#waiting.size > 0) {
      if (words[0] === "send") this.#open.news.push([words[1]!]);
      if (words[0] === "sendall") this.#open.news.push("all");
    }
    if (expected.frames === undefined) this.#waiting.set(sender.session, expected);
    const waitsFor = this.chat.personAwaitedBy(sender.session);
    const at = this.chat.now;
    this.#open.items.push({ kind: "command", at, sender, words, changed, waitsFor, expected });
    return expected;
  }

  acknowledge({ session }: Sender): void {
    this.#change(() => this.chat.acknowledge(session));
  }

  endWait(sender: Sender): void {
    const expected = this.#waiting.get(sender.session);
    if (expected === undefined) return;
    this.#change(() => this.#endWait(sender));
  }

  end(sender: Sender): void {
    const { chat } = this;
    const seen = chat.settings.strict &&
      chat.people.some(({ address, freeSince }) =>
        address === sender.address && chat.now - freeSince >= HOUR_MS
      );
    const waits = this.#waiting.get(sender.session);
    if (waits !== undefined) waits.frames = ["0"];
    this.#waiting.delete(sender.session);
    const item = { kind: "end", at: chat.now, sender, seen } as const;
    const owners = chat.shownMailOf(sender.session);
    this.#change(() => end(chat, item));
    this.#open.items.push(item);
    // The mail that it was shown and did not take is for the next session that waits.
    if (this.hasWork) this.#open.news.push(owners);
    else this.#wake(owners);
  }

  forgetAbsent(ms: number, present: readonly string[]): void {
    this.#change(() => this.chat.forgetAbsent(ms, present));
  }

  /** Ends the batch, and begins to store it. */
  beginStoring(): void {
    this.#storing = { ...this.#open, after: this.chat.copy() };
    this.#open = newBatch(this.#storing.after);
  }

  /** The batch was stored: waiting sessions get its mail. The next batch is stored next. */
  commit(): void {
    if (this.#storing === undefined) this.beginStoring();
    const { after, news } = this.#storing!;
    this.#stored = after;
    for (const names of news) this.#wake(names);
    for (const session of this.chat.waitingForRemoved()) {
      if (after.wasRemoved(this.chat.personAwaitedBy(session)!)) this.#endWait({ session });
    }
    this.#storing = undefined;
    if (this.#open.changed) return this.beginStoring();
    const later = this.#open.news;
    this.#open = newBatch(this.chat);
    for (const names of later) this.#wake(names);
  }

  /** The batch was not stored: of all that it did, only the ends of connections stay. */
  fail(): void {
    const { now } = this.chat;
    const items = [...this.#storing?.items ?? [], ...this.#open.items];
    this.chat = (this.#storing ?? this.#open).start.copy();
    for (const item of items) {
      this.chat.now = item.at;
      if (item.kind === "end") end(this.chat, item);
      else if (item.kind === "end-wait") {
        item.expected.frames = this.chat.endWait(item.sender.session) ?? item.expected.frames;
      } else if (item.changed) item.expected.frames = STORAGE_AWAY;
      else this.#repeat(item);
    }
    this.chat.now = now;
    this.#storing = undefined;
    this.#open = newBatch(this.chat);
  }

  /** The process ends, and another one starts with the stored chat. */
  restart(settings: ModelSettings): void {
    const { now } = this.chat;
    this.chat = this.#stored.copy();
    this.chat.now = now;
    this.chat.start(settings);
    this.#stored = this.chat.copy();
    this.#waiting.clear();
    this.#storing = undefined;
    this.#open = newBatch(this.chat);
  }

  /**
   * Repeats a command after its batch has failed. It does not begin to wait, or for another person.
   */
  #repeat({ sender, words, waitsFor, expected }: Item & { kind: "command" }): void {
    const trial = this.chat.copy();
    const frames = replyTo(trial, sender, words);
    if (trial.durable !== this.chat.durable) {
      expected.frames = STORAGE_AWAY;
      return;
    }
    this.chat = trial;
    const waitsOn = expected.frames === undefined &&
      trial.personAwaitedBy(sender.session) === waitsFor;
    if (frames === undefined && waitsOn) return;
    expected.frames = frames ?? trial.endWait(sender.session);
    if (this.#waiting.get(sender.session) === expected) this.#waiting.delete(sender.session);
  }

  /** Ends a session's `wait`. If its batch is not stored, `fail` makes another reply. */
  #endWait(sender: Pick<Sender, "session">): void {
    const expected = this.#waiting.get(sender.session)!;
    expected.frames = this.chat.endWait(sender.session);
    this.#waiting.delete(sender.session);
    this.#open.items.push({ kind: "end-wait", at: this.chat.now, sender, expected });
  }

  #wake(names: News): void {
    for (const session of this.chat.wokenBy(names)) this.#endWait({ session });
    // The user for whom the mail was may be removed by now.
    for (const session of this.chat.waitingForRemoved()) {
      const name = this.#stored.nameOf(this.chat.personAwaitedBy(session)!);
      if (names === "all" || names.includes(name ?? "")) this.#endWait({ session });
    }
  }

  #change(work: () => void): boolean {
    if (!this.hasWork) this.#open = newBatch(this.chat.copy());
    const before = this.chat.durable;
    work();
    const changed = this.chat.durable !== before;
    this.#open.changed ||= changed;
    return changed;
  }
}

function newBatch(start: Model): Batch {
  return { start, items: [], news: [], changed: false };
}

function end(chat: Model, { sender, seen }: Item & { kind: "end" }): void {
  chat.end(sender.session);
  if (seen) chat.seen(sender.address);
}

/** The naive chat's reply to a command; `undefined` while it waits for mail. */
export function replyTo(chat: Model, sender: Sender, [name, first = "", second = ""]: Words) {
  switch (name) {
    case "register":
      return chat.register(sender, first);
    case "users":
      return chat.users();
    case "send":
      return chat.send(sender, first, second);
    case "sendall":
      return chat.sendall(sender, first);
    case "receive":
      return chat.receive(sender);
    case "wait":
      return chat.wait(sender, Number(first));
    case "logout":
      return chat.logout(sender);
    default:
      return name === "ping" ? ["pong"] : ["help"];
  }
}
