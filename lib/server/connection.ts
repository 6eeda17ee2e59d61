/** A connection's life: commands in, replies out, time-outs, back-pressure, a polite end. */
import { type Item, RequestReader } from "../protocol/request_reader.ts";
import { loopTime } from "../clock.ts";
import { Deadline } from "./deadline.ts";
import type { Engine } from "../engine/engine.ts";
import type { Answer, Session } from "../engine/session.ts";
import type { Split } from "../protocol/frame.ts";
import { FrameStream, type Reader } from "../protocol/frame_stream.ts";
import type { Decode } from "../protocol/utf8.ts";
import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Meter } from "../meter.ts";
import type { ServerOptions } from "../options.ts";
import { Outbox, type Tap } from "./outbox.ts";
import { type Fairness, Ticket } from "./fairness.ts";
import type { SessionId } from "../chat/users.ts";

/** A stream of bytes in both directions, however it was made. */
export interface Connection extends Reader {
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
/** While the server stops, what has arrived is what comes without two such pauses, for anybody. */
const STOP_PAUSE_MS = 100;
/** While the server stops, commands are answered for so long at most. */
const STOP_MS = 2_500;

/** Why a connection ended, for the log. */
type Ending =
  | "closed by the client"
  | "idle"
  | "mistake"
  | "refused"
  | "the server stops"
  | "nothing written in time";

/** A command whose answer has to wait. */
interface Late {
  readonly isWait: boolean;
  readonly answer: Promise<Answer>;
}

/** What comes next: an item, the answer to an earlier one, or the end of the conversation. */
type Next = Item | Answered | { readonly kind: "ending"; readonly ending: Ending };

interface Answered {
  readonly kind: "answered";
  readonly answer: Answer;
}

/** What all connections of a server share. */
export interface ConnectionContext {
  readonly engine: Engine;
  readonly options: ServerOptions;
  readonly log: Log;
  readonly fairness: Fairness;
  readonly meter: Meter | undefined;
  readonly decode: Decode;
}

/** One connection that is served. */
export class ConnectionHandler {
  readonly #connection: Connection;
  readonly #context: ConnectionContext;
  readonly #ticket = new Ticket();
  readonly #session: Session;
  readonly #frames: FrameStream;
  readonly #commands: RequestReader;
  readonly #outbox: Outbox;
  readonly #deadline = new Deadline(() => this.#expire());
  /** What the connection does beside writing decides what a passed deadline means. */
  #phase: "reading" | "waiting" | "lingering" = "reading";
  #expired: Ending | "stalled" | undefined;
  /** When the first byte of a command came, of which more must come. */
  #begunAt: number | undefined;
  #stopAt: number | undefined;
  /** When the deadline of a read was set. */
  #armedAt = 0;
  /** While the server stops: how often something had come from anybody, or was sent, at the last pause. */
  #eventsBefore: number | undefined;
  #isReading = false;
  /** What comes behind a `wait`, being read while that waits. */
  #ahead: Promise<Next> | undefined;
  #lastIsWait = false;
  readonly #since = Date.now();
  #commandCount = 0;
  #bytesIn = 0;

  constructor(connection: Connection, context: ConnectionContext) {
    const { engine, options, log, meter, decode } = context;
    this.#connection = connection;
    this.#context = context;
    this.#session = engine.open(connection.address, connection.peer);
    this.#frames = new FrameStream(connection, options.frameBytesMax, decode);
    this.#commands = new RequestReader(options);
    const { actor } = this.#session;
    this.#outbox = new Outbox({ actor, deadline: this.#deadline, options, log, meter });
  }

  /** What the connection is, and has done so far. */
  get facts(): ConnectionFacts {
    const { session: connection, peer } = this.#session.actor;
    const bytesOut = this.#outbox.bytesWritten;
    return { connection, peer, since: this.#since, bytesIn: this.#bytesIn, bytesOut };
  }

  /** A tap, made for what comes from a place of the stream on, hears it all; or none does. */
  tap(make: ((offset: number) => Tap) | undefined): void {
    const { pending } = this.#commands;
    this.#outbox.tap = make?.(this.#bytesIn - pending.size);
    this.#outbox.tap?.received(pending);
  }

  /** Serves the connection to its end; never throws. */
  async run(): Promise<void> {
    const { peer } = this.#connection;
    const connection = this.#session.actor.session;
    this.#context.log.event("connected", { connection, peer });
    let reason: string;
    try {
      reason = await this.#converse();
      await this.#linger();
    } catch (error) {
      reason = this.#expired ?? `lost: ${messageOf(error)}`;
      this.#context.engine.end(this.#session);
    }
    this.#deadline.close();
    closeQuietly(this.#connection);
    this.#outbox.tap?.ended(reason);
    const { bytesIn, bytesOut } = this.facts;
    const commands = this.#commandCount;
    this.#context.log.event("disconnected", {
      connection,
      peer,
      reason,
      commands,
      bytesIn,
      bytesOut,
    });
  }

  /** Answers what has arrived, and ends. */
  stop(): void {
    this.#stopAt ??= performance.now() + STOP_MS;
    this.#outbox.shortenTimeout();
    if (this.#phase === "reading" && this.#isReading) this.#armForReading();
  }

  /** Ends at once. */
  kill(): void {
    if (this.#stopAt !== undefined) this.#expired ??= "the server stops";
    closeQuietly(this.#connection);
  }

  /** Reads what comes, answers it in one stretch, and writes the replies. */
  async #converse(): Promise<Ending> {
    // One long function: an async function for each request is a tenth of what a request costs.
    const outbox = this.#outbox;
    for (let next: Next | undefined;;) {
      const halt = this.#answerStretch(next);
      const isOver = typeof halt === "string";
      if (isOver) this.#context.engine.end(this.#session);
      if (!outbox.isEmpty) {
        const settled = this.#context.engine.settled();
        if (settled !== undefined) await settled;
        for (let piece = outbox.first(); piece !== undefined;) {
          const written = await this.#connection.write(piece);
          const batch = this.#context.fairness.next(this.#ticket, this.#commandCount);
          if (batch !== undefined) await batch;
          piece = outbox.next(written);
        }
      }
      if (isOver) return halt;
      next = undefined;
      if (halt !== undefined) next = await this.#awaitAnswer(halt);
      else if (this.#isStopped) next = { kind: "ending", ending: "the server stops" };
      else if (this.#ahead !== undefined) {
        this.#armForReading();
        next = await this.#ahead;
        this.#ahead = this.#begunAt = undefined;
        this.#deadline.clear();
      } else {
        try {
          next = this.#feed(await this.#read());
        } catch (error) {
          next = this.#recover(error);
        }
      }
    }
  }

  /** Answers until nothing is left of what has come, an answer has to wait, or all is over. */
  #answerStretch(first: Next | undefined): Ending | Late | undefined {
    for (let next = first ?? this.#nextItem(); next !== undefined; next = this.#nextItem()) {
      if (next.kind === "ending") return next.ending;
      if (next.kind === "mistake") {
        this.#tellMistake(next);
        if (next.reply !== undefined) this.#outbox.addLast(next.reply);
        return "mistake";
      }
      const answer = next.kind === "answered" ? next.answer : this.#answerTo(next);
      if (answer instanceof Promise) {
        const isWait = next.kind === "command" && next.command.name === "wait";
        return { isWait, answer };
      }
      this.#lastIsWait = answer.name === "wait";
      if (this.#outbox.add(answer) === "ends") return "refused";
    }
    return undefined;
  }

  /** The next item of what has come already. */
  #nextItem(): Item | undefined {
    if (this.#ahead !== undefined) return undefined;
    const item = this.#commands.next();
    if (item !== undefined) this.#begunAt = undefined;
    return item;
  }

  /** The server stops, and what had arrived is answered. */
  get #isStopped(): boolean {
    if (this.#stopAt === undefined || this.#ahead !== undefined) return false;
    // Whose wait the stop has ended would only wait again.
    return this.#lastIsWait || performance.now() > this.#stopAt;
  }

  #read(): Promise<ReadableStreamReadResult<Split>> {
    this.#armForReading();
    this.#commands.copyUnread();
    this.#isReading = true;
    return this.#frames.read();
  }

  /** Takes in what was read; the end of the stream is the end, or a mistake. */
  #feed(read: ReadableStreamReadResult<Split>): Next | undefined {
    this.#isReading = false;
    if (read.done) {
      // A name is held until the end of the stream is read.
      this.#context.engine.end(this.#session);
      return this.#commands.isBegun
        ? this.#breakOff("cut-off")
        : { kind: "ending", ending: "closed by the client" };
    }
    this.#context.fairness.events++;
    this.#bytesIn += read.value.size;
    this.#outbox.tap?.received(read.value);
    this.#commands.feed(read.value);
    // What came behind a refusal, knowing of it, may wait anew.
    this.#session.waitedFor = undefined;
    if (this.#phase === "reading") this.#deadline.clear();
    return undefined;
  }

  /** Reading has failed: perhaps because its time was over. */
  #recover(error: unknown): Next | undefined {
    this.#isReading = false;
    if (this.#expired === undefined) throw error;
    if (this.#expired !== "stalled") return { kind: "ending", ending: this.#expired };
    if (this.#commands.isBegun) return this.#breakOff("stalled");
    // The rest came just as the time was over.
    this.#expired = undefined;
    return undefined;
  }

  /** What comes behind a `wait`, while that waits. */
  async #readAhead(): Promise<Next> {
    for (let next: Next | undefined;;) {
      next ??= this.#commands.next();
      if (next !== undefined) {
        this.#begunAt = undefined;
        return next;
      }
      try {
        next = this.#feed(await this.#read());
      } catch (error) {
        next = this.#recover(error);
      }
    }
  }

  #breakOff(kind: "stalled" | "cut-off"): Item {
    this.#outbox.tap?.brokenOff(kind);
    return this.#commands.breakOff(kind);
  }

  /** The deadline of a read: for the rest of a command, or for the first byte of the next. */
  #armForReading(): void {
    if (this.#outbox.isWriting) return;
    const { idleTimeoutS, commandTimeoutS } = this.#context.options;
    const now = loopTime();
    let ms = this.#phase === "waiting" ? Infinity : 1000 * idleTimeoutS;
    this.#begunAt = this.#commands.isBegun ? this.#begunAt ?? now : undefined;
    if (this.#begunAt !== undefined) ms = this.#begunAt + 1000 * commandTimeoutS - now;
    if (this.#stopAt !== undefined) ms = Math.min(ms, STOP_PAUSE_MS, this.#stopAt - now);
    this.#armedAt = now;
    this.#deadline.set(Math.max(0, ms));
  }

  #answerTo(item: Exclude<Item, { kind: "mistake" }>): Answer | Promise<Answer> {
    this.#commandCount++;
    if (item.kind === "command") return this.#context.engine.run(this.#session, item.command);
    this.#context.engine.acknowledge(this.#session);
    return { name: item.name, reply: item.reply };
  }

  /** Waits for an answer. What comes behind a `wait` ends it, so it is read meanwhile. */
  async #awaitAnswer({ isWait, answer }: Late): Promise<Answered> {
    if (!isWait) return { kind: "answered", answer: await answer };
    this.#phase = "waiting";
    this.#ahead = this.#readAhead();
    const endWait = () => this.#context.engine.endWait(this.#session);
    this.#ahead.then(endWait, endWait);
    const done = await answer;
    this.#phase = "reading";
    return { kind: "answered", answer: done };
  }

  #tellMistake({ mistake, explanation }: Item & { kind: "mistake" }): void {
    const { address, peer, session: connection } = this.#session.actor;
    this.#context.meter?.mistaken(mistake.code);
    this.#context.log.refused(address, mistake.code, { connection, peer, explanation });
  }

  /** Closing at once would make TCP reset the connection, and the last reply might be lost. */
  async #linger(): Promise<void> {
    this.#phase = "lingering";
    this.#deadline.set(LINGER_MS);
    try {
      await this.#connection.closeWrite();
      while (!(await this.#frames.read()).done);
    } catch {
      // The other end is gone, or its time is over: there is nobody left to be polite to.
    }
  }

  /** The server stops, and may not have come to what is here: others were busy, or it is late. */
  #mayHaveMore(): boolean {
    const now = performance.now();
    if (this.#stopAt === undefined || now >= this.#stopAt) return false;
    const before = this.#eventsBefore;
    this.#eventsBefore = this.#context.fairness.events;
    return before !== this.#eventsBefore || now - this.#armedAt > 1.2 * STOP_PAUSE_MS;
  }

  #expire(): void {
    const isWriting = this.#outbox.isWriting;
    if (isWriting && this.#stopAt === undefined) this.#expired = "nothing written in time";
    if (isWriting || this.#phase === "lingering") return this.kill();
    if (this.#mayHaveMore()) return this.#armForReading();
    this.#expired = this.#stopAt !== undefined
      ? "the server stops"
      : this.#commands.isBegun
      ? "stalled"
      : "idle";
    this.#frames.giveUp();
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
