/** A connection's life: commands in, replies out, time-outs, back-pressure, a polite end. */
import type { Breather } from "./breather.ts";
import { isLonger, strictEnding } from "./chat.ts";
import type { CommandName } from "./command.ts";
import { CommandReader, type Item } from "./command_reader.ts";
import { Deadline } from "./deadline.ts";
import type { Answer, Engine, Session } from "./engine.ts";
import type { Split } from "./frame.ts";
import { frameStream } from "./frame_stream.ts";
import type { Log } from "./log.ts";
import type { ServerOptions } from "./options.ts";
import { encodeReplies, isRefusal, type Reply, replyText } from "./reply.ts";

/** A stream of bytes in both directions, however it was made. */
export interface Connection {
  readonly readable: ReadableStream<Uint8Array>;
  /** Writes some of the bytes, and returns how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends the sending side. */
  closeWrite(): Promise<void>;
  close(): void;
  /** The other end's IP address. */
  readonly address: string;
  /** The other end's `address:port`. */
  readonly peer: string;
}

/** After our last byte we read on for so long until the client closes, in milliseconds. */
const LINGER_MS = 2_000;
/** While the server stops, what has arrived is what comes without such a pause. */
const STOP_PAUSE_MS = 100;
/** While the server stops, commands are answered for so long at most. */
const STOP_MS = 1_500;

/** While the server stops, a client has so long to take a reply. */
const STOP_WRITE_MS = 1_000;

/** Why a connection ended, for the log. */
type Ending =
  | "closed by the client"
  | "idle"
  | "mistake"
  | "refused"
  | "the server stops"
  | "nothing written in time";

/** What comes next: an item, or the end of the conversation. */
type Next = Item | { readonly kind: "ending"; readonly ending: Ending };

/** One connection that is served. */
export class ConnectionHandler {
  readonly #connection: Connection;
  readonly #engine: Engine;
  readonly #options: ServerOptions;
  readonly #log: Log;
  readonly #breather: Breather;
  readonly #session: Session;
  readonly #frames: ReadableStream<Split>;
  #reader: ReadableStreamDefaultReader<Split>;
  readonly #commands: CommandReader;
  readonly #deadline = new Deadline(() => this.#expire());
  /** What the connection does now decides what a passed deadline means. */
  #phase: "reading" | "waiting" | "writing" | "lingering" = "reading";
  #expired: Ending | "stalled" | undefined;
  #begunAt: number | undefined;
  #stopAt: number | undefined;
  /** What comes behind a `wait`, being read while that waits. */
  #ahead: Promise<Next> | undefined;
  #lastIsWait = false;
  /** Answers that have not left, each with the command that it is for; none for a mistake. */
  #answers: { readonly name?: CommandName; readonly answer: Answer }[] = [];
  #counts = { commands: 0, bytesIn: 0, bytesOut: 0 };

  constructor(
    connection: Connection,
    engine: Engine,
    options: ServerOptions,
    log: Log,
    breather: Breather,
  ) {
    this.#breather = breather;
    this.#connection = connection;
    this.#engine = engine;
    this.#options = options;
    this.#log = log;
    this.#session = engine.open(connection.address, connection.peer);
    this.#frames = frameStream(connection.readable, options.frameBytesMax);
    this.#reader = this.#frames.getReader();
    this.#commands = new CommandReader(options);
  }

  /** Serves the connection to its end; never throws. */
  async run(): Promise<void> {
    const { peer } = this.#connection;
    const connection = this.#session.actor.session;
    this.#log.event("connected", { connection, peer });
    let reason: string;
    try {
      reason = await this.#converse();
      this.#engine.end(this.#session);
      await this.#flush();
      await this.#part();
    } catch (error) {
      reason = this.#expired ?? `lost: ${error instanceof Error ? error.message : error}`;
      this.#engine.end(this.#session);
    }
    this.#deadline.close();
    closeQuietly(this.#connection);
    this.#log.event("disconnected", { connection, peer, reason, ...this.#counts });
  }

  /** Answers what has arrived, and ends. */
  stop(): void {
    this.#stopAt ??= performance.now() + STOP_MS;
    if (this.#phase === "reading") this.#armForReading();
    if (this.#phase === "writing") this.#deadline.set(STOP_WRITE_MS);
  }

  /** Ends at once. */
  kill(): void {
    if (this.#stopAt !== undefined) this.#expired ??= "the server stops";
    closeQuietly(this.#connection);
  }

  async #converse(): Promise<Ending> {
    for (;;) {
      const next = await this.#next();
      if (next.kind === "ending") return next.ending;
      if (next.kind === "mistake") {
        this.#refused(next.mistake.code, { explanation: next.explanation });
        if (next.reply !== undefined) this.#answers.push({ answer: { reply: next.reply } });
        return "mistake";
      }
      this.#counts.commands++;
      if (this.#queue(next, await this.#answerTo(next)) === "ends") return "refused";
    }
  }

  /** The next item; where it has not come yet, the replies leave before it is waited for. */
  async #next(): Promise<Next> {
    const late = this.#breather.due();
    if (late !== undefined) await late;
    if (this.#ahead === undefined) {
      const item = this.#commands.take();
      if (item !== undefined) {
        this.#begunAt = undefined;
        return item;
      }
    }
    await this.#flush();
    // Whose wait the stop has ended would only wait again.
    const isOver = this.#stopAt !== undefined && this.#ahead === undefined &&
      (this.#lastIsWait || performance.now() > this.#stopAt);
    if (isOver) return { kind: "ending", ending: "the server stops" };
    this.#armForReading();
    const next = await (this.#ahead ?? this.#read());
    this.#ahead = undefined;
    return next;
  }

  async #read(): Promise<Next> {
    for (;;) {
      this.#commands.keep();
      let result;
      try {
        result = await this.#reader.read();
      } catch (error) {
        if (this.#expired === undefined) throw error;
        this.#reader = this.#frames.getReader();
        if (this.#expired === "stalled" && !this.#commands.isBegun) {
          // The rest came just as the time was over.
          this.#expired = undefined;
          continue;
        }
        return this.#expired === "stalled"
          ? this.#commands.breakOff("stalled")
          : { kind: "ending", ending: this.#expired };
      }
      if (result.done) {
        // A name is held until the end of the stream is read.
        this.#engine.end(this.#session);
        return this.#commands.isBegun
          ? this.#commands.breakOff("cut-off")
          : { kind: "ending", ending: "closed by the client" };
      }
      this.#counts.bytesIn += result.value.size;
      this.#commands.feed(result.value);
      // What came behind a refusal, knowing of it, may wait anew.
      this.#session.patientWith = undefined;
      const item = this.#commands.take();
      if (item === undefined) {
        this.#armForReading();
        continue;
      }
      this.#begunAt = undefined;
      if (this.#phase === "reading") this.#deadline.set(Infinity);
      return item;
    }
  }

  /** The deadline of a read: for the rest of a command, or for the first byte of the next. */
  #armForReading(): void {
    if (this.#phase === "writing") return;
    const now = performance.now();
    const { idleTimeoutS, commandTimeoutS } = this.#options;
    let ms = this.#phase === "waiting" ? Infinity : 1000 * idleTimeoutS;
    this.#begunAt = this.#commands.isBegun ? this.#begunAt ?? now : undefined;
    if (this.#begunAt !== undefined) ms = this.#begunAt + 1000 * commandTimeoutS - now;
    if (this.#stopAt !== undefined) ms = Math.min(ms, STOP_PAUSE_MS, this.#stopAt - now);
    this.#deadline.set(Math.max(0, ms));
  }

  #answerTo(item: Exclude<Item, { kind: "mistake" }>): Answer | Promise<Answer> {
    if (item.kind === "refused") {
      this.#engine.acknowledge(this.#session);
      return { reply: item.reply };
    }
    const answer = this.#engine.run(this.#session, item.command);
    if (!(answer instanceof Promise)) return answer;
    return this.#awaitAnswer(answer, item.command.name === "wait");
  }

  /** Waits for an answer. What comes behind a `wait` ends it, so it is read meanwhile. */
  async #awaitAnswer(answer: Promise<Answer>, isWait: boolean): Promise<Answer> {
    await this.#flush();
    if (!isWait) return await answer;
    this.#phase = "waiting";
    const item = this.#commands.take();
    if (item === undefined) this.#armForReading();
    this.#ahead = item === undefined ? this.#read() : Promise.resolve(item);
    const hurry = () => this.#engine.hurry(this.#session);
    this.#ahead.then(hurry, hurry);
    const done = await answer;
    this.#phase = "reading";
    return done;
  }

  /** The answer leaves with the next flush. In strict mode it may be the last one. */
  #queue(item: Exclude<Item, { kind: "mistake" }>, answer: Answer): "ends" | "goes on" {
    const name = item.kind === "refused" ? item.name : item.command.name;
    this.#lastIsWait = name === "wait";
    const ending = this.#options.strict ? strictEnding(name, answer.reply) : "open";
    if (ending === "silent") this.#tell(name, answer.reply);
    else this.#answers.push({ name, answer });
    return ending === "open" ? "goes on" : "ends";
  }

  /** Tells the log what is worth a line. */
  #tell(name: CommandName, reply: Reply): void {
    if (reply.code === "welcome" || reply.code === "welcome-back") {
      const event = reply.code === "welcome" ? "registered" : "came-back";
      const { session: connection, peer } = this.#session.actor;
      this.#log.event(event, { connection, peer, user: reply.user });
    } else if (isRefusal(reply)) {
      // A receiver that is longer than a name may be a text in the wrong place.
      const isLong = isLonger(reply.user ?? "", this.#options.nameSymbolsMax);
      const text = isLong ? {} : { reply: replyText(reply) };
      this.#refused(reply.code, { command: name, ...text });
    }
  }

  #refused(reason: string, about: Record<string, string>): void {
    const { address, peer, session: connection } = this.#session.actor;
    this.#log.refused(address, reason, { connection, peer, ...about });
  }

  /** When the turn is over, writes the replies in pieces of bounded size. Nothing is read meanwhile. */
  async #flush(): Promise<void> {
    if (this.#answers.length === 0) return;
    const answers = this.#answers;
    this.#answers = [];
    const settled = this.#engine.settled();
    if (settled !== undefined) await settled;
    const replies = answers.map(({ answer }) => answer.reply);
    for (const { name, answer } of answers) {
      if (name !== undefined) this.#tell(name, answer.reply);
    }
    for (const piece of encodeReplies(replies)) {
      await this.#write(piece);
      const late = this.#breather.due();
      if (late !== undefined) await late;
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#phase = "writing";
    for (let left = bytes; left.length > 0;) {
      const ms = 1000 * this.#options.writeTimeoutS;
      this.#deadline.set(this.#stopAt === undefined ? ms : Math.min(ms, STOP_WRITE_MS));
      const written = await this.#connection.write(left);
      this.#counts.bytesOut += written;
      left = left.subarray(written);
    }
    this.#phase = "reading";
  }

  /** Closing at once would make TCP reset the connection, and the last reply might be lost. */
  async #part(): Promise<void> {
    this.#phase = "lingering";
    this.#deadline.set(LINGER_MS);
    try {
      await this.#connection.closeWrite();
      while (!(await this.#reader.read()).done);
    } catch {
      // The other end is gone, or its time is over: there is nobody left to be polite to.
    }
  }

  #expire(): void {
    if (this.#phase === "writing" && this.#stopAt === undefined) {
      this.#expired = "nothing written in time";
    }
    if (this.#phase === "writing" || this.#phase === "lingering") return this.kill();
    this.#expired = this.#stopAt !== undefined
      ? "the server stops"
      : this.#commands.isBegun
      ? "stalled"
      : "idle";
    this.#reader.releaseLock();
  }
}

/** Closes what may be closed already, by the other end or by a time-out. */
export function closeQuietly(closer: { close(): void }): void {
  try {
    closer.close();
  } catch {
    // It is closed, and that is what was wanted.
  }
}
