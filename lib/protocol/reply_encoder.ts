/** Replies to the frames that a client gets. */
import { encodeFrame, LENGTH_BYTES, writeFrames } from "./frame.ts";
import {
  isConstant,
  type Mail,
  type Reply,
  replyText,
  TEXT_CODES,
  type UserList,
} from "./reply.ts";

/** A list of names is kept in pieces of this many bytes. */
const NAMES_PIECE_BYTES = 65_536;

/** The replies that are always the same, made once. */
const CONSTANTS: ReadonlyMap<string, Uint8Array> = new Map(
  TEXT_CODES.filter(isConstant).map((code) => [code, encodeFrame(replyText({ code }))]),
);

/** The frame of a reply that is always the same, not to be changed; none of another. */
export function constantReply({ code }: Reply): Uint8Array | undefined {
  return CONSTANTS.get(code);
}

/**
 * The frames of replies, in pieces of at most the size of `scratch`, made when they are asked for.
 * A piece may lie in `scratch`: it is to be written before the next is asked for.
 */
export function* encodeReplies(
  replies: readonly Reply[],
  scratch: Uint8Array,
): Iterable<Uint8Array> {
  let end = 0;
  for (let at = 0; at < replies.length;) {
    const reply = replies[at]!;
    const constant = constantReply(reply);
    const room = scratch.length - end;
    if (constant !== undefined && constant.length <= room) {
      const count = sameFrom(replies, at, Math.floor(room / constant.length));
      end = writeCopies(constant, count, scratch, end);
      at += count;
      continue;
    }
    at++;
    if (reply.code === "users") {
      if (end > 0) yield scratch.subarray(0, end);
      end = 0;
      yield* encodeNames(reply);
    } else {
      end = yield* packTexts(replyTexts(reply), scratch, end);
    }
  }
  if (end > 0) yield scratch.subarray(0, end);
}

/** How many of the replies from a place on, `max` at most, have the code of the first. */
function sameFrom(replies: readonly Reply[], from: number, max: number): number {
  const { code } = replies[from]!;
  let count = 1;
  while (count < max && replies[from + count]?.code === code) count++;
  return count;
}

/** Writes the bytes so many times. */
function writeCopies(bytes: Uint8Array, count: number, scratch: Uint8Array, begin: number): number {
  // A loop: for so few bytes `set` costs twice as much.
  for (let i = 0; i < bytes.length; i++) scratch[begin + i] = bytes[i]!;
  let end = begin + bytes.length;
  for (const stop = begin + count * bytes.length; end < stop;) {
    const doubled = Math.min(2 * end - begin, stop);
    scratch.copyWithin(end, begin, begin + doubled - end);
    end = doubled;
  }
  return end;
}

/** The texts of a reply's frames. */
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

/** How many bytes the reply is. */
export function replySize(reply: Reply): number {
  let size = 0;
  for (const { length } of encodeReplies([reply], new Uint8Array(4_096))) size += length;
  return size;
}

/** How many frames the reply is. */
export function replyFrames(reply: Reply): number {
  if (reply.code === "users") return 1 + reply.users.size;
  return reply.code === "mail" ? 1 + 2 * reply.count : 1;
}

/** The number of users, then their names. */
function namesTexts(users: UserList): readonly string[] {
  const texts = [String(users.size)];
  for (const { name } of users.values()) texts.push(name);
  return texts;
}

/** The number of messages, then sender and text of each. */
function mailTexts(mail: readonly Mail[], count: number): readonly string[] {
  const texts = [String(count)];
  for (const { from, text } of mail) texts.push(from, text);
  return texts;
}

/** Puts frames behind the first `begin` bytes of `scratch`; gives it away whenever it is full. */
function* packTexts(
  texts: readonly string[],
  scratch: Uint8Array,
  begin: number,
): Generator<Uint8Array, number> {
  let end = begin;
  for (let at = 0; at < texts.length;) {
    const { count, end: behind } = writeSome(texts, at, scratch, end);
    at += count;
    end = behind;
    if (count > 0) continue;
    if (end > 0) yield scratch.subarray(0, end);
    else yield encodeFrame(texts[at++]!);
    end = 0;
  }
  return end;
}

/** Writes some of the texts from a place on, if one fits: how many, and the offset behind them. */
function writeSome(
  texts: readonly string[],
  from: number,
  scratch: Uint8Array,
  begin: number,
): { count: number; end: number } {
  // A letter may take more than a byte.
  for (let count = fitting(texts, from, scratch.length - begin); count > 0; count >>= 1) {
    const end = writeFrames(scratch, begin, texts.slice(from, from + count));
    if (end !== undefined) return { count, end };
  }
  return { count: 0, end: begin };
}

/** How many of the texts from a place on fit into so many bytes as frames, with a byte a letter. */
function fitting(texts: readonly string[], from: number, bytes: number): number {
  let left = bytes;
  let at = from;
  for (; at < texts.length; at++) {
    left -= LENGTH_BYTES + texts[at]!.length;
    if (left < 0) break;
  }
  return at - from;
}

/** The newest list of names, encoded: its users never change, and many ask for the same one. */
let newestNames: { readonly users: object; readonly pieces: readonly Uint8Array[] } | undefined;

function* encodeNames(reply: Reply & { code: "users" }): Iterable<Uint8Array> {
  const { users } = reply;
  if (newestNames?.users === users) return yield* newestNames.pieces;
  const pieces: Uint8Array[] = [];
  for (const piece of encodeTexts(replyTexts(reply), new Uint8Array(NAMES_PIECE_BYTES))) {
    pieces.push(piece.slice());
    yield pieces.at(-1)!;
  }
  newestNames = { users, pieces };
}

function* encodeTexts(texts: readonly string[], scratch: Uint8Array): Iterable<Uint8Array> {
  const end = yield* packTexts(texts, scratch, 0);
  if (end > 0) yield scratch.subarray(0, end);
}
