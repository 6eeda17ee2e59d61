/**
 * Frames: a 4-byte little-endian length, then that many bytes. Pure; `docs/protocol.md` is the text.
 */
import { concat } from "@std/bytes";
import { type Decode, decodeUtf8 } from "./utf8.ts";

/** The length in front of every frame takes this many bytes. */
export const LENGTH_BYTES = 4;

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/** The little-endian length that stands at `offset`; the caller knows that 4 bytes are there. */
export function readLength(bytes: Uint8Array, offset = 0): number {
  return (bytes[offset]! | bytes[offset + 1]! << 8 | bytes[offset + 2]! << 16 |
    bytes[offset + 3]! << 24) >>> 0;
}

/** Stands where a length will be, in front of each text. */
const NO_LENGTH = "\0".repeat(LENGTH_BYTES);

/**
 * Writes the texts as frames at `offset` of `target`, and returns the offset behind them;
 * `undefined` where there is no room for all. They become bytes together: a call of the encoder
 * costs as much as 50 letters.
 */
export function writeFrames(
  target: Uint8Array,
  offset: number,
  texts: readonly string[],
): number | undefined {
  const room = target.length - offset;
  let all = "";
  for (const text of texts) {
    all += NO_LENGTH + text;
    if (all.length > room) return undefined;
  }
  const { read, written } = encoder.encodeInto(all, target.subarray(offset));
  if (read < all.length) return undefined;
  const isAscii = written === read;
  let at = offset;
  for (const { length } of texts) {
    const start = at + LENGTH_BYTES;
    const end = isAscii ? start + length : endOfText(target, start, length);
    writeLength(target, at, end - start);
    at = end;
  }
  return at;
}

function writeLength(target: Uint8Array, offset: number, length: number): void {
  target[offset] = length;
  target[offset + 1] = length >>> 8;
  target[offset + 2] = length >>> 16;
  target[offset + 3] = length >>> 24;
}

/** Where the UTF-8 that begins at `start` has so many UTF-16 units behind it. */
function endOfText(bytes: Uint8Array, start: number, units: number): number {
  let end = start;
  for (let left = units; left > 0; left--) {
    const first = bytes[end]!;
    if (first < 0x80) end += 1;
    else if (first < 0xe0) end += 2;
    else if (first < 0xf0) end += 3;
    else {
      // Two units, a pair of surrogates.
      end += 4;
      left--;
    }
  }
  return end;
}

/**
 * Texts that lie in so many bytes are decoded together, and each is cut out of that: a native call
 * costs as much as 80 letters. A message that waits keeps so much of its neighbours, and no more.
 */
const STRETCH_BYTES = 256;
/** A text of at most this many bytes is decoded alone: the server's decoder remembers such texts. */
const SHORT_BYTES = 16;

/** One frame. */
export function encodeFrame(payload: string | Uint8Array): Uint8Array {
  const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
  const frame = new Uint8Array(LENGTH_BYTES + bytes.length);
  new DataView(frame.buffer).setUint32(0, bytes.length, true);
  frame.set(bytes, LENGTH_BYTES);
  return frame;
}

/** Several frames in one piece of memory, as a command with its arguments is sent. */
export function encodeFrames(payloads: Iterable<string | Uint8Array>): Uint8Array {
  return concat(Array.from(payloads, encodeFrame));
}

/** Complete frames that lie one behind the other. To split them costs no memory but where each ends. */
export class Frames implements Iterable<Uint8Array> {
  readonly #bytes: Uint8Array;
  readonly #ends: readonly number[];
  readonly #decode: Decode;
  /** The text of several frames that lie side by side; none where not all of it is ASCII. */
  #stretch: string | undefined;
  #stretchStart = 0;
  #stretchEnd = 0;

  /** The bytes, lengths included, and the offset behind each frame. */
  constructor(bytes: Uint8Array, ends: readonly number[], decode: Decode = decodeUtf8) {
    this.#bytes = bytes;
    this.#ends = ends;
    this.#decode = decode;
  }

  get length(): number {
    return this.#ends.length;
  }

  /** All frames together, in bytes. */
  get size(): number {
    return this.#bytes.length;
  }

  /** A frame, its length included, a view. */
  frame(index: number): Uint8Array {
    return this.#bytes.subarray(this.#begin(index), this.#ends[index]);
  }

  /** The payload of a frame, a view. */
  payload(index: number): Uint8Array {
    return this.#bytes.subarray(this.#begin(index) + LENGTH_BYTES, this.#ends[index]);
  }

  /** The payload of a frame as a text; `undefined` where it is not UTF-8. */
  text(index: number): string | undefined {
    const start = this.#begin(index) + LENGTH_BYTES;
    const end = this.#ends[index]!;
    const isShort = end - start <= SHORT_BYTES;
    return isShort ? this.#decode(this.#bytes, start, end) : this.#cut(index, start, end);
  }

  /** A number that tells short payloads apart, mostly: the length and the first byte. */
  shape(index: number): number {
    const start = this.#begin(index) + LENGTH_BYTES;
    return shapeOf(this.#ends[index]! - start, this.#bytes[start]!);
  }

  /** Is this the payload of a frame? */
  is(index: number, payload: Uint8Array): boolean {
    const start = this.#begin(index) + LENGTH_BYTES;
    if (this.#ends[index]! - start !== payload.length) return false;
    for (let i = 0; i < payload.length; i++) {
      if (this.#bytes[start + i] !== payload[i]) return false;
    }
    return true;
  }

  /** The frames from this one on, in memory of their own, with others behind them. */
  from(index: number, others: Frames = NO_FRAMES): Frames {
    const begin = this.#begin(index);
    const shift = this.#bytes.length - begin;
    const ends = [
      ...this.#ends.slice(index).map((end) => end - begin),
      ...others.#ends.map((end) => end + shift),
    ];
    return new Frames(concat([this.#bytes.subarray(begin), others.#bytes]), ends, this.#decode);
  }

  *[Symbol.iterator](): Generator<Uint8Array> {
    for (let index = 0; index < this.length; index++) yield this.payload(index);
  }

  /** A text that is cut out of one with its neighbours, where they are ASCII. */
  #cut(index: number, start: number, end: number): string | undefined {
    const isInStretch = start >= this.#stretchStart && end <= this.#stretchEnd;
    if (!isInStretch) this.#decodeStretch(index, start);
    if (this.#stretch === undefined) return this.#decode(this.#bytes, start, end);
    return this.#stretch.slice(start - this.#stretchStart, end - this.#stretchStart);
  }

  #decodeStretch(index: number, start: number): void {
    let last = index;
    while (this.#ends[last + 1]! <= start + STRETCH_BYTES) last++;
    const end = this.#ends[last]!;
    // What does not begin with ASCII is in another script, mostly.
    const mayBeAscii = last > index && this.#bytes[start]! < 0x80;
    const text = mayBeAscii ? this.#decode(this.#bytes, start, end) : undefined;
    // As many UTF-16 units as bytes: all of it is ASCII.
    this.#stretch = text?.length === end - start ? text : undefined;
    this.#stretchStart = start;
    this.#stretchEnd = end;
  }

  #begin(index: number): number {
    return index === 0 ? 0 : this.#ends[index - 1]!;
  }
}

/** See {@link Frames.shape}. */
export function shapeOf(length: number, firstByte: number): number {
  return length << 8 | firstByte;
}

export const NO_FRAMES = new Frames(NOTHING, []);

/** What a chunk of bytes gave. */
export interface Split {
  /** The length of the chunk in bytes. */
  readonly size: number;
  /** The complete frames: views of the chunk, to be used before the next one. */
  readonly frames: Frames;
  /** A frame's beginning, its length included, that waits for more bytes: a copy. */
  readonly rest: Uint8Array;
  /** The rest begins with a length over the limit: no frame can follow. */
  readonly overLimit: boolean;
}

/**
 * Splits what came before (`rest` of the last split) and a new chunk into frames.
 * A length over `bytesMax` ends the splitting; the frames before it still count.
 */
export function splitFrames(
  rest: Uint8Array,
  chunk: Uint8Array,
  bytesMax: number,
  decode: Decode = decodeUtf8,
): Split {
  const bytes = rest.length === 0 ? chunk : concat([rest, chunk]);
  const ends: number[] = [];
  let offset = 0;
  let overLimit = false;
  while (bytes.length - offset >= LENGTH_BYTES) {
    const length = readLength(bytes, offset);
    overLimit = length > bytesMax;
    const end = offset + LENGTH_BYTES + length;
    if (overLimit || end > bytes.length) break;
    ends.push(end);
    offset = end;
  }
  const isWhole = offset === bytes.length;
  return {
    size: chunk.length,
    frames: new Frames(isWhole ? bytes : bytes.subarray(0, offset), ends, decode),
    rest: isWhole ? NOTHING : bytes.slice(offset),
    overLimit,
  };
}
