/** Makes the frames of replies. Pure. */
import { encodeFrame, LENGTH_BYTES, writeFrames } from "./frame.ts";
import {
  isConstant,
  type Mail,
  type Reply,
  replyText,
  TEXT_CODES,
  type UserList,
} from "./reply.ts";

/** The frames of the replies whose text is always the same, by code. */
const CONSTANTS: ReadonlyMap<string, Uint8Array> = new Map(
  TEXT_CODES.filter(isConstant).map((code) => [code, encodeFrame(replyText({ code }))]),
);

/** The frame of a reply whose text is always the same, else `undefined`. Do not write to it. */
export function constantReply({ code }: Reply): Uint8Array | undefined {
  return CONSTANTS.get(code);
}

/**
 * Makes the frames of replies, piece by piece. A frame that is larger than `scratch` is a piece of
 * its own, and all other pieces fit into `scratch`.
 *
 * A piece may be a view of `scratch`: write it before the next one is made.
 */
export function* encodeReplies(
  replies: readonly Reply[],
  scratch: Uint8Array,
): Iterable<Uint8Array> {
  let end = 0;
  for (const reply of replies) {
    const constant = constantReply(reply);
    if (constant !== undefined && constant.length <= scratch.length - end) {
      scratch.set(constant, end);
      end += constant.length;
    } else {
      end = yield* packTexts(replyTexts(reply), scratch, end);
    }
  }
  if (end > 0) yield scratch.subarray(0, end);
}

/** The texts of the frames of a reply. */
export function replyTexts(reply: Reply): readonly string[] {
  switch (reply.code) {
    case "users":
      return namesTexts(reply.users);
    case "mail":
      return mailTexts(reply.mail(), reply.count);
    case "help":
      return [reply.text];
    case "mistake":
      return [reply.mistake.text];
    default:
      return [replyText(reply)];
  }
}

/** The size of a reply's frames in bytes. */
export function replySize(reply: Reply): number {
  let size = 0;
  for (const { length } of encodeReplies([reply], new Uint8Array(4_096))) size += length;
  return size;
}

function namesTexts(users: UserList): readonly string[] {
  const texts = [String(users.size)];
  for (const { name } of users.values()) texts.push(name);
  return texts;
}

function mailTexts(mail: readonly Mail[], count: number): readonly string[] {
  const texts = [String(count)];
  for (const { from, text } of mail) texts.push(from, text);
  return texts;
}

/**
 * Writes the texts as frames into `scratch`, from `begin` on. Yields a piece whenever it is full,
 * and returns the end of the last frames, which are not yielded.
 */
function* packTexts(
  texts: readonly string[],
  scratch: Uint8Array,
  begin: number,
): Generator<Uint8Array, number> {
  let end = begin;
  for (let at = 0; at < texts.length;) {
    const { count, end: behind } = writeFitting(texts, at, scratch, end);
    at += count;
    end = behind;
    if (count > 0) continue;
    if (end > 0) yield scratch.subarray(0, end);
    else yield encodeFrame(texts[at++]!);
    end = 0;
  }
  return end;
}

/** Writes some of the texts from index `from` on as frames. Returns their number and their end. */
function writeFitting(
  texts: readonly string[],
  from: number,
  scratch: Uint8Array,
  begin: number,
): { count: number; end: number } {
  // Fewer fit if a letter takes more than a byte.
  for (let count = countFitting(texts, from, scratch.length - begin); count > 0; count >>= 1) {
    const end = writeFrames(scratch, begin, texts.slice(from, from + count));
    if (end !== undefined) return { count, end };
  }
  return { count: 0, end: begin };
}

/** The number of texts from index `from` on whose frames fit into `bytes`, if all are ASCII. */
function countFitting(texts: readonly string[], from: number, bytes: number): number {
  let left = bytes;
  let at = from;
  for (; at < texts.length; at++) {
    left -= LENGTH_BYTES + texts[at]!.length;
    if (left < 0) break;
  }
  return at - from;
}
