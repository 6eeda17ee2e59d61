/**
 * Reads a connection's bytes as a stream of frames, which `splitFrames` in `frame` cuts out of them.
 * The only file in `protocol/` that awaits.
 */
import { copy } from "@std/bytes";
import { type Split, splitFrames } from "./frame.ts";

const NOTHING = new Uint8Array(0);

/** The size of the first buffer. */
const READ_BYTES_MIN = 512;
/** A read that fills the buffer makes the next buffer larger, up to this size. */
const READ_BYTES_MAX = 16_384;

/** Of a frame over the limit this much is kept, and the rest of a read: enough to find its mistake. */
const OVER_LIMIT_BYTES = 512;

/** A source of bytes, such as a `Deno.Conn`. */
export interface Reader {
  /** Reads some bytes into `p` and resolves to their number; to `null` at the end. */
  read(p: Uint8Array): Promise<number | null>;
}

/** A reader over chunks of bytes. */
export class ChunkReader implements Reader {
  readonly #next: () => Promise<Uint8Array | undefined>;
  #chunk: Uint8Array = NOTHING;

  /** `next` resolves to the next chunk, or to `undefined` at the end. */
  constructor(next: () => Promise<Uint8Array | undefined>) {
    this.#next = next;
  }

  /** See {@link Reader.read}. */
  async read(p: Uint8Array): Promise<number | null> {
    while (this.#chunk.length === 0) {
      const chunk = await this.#next();
      if (chunk === undefined) return null;
      this.#chunk = chunk;
    }
    const length = copy(this.#chunk, p);
    this.#chunk = this.#chunk.subarray(length);
    return length;
  }
}

/** A reader over a stream of bytes. */
export function readerOf(stream: ReadableStream<Uint8Array>): Reader {
  const reader = stream.getReader();
  return new ChunkReader(async () => (await reader.read()).value);
}

/**
 * A stream of frames over a source of bytes. Each split holds the frames of one read.
 *
 * The source is read when the consumer asks (high-water mark 0), so a consumer that waits for its
 * writes stops the reading (back-pressure). All reads share one buffer, and a split is valid until the
 * next call of {@link read}: new memory for each read, as in `conn.readable`, halves the requests a
 * second. Behind a length over `frameBytesMax` bytes are only collected, and when there are
 * {@link OVER_LIMIT_BYTES} they are dropped.
 */
export class FrameStream implements AsyncIterable<Split> {
  readonly #stream: ReadableStream<Split>;
  #reader: ReadableStreamDefaultReader<Split>;

  /**
   * @param source The bytes of the connection.
   * @param frameBytesMax The limit of a frame's payload in bytes.
   */
  constructor(source: Reader, frameBytesMax: number) {
    let buffer = new Uint8Array(READ_BYTES_MIN);
    let rest: Uint8Array = NOTHING;
    let isOverLimit = false;
    const pull = async (controller: ReadableStreamDefaultController<Split>) => {
      let length: number | null;
      do {
        length = await source.read(buffer);
        if (length === null) return controller.close();
      } while (isOverLimit && rest.length >= OVER_LIMIT_BYTES);
      const split = splitFrames(rest, buffer.subarray(0, length), frameBytesMax);
      ({ rest, isOverLimit } = split);
      buffer = nextBuffer(buffer, length);
      controller.enqueue(split);
    };
    this.#stream = new ReadableStream({ pull }, { highWaterMark: 0 });
    this.#reader = this.#stream.getReader();
  }

  /** Resolves to the next split. Rejects with the error of the source. */
  read(): Promise<ReadableStreamReadResult<Split>> {
    return this.#reader.read();
  }

  /**
   * Rejects the pending {@link read}. The split that it waited for goes to the next call of
   * {@link read}.
   */
  giveUp(): void {
    this.#reader.releaseLock();
    this.#reader = this.#stream.getReader();
  }

  /** All splits to the end of the source. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Split> {
    for (let next = await this.read(); !next.done; next = await this.read()) yield next.value;
  }
}

/** The buffer for the next read, after one of `length` bytes: larger, smaller or the same. */
function nextBuffer(buffer: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  if (length === buffer.length && length < READ_BYTES_MAX) {
    return new Uint8Array(Math.min(4 * length, READ_BYTES_MAX));
  }
  const isMuchTooLarge = 8 * length < buffer.length && buffer.length > READ_BYTES_MIN;
  return isMuchTooLarge ? new Uint8Array(READ_BYTES_MIN) : buffer;
}
