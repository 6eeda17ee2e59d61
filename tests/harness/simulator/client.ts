/** A connection to one of several simulated servers. It behaves as `ConnectionHandler` does. */
import type { Command, CommandName } from "../../../lib/protocol/command.ts";
import type { Engine } from "../../../lib/engine/engine.ts";
import type { Answers, Session } from "../../../lib/engine/session.ts";
import { type Reply } from "../../../lib/protocol/reply.ts";
import { replyTexts } from "../../../lib/protocol/reply_encoder.ts";
import type { Words } from "./model_batches.ts";

/** The server, as its connections use it. */
export interface ClientServer {
  readonly number: number;
  readonly engine: Engine;
  readonly strict: boolean;
  /** The number of the last message of the stream that the server has read. */
  readonly through: number;
  /** The number of commits that have failed. */
  readonly failures: number;
  /** Has the process ended without leaving? */
  readonly isCrashed: boolean;
  /** To be called when a reply leaves. */
  readonly replied: (request: Request, frames: readonly string[]) => void;
  /** To be called with an error that nothing else handles. */
  readonly failed: (error: unknown) => void;
}

/** A command that a client has sent, with its reply. */
export interface Request {
  readonly words: Words;
  readonly command: Command;
  readonly client: Client;
  /** How many messages the server had read when it heard the command. */
  heardAt?: number;
  /** How many commits of the server had failed then. */
  failuresBefore?: number;
  /** The number of the stream message with the command, and the naive chat's reply to it. */
  place?: number;
  /** The number of the naive chat after the command, among the oracle's. */
  chat?: number;
  expected?: readonly string[];
  /** The reply of the engine. */
  reply?: Reply | undefined;
  /** The reply that the client got. */
  got?: readonly string[];
}

/** Commands that were entered together, and their answers. */
interface Entered {
  readonly requests: readonly Request[];
  readonly answers: Promise<Answers>;
}

/** The connection has broken. */
class Lost extends Error {}

/** One connection. */
export class Client {
  readonly server: ClientServer;
  readonly address: string;
  /** Unique among all connections. */
  readonly port: number;
  readonly session: Session;
  /** All commands that the server has heard. */
  readonly heard: Request[] = [];
  isOver = false;
  /** Resolves when the connection is over. */
  readonly over: Promise<void>;
  /** The commands that will arrive with the next one. */
  #unarrived: Request[] = [];
  #arrived: Request[] = [];
  /** What is read while a `wait` waits. */
  #ahead: Promise<Entered | undefined> | undefined;
  #isBroken = false;
  #isEnded = false;
  #isStopped = false;
  #wake = () => {};

  constructor(server: ClientServer, address: string, port: number) {
    this.server = server;
    this.address = address;
    this.port = port;
    this.session = server.engine.open(address, `${address}:${port}`);
    this.over = this.#run();
  }

  /** Sends a command. With `more` it arrives together with the next one. */
  send(words: Words, more: boolean): Request {
    const request = { words, command: commandOf(words), client: this };
    this.#unarrived.push(request);
    if (!more) this.#arrive();
    return request;
  }

  /** The client closes its side. */
  end(): void {
    this.#isEnded = true;
    this.#arrive();
  }

  /** The connection breaks. */
  break(): void {
    this.#isBroken = true;
    this.#wake();
  }

  /** The server stops: it answers the commands that have arrived, and reads no more. */
  stop(): void {
    this.#isStopped = true;
    this.#wake();
  }

  #arrive(): void {
    this.#arrived.push(...this.#unarrived);
    this.#unarrived = [];
    this.#wake();
  }

  async #run(): Promise<void> {
    const { engine, failed } = this.server;
    try {
      await this.#serve();
    } catch (error) {
      if (!(error instanceof Lost)) failed(error);
    }
    engine.end(this.session);
    this.isOver = true;
  }

  async #serve(): Promise<void> {
    for (;;) {
      const entered = await (this.#ahead ?? this.#read());
      this.#ahead = undefined;
      if (entered === undefined) return;
      let left = entered.requests;
      let answers = await entered.answers;
      for (;;) {
        const count = answers.replies.length - (answers.ending === "silent" ? 1 : 0);
        for (const request of left.slice(0, count)) this.#reply(request);
        if (answers.rest === undefined) break;
        left = left.slice(count);
        answers = await answers.rest;
      }
      const { ending, parked } = answers;
      if (ending !== "open" || this.session.isEnding) return;
      if (parked === undefined) continue;
      this.#ahead = this.#read();
      this.#ahead.catch(() => this.server.engine.end(this.session));
      const request = entered.requests.at(-1)!;
      request.reply = await parked;
      this.#reply(request);
    }
  }

  /** Reads the next commands, and enters them. Returns `undefined` where the server stops. */
  async #read(): Promise<Entered | undefined> {
    for (;;) {
      if (this.#isBroken) throw new Lost();
      const requests = this.#arrived;
      this.#arrived = [];
      if (requests.length > 0) return this.#enter(requests);
      if (this.#isEnded) {
        return { requests, answers: this.server.engine.enter(this.session, [{ kind: "end" }]) };
      }
      if (this.#isStopped) return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  #enter(requests: readonly Request[]): Entered {
    const { engine, through: heardAt, failures: failuresBefore } = this.server;
    for (const request of requests) Object.assign(request, { heardAt, failuresBefore });
    this.heard.push(...requests);
    const items = requests.map(({ command }) => ({ kind: "command", command }) as const);
    const answers = engine.enter(this.session, items);
    answers.then((first) => noteReplies(requests, first));
    return { requests, answers };
  }

  /** A reply leaves, unless the connection has broken. */
  #reply(request: Request | undefined): void {
    if (request?.reply === undefined) return;
    if (this.#isBroken) throw new Lost();
    request.got = framesOf(request.reply);
    this.server.replied(request, request.got);
  }
}

/** Notes the replies of the engine, whether they leave or not. */
function noteReplies(requests: readonly Request[], { replies, rest }: Answers): void {
  for (const [i, reply] of replies.entries()) requests[i]!.reply = reply;
  rest?.then((more) => noteReplies(requests.slice(replies.length), more));
}

/** The frames of a reply. The long text of `help` is replaced by its code. */
export function framesOf(reply: Reply): readonly string[] {
  return reply.code === "help" ? ["help"] : replyTexts(reply);
}

function commandOf([name, first = "", second = ""]: Words): Command {
  switch (name as CommandName) {
    case "register":
      return { name: "register", user: first };
    case "send":
      return { name: "send", to: first, text: second };
    case "sendall":
      return { name: "sendall", text: first };
    case "wait":
      return { name: "wait", seconds: Number(first) };
    default:
      return { name: name as "users" | "receive" | "ping" | "help" | "logout" };
  }
}
