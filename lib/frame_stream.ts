/** The stream of frames over a connection's bytes. */
import { type Split, splitFrames } from "./frame.ts";

const NOTHING = new Uint8Array(0);

/** What is read at once: little for who is idle, more for who sends much. */
const READ_BYTES = 512;
const READ_BYTES_MAX = 16_384;

/** Where bytes come from, as a `Deno.Conn` is: some into `p`, and how many; `null` at the end. */
export interface Reader {
  read(p: Uint8Array): Promise<number | null>;
}

/** Puts the first bytes of a chunk into `p`, and returns how many. */
export function fill(p: Uint8Array, chunk: Uint8Array): number {
  const length = Math.min(p.length, chunk.length);
  p.set(chunk.subarray(0, length));
  return length;
}

/** Reads what comes in chunks; `next` gives one when all before it are read, or says that it is over. */
export class ChunkReader implements Reader {
  readonly #next: () => Promise<Uint8Array | undefined>;
  #chunk: Uint8Array = NOTHING;

  constructor(next: () => Promise<Uint8Array | undefined>) {
    this.#next = next;
  }

  async read(p: Uint8Array): Promise<number | null> {
    while (this.#chunk.length === 0) {
      const chunk = await this.#next();
      if (chunk === undefined) return null;
      this.#chunk = chunk;
    }
    const length = fill(p, this.#chunk);
    this.#chunk = this.#chunk.subarray(length);
    return length;
  }
}

/** Reads a stream of bytes. */
export function readerOf(stream: ReadableStream<Uint8Array>): Reader {
  const reader = stream.getReader();
  return new ChunkReader(async () => (await reader.read()).value);
}

/**
 * Splits a stream of bytes into frames, those of one read at a time.
 *
 * Nothing is read ahead: bytes are read when the consumer asks for the next split, so a consumer
 * that is busy writing stops the reading (back-pressure). All reads share one buffer, and the views
 * in a split stay valid until the next is asked for: new memory for each, as `conn.readable` takes,
 * halves the requests a second. Behind a length over `frameBytesMax` everything is thrown away.
 *
 * One stream with a `pull` of its own instead of `pipeThrough(new TransformStream(…))`: that
 * serves less than half the requests a second (`docs/decisions.md`).
 */
export function frameStream(reader: Reader, frameBytesMax: number): ReadableStream<Split> {
  let buffer = new Uint8Array(READ_BYTES);
  let rest: Uint8Array = NOTHING;
  let overLimit = false;
  let controller: ReadableStreamDefaultController<Split>;
  let isReading = false;
  // No async functions, and no promise for the stream to wait for: each costs up to a tenth of it.
  const take = (length: number | null): void => {
    isReading = false;
    if (length === null) return controller.close();
    if (overLimit) return pull();
    const split = splitFrames(rest, buffer.subarray(0, length), frameBytesMax);
    ({ rest, overLimit } = split);
    buffer = fitting(buffer, length);
    controller.enqueue(split);
  };
  const fail = (error: unknown) => controller.error(error);
  const pull = (): void => {
    // Who gave up waiting, and asks again, gets what is being read.
    if (isReading) return;
    isReading = true;
    reader.read(buffer).then(take, fail);
  };
  const start = (its: ReadableStreamDefaultController<Split>) => void (controller = its);
  return new ReadableStream({ start, pull }, { highWaterMark: 0 });
}

/** The buffer for the next read, after one of so many bytes. */
function fitting(buffer: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  if (length === buffer.length && length < READ_BYTES_MAX) {
    return new Uint8Array(Math.min(4 * length, READ_BYTES_MAX));
  }
  const isFar = 8 * length < buffer.length && buffer.length > READ_BYTES;
  return isFar ? new Uint8Array(READ_BYTES) : buffer;
}
