/** A connection to one of several simulated servers. It behaves as `ConnectionHandler` does. */
import { strictEnding } from "../../../lib/chat/commands.ts";
import type { Command, CommandName } from "../../../lib/protocol/command.ts";
import type { Engine } from "../../../lib/engine/engine.ts";
import type { Answer, Session } from "../../../lib/engine/session.ts";
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
  expected?: readonly string[];
  answer?: Answer;
  /** The reply that the client got. */
  got?: readonly string[];
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
  /** The commands that were read and not executed yet. */
  #readAhead: Request[] = [];
  /** The next command, which ends the `wait` before it. */
  #afterWait: Promise<Request | undefined> | undefined;
  #answers: { readonly request: Request; readonly answer: Answer }[] = [];
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
      await this.#answerAll();
      engine.end(this.session);
      await this.#flush();
    } catch (error) {
      engine.end(this.session);
      if (!(error instanceof Lost)) failed(error);
    }
    this.isOver = true;
  }

  async #answerAll(): Promise<void> {
    for (;;) {
      const request = this.#nextReady() ?? await this.#next();
      if (request === undefined) return;
      const asked = this.#ask(request);
      const answer = asked instanceof Promise ? await this.#awaitAnswer(asked, request) : asked;
      const ending = this.server.strict ? strictEnding(request.command.name, answer.reply) : "open";
      if (ending !== "silent") this.#answers.push({ request, answer });
      if (ending !== "open") return;
    }
  }

  /** The next command, if it was read already and no `wait` is before it. */
  #nextReady(): Request | undefined {
    return this.#afterWait === undefined ? this.#readAhead.shift() : undefined;
  }

  async #next(): Promise<Request | undefined> {
    if (this.#answers.length > 0) await this.#flush();
    const next = await (this.#afterWait ?? this.#read());
    this.#afterWait = undefined;
    return next;
  }

  /** Waits for the next command. Returns `undefined` at the end of the stream. */
  async #read(): Promise<Request | undefined> {
    for (;;) {
      if (this.#isBroken) throw new Lost();
      this.#readAhead.push(...this.#arrived);
      this.#arrived = [];
      this.session.waitedFor = undefined;
      const request = this.#readAhead.shift();
      if (request !== undefined) return request;
      if (this.#isEnded) this.server.engine.end(this.session);
      if (this.#isEnded || this.#isStopped) return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  #ask(request: Request): Answer | Promise<Answer> {
    const { engine, through, failures } = this.server;
    Object.assign(request, { heardAt: through, failuresBefore: failures });
    this.heard.push(request);
    const answer = engine.run(this.session, request.command);
    Promise.resolve(answer).then((answer) => request.answer = answer);
    return answer;
  }

  async #awaitAnswer(asked: Promise<Answer>, { command }: Request): Promise<Answer> {
    await this.#flush();
    if (command.name !== "wait") return await asked;
    const request = this.#readAhead.shift();
    this.#afterWait = request === undefined ? this.#read() : Promise.resolve(request);
    const endWait = () => this.server.engine.endWait(this.session);
    this.#afterWait.then(endWait, endWait);
    return await asked;
  }

  /** Waits for the end of the batch; then the replies leave. */
  async #flush(): Promise<void> {
    const answers = this.#answers;
    this.#answers = [];
    await this.server.engine.settled();
    if (answers.length > 0 && this.#isBroken) throw new Lost();
    for (const { request, answer } of answers) {
      request.got = framesOf(answer.reply);
      this.server.replied(request, request.got);
    }
  }
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
