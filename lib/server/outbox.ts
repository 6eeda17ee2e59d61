/**
 * The replies of a connection, which leave in pieces. While replies wait here the connection reads
 * no commands.
 */
import type { Answers } from "../engine/session.ts";
import type { Split } from "../protocol/frame.ts";
import type { ServerOptions } from "../options.ts";
import type { Evidence } from "../protocol/mistake.ts";
import type { Reply } from "../protocol/reply.ts";
import { framesOf } from "../protocol/reply_encoder.ts";
import { constantReply, packReplies, type PartFrames } from "../protocol/reply_packer.ts";
import type { ConnectionLog } from "./connection_log.ts";

/** Replies are put together in buffers of this size, which are lent to one connection at a time. */
const SCRATCH_BYTES = 8_192;
/** At most this many unused buffers are kept. */
const SCRATCHES_MAX = 64;
const scratches: Uint8Array[] = [];

/** Lists of users that were sent, for all connections. */
const partFrames: PartFrames = new WeakMap();

const NOTHING: Uint8Array = new Uint8Array(0);

/** Observes the traffic of a connection. */
export interface Observer {
  /** A chunk has come; `offset` bytes have come on the connection before. */
  received(split: Split, offset: number): void;
  /** The command that has begun will not be completed. */
  brokenOff(kind: Evidence["kind"]): void;
  /** These replies leave now; `offset` bytes were sent on the connection before. */
  sent(replies: readonly Reply[], offset: number): void;
  /** The connection has ended; `reason` is a text for people. */
  ended(reason: string): void;
}

/** The replies of one connection. */
export class Outbox {
  readonly #isStrict: boolean;
  readonly #log: Pick<ConnectionLog, "answered">;
  #scratch: Uint8Array | undefined;
  #pieces: Iterator<Uint8Array> | undefined;
  /** The rest of the piece that is being written. */
  #piece = NOTHING;
  /** From {@link Outbox.first} until the last piece is written. */
  isWriting = false;
  bytesWritten = 0;
  observer: Observer | undefined;

  /** `log` is told of each item whose reply leaves. */
  constructor({ strict }: Pick<ServerOptions, "strict">, log: Pick<ConnectionLog, "answered">) {
    this.#isStrict = strict;
    this.#log = log;
  }

  /** The first piece of these replies; `undefined` where there is nothing to write. */
  first({ items, replies, ending }: Answers): Uint8Array | undefined {
    const leaving: Reply[] = [];
    for (let i = 0; i < replies.length; i++) {
      const reply = replies[i];
      this.#log.answered(items[i]!, reply);
      if (reply !== undefined) leaving.push(reply);
    }
    if (ending === "silent") leaving.pop();
    if (leaving.length === 0) return undefined;
    this.observer?.sent(leaving, this.bytesWritten);
    this.isWriting = true;
    const constant = leaving.length === 1 ? constantReply(leaving[0]!) : undefined;
    if (constant !== undefined) return this.#piece = constant;
    this.#pieces = this.#encode(leaving)[Symbol.iterator]();
    return this.#nextPiece();
  }

  /**
   * In strict mode each frame is a piece, as each was a write of the original server: there are clients
   * that read the count of a list with room for more, and rely on it coming alone.
   */
  #encode(replies: readonly Reply[]): Iterable<Uint8Array> {
    if (this.#isStrict) return framesOf(replies);
    this.#scratch = scratches.pop() ?? new Uint8Array(SCRATCH_BYTES);
    return packReplies(replies, this.#scratch, partFrames);
  }

  /**
   * The next piece, when this many bytes of the last one were written; `undefined` where nothing is
   * left. Pieces have a bounded size.
   */
  next(written: number): Uint8Array | undefined {
    this.bytesWritten += written;
    return written < this.#piece.length
      ? this.#piece = this.#piece.subarray(written)
      : this.#nextPiece();
  }

  #nextPiece(): Uint8Array | undefined {
    const next = this.#pieces?.next();
    if (next !== undefined && !next.done) return this.#piece = next.value;
    this.isWriting = false;
    if (this.#scratch !== undefined && scratches.length < SCRATCHES_MAX) {
      scratches.push(this.#scratch);
    }
    this.#scratch = this.#pieces = undefined;
    this.#piece = NOTHING;
    return undefined;
  }
}
