/**
 * Frames: a 4-byte little-endian length, then that many bytes. Pure; `docs/protocol.md` is the text.
 */
import { concat } from "@std/bytes";

/** The length in front of every frame takes this many bytes. */
export const LENGTH_BYTES = 4;

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/** The little-endian length that stands at `offset`; the caller knows that 4 bytes are there. */
export function readLength(bytes: Uint8Array, offset = 0): number {
  return (bytes[offset]! | bytes[offset + 1]! << 8 | bytes[offset + 2]! << 16 |
    bytes[offset + 3]! << 24) >>> 0;
}

/** The most bytes that {@link writeFrame} may need for a text: 3 for each UTF-16 unit. */
export function frameBytesMax(text: string): number {
  return LENGTH_BYTES + 3 * text.length;
}

/** Writes the text as a frame at `offset` of `target` and returns the offset behind it. */
export function writeFrame(target: Uint8Array, offset: number, text: string): number {
  const start = offset + LENGTH_BYTES;
  const length = encoder.encodeInto(text, target.subarray(start)).written;
  target[offset] = length;
  target[offset + 1] = length >>> 8;
  target[offset + 2] = length >>> 16;
  target[offset + 3] = length >>> 24;
  return start + length;
}

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

/** What a chunk of bytes gave. */
export interface Split {
  /** The length of the chunk in bytes. */
  readonly size: number;
  /** The payloads of the complete frames: views of the chunk, to be used before the next one. */
  readonly frames: readonly Uint8Array[];
  /** A frame's beginning, its length included, that waits for more bytes: a copy. */
  readonly rest: Uint8Array;
  /** The rest begins with a length over the limit: no frame can follow. */
  readonly overLimit: boolean;
}

/**
 * Splits what came before (`rest` of the last split) and a new chunk into frames.
 * A length over `bytesMax` ends the splitting; the frames before it still count.
 */
export function splitFrames(rest: Uint8Array, chunk: Uint8Array, bytesMax: number): Split {
  const bytes = rest.length === 0 ? chunk : concat([rest, chunk]);
  const frames: Uint8Array[] = [];
  const size = chunk.length;
  let offset = 0;
  while (bytes.length - offset >= LENGTH_BYTES) {
    const length = readLength(bytes, offset);
    if (length > bytesMax) return { size, frames, rest: bytes.slice(offset), overLimit: true };
    const end = offset + LENGTH_BYTES + length;
    if (end > bytes.length) break;
    frames.push(bytes.subarray(offset + LENGTH_BYTES, end));
    offset = end;
  }
  return {
    size,
    frames,
    rest: offset === bytes.length ? NOTHING : bytes.slice(offset),
    overLimit: false,
  };
}
