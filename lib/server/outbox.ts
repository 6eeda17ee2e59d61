/**
 * The replies of a connection that have not left: in their order, in pieces, with a time-out. When a
 * client takes nothing for that long, `#expire` in `connection` closes the connection; it reads no
 * more commands while replies wait here.
 */
import { strictEnding } from "../chat/commands.ts";
import { hasMoreSymbols } from "../text/symbols.ts";
import type { Deadline } from "./deadline.ts";
import type { Answer } from "../engine/session.ts";
import type { Split } from "../protocol/frame.ts";
import type { Log } from "../log.ts";
import type { ServerOptions } from "../options.ts";
import type { Meter } from "../meter.ts";
import { isRefusal, type Reply, replyText } from "../protocol/reply.ts";
import { constantReply, encodeReplies } from "../protocol/reply_encoder.ts";
import type { Actor } from "../chat/users.ts";

/** While the server stops, a client has at most this long to take a piece of a reply (ms). */
const STOP_WRITE_MS = 1_000;

/** Replies are put together in buffers of this size. A buffer serves one connection at a time. */
const SCRATCH_BYTES = 8_192;
/** At most this many unused buffers are kept: a new one costs more than filling one. */
const SCRATCHES_MAX = 64;
const scratches: Uint8Array[] = [];

const NOTHING: Uint8Array = new Uint8Array(0);

/** Observes the traffic of a connection. */
export interface Observer {
  /** A chunk has come. */
  received(split: Split): void;
  /** The command that has begun will not be completed. */
  brokenOff(kind: "stalled" | "cut-off"): void;
  /** These replies leave now; `offset` bytes were sent on the connection before. */
  sent(replies: readonly Reply[], offset: number): void;
  /** The connection has ended; `reason` is a text for people. */
  ended(reason: string): void;
}

/** The parts of a connection that its outbox uses. */
export interface OutboxContext {
  readonly actor: Actor;
  /** Set while {@link Outbox.isWriting}: it passes when the client takes no byte for too long. */
  readonly deadline: Deadline;
  readonly options: ServerOptions;
  readonly log: Log;
  readonly meter: Meter | undefined;
}

/** The replies of one connection. */
export class Outbox {
  readonly #context: OutboxContext;
  /** `undefined` instead of an empty array, which V8 would make 17 places long with one answer. */
  #answers: Answer[] | undefined;
  #writeMs: number;
  #scratch: Uint8Array | undefined;
  #pieces: Iterator<Uint8Array> | undefined;
  /** The rest of the piece that is being written. */
  #piece = NOTHING;
  /** From {@link Outbox.first} until the last piece is written. */
  isWriting = false;
  bytesWritten = 0;
  observer: Observer | undefined;

  constructor(context: OutboxContext) {
    this.#context = context;
    this.#writeMs = 1000 * context.options.writeTimeoutS;
  }

  get isEmpty(): boolean {
    return this.#answers === undefined;
  }

  /** Adds the reply to a mistake, as the last one. It leaves when the batch is over. */
  addLast(reply: Reply): void {
    this.#push({ name: undefined, reply });
  }

  /**
   * Adds an answer, which leaves when the batch is over. Returns `ends` where it ends the
   * connection, as some replies do in strict mode.
   */
  add(answer: Answer): "ends" | "goes on" {
    const ending = this.#context.options.strict ? strictEnding(answer.name, answer.reply) : "open";
    if (ending === "silent") this.#report(answer);
    else this.#push(answer);
    return ending === "open" ? "goes on" : "ends";
  }

  /**
   * The first piece to write; each {@link Outbox.next} returns a further one. To be called when the
   * batch is over, and the replies are final.
   */
  first(): Uint8Array | undefined {
    const answers = this.#answers ?? [];
    this.#answers = undefined;
    for (const answer of answers) this.#report(answer);
    this.observer?.sent(answers.map(replyOf), this.bytesWritten);
    this.isWriting = true;
    const constant = answers.length === 1 ? constantReply(answers[0]!.reply) : undefined;
    if (constant !== undefined) return this.#offer(constant);
    this.#scratch = scratches.pop() ?? new Uint8Array(SCRATCH_BYTES);
    this.#pieces = encodeReplies(answers.map(replyOf), this.#scratch)[Symbol.iterator]();
    return this.#nextPiece();
  }

  /**
   * The piece to write after this many bytes of the last one were written; `undefined` behind the
   * last. Pieces have a bounded size.
   */
  next(written: number): Uint8Array | undefined {
    this.bytesWritten += written;
    return written < this.#piece.length
      ? this.#offer(this.#piece.subarray(written))
      : this.#nextPiece();
  }

  #push(answer: Answer): void {
    if (this.#answers === undefined) this.#answers = [answer];
    else this.#answers.push(answer);
  }

  #nextPiece(): Uint8Array | undefined {
    const next = this.#pieces?.next();
    if (next !== undefined && !next.done) return this.#offer(next.value);
    this.isWriting = false;
    this.#context.deadline.clear();
    if (this.#scratch !== undefined && scratches.length < SCRATCHES_MAX) {
      scratches.push(this.#scratch);
    }
    this.#scratch = this.#pieces = undefined;
    this.#piece = NOTHING;
    return undefined;
  }

  #offer(piece: Uint8Array): Uint8Array {
    this.#context.deadline.set(this.#writeMs);
    return this.#piece = piece;
  }

  /** Gives the client less time from now on: the server stops. */
  shortenTimeout(): void {
    this.#writeMs = Math.min(this.#writeMs, STOP_WRITE_MS);
    if (this.isWriting) this.#context.deadline.set(this.#writeMs);
  }

  /** Counts the answer in the meter, and logs registrations and refusals. */
  #report({ name, reply }: Answer): void {
    // A mistake was logged when it was found.
    if (name === undefined) return;
    const { log, meter, options, actor } = this.#context;
    meter?.replied(name, reply.code);
    const { address, peer, session: { count: connection } } = actor;
    if (reply.code === "welcome" || reply.code === "welcome-back") {
      const event = reply.code === "welcome" ? "registered" : "came-back";
      log.event(event, { connection, peer, user: reply.user });
    } else if (isRefusal(reply)) {
      // A receiver that is too long for a name may be the text of a message, which is never logged.
      const isLong = hasMoreSymbols(reply.user ?? "", options.nameSymbolsMax);
      const text = isLong ? {} : { reply: replyText(reply) };
      log.refused(address, reply.code, { connection, peer, command: name, ...text });
    }
  }
}

function replyOf({ reply }: Answer): Reply {
  return reply;
}
