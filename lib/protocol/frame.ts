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

/** The frames that a chunk of bytes completed, and the bytes behind them. */
export interface Split {
  /** The length of the chunk in bytes. */
  readonly size: number;
  /** The payloads of the complete frames. They are views of the chunk. */
  readonly frames: readonly Uint8Array[];
  /** A copy of the bytes behind the last complete frame: the beginning of the next one. */
  readonly rest: Uint8Array;
  /** The rest begins with a length over the limit, so no frame can follow. */
  readonly isOverLimit: boolean;
}

/**
 * Splits a chunk of bytes into frames.
 *
 * @param before The `rest` of the split before; empty for the first chunk.
 * @param chunk The bytes that follow it.
 * @param bytesMax The limit of a payload in bytes. A length over it ends the splitting; the frames
 *   before it are returned.
 */
export function splitFrames(before: Uint8Array, chunk: Uint8Array, bytesMax: number): Split {
  const bytes: Uint8Array = before.length === 0 ? chunk : concat([before, chunk]);
  const frames: Uint8Array[] = [];
  let offset = 0;
  let isOverLimit = false;
  while (bytes.length - offset >= LENGTH_BYTES) {
    const length = readLength(bytes, offset);
    isOverLimit = length > bytesMax;
    const start = offset + LENGTH_BYTES;
    const end = start + length;
    if (isOverLimit || end > bytes.length) break;
    frames.push(bytes.subarray(start, end));
    offset = end;
  }
  const rest = offset === bytes.length ? NOTHING : bytes.slice(offset);
  return { size: chunk.length, frames, rest, isOverLimit };
}
