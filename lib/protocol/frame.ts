/**
 * Frames: a 4-byte little-endian length, then that many bytes of payload. `docs/protocol.md`
 * describes them. Pure.
 */
import { concat } from "@std/bytes";

/** The size of the length in front of each payload. */
export const LENGTH_BYTES = 4;

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/** Reads the length at `offset`. The caller has checked that 4 bytes are there. */
export function readLength(bytes: Uint8Array, offset = 0): number {
  return (bytes[offset]! | bytes[offset + 1]! << 8 | bytes[offset + 2]! << 16 |
    bytes[offset + 3]! << 24) >>> 0;
}

/** The length that begins a list of bytes. Those of its bytes that have not come count as zeros. */
export function readBegunLength(bytes: Uint8Array): number {
  let length = 0;
  for (let at = 0; at < Math.min(bytes.length, LENGTH_BYTES); at++) {
    length += bytes[at]! * 256 ** at;
  }
  return length;
}

/** Writes a length at `offset`. The caller has checked that there is room for 4 bytes. */
export function writeLength(target: Uint8Array, offset: number, length: number): void {
  target[offset] = length;
  target[offset + 1] = length >>> 8;
  target[offset + 2] = length >>> 16;
  target[offset + 3] = length >>> 24;
}

/** A frame with this payload. */
export function encodeFrame(payload: string | Uint8Array): Uint8Array {
  const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
  const frame = new Uint8Array(LENGTH_BYTES + bytes.length);
  writeLength(frame, 0, bytes.length);
  frame.set(bytes, LENGTH_BYTES);
  return frame;
}

/** Frames with these payloads, one behind the other: a command with its arguments is sent so. */
export function encodeFrames(payloads: Iterable<string | Uint8Array>): Uint8Array {
  return concat(Array.from(payloads, encodeFrame));
}

/** Complete frames that lie one behind the other in memory. Only the end of each one is stored. */
export class Frames implements Iterable<Uint8Array> {
  /** The frames, their lengths included. */
  readonly bytes: Uint8Array;
  readonly #ends: readonly number[];

  /**
   * @param bytes The frames, their lengths included. They are not copied.
   * @param ends The offset behind each frame.
   */
  constructor(bytes: Uint8Array, ends: readonly number[]) {
    this.bytes = bytes;
    this.#ends = ends;
  }

  /** The number of frames. */
  get length(): number {
    return this.#ends.length;
  }

  /** The offset in `bytes` at which the payload of a frame begins. */
  start(index: number): number {
    return (index === 0 ? 0 : this.#ends[index - 1]!) + LENGTH_BYTES;
  }

  /** The offset in `bytes` behind a frame. */
  end(index: number): number {
    return this.#ends[index]!;
  }

  /** A view of the payload of a frame. */
  payload(index: number): Uint8Array {
    return this.bytes.subarray(this.start(index), this.end(index));
  }

  /** A copy of the frames from `index` on, followed by those of `more`. */
  copyFrom(index: number, more: Frames = NO_FRAMES): Frames {
    const begin = index === 0 ? 0 : this.end(index - 1);
    const shift = this.bytes.length - begin;
    const ends = [
      ...this.#ends.slice(index).map((end) => end - begin),
      ...more.#ends.map((end) => end + shift),
    ];
    return new Frames(concat([this.bytes.subarray(begin), more.bytes]), ends);
  }

  /** Views of the payloads. */
  *[Symbol.iterator](): Generator<Uint8Array> {
    for (let index = 0; index < this.length; index++) yield this.payload(index);
  }
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
