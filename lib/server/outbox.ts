/** The replies of a connection that have not left: in their order, in pieces, within a time. */
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

/** While the server stops, a client has so long to take a reply, in milliseconds. */
const STOP_WRITE_MS = 1_000;

/** Replies are put together in memory of this size, which is lent to one connection at a time. */
const SCRATCH_BYTES = 8_192;
/** So much of it is kept while nobody needs it: making it anew costs more than to fill it. */
const SCRATCHES_MAX = 64;
const scratches: Uint8Array[] = [];

const NOTHING: Uint8Array = new Uint8Array(0);

/** Hears what goes over a connection. */
export interface Tap {
  received(split: Split): void;
  /** What was begun will not be completed. */
  brokenOff(kind: "stalled" | "cut-off"): void;
  /** The first byte of the replies is at this place of all that is sent. */
  sent(replies: readonly Reply[], offset: number): void;
  ended(reason: string): void;
}

/** What an outbox needs of its connection. */
export interface OutboxOptions {
  readonly actor: Actor;
  /** Set while {@link Outbox.isWriting}: it passes when the client takes nothing for too long. */
  readonly deadline: Deadline;
  readonly options: ServerOptions;
  readonly log: Log;
  readonly meter: Meter | undefined;
}

/** The replies of one connection. */
export class Outbox {
  readonly #of: OutboxOptions;
  /** Not an empty array: the first answer would make it one of 17 places. */
  #answers: Answer[] | undefined;
  #writeMs: number;
  #scratch: Uint8Array | undefined;
  #pieces: Iterator<Uint8Array> | undefined;
  /** What is being written, as far as it is not. */
  #piece = NOTHING;
  isWriting = false;
  bytesWritten = 0;
  /** Who watches the connection. */
  tap: Tap | undefined;

  constructor(of: OutboxOptions) {
    this.#of = of;
    this.#writeMs = 1000 * of.options.writeTimeoutS;
  }

  get isEmpty(): boolean {
    return this.#answers === undefined;
  }

  /** The reply to a mistake leaves when the batch is over, as the last one. */
  addLast(reply: Reply): void {
    this.#push({ name: undefined, reply });
  }

  /** The answer leaves when the batch is over. In strict mode it may be the last one. */
  add(answer: Answer): "ends" | "goes on" {
    const ending = this.#of.options.strict ? strictEnding(answer.name, answer.reply) : "open";
    if (ending === "silent") this.#tell(answer);
    else this.#push(answer);
    return ending === "open" ? "goes on" : "ends";
  }

  /** When the batch is over: the first piece that is to be written, and then each {@link next} one. */
  first(): Uint8Array | undefined {
    const answers = this.#answers ?? [];
    this.#answers = undefined;
    for (const answer of answers) this.#tell(answer);
    this.tap?.sent(answers.map(replyOf), this.bytesWritten);
    this.isWriting = true;
    const constant = answers.length === 1 ? constantReply(answers[0]!.reply) : undefined;
    if (constant !== undefined) return this.#offer(constant);
    this.#scratch = scratches.pop() ?? new Uint8Array(SCRATCH_BYTES);
    this.#pieces = encodeReplies(answers.map(replyOf), this.#scratch)[Symbol.iterator]();
    return this.#nextPiece();
  }

  /** So many bytes of the piece before were written: the next, of bounded size, while there is one. */
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
    this.#of.deadline.clear();
    if (this.#scratch !== undefined && scratches.length < SCRATCHES_MAX) {
      scratches.push(this.#scratch);
    }
    this.#scratch = this.#pieces = undefined;
    this.#piece = NOTHING;
    return undefined;
  }

  #offer(piece: Uint8Array): Uint8Array {
    this.#of.deadline.set(this.#writeMs);
    return this.#piece = piece;
  }

  /** The server stops: from now on the client has less time. */
  shortenTimeout(): void {
    this.#writeMs = Math.min(this.#writeMs, STOP_WRITE_MS);
    if (this.isWriting) this.#of.deadline.set(this.#writeMs);
  }

  /** Tells the log what is worth a line. */
  #tell({ name, reply }: Answer): void {
    // A mistake was told when it was found.
    if (name === undefined) return;
    const { log, meter, options, actor } = this.#of;
    meter?.replied(name, reply.code);
    const { address, peer, session: connection } = actor;
    if (reply.code === "welcome" || reply.code === "welcome-back") {
      const event = reply.code === "welcome" ? "registered" : "came-back";
      log.event(event, { connection, peer, user: reply.user });
    } else if (isRefusal(reply)) {
      // A receiver that is longer than a name may be a text in the wrong place.
      const isLong = hasMoreSymbols(reply.user ?? "", options.nameSymbolsMax);
      const text = isLong ? {} : { reply: replyText(reply) };
      log.refused(address, reply.code, { connection, peer, command: name, ...text });
    }
  }
}

function replyOf({ reply }: Answer): Reply {
  return reply;
}
