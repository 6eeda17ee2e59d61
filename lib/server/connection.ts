/**
 * One connection from its start to its end, as a state machine: {@link State} has its states, and the
 * `switch` in `#serve` does what each of them does and returns the next one.
 *
 * A connection has at most one chunk of bytes unanswered. Behind a `wait` it reads on.
 */
import { type Item, RequestReader } from "../protocol/request_reader.ts";
import type { Item as Entered } from "../chat/batch.ts";
import type { Engine } from "../engine/engine.ts";
import type { Answers, Session } from "../engine/session.ts";
import type { Split } from "../protocol/frame.ts";
import { FrameStream, type Reader } from "../protocol/frame_stream.ts";
import type { Reply } from "../protocol/reply.ts";
import type { Decode } from "../protocol/utf8.ts";
import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Meter } from "../meter.ts";
import type { ServerOptions } from "../options.ts";
import { type Observer, Outbox } from "./outbox.ts";
import type { SessionId } from "../chat/users.ts";
import { type Fairness, Ticket } from "./fairness.ts";
import { type Passed, TimeLimits } from "./time_limits.ts";

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
  /** The number of the connection among all of this process. */
  readonly connection: number;
  readonly peer: string;
  /** When it was accepted (ms since 1970). */
  readonly since: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Why a connection ended, for the log. */
type Ending =
  | "closed by the client"
  | "idle"
  | "mistake"
  | "refused"
  | "the server stops"
  | "nothing written in time";

/** The states of a connection. */
type State =
  /** Reads the next commands. No reply is due. */
  | { readonly kind: "reading" }
  /**
   * Waits for the engine's answers, and writes them. Then it ends, or goes on to `next`, or to
   * whatever the answers say.
   */
  | {
    readonly kind: "answering";
    readonly answers: Promise<Answers> | Answers;
    readonly ending?: Ending;
    readonly next?: Promise<State>;
  }
  /** A `wait` waits for its reply. Meanwhile the connection reads on, to the state `next`. */
  | { readonly kind: "waiting"; readonly reply: Promise<Reply>; readonly next: Promise<State> }
  /** All replies are written. Waits for the client to close the connection. */
  | { readonly kind: "parting"; readonly ending: Ending };

const READING: State = { kind: "reading" };
const STOPPED: State = { kind: "parting", ending: "the server stops" };
/** A `wait` whose reply comes later than those before it. */
const WAIT: Item = { kind: "command", command: { name: "wait", seconds: 0 } };

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
  readonly #requests: RequestReader;
  readonly #outbox: Outbox;
  readonly #limits: TimeLimits;
  readonly #since = Date.now();
  #isReading = false;
  /** Does a `wait` wait for mail? */
  #isWaiting = false;
  /** The server stops: commands that arrive are still answered, or no more are. */
  #stop: "draining" | "finished" | undefined;
  /** The time limit that has passed. */
  #passed: Passed | undefined;
  #commandCount = 0;
  #bytesIn = 0;

  constructor(connection: Connection, context: ConnectionContext) {
    const { engine, options, log, meter, decode } = context;
    this.#connection = connection;
    this.#context = context;
    this.#session = engine.open(connection.address, connection.peer);
    this.#frames = new FrameStream(connection, options.frameBytesMax, decode);
    this.#requests = new RequestReader(options);
    this.#outbox = new Outbox({ actor: this.#session.actor, options, log, meter });
    this.#limits = new TimeLimits(options, (passed) => this.#pass(passed));
  }

  /** The session of the connection. */
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
    const { pending } = this.#requests;
    this.#outbox.observer = make?.(this.#bytesIn - pending.size);
    this.#outbox.observer?.received(pending);
  }

  /** Serves the connection to its end. Never throws. */
  async run(): Promise<void> {
    const { connection, peer } = this.facts;
    this.#context.log.event("connected", { connection, peer });
    let reason: string;
    try {
      reason = await this.#serve();
    } catch (error) {
      reason = this.#lossOf(error);
    }
    this.#context.engine.end(this.#session);
    this.#limits.close();
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

  /** The server stops. Commands that arrive are answered until {@link finish}. */
  drain(): void {
    this.#stop = "draining";
    this.#limits.shorten(this.#outbox.isWriting);
  }

  /** Ends the connection when the commands that have come are answered. */
  finish(): void {
    this.#stop = "finished";
    if (this.#isReading) this.#frames.giveUp();
  }

  /** Closes the connection at once. */
  kill(): void {
    closeQuietly(this.#connection);
  }

  /** Serves the connection until it ends. Returns why. */
  async #serve(): Promise<Ending> {
    // One function for all: an async function for each request costs a tenth of a request.
    for (let state: State = READING;;) {
      if (state.kind === "reading" && this.#stop === "finished") state = STOPPED;
      switch (state.kind) {
        case "reading":
          this.#beginRead();
          try {
            state = this.#receive(await this.#frames.read());
          } catch (error) {
            state = this.#giveUp(error);
          }
          break;
        case "answering": {
          const answers: Answers = await state.answers;
          for (let piece = this.#outbox.first(answers); piece !== undefined;) {
            this.#limits.write();
            const written = await this.#connection.write(piece);
            const queued = this.#context.fairness.next(this.#ticket, this.#commandCount);
            if (queued !== undefined) await queued;
            piece = this.#outbox.next(written);
          }
          this.#limits.clear();
          if (answers.rest !== undefined) {
            state = { ...state, answers: answers.rest };
          } else if (state.next === undefined) {
            state = this.#stateAfter(answers, state.ending);
          } else {
            if (this.#isReading) this.#limits.read(this.#requests.isBegun, false);
            state = await state.next;
          }
          break;
        }
        case "waiting": {
          const reply: Reply = await state.reply;
          this.#isWaiting = false;
          const answers: Answers = { items: [WAIT], replies: [reply], ending: "open" };
          state = { kind: "answering", answers, next: state.next };
          break;
        }
        case "parting":
          this.#context.engine.end(this.#session);
          await this.#linger();
          return state.ending;
      }
    }
  }

  #beginRead(): void {
    this.#isReading = true;
    if (!this.#outbox.isWriting) this.#limits.read(this.#requests.isBegun, this.#isWaiting);
    this.#requests.copyUnread();
  }

  /** Enters what a chunk completes. The end of the stream within a command is a mistake. */
  #receive(read: ReadableStreamReadResult<Split>): State {
    this.#isReading = false;
    if (!this.#outbox.isWriting) this.#limits.clear();
    if (read.done) {
      // The session ends first: a `wait` that waits is answered without mail.
      return this.#requests.isBegun
        ? this.#enter([{ kind: "end" }, this.#breakOff("cut-off")], "mistake")
        : this.#enter([{ kind: "end" }], "closed by the client");
    }
    this.#context.fairness.events++;
    this.#bytesIn += read.value.size;
    this.#outbox.observer?.received(read.value);
    this.#requests.feed(read.value);
    const items: Entered[] = [];
    for (let item = this.#requests.next(); item !== undefined; item = this.#requests.next()) {
      items.push(item);
      if (item.kind === "mistake") return this.#enterMistake(items, item);
    }
    if (items.length === 0) return READING;
    this.#commandCount += items.length;
    this.#limits.complete();
    return this.#enter(items);
  }

  /** A read has failed: it was given up, or the connection is lost. */
  #giveUp(error: unknown): State {
    this.#isReading = false;
    if (this.#stop === "finished") return STOPPED;
    if (this.#passed === "idle") return { kind: "parting", ending: "idle" };
    if (this.#passed !== "stalled") throw error;
    this.#passed = undefined;
    // The rest of the command may have come just as its time was over.
    if (!this.#requests.isBegun) return READING;
    const mistake = this.#breakOff("stalled");
    return this.#enterMistake([mistake], mistake);
  }

  #enter(items: readonly Entered[], ending?: Ending): State {
    const answers = this.#context.engine.enter(this.#session, items);
    return { kind: "answering", answers, ...ending && { ending } };
  }

  #enterMistake(
    items: readonly Entered[],
    { mistake, explanation }: Item & { kind: "mistake" },
  ): State {
    const { address, peer, session: { count: connection } } = this.#session.actor;
    this.#context.meter?.mistaken(mistake.code);
    this.#context.log.refused(address, mistake.code, { connection, peer, explanation });
    return this.#enter([...items, { kind: "end" }], "mistake");
  }

  /** Makes the mistake of a command that will not be completed. */
  #breakOff(kind: "stalled" | "cut-off"): Item & { kind: "mistake" } {
    this.#outbox.observer?.brokenOff(kind);
    return this.#requests.breakOff(kind);
  }

  /** The state after the replies are written. */
  #stateAfter({ items, ending: replyEnding, parked }: Answers, ending: Ending | undefined): State {
    if (ending !== undefined) return { kind: "parting", ending };
    if (replyEnding !== "open") return { kind: "parting", ending: "refused" };
    if (parked !== undefined) return this.#wait(parked);
    // A client whose `wait` the stop has ended would only wait again.
    return this.#stop !== undefined && isWait(items.at(-1)) ? STOPPED : READING;
  }

  #wait(reply: Promise<Reply>): State {
    this.#isWaiting = true;
    const next = this.#readOn();
    // An error is thrown where `next` is awaited, behind the reply.
    next.catch(() => {});
    return { kind: "waiting", reply, next };
  }

  /** Reads while a `wait` waits, until items were entered: they end it. */
  async #readOn(): Promise<State> {
    for (let state: State = READING;;) {
      this.#beginRead();
      try {
        state = this.#receive(await this.#frames.read());
      } catch (error) {
        // Without a connection there is no reason to wait.
        if (this.#passed === undefined && this.#stop !== "finished") {
          this.#context.engine.end(this.#session);
        }
        state = this.#giveUp(error);
      }
      if (state.kind !== "reading") return state;
    }
  }

  /**
   * Reads until the client closes the connection, within the limit. Without that TCP might reset the
   * connection, and the client would lose the last reply.
   */
  async #linger(): Promise<void> {
    this.#limits.linger();
    try {
      await this.#connection.closeWrite();
      while (!(await this.#frames.read()).done);
    } catch {
      // The client is gone, or its time is over.
    }
  }

  /** Acts on a time limit that has passed. */
  #pass(what: Passed): void {
    this.#passed = what;
    if (what === "unwritten" || what === "unclosed") this.kill();
    else if (this.#isReading) this.#frames.giveUp();
  }

  /** Why the connection was lost, for the log. */
  #lossOf(error: unknown): string {
    if (this.#stop !== undefined) return "the server stops";
    return this.#passed === "unwritten" ? "nothing written in time" : `lost: ${messageOf(error)}`;
  }
}

function isWait(item: Entered | undefined): boolean {
  return item?.kind === "command" && item.command.name === "wait";
}

/** Closes what may be closed already, by the client or by a time-out. */
export function closeQuietly(closer: { close(): void }): void {
  try {
    closer.close();
  } catch {
    // It is closed already.
  }
}
