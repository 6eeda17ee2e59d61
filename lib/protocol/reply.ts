/**
 * Everything that the server may answer: a typed reply, and its frames. Pure.
 *
 * The texts are what clients compare, byte for byte, the original's spelling included.
 */
import { encodeFrame, LENGTH_BYTES, writeFrames } from "./frame.ts";
import type { Mistake } from "./mistake.ts";
import type { IntMap } from "../chat/persistent.ts";

/** One message in a mailbox. */
export interface Mail {
  readonly from: string;
  readonly text: string;
}

/** The texts of all replies that are one frame; a word in braces is a field of the reply. */
const TEXTS = {
  "welcome": "Hello, {user}",
  "welcome-back": "Nice to see you, {user}",
  "name-taken": "'{user}' already exists!",
  "address-used": "'{peer}' was used before!",
  "name-empty": "Bad login!",
  "name-too-long": "Login is too long!",
  "name-undecodable": "Can't decode login!",
  "sent": "Message added to storage!",
  "sent-in-part": "Message added to storage! Full mailboxes: {full}",
  "no-such-user": "User '{user}' doesn't exist!",
  "text-too-long": "Massage is too long! Max length = {max}!",
  "not-registered": "U aren't registered!",
  "logged-out": "U've been successfully logouted",
  "mailbox-full": "Mailbox of '{user}' is full!",
  "server-full": "Server is full!",
  "address-full": "Too many users from your address!",
  "receiver-undecodable": "Can't decode receiver! It is not UTF-8.",
  "text-undecodable": "Can't decode message! It is not UTF-8.",
  "storage-away": "Storage is not available, try again!",
  "bad-seconds": "Bad number of seconds!",
  "pong": "pong",
} as const;

export type TextCode = keyof typeof TEXTS;

const ACCEPTED: ReadonlySet<string> = new Set<TextCode>(
  ["welcome", "welcome-back", "sent", "sent-in-part", "logged-out", "pong"],
);

/** The codes of all refusals. */
export const REFUSALS = (Object.keys(TEXTS) as TextCode[]).filter((code) => !ACCEPTED.has(code));

const REFUSED: ReadonlySet<string> = new Set(REFUSALS);

/** A reply of one frame with a text of the table. */
export interface TextReply {
  readonly code: TextCode;
  readonly user?: string;
  /** The address and port of the connection. */
  readonly peer?: string;
  /** The most symbols that a text may have. */
  readonly max?: number;
  /** How many mailboxes were too full to take the message. */
  readonly full?: number;
}

/** Whose mail a reply showed, and up to which message, counted since the user registered. */
export interface Shown {
  readonly user: string;
  readonly id: number;
  readonly through: number;
}

export type Reply =
  | TextReply
  | { readonly code: "users"; readonly users: IntMap<{ readonly name: string }> }
  | {
    readonly code: "mail";
    /** Oldest first, put together when it is asked for. */
    readonly mail: () => readonly Mail[];
    readonly count: number;
    readonly shown: Shown;
  }
  | { readonly code: "help"; readonly text: string }
  | { readonly code: "mistake"; readonly mistake: Mistake };

/** Did the server do what it was asked for? */
export function isRefusal(reply: Reply): reply is TextReply {
  return REFUSED.has(reply.code);
}

/** A list of names is kept in pieces of this many bytes. */
const NAMES_PIECE_BYTES = 65_536;

interface Template {
  readonly before: string;
  readonly field: "user" | "peer" | "max" | "full" | undefined;
  readonly after: string;
}

function parseTemplate(text: string): Template {
  const [before = "", field, after = ""] = text.split(/[{}]/);
  return { before, field: field as Template["field"], after };
}

const TEMPLATES = new Map(
  Object.entries(TEXTS).map(([code, text]) => [code as TextCode, parseTemplate(text)]),
);

/** The replies that are always the same, made once. */
const CONSTANTS: ReadonlyMap<string, Uint8Array> = new Map(
  [...TEMPLATES].filter(([, { field }]) => field === undefined)
    .map(([code, { before }]) => [code, encodeFrame(before)]),
);

/** The frame of a reply that is always the same, not to be changed; none of another. */
export function constantReply({ code }: Reply): Uint8Array | undefined {
  return CONSTANTS.get(code);
}

/** The text of a reply that is one frame. */
export function replyText(reply: TextReply): string {
  const { before, field, after } = TEMPLATES.get(reply.code)!;
  return field === undefined ? before : before + reply[field] + after;
}

/** The typed reply that a server's text means, if it is one of `codes`. */
export function parseReplyText(
  text: string,
  codes: readonly TextCode[],
): TextReply | undefined {
  for (const code of codes) {
    const { before, field, after } = TEMPLATES.get(code)!;
    if (field === undefined) {
      if (text === before) return { code };
    } else if (
      text.startsWith(before) && text.endsWith(after) && text.length >= (before + after).length
    ) {
      const value = text.slice(before.length, text.length - after.length);
      return { code, [field]: field === "user" || field === "peer" ? value : Number(value) };
    }
  }
  return undefined;
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
function namesTexts(users: IntMap<{ readonly name: string }>): readonly string[] {
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
