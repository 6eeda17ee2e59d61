/**
 * Everything that the server may answer, as values. `reply_encoder` makes them frames.
 *
 * Clients compare the texts byte for byte, so the original's spelling stays.
 */
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

/** All codes of the table. */
export const TEXT_CODES = Object.keys(TEXTS) as TextCode[];

/** The codes of all refusals. */
export const REFUSALS = TEXT_CODES.filter((code) => !ACCEPTED.has(code));

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

/** The users in the order of their registration. A list that changed is another object. */
export interface UserList {
  readonly size: number;
  values(): readonly { readonly name: string }[];
}

export type Reply =
  | TextReply
  | { readonly code: "users"; readonly users: UserList }
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

interface Template {
  readonly before: string;
  readonly field: "user" | "peer" | "max" | "full" | undefined;
  readonly after: string;
}

function parseTemplate(text: string): Template {
  const [before = "", field, after = ""] = text.split(/[{}]/);
  return { before, field: field as Template["field"], after };
}

const TEMPLATES = new Map(TEXT_CODES.map((code) => [code, parseTemplate(TEXTS[code])]));

/** Is the text of such a reply always the same? */
export function isConstant(code: TextCode): boolean {
  return TEMPLATES.get(code)!.field === undefined;
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
