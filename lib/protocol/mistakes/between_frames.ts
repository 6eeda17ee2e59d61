/**
 * Right frames that stand a few bytes beside the place where the next one should be: a length was too
 * small or too great, or bytes stand between two frames. Pure.
 */
import { counted } from "../../text/phrases.ts";
import { hex } from "../../text/printable.ts";
import { LENGTH_BYTES, readLength } from "../frame.ts";
import {
  bytesFrom,
  type Evidence,
  EVIDENCE_BYTES_MAX,
  expectedFrame,
  framesFit,
  hexLength,
  isCommand,
  isReadable,
  isWholeFrame,
  latin1,
  type Role,
  shown,
  wordAt,
} from "./evidence.ts";
import type { Finding } from "./finding.ts";

/** A right frame is looked for in at most this many bytes behind the place where it should be. */
const AHEAD_BYTES_MAX = 64;
/** A length that is too great takes at most this many bytes of the next frame. */
const SWALLOWED_BYTES_MAX = 7;
/** The length of one of this many frames before the mistake may be wrong. */
const FRAMES_BACK_MAX = 4;

/** A frame before the mistake, and where the next one really begins. */
interface Shift {
  /** The payload of the frame whose end is wrong; `undefined` where none was read before. */
  readonly frame: Uint8Array | undefined;
  /** The bytes between its end and the next frame. */
  readonly between: Uint8Array;
  /** The number of bytes of the next frame that it has taken; 0 where bytes stand between. */
  readonly swallowed: number;
  /** Is it the frame right before the mistake? */
  readonly isLast: boolean;
}

/** Finds where the frames go on; `undefined` where no right frame follows. */
function findShift(seen: Evidence): Shift | undefined {
  const { past } = seen;
  for (let index = past.length - 1; index >= Math.max(0, past.length - FRAMES_BACK_MAX); index--) {
    const { payload, next } = past[index]!;
    const bytes = bytesFrom(seen, index);
    const end = LENGTH_BYTES + payload.length;
    const isLast = index === past.length - 1;
    for (let by = 1; isLast && by <= Math.min(SWALLOWED_BYTES_MAX, payload.length - 1); by++) {
      if (!framesFit(seen, bytes, end - by, next) && !hasSameError(seen, bytes, end - by, by)) {
        continue;
      }
      return { frame: payload, between: bytes.subarray(0, 0), swallowed: by, isLast };
    }
    for (let by = 1; by <= AHEAD_BYTES_MAX; by++) {
      if (!isWholeFrame(seen, bytes, end + by)) continue;
      const between = bytes.subarray(end, end + by);
      if (isFrameBegun(between) || wordAt(seen, between) !== undefined) continue;
      if (!goesOnAt(seen, bytes, end + by, next, isFiller(between))) continue;
      // In an earlier frame only bytes that are no text can have been read as frames.
      if (isLast || isFiller(between)) return { frame: payload, between, swallowed: 0, isLast };
    }
  }
  if (past.length > 0) return undefined;
  for (let by = 1; by <= Math.min(AHEAD_BYTES_MAX, seen.bytes.length); by++) {
    if (!framesFit(seen, seen.bytes, by, "command")) continue;
    if (isFrameBegun(seen.bytes) && by > LENGTH_BYTES) continue;
    if (wordAt(seen, seen.bytes) !== undefined) continue;
    return { frame: undefined, between: seen.bytes.subarray(0, by), swallowed: 0, isLast: true };
  }
  return undefined;
}

/** Are these bytes a length and at least a part of its text? They are a frame then, and not between. */
function isFrameBegun(bytes: Uint8Array): boolean {
  if (bytes.length <= LENGTH_BYTES) return false;
  const length = readLength(bytes);
  const first = bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + 1);
  return length > 0 && length < 2 ** 16 && /[^\p{Cc}]/u.test(latin1(first));
}

/** Is the length at an offset too great by as much as the one before it? */
function hasSameError(seen: Evidence, bytes: Uint8Array, offset: number, by: number): boolean {
  const text = bytes.subarray(offset + LENGTH_BYTES);
  if (text.length === 0) return false;
  const size = readLength(bytes, offset) - by;
  return seen.expected === "command"
    ? wordAt(seen, text)?.length === size
    : text.length === size && isReadable(text);
}

/** Does the frame that has to follow stand at this offset, or the next command? */
function goesOnAt(seen: Evidence, bytes: Uint8Array, offset: number, next: Role, isLoose: boolean) {
  return framesFit(seen, bytes, offset, next, isLoose) ||
    framesFit(seen, bytes, offset, "command");
}

/** Do the bytes show nothing: NULs, blanks and line ends? */
function isFiller(bytes: Uint8Array): boolean {
  return /^[\0\s]*$/.test(latin1(bytes));
}

/** Nothing but NULs, blanks or line ends behind a whole command. */
function fillerAtEnd({ past, bytes, expected }: Evidence): Shift | undefined {
  const last = past.at(-1);
  if (last === undefined || expected !== "command" || !isFiller(bytes)) return undefined;
  if (bytes.length === LENGTH_BYTES && bytes.every((byte) => byte === 0)) return undefined;
  return { frame: last.payload, between: bytes, swallowed: 0, isLast: true };
}

/** A length that was too small or too great, or bytes between two frames. */
export function shifted(seen: Evidence): Finding | undefined {
  const found = findShift(seen) ?? fillerAtEnd(seen);
  if (found === undefined) return undefined;
  return found.swallowed > 0 ? swallowed(seen, found) : between(seen, found);
}

function swallowed(seen: Evidence, { frame, swallowed }: Shift): Finding {
  const said = frame!.length;
  const send = `Send ${hexLength(said - swallowed)}`;
  const says = `The length of the frame before says ${said}, ${swallowed} too great: it took ` +
    `${counted(swallowed, "byte")} of the length of ${expectedFrame(seen)}`;
  if (swallowed === 1) {
    return {
      code: "nul-counted",
      rule: `${says}. Does it count a NUL that you do not send? ${send}`,
    };
  }
  return swallowed === LENGTH_BYTES
    ? { code: "length-counted", rule: `${says}. Does it count its own 4 bytes? ${send}` }
    : { code: "length-too-great", rule: `${says}. ${send}` };
}

/** The bytes between two frames, by what they are. */
function between(seen: Evidence, shift: Shift): Finding {
  const { frame, between } = shift;
  const isInText = frame !== undefined && !isCommand(seen, frame) && !isFiller(between) &&
    isReadable(between);
  if (frame !== undefined && isCommand(seen, frame) && /^[\p{L}\p{N}]{2}/u.test(latin1(between))) {
    return textWithoutLength(seen, between);
  }
  return nuls(seen, shift) ?? (isInText ? restOfText(frame, between) : stranger(seen, shift));
}

/** The text of an argument, and then a right frame. */
function textWithoutLength(seen: Evidence, text: Uint8Array): Finding {
  const rule =
    `This is text where the length of ${expectedFrame(seen)} should be. Send its length ` +
    `first: ${hexLength(text.length)}`;
  return { code: "plain-text", rule, seen: `It is ${shown(text)}` };
}

/** NULs: the end of a C string, or the rest of a struct. */
function nuls(seen: Evidence, { frame, between, isLast }: Shift): Finding | undefined {
  const count = between.length;
  // Four of them are an empty frame, where a command should begin.
  const isEmptyFrame = isLast && count === LENGTH_BYTES && seen.expected === "command";
  if (between.some((byte) => byte !== 0) || isEmptyFrame) return undefined;
  const place = placeOf(seen, frame);
  if (!isLast || count > LENGTH_BYTES) {
    const least = count === EVIDENCE_BYTES_MAX ? "At least " : "";
    const rule =
      `${least}${count} NULs stand ${place}: is a whole struct or buffer sent, with what is ` +
      "unused of it? Send the 4 bytes of the length and then strlen bytes of the text";
    return { code: "nul-between", rule };
  }
  if (frame === undefined) return undefined;
  const rule =
    `${count === 1 ? "A NUL stands" : `${count} NULs stand`} ${place}, which its length ` +
    "does not count: is the NUL at the end of a C string sent too? Send strlen bytes";
  return { code: "nul-between", rule };
}

function placeOf(seen: Evidence, frame: Uint8Array | undefined): string {
  return frame === undefined ? `before ${expectedFrame(seen)}` : "behind a frame";
}

/** The text of an argument went on behind its end. */
function restOfText(frame: Uint8Array, between: Uint8Array): Finding {
  const rule =
    `The length of the frame before says ${frame.length}, ${between.length} too small: ` +
    `its text went on. Send ${hexLength(frame.length + between.length)}`;
  return { code: "length-too-small", rule, seen: `The rest is ${shown(between)}` };
}

/** Bytes that no text ends with. */
function stranger(seen: Evidence, { frame, between }: Shift): Finding {
  const count = counted(between.length, "byte");
  const verb = between.length === 1 ? "belongs" : "belong";
  const rule = `${count} ${placeOf(seen, frame)} ${verb} to no frame. ${causeOf(between)}`;
  return { code: "bytes-between", rule, seen: `In hex: ${hex(between, 8)}` };
}

function causeOf(between: Uint8Array): string {
  const text = latin1(between);
  if (/^[\r\n]+$/.test(text)) {
    const name = text.includes("\r") ? "CR LF" : "LF";
    return `Is it a line end (${name})? Frames have none between them: send the length and the text alone`;
  }
  if (/^\s+$/.test(text)) return "Is it a blank? Nothing stands between frames";
  if (text === "\xef\xbb\xbf") return "It is a byte order mark: write UTF-8 without one";
  return between.length === LENGTH_BYTES
    ? "Is it a total length, a checksum, or a field of a struct? Send the frames alone"
    : "Is it a type, a checksum, a field of a struct, or padding? Send the frames alone";
}
