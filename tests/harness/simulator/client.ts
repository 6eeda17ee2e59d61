/** A connection to one of several simulated servers, which does what `ConnectionHandler` does. */
import { strictEnding } from "../../../lib/chat/commands.ts";
import type { Command, CommandName } from "../../../lib/protocol/command.ts";
import type { Engine } from "../../../lib/engine/engine.ts";
import type { Answer, Session } from "../../../lib/engine/session.ts";
import { type Reply } from "../../../lib/protocol/reply.ts";
import { replyTexts } from "../../../lib/protocol/reply_encoder.ts";
import type { Words } from "./model_batches.ts";

/** What a connection needs to know of its server. */
export interface ClientServer {
  readonly number: number;
  readonly engine: Engine;
  readonly strict: boolean;
  /** The last message of the stream that it has read. */
  readonly through: number;
  /** How often something could not be stored. */
  readonly failures: number;
  /** It has ended without a word. */
  readonly isCrashed: boolean;
  /** A reply leaves. */
  readonly replies: (said: Said, frames: readonly string[]) => void;
  /** Nobody else would hear of the error. */
  readonly failed: (error: unknown) => void;
}

/** A command that was sent. */
export interface Said {
  readonly words: Words;
  readonly command: Command;
  readonly client: Client;
  /** What the server had read, and how often it had failed, when it heard the command. */
  since?: number;
  failures?: number;
  /** Where it stands in the stream, if it does, and what the model says there. */
  place?: number;
  expected?: readonly string[];
  answer?: Answer;
  /** What the client got. */
  got?: readonly string[];
}

/** The connection is lost. */
class Lost extends Error {}

/** One connection. */
export class Client {
  readonly server: ClientServer;
  readonly address: string;
  /** No other connection has it. */
  readonly port: number;
  readonly session: Session;
  /** All that the server has heard. */
  readonly heard: Said[] = [];
  isOver = false;
  /** Resolves when the connection is over. */
  readonly over: Promise<void>;
  /** What has come with what comes next. */
  #coming: Said[] = [];
  #arrived: Said[] = [];
  /** What was read and is to be dealt with. */
  #stretch: Said[] = [];
  #ahead: Promise<Said | undefined> | undefined;
  #answers: { readonly said: Said; readonly answer: Answer }[] = [];
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

  /** A command arrives, or will arrive with the next one. */
  say(words: Words, more: boolean): Said {
    const said = { words, command: commandOf(words), client: this };
    this.#coming.push(said);
    if (!more) this.#arrive();
    return said;
  }

  /** The client says no more. */
  end(): void {
    this.#isEnded = true;
    this.#arrive();
  }

  /** The connection is lost. */
  break(): void {
    this.#isBroken = true;
    this.#wake();
  }

  /** What has arrived is answered, and no more. */
  stop(): void {
    this.#isStopped = true;
    this.#wake();
  }

  #arrive(): void {
    this.#arrived.push(...this.#coming);
    this.#coming = [];
    this.#wake();
  }

  async #run(): Promise<void> {
    const { engine, failed } = this.server;
    try {
      await this.#converse();
      engine.end(this.session);
      await this.#flush();
    } catch (error) {
      engine.end(this.session);
      if (!(error instanceof Lost)) failed(error);
    }
    this.isOver = true;
  }

  async #converse(): Promise<void> {
    for (;;) {
      const said = this.#taken() ?? await this.#next();
      if (said === undefined) return;
      const asked = this.#ask(said);
      const answer = asked instanceof Promise ? await this.#awaitAnswer(asked, said) : asked;
      const ending = this.server.strict ? strictEnding(said.command.name, answer.reply) : "open";
      if (ending !== "silent") this.#answers.push({ said, answer });
      if (ending !== "open") return;
    }
  }

  #taken(): Said | undefined {
    return this.#ahead === undefined ? this.#stretch.shift() : undefined;
  }

  async #next(): Promise<Said | undefined> {
    if (this.#answers.length > 0) await this.#flush();
    const next = await (this.#ahead ?? this.#read());
    this.#ahead = undefined;
    return next;
  }

  /** The next command that arrives; none at the end. */
  async #read(): Promise<Said | undefined> {
    for (;;) {
      if (this.#isBroken) throw new Lost();
      this.#stretch.push(...this.#arrived);
      this.#arrived = [];
      this.session.waitedFor = undefined;
      const said = this.#stretch.shift();
      if (said !== undefined) return said;
      if (this.#isEnded) this.server.engine.end(this.session);
      if (this.#isEnded || this.#isStopped) return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  #ask(said: Said): Answer | Promise<Answer> {
    const { engine, through, failures } = this.server;
    Object.assign(said, { since: through, failures });
    this.heard.push(said);
    const answer = engine.run(this.session, said.command);
    Promise.resolve(answer).then((answer) => said.answer = answer);
    return answer;
  }

  async #awaitAnswer(asked: Promise<Answer>, { command }: Said): Promise<Answer> {
    await this.#flush();
    if (command.name !== "wait") return await asked;
    const said = this.#stretch.shift();
    this.#ahead = said === undefined ? this.#read() : Promise.resolve(said);
    const endWait = () => this.server.engine.endWait(this.session);
    this.#ahead.then(endWait, endWait);
    return await asked;
  }

  /** When the batch is over, the replies leave. */
  async #flush(): Promise<void> {
    const answers = this.#answers;
    this.#answers = [];
    await this.server.engine.settled();
    if (answers.length > 0 && this.#isBroken) throw new Lost();
    for (const { said, answer } of answers) {
      said.got = framesOf(answer.reply);
      this.server.replies(said, said.got);
    }
  }
}

/** The frames of a reply; the long text of `help` stands for itself. */
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
