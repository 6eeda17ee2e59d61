/** Known commands behind a length that is not their own. Pure. */
import { counted } from "../../text/phrases.ts";
import { hex } from "../../text/printable.ts";
import { LENGTH_BYTES, readLength } from "../frame.ts";
import { swappedLength } from "./encodings.ts";
import {
  afterCommand,
  behindLength,
  type Evidence,
  framesFit,
  hexLength,
  latin1,
  lengthOf,
  payloadOf,
  wordAt,
} from "./evidence.ts";
import type { Finding } from "./finding.ts";

/** The sizes of a pointer. */
const POINTER_BYTES = [4, 8];

/** A known command behind a length that is not its own. */
interface WrongLength {
  readonly word: string;
  readonly length: number;
  /** All bytes behind the command. */
  readonly behind: Uint8Array;
  /** The bytes behind the command that the length counts, as far as they have come. */
  readonly tail: string;
  /** Does a frame stand behind the command? */
  readonly goesOn: boolean;
  /** The first sentence of the rule, without its full stop. */
  readonly says: string;
  /** The last sentence of the rule. */
  readonly send: string;
}

/** The command whose length is wrong; `undefined` where no known command stands behind a length. */
function findWrongLength(seen: Evidence): WrongLength | undefined {
  const length = lengthOf(seen);
  if (length === undefined || seen.command !== undefined) return undefined;
  const word = wordAt(seen, behindLength(seen));
  if (word === undefined || word.length === length) return undefined;
  const behind = behindLength(seen).subarray(word.length);
  return {
    word,
    length,
    behind,
    tail: latin1(payloadOf(seen).subarray(word.length)),
    goesOn: isFrameBegun(seen, behind) || framesFit(seen, behind, 0, afterCommand(word), true),
    says: `The length says ${length}`,
    send: `The command '${word}' has ${word.length} bytes: send ${hexLength(word.length)}`,
  };
}

/** Is this the beginning of a frame, of which at least one readable byte has come? */
function isFrameBegun({ bytesMax }: Evidence, bytes: Uint8Array): boolean {
  if (bytes.length <= LENGTH_BYTES) return false;
  const length = readLength(bytes);
  return length > 0 && length <= bytesMax &&
    /[^\p{Cc}]/u.test(latin1(bytes.subarray(LENGTH_BYTES), 1));
}

/** A known command whose length is not its own. */
export function commandLength(seen: Evidence): Finding | undefined {
  const found = findWrongLength(seen);
  if (found === undefined) return betweenLengthAndText(seen);
  if (found.length > seen.bytesMax) return swappedLength(seen) ?? unsetLength(found, seen);
  if (found.length < found.word.length) return tooSmall(found);
  return memory(found) ?? whitespace(found) ?? tooGreat(found, seen);
}

/** At most this many bytes are looked for between a length and its text. */
const BETWEEN_BYTES_MAX = 4;

/** Bytes that stand between the right length of a command and the command. */
function betweenLengthAndText(seen: Evidence): Finding | undefined {
  const length = lengthOf(seen);
  if (length === undefined || seen.command !== undefined) return undefined;
  for (let size = 1; size <= BETWEEN_BYTES_MAX; size++) {
    const word = wordAt(seen, behindLength(seen).subarray(size));
    if (word?.length !== length) continue;
    const between = behindLength(seen).subarray(0, size);
    const cause = between[0] === length
      ? "Is it a second length, as BinaryWriter.Write(string) in C# and writeUTF in Java send one?"
      : "Is it a line end, a blank or a NUL? The text follows its length at once";
    const verb = size === 1 ? "stands" : "stand";
    const rule = `${
      counted(size, "byte")
    } ${verb} between the length of '${word}' and its text. ${cause}`;
    return { code: "bytes-between", rule, seen: `In hex: ${hex(between)}` };
  }
  return undefined;
}

/** The length is over the limit, so it is none: it was not set, or is of another kind. */
function unsetLength({ word }: WrongLength, { bytesMax }: Evidence): Finding {
  const rule = `The 4 bytes before '${word}' are no length: as one they are over the limit of ` +
    `${bytesMax}. Was the variable set, and was its value sent, not its address? Send ` +
    hexLength(word.length);
  return { code: "wrong-length", rule };
}

function tooSmall({ word, length, behind, goesOn, says, send }: WrongLength): Finding | undefined {
  // Else it may be another word, of which the command is the beginning.
  if (!goesOn && behind.length > 0 && !/^[\0\s]/.test(latin1(behind))) return undefined;
  const cause = POINTER_BYTES.includes(length) ? `Is ${length} the sizeof of a pointer? ` : "";
  const rule = `${says}, which is ${word.length - length} too small. ${cause}${send}`;
  return { code: "length-too-small", rule };
}

/** The length counts bytes of memory behind the command, of which the first is a NUL. */
function memory({ word, length, tail, says, send }: WrongLength): Finding | undefined {
  if (!tail.startsWith("\0")) return undefined;
  // Then the argument stands behind the NUL.
  if (!POINTER_BYTES.includes(length) && /^\0[^\0]+$/.test(tail)) return undefined;
  return length === word.length + 1
    ? nulCounted(`${says}: it counts the NUL at the end of '${word}'.`, send)
    : bufferSize(`${says}, so bytes of memory behind '${word}' were sent`, length, send);
}

function nulCounted(says: string, send: string): Finding {
  const rule = `${says} Count only the bytes of the text (strlen), and send no NUL. ${send}`;
  return { code: "nul-counted", rule };
}

function whitespace({ word, length, tail, behind, says, send }: WrongLength): Finding | undefined {
  if (!/^\s+$/.test(tail) || tail.length !== length - word.length) return undefined;
  // A tab or a line end may be the first byte of the next length.
  if (/^\0\0\0/.test(latin1(behind.subarray(tail.length)))) return undefined;
  const rule =
    `${says}: it counts a blank or a line end behind the command (fgets and readline keep ` +
    `the newline). Remove it. ${send}`;
  return { code: "whitespace-counted", rule };
}

function tooGreat(found: WrongLength, seen: Evidence): Finding | undefined {
  const { word, length, behind, tail, goesOn, says, send } = found;
  const more = length - word.length;
  const isRepeated = behind.length >= LENGTH_BYTES && readLength(behind) === length;
  const isWhole = tail.length === more;
  if (!goesOn && behind.length > 0) {
    if (isRepeated) return bufferSize(says, length, send);
    return isWhole ? undefined : tooGreatFor(found);
  }
  if (more === 1) {
    const pointer = POINTER_BYTES.includes(length)
      ? `Or is ${length} the sizeof of a pointer? `
      : "";
    return nulCounted(
      `${says}, 1 too great: does it count a NUL that you do not send? ${pointer}`.trimEnd(),
      send,
    );
  }
  if (more === LENGTH_BYTES) {
    const pointer = POINTER_BYTES.includes(length)
      ? `Or is ${length} the sizeof of a pointer? `
      : "";
    const rule = `${says}, 4 too great: does it count its own 4 bytes? ${pointer}${send}`;
    return { code: "length-counted", rule };
  }
  const isTotal = coversFrames(behind, more) ||
    [0, LENGTH_BYTES].includes(seen.bytes.length - length);
  if (!isTotal || !goesOn || isRepeated) return tooGreatFor(found);
  const rule =
    `${says}: it counts the command and the frames behind it. Each frame has a length of ` +
    `its own and nothing counts them all. ${send}, then the argument as a frame`;
  return { code: "argument-in-command", rule };
}

/** Do frames end at this offset? */
function coversFrames(bytes: Uint8Array, end: number): boolean {
  let at = 0;
  while (at < end && bytes.length - at >= LENGTH_BYTES) at += LENGTH_BYTES + readLength(bytes, at);
  return at === end;
}

/** Fewer bytes of the command came than the length says. */
function tooGreatFor({ word, length, says, send }: WrongLength): Finding {
  if (length - word.length < LENGTH_BYTES) {
    const rule = `${says}, ${length - word.length} too great: does it count a line end? ${send}`;
    return { code: "length-too-great", rule };
  }
  if (isBufferSize(length)) return bufferSize(says, length, send, length === 8 * word.length);
  return { code: "length-too-great", rule: `${says}, but fewer bytes of it came. ${send}` };
}

/** Programmers make buffers of such sizes. */
export function isBufferSize(length: number): boolean {
  return POINTER_BYTES.includes(length) || (length > 8 && (length & (length - 1)) === 0) ||
    (length >= 10 && length % 10 === 0);
}

function bufferSize(
  says: string,
  length: number,
  send: string,
  isInBits = false,
): Finding {
  const cause = length === 8
    ? "Is 8 the sizeof of a pointer"
    : `Is ${length} the size of a buffer (sizeof)${isInBits ? ", or counted in bits" : ""}`;
  return { code: "buffer-size", rule: `${says}. ${cause}? Send strlen bytes alone. ${send}` };
}
