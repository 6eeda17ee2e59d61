/**
 * Frames: a 4-byte little-endian length, then that many bytes of payload. `docs/protocol.md`
 * describes them. Pure.
 */
import { concat } from "@std/bytes";
import type { Decode } from "./utf8.ts";

/** The size of the length in front of each payload. */
export const LENGTH_BYTES = 4;

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/** Reads the length at `offset`. The caller has checked that 4 bytes are there. */
export function readLength(bytes: Uint8Array, offset = 0): number {
  return (bytes[offset]! | bytes[offset + 1]! << 8 | bytes[offset + 2]! << 16 |
    bytes[offset + 3]! << 24) >>> 0;
}

/** Keeps the place of a length in front of a text. */
const NO_LENGTH = "\0".repeat(LENGTH_BYTES);

/**
 * Writes the texts as frames into `target`, from `offset` on. Returns the offset behind them, or
 * `undefined` if there is no room for all. One call encodes all texts: a call of the encoder costs
 * as much time as 50 letters.
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

/** The end of the UTF-8 text that begins at `start` and has `units` UTF-16 units. */
function endOfText(bytes: Uint8Array, start: number, units: number): number {
  let end = start;
  for (let left = units; left > 0; left--) {
    const first = bytes[end]!;
    if (first < 0x80) end += 1;
    else if (first < 0xe0) end += 2;
    else if (first < 0xf0) end += 3;
    else {
      // 4 bytes are two units, a pair of surrogates.
      end += 4;
      left--;
    }
  }
  return end;
}

/** A frame with this payload. */
export function encodeFrame(payload: string | Uint8Array): Uint8Array {
  const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
  const frame = new Uint8Array(LENGTH_BYTES + bytes.length);
  new DataView(frame.buffer).setUint32(0, bytes.length, true);
  frame.set(bytes, LENGTH_BYTES);
  return frame;
}

/** Frames with these payloads, one behind the other: a command with its arguments is sent so. */
export function encodeFrames(payloads: Iterable<string | Uint8Array>): Uint8Array {
  return concat(Array.from(payloads, encodeFrame));
}

/**
 * Adjacent frames of at most this many bytes (a span) are decoded in one call, and their texts are
 * cut out of the result: a call of the decoder takes as much time as 80 letters. A text that is
 * stored keeps the text of its whole span in memory; this limits it.
 */
const SPAN_BYTES_MAX = 256;
/** A text of at most this many bytes is decoded alone: the server's decoder caches such texts. */
const SHORT_BYTES_MAX = 16;

/** Complete frames that lie one behind the other in memory. Only the end of each one is stored. */
export class Frames implements Iterable<Uint8Array> {
  readonly #bytes: Uint8Array;
  readonly #ends: readonly number[];
  /** The text from `#spanStart` to `#spanEnd`, lengths included; `undefined` if it is not ASCII. */
  #span: string | undefined;
  #spanStart = 0;
  #spanEnd = 0;

  /**
   * @param bytes The frames, their lengths included. They are not copied.
   * @param ends The offset behind each frame.
   */
  constructor(bytes: Uint8Array, ends: readonly number[]) {
    this.#bytes = bytes;
    this.#ends = ends;
  }

  /** The number of frames. */
  get length(): number {
    return this.#ends.length;
  }

  /** The bytes of all frames, their lengths included. */
  get size(): number {
    return this.#bytes.length;
  }

  /** A view of a frame, its length included. */
  frame(index: number): Uint8Array {
    return this.#bytes.subarray(this.#start(index), this.#ends[index]);
  }

  /** A view of the payload of a frame. */
  payload(index: number): Uint8Array {
    return this.#bytes.subarray(this.#start(index) + LENGTH_BYTES, this.#ends[index]);
  }

  /** The payload of a frame as a text; `undefined` if it is not UTF-8. */
  text(index: number, decode: Decode): string | undefined {
    const start = this.#start(index) + LENGTH_BYTES;
    const end = this.#ends[index]!;
    const isShort = end - start <= SHORT_BYTES_MAX;
    return isShort ? decode(this.#bytes, start, end) : this.#cut(index, start, end, decode);
  }

  /** A hash of the payload of a frame, made of its length and its first byte. */
  hash(index: number): number {
    const start = this.#start(index) + LENGTH_BYTES;
    return hashOf(this.#ends[index]! - start, this.#bytes[start]!);
  }

  /** Has the frame this payload? */
  equals(index: number, payload: Uint8Array): boolean {
    const start = this.#start(index) + LENGTH_BYTES;
    if (this.#ends[index]! - start !== payload.length) return false;
    for (let i = 0; i < payload.length; i++) {
      if (this.#bytes[start + i] !== payload[i]) return false;
    }
    return true;
  }

  /** A copy of the frames from `index` on, followed by those of `more`. */
  copyFrom(index: number, more: Frames = NO_FRAMES): Frames {
    const begin = this.#start(index);
    const shift = this.#bytes.length - begin;
    const ends = [
      ...this.#ends.slice(index).map((end) => end - begin),
      ...more.#ends.map((end) => end + shift),
    ];
    return new Frames(concat([this.#bytes.subarray(begin), more.#bytes]), ends);
  }

  /** Views of the payloads. */
  *[Symbol.iterator](): Generator<Uint8Array> {
    for (let index = 0; index < this.length; index++) yield this.payload(index);
  }

  /** The payload as a text, cut out of the span where that is ASCII. */
  #cut(index: number, start: number, end: number, decode: Decode): string | undefined {
    const isInSpan = start >= this.#spanStart && end <= this.#spanEnd;
    if (!isInSpan) this.#decodeSpan(index, start, decode);
    if (this.#span === undefined) return decode(this.#bytes, start, end);
    return this.#span.slice(start - this.#spanStart, end - this.#spanStart);
  }

  #decodeSpan(index: number, start: number, decode: Decode): void {
    let last = index;
    while (this.#ends[last + 1]! <= start + SPAN_BYTES_MAX) last++;
    const end = this.#ends[last]!;
    // A text that does not begin with ASCII is mostly in another script.
    const mayBeAscii = last > index && this.#bytes[start]! < 0x80;
    const text = mayBeAscii ? decode(this.#bytes, start, end) : undefined;
    // All is ASCII if there are as many UTF-16 units as bytes.
    this.#span = text?.length === end - start ? text : undefined;
    this.#spanStart = start;
    this.#spanEnd = end;
  }

  #start(index: number): number {
    return index === 0 ? 0 : this.#ends[index - 1]!;
  }
}

/** The hash of a payload with this length in bytes and this first byte. See {@link Frames.hash}. */
export function hashOf(length: number, firstByte: number): number {
  return length << 8 | firstByte;
}

/** An empty list of frames. */
export const NO_FRAMES = new Frames(NOTHING, []);

/** The frames that a chunk of bytes completed, and the bytes behind them. */
export interface Split {
  /** The length of the chunk in bytes. */
  readonly size: number;
  /** The complete frames. They are views of the chunk: use them before its memory is reused. */
  readonly frames: Frames;
  /** A copy of the bytes behind the last complete frame: the beginning of the next one. */
  readonly rest: Uint8Array;
  /** The rest begins with a length over the limit, so no frame can follow. */
  readonly isOverLimit: boolean;
}

/**
 * Splits a chunk of bytes into frames.
 *
 * @param rest The `rest` of the split before; empty for the first chunk.
 * @param chunk The bytes that follow it.
 * @param bytesMax The limit of a payload in bytes. A length over it ends the splitting; the frames
 *   before it are returned.
 */
export function splitFrames(rest: Uint8Array, chunk: Uint8Array, bytesMax: number): Split {
  const bytes = rest.length === 0 ? chunk : concat([rest, chunk]);
  const ends: number[] = [];
  let offset = 0;
  let isOverLimit = false;
  while (bytes.length - offset >= LENGTH_BYTES) {
    const length = readLength(bytes, offset);
    isOverLimit = length > bytesMax;
    const end = offset + LENGTH_BYTES + length;
    if (isOverLimit || end > bytes.length) break;
    ends.push(end);
    offset = end;
  }
  const isWhole = offset === bytes.length;
  return {
    size: chunk.length,
    frames: new Frames(isWhole ? bytes : bytes.subarray(0, offset), ends),
    rest: isWhole ? NOTHING : bytes.slice(offset),
    isOverLimit,
  };
}
