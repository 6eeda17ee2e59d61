/**
 * The naive chat as a server: what every command is answered with, in batches that are stored, fail,
 * or are lost in a crash. A copy of the whole model is all that it needs to go back.
 */
import { type Asker, Model, type ModelSettings } from "./model.ts";

/** A command and its arguments; `<ff>` is a byte that is not UTF-8. */
export type Words = readonly string[];

/** What a reply must be when it leaves; `undefined` while it waits for mail. */
export interface Expected {
  frames: readonly string[] | undefined;
}

/** The byte that is not UTF-8, as a word writes it. */
export const BAD_BYTE = "<ff>";
const STORAGE_AWAY = ["Storage is not available, try again!"];
const HOUR_MS = 3_600_000;

type Doing =
  & { readonly at: number }
  & (
    | {
      readonly kind: "command";
      readonly asker: Asker;
      readonly words: Words;
      readonly changed: boolean;
      /** The person whose mail it waits for. */
      readonly waitsFor: number | undefined;
      readonly expected: Expected;
    }
    | {
      readonly kind: "end-wait";
      readonly asker: Pick<Asker, "session">;
      readonly expected: Expected;
    }
    | { readonly kind: "end"; readonly asker: Asker; readonly seen: boolean }
  );

/** The reply to a command whose arguments can't be read. */
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

/** What strict mode does behind a reply. */
export function endingOf([name]: Words, reply: string): "open" | "close" | "silent" {
  if (reply.endsWith("It is not UTF-8.")) return "silent";
  if (reply.startsWith("Massage is too long!")) return "close";
  if (name === "register") return /^(Hello|Nice to see you), /.test(reply) ? "open" : "close";
  return name === "send" && reply === "U aren't registered!" ? "close" : "open";
}

/** Whose mail a message has come for. */
type News = readonly string[] | "everybody";

/** What has come in one batch. */
interface Batch {
  /** The chat before it. */
  readonly start: Model;
  readonly doings: Doing[];
  readonly news: News[];
  /** Must it be stored? */
  changed: boolean;
}

/** The model, a batch at a time. */
export class ModelServer {
  /** With all that has come, stored or not. */
  chat: Model;
  #stored: Model;
  /** A batch that is being stored, and the chat behind it. */
  #storing: (Batch & { readonly after: Model }) | undefined;
  #open: Batch;
  #waiting = new Map<number, Expected>();

  constructor(settings: ModelSettings) {
    this.chat = new Model(settings);
    this.#stored = this.chat;
    this.#open = newBatch(this.chat);
  }

  /** Is there something that is not stored yet? */
  get isOpen(): boolean {
    return this.#storing !== undefined || this.#open.changed;
  }

  command(asker: Asker, words: Words): Expected {
    const expected: Expected = { frames: undefined };
    const changed = this.#changes(() => expected.frames = ask(this.chat, asker, words));
    // Who begins to wait later sees what the command did.
    if (changed && this.#waiting.size > 0) {
      if (words[0] === "send") this.#open.news.push([words[1]!]);
      if (words[0] === "sendall") this.#open.news.push("everybody");
    }
    if (expected.frames === undefined) this.#waiting.set(asker.session, expected);
    const waitsFor = this.chat.waitsFor(asker.session);
    const at = this.chat.now;
    this.#open.doings.push({ kind: "command", at, asker, words, changed, waitsFor, expected });
    return expected;
  }

  acknowledge({ session }: Asker): void {
    this.#changes(() => this.chat.acknowledge(session));
  }

  endWait(asker: Asker): void {
    const expected = this.#waiting.get(asker.session);
    if (expected === undefined) return;
    this.#changes(() => this.#answer(asker));
  }

  end(asker: Asker): void {
    const { chat } = this;
    const seen = chat.settings.strict &&
      chat.people.some(({ address, freeSince }) =>
        address === asker.address && chat.now - freeSince >= HOUR_MS
      );
    const waits = this.#waiting.get(asker.session);
    if (waits !== undefined) waits.frames = ["0"];
    this.#waiting.delete(asker.session);
    const doing = { kind: "end", at: chat.now, asker, seen } as const;
    const looksAt = chat.looksAt(asker.session);
    this.#changes(() => end(chat, doing));
    this.#open.doings.push(doing);
    // What it leaves behind is for the next who waits.
    if (this.isOpen) this.#open.news.push(looksAt);
    else this.#wake(looksAt);
  }

  forgetAbsent(ms: number, present: readonly string[]): void {
    this.#changes(() => this.chat.forgetAbsent(ms, present));
  }

  /** The batch is over, and is stored from now on. */
  handOver(): void {
    this.#storing = { ...this.#open, after: this.chat.copy() };
    this.#open = newBatch(this.#storing.after);
  }

  /** The batch was stored: who waits hears of it. What has come meanwhile is stored next. */
  commit(): void {
    if (this.#storing === undefined) this.handOver();
    const { after, news } = this.#storing!;
    this.#stored = after;
    for (const names of news) this.#wake(names);
    for (const session of this.chat.leftAlone()) {
      if (after.hasLost(this.chat.waitsFor(session)!)) this.#answer({ session });
    }
    this.#storing = undefined;
    if (this.#open.changed) return this.handOver();
    const later = this.#open.news;
    this.#open = newBatch(this.chat);
    for (const names of later) this.#wake(names);
  }

  /** The batch was not stored: nothing of it happened, but that connections have ended. */
  fail(): void {
    const { now } = this.chat;
    const doings = [...this.#storing?.doings ?? [], ...this.#open.doings];
    this.chat = (this.#storing ?? this.#open).start.copy();
    for (const doing of doings) {
      this.chat.now = doing.at;
      if (doing.kind === "end") end(this.chat, doing);
      else if (doing.kind === "end-wait") {
        doing.expected.frames = this.chat.endWait(doing.asker.session) ?? doing.expected.frames;
      } else if (doing.changed) doing.expected.frames = STORAGE_AWAY;
      else this.#askAnew(doing);
    }
    this.chat.now = now;
    this.#storing = undefined;
    this.#open = newBatch(this.chat);
  }

  /** The process ends, and another one starts with what was stored. */
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

  /** Nobody begins to wait anew, or for somebody else. */
  #askAnew({ asker, words, waitsFor, expected }: Doing & { kind: "command" }): void {
    const trial = this.chat.copy();
    const frames = ask(trial, asker, words);
    if (trial.kept !== this.chat.kept) {
      expected.frames = STORAGE_AWAY;
      return;
    }
    this.chat = trial;
    const waitsOn = expected.frames === undefined && trial.waitsFor(asker.session) === waitsFor;
    if (frames === undefined && waitsOn) return;
    expected.frames = frames ?? trial.endWait(asker.session);
    if (this.#waiting.get(asker.session) === expected) this.#waiting.delete(asker.session);
  }

  /** It waits no longer. If what it hears is not stored, it hears something else. */
  #answer(asker: Pick<Asker, "session">): void {
    const expected = this.#waiting.get(asker.session)!;
    expected.frames = this.chat.endWait(asker.session);
    this.#waiting.delete(asker.session);
    this.#open.doings.push({ kind: "end-wait", at: this.chat.now, asker, expected });
  }

  #wake(names: News): void {
    for (const session of this.chat.wakenBy(names)) this.#answer({ session });
    // Who was to get the mail may be gone by now.
    for (const session of this.chat.leftAlone()) {
      const name = this.#stored.nameOf(this.chat.waitsFor(session)!);
      if (names === "everybody" || names.includes(name ?? "")) this.#answer({ session });
    }
  }

  #changes(work: () => void): boolean {
    if (!this.isOpen) this.#open = newBatch(this.chat.copy());
    const before = this.chat.kept;
    work();
    const changed = this.chat.kept !== before;
    this.#open.changed ||= changed;
    return changed;
  }
}

function newBatch(start: Model): Batch {
  return { start, doings: [], news: [], changed: false };
}

function end(chat: Model, { asker, seen }: Doing & { kind: "end" }): void {
  chat.end(asker.session);
  if (seen) chat.seen(asker.address);
}

/** The reply of the model to a command; none while it waits for mail. */
export function ask(chat: Model, asker: Asker, [name, first = "", second = ""]: Words) {
  switch (name) {
    case "register":
      return chat.register(asker, first);
    case "users":
      return chat.users();
    case "send":
      return chat.send(asker, first, second);
    case "sendall":
      return chat.sendall(asker, first);
    case "receive":
      return chat.receive(asker);
    case "wait":
      return chat.wait(asker, Number(first));
    case "logout":
      return chat.logout(asker);
    default:
      return name === "ping" ? ["pong"] : ["help"];
  }
}
