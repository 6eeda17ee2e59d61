/** A connection's life: commands in, replies out, time-outs, back-pressure, a polite end. */
import { CommandReader, type Item } from "./command_reader.ts";
import { Deadline } from "./deadline.ts";
import type { Engine } from "./engine.ts";
import type { Answer, Session } from "./session.ts";
import type { Split } from "./frame.ts";
import { type ByteReader, frameStream } from "./frame_stream.ts";
import type { Log } from "./log.ts";
import type { Meter } from "./meter.ts";
import type { ServerOptions } from "./options.ts";
import { Outbox, type Tap } from "./outbox.ts";
import type { Pace } from "./pace.ts";
import type { SessionId } from "./users.ts";

/** A stream of bytes in both directions, however it was made. */
export interface Connection {
  /** A chunk is valid until the next is asked for. */
  readonly reader: ByteReader;
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

/** What a connection is, and has done so far. */
export interface ConnectionFacts {
  readonly connection: SessionId;
  readonly peer: string;
  /** When it was accepted, in milliseconds since 1970. */
  readonly since: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** After our last byte we read on for so long until the client closes, in milliseconds. */
const LINGER_MS = 2_000;
/** While the server stops, what has arrived is what comes without such a pause. */
const STOP_PAUSE_MS = 100;
/** While the server stops, commands are answered for so long at most. */
const STOP_MS = 1_500;

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
  readonly #meter: Meter | undefined;
  readonly #session: Session;
  readonly #frames: ReadableStream<Split>;
  #reader: ReadableStreamDefaultReader<Split>;
  readonly #commands: CommandReader;
  readonly #outbox: Outbox;
  readonly #deadline = new Deadline(() => this.#expire());
  /** What the connection does beside writing decides what a passed deadline means. */
  #phase: "reading" | "waiting" | "lingering" = "reading";
  #expired: Ending | "stalled" | undefined;
  /** When the first byte of a command came, of which more must come. */
  #begunAt: number | undefined;
  #stopAt: number | undefined;
  /** What comes behind a `wait`, being read while that waits. */
  #ahead: Promise<Next> | undefined;
  #lastIsWait = false;
  #counts = { commands: 0, bytesIn: 0, since: Date.now() };

  constructor(
    connection: Connection,
    engine: Engine,
    options: ServerOptions,
    log: Log,
    pace: Pace,
    meter: Meter | undefined,
  ) {
    this.#connection = connection;
    this.#meter = meter;
    this.#engine = engine;
    this.#options = options;
    this.#log = log;
    this.#session = engine.open(connection.address, connection.peer);
    this.#frames = frameStream(connection.reader, options.frameBytesMax);
    this.#reader = this.#frames.getReader();
    this.#commands = new CommandReader(options);
    const write = (bytes: Uint8Array) => connection.write(bytes);
    const deadline = this.#deadline;
    const session = this.#session;
    this.#outbox = new Outbox({ write, session, engine, deadline, pace, options, log, meter });
  }

  /** What the connection is, and has done so far. */
  get facts(): ConnectionFacts {
    const { session: connection, peer } = this.#session.actor;
    const { since, bytesIn } = this.#counts;
    return { connection, peer, since, bytesIn, bytesOut: this.#outbox.bytesWritten };
  }

  /** A tap, made for what comes from a place of the stream on, hears it all; or none does. */
  tap(make: ((offset: number) => Tap) | undefined): void {
    const { pending } = this.#commands;
    this.#outbox.tap = make?.(this.#counts.bytesIn - pending.size);
    this.#outbox.tap?.received(pending);
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
      await this.#outbox.flush();
      await this.#part();
    } catch (error) {
      reason = this.#expired ?? `lost: ${error instanceof Error ? error.message : error}`;
      this.#engine.end(this.#session);
    }
    this.#deadline.close();
    closeQuietly(this.#connection);
    this.#outbox.tap?.ended(reason);
    const { commands, bytesIn } = this.#counts;
    const counts = { commands, bytesIn, bytesOut: this.#outbox.bytesWritten };
    this.#log.event("disconnected", { connection, peer, reason, ...counts });
  }

  /** Answers what has arrived, and ends. */
  stop(): void {
    this.#stopAt ??= performance.now() + STOP_MS;
    this.#outbox.hurry();
    if (this.#phase === "reading") this.#armForReading();
  }

  /** Ends at once. */
  kill(): void {
    if (this.#stopAt !== undefined) this.#expired ??= "the server stops";
    closeQuietly(this.#connection);
  }

  /** Answers what has come in one stretch; the replies leave when nothing is left to answer. */
  async #converse(): Promise<Ending> {
    for (;;) {
      const next = this.#taken() ?? await this.#next();
      if (next.kind === "ending") return next.ending;
      if (next.kind === "mistake") {
        this.#tellMistake(next);
        if (next.reply !== undefined) this.#outbox.addLast(next.reply);
        return "mistake";
      }
      this.#counts.commands++;
      const answer = this.#answerTo(next);
      const name = next.kind === "refused" ? next.name : next.command.name;
      this.#lastIsWait = name === "wait";
      const done = answer instanceof Promise ? await answer : answer;
      if (this.#outbox.add(name, done) === "ends") return "refused";
    }
  }

  /** The next item of what has come already. */
  #taken(): Item | undefined {
    if (this.#ahead !== undefined) return undefined;
    const item = this.#commands.take();
    if (item !== undefined) this.#begunAt = undefined;
    return item;
  }

  /** The next item that comes; before it is waited for, the replies leave. */
  async #next(): Promise<Next> {
    if (!this.#outbox.isEmpty) await this.#outbox.flush();
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
          ? this.#breakOff("stalled")
          : { kind: "ending", ending: this.#expired };
      }
      if (result.done) {
        // A name is held until the end of the stream is read.
        this.#engine.end(this.#session);
        return this.#commands.isBegun
          ? this.#breakOff("cut-off")
          : { kind: "ending", ending: "closed by the client" };
      }
      this.#counts.bytesIn += result.value.size;
      this.#outbox.tap?.received(result.value);
      this.#commands.feed(result.value);
      // What came behind a refusal, knowing of it, may wait anew.
      this.#session.patientWith = undefined;
      const item = this.#commands.take();
      if (item === undefined) {
        this.#armForReading();
        continue;
      }
      this.#begunAt = undefined;
      if (this.#phase === "reading") this.#deadline.clear();
      return item;
    }
  }

  #breakOff(kind: "stalled" | "cut-off"): Item {
    this.#outbox.tap?.brokenOff(kind);
    return this.#commands.breakOff(kind);
  }

  /** The deadline of a read: for the rest of a command, or for the first byte of the next. */
  #armForReading(): void {
    if (this.#outbox.isWriting) return;
    const now = performance.now();
    const { idleTimeoutS, commandTimeoutS } = this.#options;
    let ms = this.#phase === "waiting" ? Infinity : 1000 * idleTimeoutS;
    this.#begunAt = this.#commands.isBegun ? this.#begunAt ?? now : undefined;
    if (this.#begunAt !== undefined) ms = this.#begunAt + 1000 * commandTimeoutS - now;
    if (this.#stopAt !== undefined) ms = Math.min(ms, STOP_PAUSE_MS, this.#stopAt - now);
    this.#deadline.set(Math.max(0, ms), now);
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
    await this.#outbox.flush();
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

  #tellMistake({ mistake, explanation }: Item & { kind: "mistake" }): void {
    const { address, peer, session: connection } = this.#session.actor;
    this.#meter?.mistaken(mistake.code);
    this.#log.refused(address, mistake.code, { connection, peer, explanation });
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
    const isWriting = this.#outbox.isWriting;
    if (isWriting && this.#stopAt === undefined) this.#expired = "nothing written in time";
    if (isWriting || this.#phase === "lingering") return this.kill();
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
