/**
 * The naive server: the naive chat, in batches that are stored, fail, or are lost in a crash. To go
 * back it keeps copies of the whole chat.
 */
import { Model, type ModelSettings, type Person, type Sender } from "./model.ts";

/** A command and its arguments; `<ff>` is a byte that is not UTF-8. */
export type Words = readonly string[];

/** The frames of a reply; `undefined` where there is none. */
export type Frames = readonly string[] | undefined;

/** How a word writes a byte that is not UTF-8. */
export const BAD_BYTE = "<ff>";
const STORAGE_AWAY = ["Storage is not available, try again!"];

/** One thing that comes from a session. */
export type ModelItem =
  /** A whole command, even one with a bad argument. */
  | { readonly kind: "command"; readonly words: Words }
  | { readonly kind: "mistake"; readonly reply: Frames }
  | { readonly kind: "end" };

/** What must become of items that came together. */
export interface Expected {
  replies: Frames[];
  /** The last item is a `wait` that waits. */
  isParked: boolean;
  /** What strict mode does after the last reply. */
  ending: "open" | "close" | "silent";
  /** Have all items their replies? */
  isDone: boolean;
}

/** Items that wait for their batch. */
interface Request {
  readonly sender: Sender;
  readonly items: readonly ModelItem[];
  /** Does a `wait` of the session end before the first item? */
  readonly endsWait: boolean;
  /** The session that blocked the next item, and has had its time to end. */
  readonly waitedFor?: number;
  readonly expected: Expected;
}

/** What a batch makes of a request. */
interface Result {
  readonly replies: readonly Frames[];
  readonly ending: Expected["ending"];
  /** The reply to the `wait` that was parked. */
  readonly ended?: Frames;
  /** The next item waits for this session. */
  readonly blocker?: number | undefined;
  /** The session has ended, and these persons' mail was shown to it. */
  readonly leaves?: readonly number[];
}

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

/** The naive server. */
export class ModelServer {
  /** The chat, with the ends of connections that could not be stored yet. */
  chat: Model;
  /** The chat that is stored. */
  stored: Model;
  isStopping = false;
  /** What came since the last batch, in its order. */
  #requests: Request[] = [];
  /** By session: what waits until another session has had its time to end. */
  readonly #held = new Map<number, Request>();
  /** The persons that the next batch forgets, if they are not back by then. */
  #forgotten: Person[] = [];
  /** By session: the replies to parked `wait` commands that have ended, in their order. */
  readonly #ended = new Map<number, Frames[]>();

  constructor(settings: ModelSettings) {
    this.chat = new Model(settings);
    this.stored = this.chat.copy();
  }

  /** Does the session wait for mail? */
  isWaiting(session: number): boolean {
    return this.chat.personAwaitedBy(session) !== undefined;
  }

  /** The sessions with items that wait for another session, and those sessions. */
  get held(): ReadonlyMap<number, number> {
    return new Map(this.#held.entries().map(([session, held]) => [session, held.waitedFor!]));
  }

  /** Enters items. The batches fill in what is expected of them. */
  enter(sender: Sender, items: readonly ModelItem[]): Expected {
    const expected: Expected = { replies: [], isParked: false, ending: "open", isDone: false };
    const { session } = sender;
    if (items[0]?.kind === "end" && this.chat.stopWaiting(session)) this.#end(session, ["0"]);
    const queued = this.#requests.find((other) => other.sender.session === session);
    const endsWait = queued?.endsWait ?? this.isWaiting(session);
    const request = { sender, items, endsWait, expected };
    if (queued === undefined) this.#requests.push(request);
    else this.#requests[this.#requests.indexOf(queued)] = request;
    return expected;
  }

  /** Ends the session's `wait` with the next batch. */
  endWait(sender: Sender): void {
    const { session } = sender;
    const isQueued = this.#requests.some((request) => request.sender.session === session);
    if (this.isWaiting(session) && !isQueued) this.enter(sender, []);
  }

  /** Enters the items of a session again, for which the other session has had its time to end. */
  requeue(session: number): void {
    this.#requests.push(this.#held.get(session)!);
    this.#held.delete(session);
  }

  /** The reply to the session's first `wait` that was parked and has ended, if there is one. */
  takeEnded(session: number): Frames {
    return this.#ended.get(session)?.shift();
  }

  #end(session: number, reply: Frames): void {
    this.#ended.set(session, [...this.#ended.get(session) ?? [], reply]);
  }

  /** Forgets persons who were away for `ms`; `present` are the addresses of open connections. */
  forgetAbsent(ms: number, present: readonly string[]): void {
    this.#forgotten.push(...this.stored.absent(ms, present, this.chat.now));
  }

  /** The turn ends: what has come is stored as a batch, or its commit fails. */
  endTurn(outcome: "stores" | "fails"): void {
    const requests = this.#requests;
    this.#requests = [];
    const trial = new Trial(this.chat, false);
    const results = this.#execute(trial, requests);
    // While commits fail another one is made only for something new.
    const isTried = trial.hasChanged || this.#forgotten.length > 0;
    const mustStore = trial.hasChanged || trial.chat.durable !== this.stored.durable;
    if (!mustStore || !isTried || outcome === "stores") {
      this.chat = trial.chat;
      this.#settle(requests, results);
      if (mustStore && isTried) {
        this.stored = this.chat.copy();
        this.#serve();
      }
    } else {
      const refusing = new Trial(this.chat, true);
      const refused = this.#execute(refusing, requests);
      this.chat = refusing.chat;
      this.#settle(requests, refused);
    }
    this.#forgotten = [];
  }

  /** What could not be stored is stored now. */
  storeRest(): void {
    this.stored = this.chat.copy();
  }

  /** The process ends, and another one starts with the stored chat. */
  restart(settings: ModelSettings): void {
    const { now } = this.chat;
    this.chat = this.stored.copy();
    this.chat.now = now;
    this.chat.start(settings);
    this.stored = this.chat.copy();
    this.isStopping = false;
    this.#requests = [];
    this.#forgotten = [];
    this.#held.clear();
    this.#ended.clear();
  }

  #execute(trial: Trial, requests: readonly Request[]): Result[] {
    for (const { id, freeSince } of this.#forgotten) {
      trial.do((chat) => void chat.forget(id, freeSince), true);
    }
    return requests.map((request) => this.#executeOne(trial, request));
  }

  #executeOne(trial: Trial, { sender, items, endsWait, waitedFor, expected }: Request): Result {
    const { session } = sender;
    const replies: Frames[] = [];
    const left: number[] = [];
    const { strict } = trial.chat.settings;
    const ended = endsWait ? { ended: trial.do((chat) => chat.endWait(session)) } : {};
    for (const [i, item] of items.entries()) {
      if (i < expected.replies.length) continue;
      if (item.kind === "mistake") {
        replies.push(item.reply);
      } else if (item.kind === "end") {
        const leaves = trial.chat.shownTo(session);
        trial.do((chat) => void chat.leave(sender), true);
        replies.push(undefined);
        left.push(...leaves);
      } else {
        if (!trial.isRefusing) trial.do((chat) => void chat.acknowledge(sender));
        const refusal = refusalOf(item.words);
        const blocker = refusal === undefined
          ? trial.chat.blockerOf(sender, item.words)
          : undefined;
        if (blocker !== undefined && blocker !== waitedFor) {
          return { replies, ending: "open", blocker, ...ended };
        }
        const mayWait = i === items.length - 1 && !this.isStopping;
        const words = item.words[0] === "wait" && !mayWait ? ["wait", "0"] : item.words;
        const reply = refusal === undefined
          ? trial.do((chat) => replyTo(chat, sender, words))
          : [refusal];
        replies.push(reply);
        const ending = strict && reply !== undefined ? endingOf(item.words, reply[0]!) : "open";
        if (ending !== "open") return { replies, ending, ...ended };
      }
    }
    return { replies, ending: "open", leaves: left, ...ended };
  }

  /** Fills in what the requests expect, and serves those who wait for what an ended session left. */
  #settle(requests: readonly Request[], results: readonly Result[]): void {
    for (const [i, request] of requests.entries()) {
      const { sender: { session }, items, expected } = request;
      const { replies, ending, blocker, leaves = [], ended } = results[i]!;
      if (ended !== undefined) this.#end(session, ended);
      expected.replies.push(...replies);
      expected.ending = ending;
      expected.isDone = blocker === undefined;
      if (blocker !== undefined) {
        this.#held.set(session, { ...request, endsWait: false, waitedFor: blocker });
      }
      expected.isParked = expected.isDone && items.length > 0 &&
        expected.replies.length === items.length &&
        isWaiting(items.at(-1), expected.replies.at(-1));
      for (const person of leaves) this.#serve(person);
    }
  }

  /**
   * Shows new mail to the session of each person that has waited longest; with `again` all mail of
   * this person. If the person was removed, all are told.
   */
  #serve(again?: number): void {
    for (const session of this.chat.served(again)) {
      this.#end(session, this.chat.endWait(session));
    }
  }
}

/** A chat on which a batch is tried. */
class Trial {
  chat: Model;
  hasChanged = false;
  /** Is a command that would change the chat refused? */
  readonly isRefusing: boolean;

  constructor(chat: Model, isRefusing: boolean) {
    this.chat = chat.copy();
    this.isRefusing = isRefusing;
  }

  /** Does something, unless that is refused. `isOwed`: it is never refused. */
  do(work: (chat: Model) => Frames | void, isOwed = false): Frames {
    const before = this.chat.durable;
    const next = this.isRefusing ? this.chat.copy() : this.chat;
    const frames = work(next) ?? undefined;
    const changes = next.durable !== before;
    if (changes && this.isRefusing && !isOwed) return STORAGE_AWAY;
    this.hasChanged ||= changes;
    this.chat = next;
    return frames;
  }
}

/** Has the last item, with this reply, begun to wait? */
function isWaiting(item: ModelItem | undefined, reply: Frames): boolean {
  return item?.kind === "command" && reply === undefined;
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
