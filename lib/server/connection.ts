/**
 * One connection from its start to its end: commands, replies, time-outs, back-pressure.
 *
 * Nothing is read before the replies are written. Behind a `wait` the connection reads on, and the
 * next command ends the `wait`. In strict mode `strictEnding` in `chat/commands` says which reply
 * ends the connection.
 */
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
import { type Observer, Outbox } from "./outbox.ts";
import { type Fairness, Ticket } from "./fairness.ts";
import type { SessionId } from "../chat/users.ts";

/** A stream of bytes in both directions: TCP or a WebSocket. */
export interface Connection extends Reader {
  /** Writes some of the bytes, and resolves to their number. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends the sending side. */
  closeWrite(): Promise<void>;
  close(): void;
  /** The other end's IP address. */
  readonly address: string;
  /** The other end's `address:port`. */
  readonly peer: string;
}

/** The facts that the wire view and the metrics show of a connection. */
export interface ConnectionFacts {
  /** The count of its session: no other connection of this process has it. */
  readonly connection: number;
  readonly peer: string;
  /** When it was accepted (ms since 1970). */
  readonly since: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** After the last reply the client has at most this long to close the connection (ms). */
const LINGER_MS = 2_000;
/**
 * A stopping server reads on until nothing has arrived on any connection for two pauses of this
 * length (ms).
 */
const STOP_PAUSE_MS = 100;
/** A stopping server answers commands for at most this long (ms). */
const STOP_MS = 2_500;

/** Why a connection ended, for the log. */
type Ending =
  | "closed by the client"
  | "idle"
  | "mistake"
  | "refused"
  | "the server stops"
  | "nothing written in time";

/** An answer that has to wait. */
interface PendingAnswer {
  /** Is the command a `wait`? */
  readonly isWait: boolean;
  readonly answer: Promise<Answer>;
}

/** The next thing for a connection: an item, an answer that was pending, or the end. */
type Next = Item | Answered | { readonly kind: "ending"; readonly ending: Ending };

interface Answered {
  readonly kind: "answered";
  readonly answer: Answer;
}

/** The parts that all connections of a server share. */
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
  /**
   * `reading` commands, `waiting` for mail, or `lingering` after the last reply: it decides what a
   * passed deadline means.
   */
  #phase: "reading" | "waiting" | "lingering" = "reading";
  /** Why a deadline, or `kill`, ended the connection. */
  #expired: Ending | "stalled" | undefined;
  /** When the present, incomplete command began (ms, as `loopTime`). */
  #begunAt: number | undefined;
  /** While the server stops: until when commands are answered (ms, as `loopTime`). */
  #stopAt: number | undefined;
  /** When the deadline of the read was set (ms, as `loopTime`). */
  #armedAt = 0;
  /** While the server stops: `Fairness.events` at the end of the last pause. */
  #eventsBefore: number | undefined;
  #isReading = false;
  /** The item behind a `wait`, which is read while that waits. */
  #ahead: Promise<Next> | undefined;
  /** Was the last answer the one to a `wait`? */
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

  get session(): SessionId {
    return this.#session.actor.session;
  }

  get facts(): ConnectionFacts {
    const { session: { count: connection }, peer } = this.#session.actor;
    const bytesOut = this.#outbox.bytesWritten;
    return { connection, peer, since: this.#since, bytesIn: this.#bytesIn, bytesOut };
  }

  /**
   * Sets the observer of the connection, or removes it. `make` gets the number of bytes that had
   * come before the first that the observer sees.
   */
  observe(make: ((offset: number) => Observer) | undefined): void {
    const { pending } = this.#commands;
    this.#outbox.observer = make?.(this.#bytesIn - pending.size);
    this.#outbox.observer?.received(pending);
  }

  /** Serves the connection to its end. Never throws. */
  async run(): Promise<void> {
    const { peer } = this.#connection;
    const connection = this.session.count;
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
    this.#outbox.observer?.ended(reason);
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

  /** Answers the commands that have arrived, and ends. */
  stop(): void {
    this.#stopAt ??= performance.now() + STOP_MS;
    this.#outbox.shortenTimeout();
    if (this.#phase === "reading" && this.#isReading) this.#armForReading();
  }

  /** Closes the connection at once. */
  kill(): void {
    if (this.#stopAt !== undefined) this.#expired ??= "the server stops";
    closeQuietly(this.#connection);
  }

  /** Reads commands, answers them and writes the replies, until the connection ends. */
  async #converse(): Promise<Ending> {
    // One long function: an async function for each request costs a tenth of a request.
    const outbox = this.#outbox;
    for (let next: Next | undefined;;) {
      const halt = this.#answerAll(next);
      const isOver = typeof halt === "string";
      if (isOver) this.#context.engine.end(this.#session);
      if (!outbox.isEmpty) {
        const settled = this.#context.engine.settled();
        if (settled !== undefined) await settled;
        for (let piece = outbox.first(); piece !== undefined;) {
          const written = await this.#connection.write(piece);
          const queued = this.#context.fairness.next(this.#ticket, this.#commandCount);
          if (queued !== undefined) await queued;
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

  /**
   * Answers the commands that have come. Returns early with an answer that has to wait, or with the
   * reason if the connection ends.
   */
  #answerAll(first: Next | undefined): Ending | PendingAnswer | undefined {
    for (let next = first ?? this.#nextItem(); next !== undefined; next = this.#nextItem()) {
      if (next.kind === "ending") return next.ending;
      if (next.kind === "mistake") {
        this.#logMistake(next);
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

  /** The next item of the bytes that have come. */
  #nextItem(): Item | undefined {
    if (this.#ahead !== undefined) return undefined;
    const item = this.#commands.next();
    if (item !== undefined) this.#begunAt = undefined;
    return item;
  }

  /** Does the server stop, and are no more commands to be answered? */
  get #isStopped(): boolean {
    if (this.#stopAt === undefined || this.#ahead !== undefined) return false;
    // A client whose `wait` the stop has ended would only wait again.
    return this.#lastIsWait || performance.now() > this.#stopAt;
  }

  #read(): Promise<ReadableStreamReadResult<Split>> {
    this.#armForReading();
    this.#commands.copyUnread();
    this.#isReading = true;
    return this.#frames.read();
  }

  /** Takes in a chunk, or the end of the stream, which within a command is a mistake. */
  #feed(read: ReadableStreamReadResult<Split>): Next | undefined {
    this.#isReading = false;
    if (read.done) {
      // Until here the session holds its name.
      this.#context.engine.end(this.#session);
      return this.#commands.isBegun
        ? this.#breakOff("cut-off")
        : { kind: "ending", ending: "closed by the client" };
    }
    this.#context.fairness.events++;
    this.#bytesIn += read.value.size;
    this.#outbox.observer?.received(read.value);
    this.#commands.feed(read.value);
    // The client may have known of a refusal when it sent this, so its commands may wait again.
    this.#session.waitedFor = undefined;
    if (this.#phase === "reading") this.#deadline.clear();
    return undefined;
  }

  /** Deals with a failed read: its deadline has passed, or the connection is lost. */
  #recover(error: unknown): Next | undefined {
    this.#isReading = false;
    if (this.#expired === undefined) throw error;
    if (this.#expired !== "stalled") return { kind: "ending", ending: this.#expired };
    if (this.#commands.isBegun) return this.#breakOff("stalled");
    // The rest of the command came just as the deadline passed.
    this.#expired = undefined;
    return undefined;
  }

  /** Reads the next item while a `wait` waits. */
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

  /** Makes the mistake of a command that will not be completed. */
  #breakOff(kind: "stalled" | "cut-off"): Item {
    this.#outbox.observer?.brokenOff(kind);
    return this.#commands.breakOff(kind);
  }

  /** Sets the deadline of a read: for the rest of a command, or for the first byte of the next. */
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

  /** Waits for an answer. The next command ends a `wait`, so it is read meanwhile. */
  async #awaitAnswer({ isWait, answer }: PendingAnswer): Promise<Answered> {
    if (!isWait) return { kind: "answered", answer: await answer };
    this.#phase = "waiting";
    this.#ahead = this.#readAhead();
    const endWait = () => this.#context.engine.endWait(this.#session);
    this.#ahead.then(endWait, endWait);
    const done = await answer;
    this.#phase = "reading";
    return { kind: "answered", answer: done };
  }

  #logMistake({ mistake, explanation }: Item & { kind: "mistake" }): void {
    const { address, peer, session: { count: connection } } = this.#session.actor;
    this.#context.meter?.mistaken(mistake.code);
    this.#context.log.refused(address, mistake.code, { connection, peer, explanation });
  }

  /**
   * Reads until the client closes the connection, at most {@link LINGER_MS}. Without that TCP might
   * reset the connection, and the client would lose the last reply.
   */
  async #linger(): Promise<void> {
    this.#phase = "lingering";
    this.#deadline.set(LINGER_MS);
    try {
      await this.#connection.closeWrite();
      while (!(await this.#frames.read()).done);
    } catch {
      // The client is gone, or its time is over.
    }
  }

  /** While the server stops: may there be unread commands, as the loop was busy or late? */
  #mayHaveMore(): boolean {
    const now = performance.now();
    if (this.#stopAt === undefined || now >= this.#stopAt) return false;
    const before = this.#eventsBefore;
    this.#eventsBefore = this.#context.fairness.events;
    return before !== this.#eventsBefore || now - this.#armedAt > 1.2 * STOP_PAUSE_MS;
  }

  /** Acts on the deadline, which has passed. */
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

/** Closes what may be closed already, by the client or by a time-out. */
export function closeQuietly(closer: { close(): void }): void {
  try {
    closer.close();
  } catch {
    // It is closed already.
  }
}
