/**
 * One connection as a state machine: {@link State} has its states, and the `switch` in `#serve` does
 * what each of them does and returns the next one.
 *
 * A connection has at most one chunk of bytes unanswered. Behind a `wait` it reads on.
 */
import type { Item } from "../chat/batch.ts";
import type { Answers, Session } from "../engine/session.ts";
import type { Split } from "../protocol/frame.ts";
import type { Reply } from "../protocol/reply.ts";
import { messageOf } from "../errors.ts";
import { Inbox } from "./inbox.ts";
import { ConnectionLog, type ConnectionLogContext } from "./connection_log.ts";
import { type Observer, Outbox } from "./outbox.ts";
import type { SessionId } from "../chat/users.ts";
import { type Fairness, Ticket } from "./fairness.ts";
import { type Passed, TimeLimits } from "./time_limits.ts";
import { closeQuietly, type Connection } from "./transport.ts";

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
  /** Writes the engine's answers. Then it ends, goes on to `next`, or to what the answers say. */
  | {
    readonly kind: "answering";
    readonly answers: Promise<Answers> | Answers;
    readonly ending?: Ending | undefined;
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
export interface ConnectionContext extends ConnectionLogContext {
  readonly fairness: Fairness;
  /** The port of the page, if there is one. */
  pagePort: number | undefined;
}

/** Serves one connection. */
export class ConnectionHandler {
  readonly #connection: Connection;
  readonly #context: ConnectionContext;
  readonly #ticket = new Ticket();
  readonly #session: Session;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #log: ConnectionLog;
  readonly #limits: TimeLimits;
  readonly #since = Date.now();
  /** Does a `wait` wait for mail? */
  #isWaiting = false;
  /** The server stops: commands that arrive are still answered, or none any more. */
  #stop: "draining" | "finished" | undefined;
  /** The time limit that has passed. */
  #passed: Passed | undefined;
  #commandCount = 0;

  constructor(connection: Connection, context: ConnectionContext) {
    const { engine, options } = context;
    this.#connection = connection;
    this.#context = context;
    this.#session = engine.open(connection.address, connection.peer);
    this.#inbox = new Inbox(connection, options, context.pagePort);
    this.#log = new ConnectionLog(this.#session, context);
    this.#outbox = new Outbox(options, this.#log);
    this.#limits = new TimeLimits(options, (passed) => this.#pass(passed));
  }

  get session(): SessionId {
    return this.#session.actor.session;
  }

  /**
   * The facts that the wire view and the metrics show. `connection` is its number among all of this
   * process, `since` the time when it was accepted (ms since 1970).
   */
  get facts() {
    const { session: { count: connection }, peer } = this.#session.actor;
    const { bytesRead: bytesIn } = this.#inbox;
    const { bytesWritten: bytesOut } = this.#outbox;
    const { address, isWebSocket = false } = this.#connection;
    return { connection, peer, address, isWebSocket, since: this.#since, bytesIn, bytesOut };
  }

  /** Was the header of a proxy read first? */
  get isProxied(): boolean {
    return this.#connection.isProxied ?? false;
  }

  /** Sets the observer of the connection, or removes it. */
  observe(observer: Observer | undefined): void {
    this.#inbox.observe(observer);
    this.#outbox.observer = observer;
  }

  /** Serves the connection to its end. Never throws. */
  async run(): Promise<void> {
    this.#log.connected();
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
    this.#log.disconnected(reason, { commands, bytesIn, bytesOut });
  }

  /** The server stops. Commands that arrive are answered until {@link finish}. */
  drain(): void {
    this.#stop = "draining";
    this.#limits.shorten(this.#outbox.isWriting);
  }

  /** Ends the connection when the commands that have come are answered. */
  finish(): void {
    this.#stop = "finished";
    this.#inbox.giveUp();
  }

  /** Closes the connection at once. */
  kill(): void {
    closeQuietly(this.#connection);
  }

  /** Serves the connection to its end. Returns why it ended. */
  async #serve(): Promise<Ending> {
    // One function for all: an async function for each request costs a tenth of a request.
    for (let state: State = READING;;) {
      if (state.kind === "reading" && this.#stop === "finished") state = STOPPED;
      switch (state.kind) {
        case "reading":
          this.#limitRead();
          try {
            state = this.#receive(await this.#inbox.read());
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
            if (this.#inbox.isReading) this.#limitRead();
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

  #limitRead(): void {
    if (this.#outbox.isWriting) return;
    const { isBegun, suspicion } = this.#inbox;
    this.#limits.read(isBegun, this.#isWaiting, suspicion);
  }

  /** Enters what a chunk completes. The end of the stream within a command is a mistake. */
  #receive({ value: split }: ReadableStreamReadResult<Split>): State {
    this.#inbox.isReading = false;
    if (!this.#outbox.isWriting) this.#limits.clear();
    if (split === undefined) {
      // The session ends first: a `wait` that waits is answered without mail.
      return this.#inbox.isBegun
        ? this.#enter([{ kind: "end" }, this.#inbox.judge("cut-off")], "mistake")
        : this.#enter([{ kind: "end" }], "closed by the client");
    }
    this.#context.fairness.events++;
    this.#inbox.add(split);
    return this.#enterNext();
  }

  /** Enters the next commands of the chunks that have come. */
  #enterNext(): State {
    const items = this.#inbox.take();
    if (items.length === 0) return READING;
    this.#limits.complete();
    this.#commandCount += items.length;
    const last = items.at(-1)!;
    if (last.kind !== "mistake") return this.#enter(items);
    this.#commandCount--;
    return this.#enter([...items, { kind: "end" }], "mistake");
  }

  /** A read has failed: it was given up, or the connection is lost. */
  #giveUp(error: unknown): State {
    this.#inbox.isReading = false;
    if (this.#stop === "finished") return STOPPED;
    if (this.#passed === "idle") return this.#endIdle();
    if (this.#passed !== "stalled" && this.#passed !== "suspected") throw error;
    const kind = this.#passed === "stalled" ? "stalled" : "impossible";
    this.#passed = undefined;
    // The rest of the command may have come just as its time was over.
    if (!this.#inbox.isBegun) return READING;
    return this.#enter([this.#inbox.judge(kind), { kind: "end" }], "mistake");
  }

  /** A client that never sent a byte hears why. Any other idle one is closed without a word. */
  #endIdle(): State {
    const { strict, idleTimeoutS } = this.#context.options;
    if (strict || this.#inbox.bytesRead > 0) return { kind: "parting", ending: "idle" };
    return this.#enter([this.#inbox.judgeSilence(idleTimeoutS), { kind: "end" }], "idle");
  }

  #enter(items: readonly Item[], ending?: Ending): State {
    const answers = this.#context.engine.enter(this.#session, items);
    return { kind: "answering", answers, ending };
  }

  /** The state after the replies. */
  #stateAfter({ items, ending: replyEnding, parked }: Answers, ending: Ending | undefined): State {
    if (ending !== undefined) return { kind: "parting", ending };
    if (replyEnding !== "open") return { kind: "parting", ending: "refused" };
    if (parked !== undefined) return this.#wait(parked);
    if (this.#inbox.hasMore) return this.#enterNext();
    // A client whose `wait` the stop has ended would only wait again.
    return this.#stop !== undefined && isWait(items.at(-1)) ? STOPPED : READING;
  }

  #wait(reply: Promise<Reply>): State {
    this.#isWaiting = true;
    const next = this.#readOn();
    // Without a connection there is no reason to wait. The error is thrown behind the reply.
    next.catch(() => this.#context.engine.end(this.#session));
    return { kind: "waiting", reply, next };
  }

  /** Reads while a `wait` waits, until items were entered: they end it. */
  async #readOn(): Promise<State> {
    for (let state = this.#inbox.hasMore ? this.#enterNext() : READING;;) {
      if (state.kind !== "reading") return state;
      this.#limitRead();
      try {
        state = this.#receive(await this.#inbox.read());
      } catch (error) {
        state = this.#giveUp(error);
      }
    }
  }

  /** Reads until the client closes: a reset by TCP might cost the client the last reply. */
  async #linger(): Promise<void> {
    this.#limits.linger();
    try {
      await this.#connection.closeWrite();
      await this.#inbox.skipRest();
    } catch {
      // The client is gone, or its time is over.
    }
  }

  /** Acts on a time limit that has passed. */
  #pass(what: Passed): void {
    this.#passed = what;
    if (what === "unwritten" || what === "unclosed") this.kill();
    else this.#inbox.giveUp();
  }

  /** Why the connection was lost, for the log. */
  #lossOf(error: unknown): string {
    if (this.#stop !== undefined) return "the server stops";
    return this.#passed === "unwritten" ? "nothing written in time" : `lost: ${messageOf(error)}`;
  }
}

function isWait(item: Item | undefined): boolean {
  return item?.kind === "command" && item.command.name === "wait";
}
