/**
 * Everything that the server may answer: a typed reply, and its frames. Pure.
 *
 * The texts are what clients compare, byte for byte, the original's spelling included.
 */
import { concat } from "@std/bytes";
import { encodeFrame, frameBytesMax, writeFrame } from "./frame.ts";
import type { Mistake } from "./mistake.ts";

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
  /**
   * A session from the same address that stands in the way. It may be about to end, so the same
   * command may soon get another reply; not sent.
   */
  readonly heldBy?: number | undefined;
}

/** Whose mail a reply showed, and up to which message, counted since the user registered. */
export interface Shown {
  readonly user: string;
  readonly id: number;
  readonly through: number;
}

export type Reply =
  | TextReply
  | { readonly code: "users"; readonly names: Iterable<string> & { readonly size: number } }
  | {
    readonly code: "mail";
    readonly mail: Iterable<Mail>;
    readonly count: number;
    readonly shown: Shown;
  }
  | { readonly code: "help"; readonly text: string }
  | { readonly code: "mistake"; readonly mistake: Mistake };

/** Did the server do what it was asked for? */
export function isRefusal(reply: Reply): reply is TextReply {
  return reply.code in TEXTS && !ACCEPTED.has(reply.code);
}

/** Replies are written in pieces of about this many bytes. */
const PIECE_BYTES = 65_536;

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

const CONSTANT_FRAMES = new Map(
  [...TEMPLATES].filter(([, { field }]) => field === undefined)
    .map(([code, { before }]) => [code, encodeFrame(before)]),
);

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

/** The frames of replies, in pieces of about {@link PIECE_BYTES}, made when they are asked for. */
export function* encodeReplies(replies: readonly Reply[]): Iterable<Uint8Array> {
  let pieces: Uint8Array[] = [];
  let size = 0;
  for (const reply of replies) {
    for (const piece of encodeReply(reply)) {
      pieces.push(piece);
      size += piece.length;
      if (size < PIECE_BYTES) continue;
      yield concat(pieces);
      pieces = [];
      size = 0;
    }
  }
  if (size > 0) yield pieces.length === 1 ? pieces[0]! : concat(pieces);
}

function encodeReply(reply: Reply): Iterable<Uint8Array> {
  switch (reply.code) {
    case "users":
      return encodeNames(reply.names);
    case "mail":
      return encodeMail(reply.mail, reply.count);
    case "help":
      return [encodeFrame(reply.text)];
    case "mistake":
      return [encodeFrame(reply.mistake.text)];
    default:
      return [CONSTANT_FRAMES.get(reply.code) ?? encodeFrame(replyText(reply))];
  }
}

/** The newest list of names, encoded: it is immutable, and many ask for the same one. */
let newestNames: { readonly names: object; readonly pieces: readonly Uint8Array[] } | undefined;

function* encodeNames(names: Iterable<string> & { readonly size: number }): Iterable<Uint8Array> {
  if (newestNames?.names === names) return yield* newestNames.pieces;
  const pieces: Uint8Array[] = [];
  for (const piece of encodeTexts(String(names.size), names, names.size)) {
    pieces.push(piece);
    yield piece;
  }
  newestNames = { names, pieces };
}

function* encodeMail(mail: Iterable<Mail>, count: number): Iterable<Uint8Array> {
  yield* encodeTexts(String(count), mailTexts(mail), 2 * count);
}

function* mailTexts(mail: Iterable<Mail>): Iterable<string> {
  for (const { from, text } of mail) {
    yield from;
    yield text;
  }
}

/** The frames of a head and so many texts behind it. */
function* encodeTexts(head: string, texts: Iterable<string>, count: number): Iterable<Uint8Array> {
  let piece = new Uint8Array(Math.min(PIECE_BYTES, 16 + count * 64));
  let end = writeFrame(piece, 0, head);
  for (const text of texts) {
    const needed = frameBytesMax(text);
    if (end + needed > piece.length) {
      yield piece.subarray(0, end);
      piece = new Uint8Array(Math.max(PIECE_BYTES, needed));
      end = 0;
    }
    end = writeFrame(piece, end, text);
  }
  yield piece.subarray(0, end);
}
