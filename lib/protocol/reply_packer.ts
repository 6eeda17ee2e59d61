/**
 * Puts the frames of many replies together in memory that is used again, as `server/outbox.ts` sends
 * them. `encodeReply` in `reply_encoder.ts` says the same more plainly, and the tests hold this
 * file against it. Each of the first two differences gives 8 to 11 % of the requests of 50 clients
 * that have 16 in flight: one call of the encoder writes many texts, and a reply that is always the
 * same is copied. So are the parts of a list of users that were sent before: that makes a list of
 * 10,000 in a tenth of the time. Pure.
 */
import { encodeFrame, LENGTH_BYTES, writeLength } from "./frame.ts";
import { isConstant, type Reply, replyText, TEXT_CODES, type UserPart } from "./reply.ts";
import { countText, encodeReply, namesOf, replyTexts } from "./reply_encoder.ts";

const encoder = new TextEncoder();

/** Keeps the place of a length in front of a text. */
const NO_LENGTH = "\0".repeat(LENGTH_BYTES);

/** A UTF-16 unit takes at most this many bytes of UTF-8. */
const UNIT_BYTES_MAX = 3;

/** The frames of the replies whose text is always the same, by code. */
const CONSTANTS: ReadonlyMap<string, Uint8Array> = new Map(
  TEXT_CODES.filter(isConstant).map((code) => [code, encodeFrame(replyText({ code }))]),
);

/** The frame of a reply whose text is always the same, else `undefined`. Do not write to it. */
export function constantReply({ code }: Reply): Uint8Array | undefined {
  return CONSTANTS.get(code);
}

/** The frames of parts of lists of users. They are kept while some list has the part. */
export type PartFrames = WeakMap<UserPart, Uint8Array>;

/**
 * The frames of replies, in pieces. A frame that does not fit into `scratch` is a piece of its own,
 * so is a part of a list of users, and all other pieces fit. A list of users is made piece by piece,
 * as the pieces are asked for.
 *
 * A piece may be a view of `scratch`: write it before the next one is made. Do not write to it.
 *
 * @param partFrames The parts of earlier lists; those of these lists are added.
 */
export function* packReplies(
  replies: readonly Reply[],
  scratch: Uint8Array,
  partFrames: PartFrames,
): Iterable<Uint8Array> {
  let end = 0;
  for (const reply of replies) {
    const constant = constantReply(reply);
    if (constant !== undefined && constant.length <= scratch.length - end) {
      scratch.set(constant, end);
      end += constant.length;
      continue;
    }
    if (reply.code === "mistake") {
      if (end > 0) yield scratch.subarray(0, end);
      end = 0;
      yield encodeReply(reply);
      continue;
    }
    const isList = reply.code === "users";
    const texts = isList ? [countText(reply.users)] : replyTexts(reply);
    for (let at = 0; at < texts.length;) {
      const count = countFitting(texts, at, scratch.length - end);
      if (count > 0) {
        end = writeFrames(scratch, end, texts.slice(at, at + count));
        at += count;
      } else if (end > 0) {
        yield scratch.subarray(0, end);
        end = 0;
      } else {
        yield encodeFrame(texts[at]!);
        at++;
      }
    }
    if (!isList) continue;
    for (const part of reply.users.parts()) {
      const frames = framesOfPart(part, partFrames);
      if (end > 0 && frames.length > scratch.length - end) {
        yield scratch.subarray(0, end);
        end = 0;
      }
      if (frames.length > scratch.length) {
        yield frames;
      } else {
        scratch.set(frames, end);
        end += frames.length;
      }
    }
  }
  if (end > 0) yield scratch.subarray(0, end);
}

/** The frames of the names of a part, which are made once. */
function framesOfPart(part: UserPart, made: PartFrames): Uint8Array {
  let frames = made.get(part);
  if (frames === undefined) {
    const names = namesOf(part);
    const room = new Uint8Array(names.reduce((bytes, name) => bytes + frameBytesMax(name), 0));
    frames = room.slice(0, writeFrames(room, 0, names));
    made.set(part, frames);
  }
  return frames;
}

/** The frame of a text has at most this many bytes, whatever its letters. */
function frameBytesMax({ length }: string): number {
  return LENGTH_BYTES + UNIT_BYTES_MAX * length;
}

/** The number of texts from index `from` on whose frames surely fit into `bytes`. */
function countFitting(texts: readonly string[], from: number, bytes: number): number {
  let left = bytes;
  let at = from;
  for (; at < texts.length; at++) {
    left -= frameBytesMax(texts[at]!);
    if (left < 0) break;
  }
  return at - from;
}

/** Writes the texts as frames into `target`, from `offset` on. Returns the offset behind them. */
function writeFrames(target: Uint8Array, offset: number, texts: readonly string[]): number {
  let all = "";
  for (const text of texts) all += NO_LENGTH + text;
  const { read, written } = encoder.encodeInto(all, target.subarray(offset));
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
