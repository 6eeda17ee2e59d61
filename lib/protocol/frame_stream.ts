/** The stream of frames over a connection's bytes. */
import { type Split, splitFrames } from "./frame.ts";
import { type Decode, decodeUtf8 } from "./utf8.ts";

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
 * A stream of frames over a source of bytes: those of one read at a time.
 *
 * Nothing is read ahead: bytes are read when the consumer asks for the next split, so a consumer
 * that is busy writing stops the reading (back-pressure). All reads share one buffer, and the views
 * in a split stay valid until the next is asked for: new memory for each, as `conn.readable` takes,
 * halves the requests a second. Behind a length over `frameBytesMax` everything is thrown away.
 *
 * One stream, filled by hand: `pipeThrough(new TransformStream(…))` serves less than half the requests
 * a second, a stream with `pull` 2 % less (`docs/decisions.md`).
 */
export class FrameStream implements AsyncIterable<Split> {
  readonly #source: Reader;
  readonly #frameBytesMax: number;
  readonly #decode: Decode;
  readonly #stream: ReadableStream<Split>;
  #controller!: ReadableStreamDefaultController<Split>;
  #reader: ReadableStreamDefaultReader<Split>;
  #buffer = new Uint8Array(READ_BYTES);
  #rest: Uint8Array = NOTHING;
  #overLimit = false;
  /** The source is being read, or at its end. */
  #isBusy = false;

  /** The texts of the frames are decoded by `decode`. */
  constructor(source: Reader, frameBytesMax: number, decode: Decode = decodeUtf8) {
    this.#source = source;
    this.#frameBytesMax = frameBytesMax;
    this.#decode = decode;
    const start = (its: ReadableStreamDefaultController<Split>) => void (this.#controller = its);
    this.#stream = new ReadableStream({ start }, { highWaterMark: 0 });
    this.#reader = this.#stream.getReader();
  }

  /** The next split; the source's error where it has one. */
  read(): Promise<ReadableStreamReadResult<Split>> {
    // A split that came too late for who had asked is still there.
    if (this.#controller.desiredSize === 0) this.#pull();
    return this.#reader.read();
  }

  /** Who waits for a split gets an error, and who asks next gets what is being read. */
  giveUp(): void {
    this.#reader.releaseLock();
    this.#reader = this.#stream.getReader();
  }

  /** All splits to the end of the source. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Split> {
    for (let next = await this.read(); !next.done; next = await this.read()) yield next.value;
  }

  #pull(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#source.read(this.#buffer).then(this.#onRead, this.#onError);
  }

  // No async function: it would cost up to a tenth of a request.
  readonly #onRead = (length: number | null): void => {
    if (length === null) return this.#controller.close();
    this.#isBusy = false;
    if (this.#overLimit) return this.#pull();
    const chunk = this.#buffer.subarray(0, length);
    const split = splitFrames(this.#rest, chunk, this.#frameBytesMax, this.#decode);
    ({ rest: this.#rest, overLimit: this.#overLimit } = split);
    this.#buffer = fitting(this.#buffer, length);
    this.#controller.enqueue(split);
  };

  readonly #onError = (error: unknown): void => this.#controller.error(error);
}

/** The buffer for the next read, after one of so many bytes. */
function fitting(buffer: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  if (length === buffer.length && length < READ_BYTES_MAX) {
    return new Uint8Array(Math.min(4 * length, READ_BYTES_MAX));
  }
  const isFar = 8 * length < buffer.length && buffer.length > READ_BYTES;
  return isFar ? new Uint8Array(READ_BYTES) : buffer;
}
