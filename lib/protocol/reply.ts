/**
 * The replies of the server as values, and their texts. `reply_encoder.ts` makes frames of them.
 * Pure.
 *
 * Clients compare the texts byte for byte, so the texts keep the spelling of the original server.
 */
import type { Mistake } from "./mistakes/finding.ts";

/** One message in a mailbox. */
export interface Mail {
  /** The name of the sender. */
  readonly from: string;
  /** The text, as the sender wrote it. */
  readonly text: string;
}

/** A message in a mailbox of the server. */
export interface WaitingMail extends Mail {
  /** The network of its sender's address, see `shareNetwork`: the message counts to it. */
  readonly source: { readonly network: string };
}

/** A code for the text of a reply that is one frame. */
export type TextCode =
  | "welcome"
  | "welcome-back"
  | "name-taken"
  | "address-used"
  | "name-empty"
  | "name-too-long"
  | "name-undecodable"
  | "sent"
  | "sent-in-part"
  | "no-such-user"
  | "text-too-long"
  | "not-registered"
  | "logged-out"
  | "mailbox-full"
  | "server-full"
  | "address-full"
  | "address-mail-full"
  | "receiver-undecodable"
  | "text-undecodable"
  | "storage-away"
  | "bad-seconds"
  | "pong";

/** The texts of the replies that are one frame. A word in braces is a field of the reply. */
const TEXTS: Readonly<Record<TextCode, string>> = {
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
  "address-mail-full": "Too much mail from your address!",
  "receiver-undecodable": "Can't decode receiver! It is not UTF-8.",
  "text-undecodable": "Can't decode message! It is not UTF-8.",
  "storage-away": "Storage is not available, try again!",
  "bad-seconds": "Bad number of seconds!",
  "pong": "pong",
};

/** The codes of the replies to commands that were carried out. */
const ACCEPTED: ReadonlySet<string> = new Set<TextCode>(
  ["welcome", "welcome-back", "sent", "sent-in-part", "logged-out", "pong"],
);

/** All codes of texts. */
export const TEXT_CODES = Object.keys(TEXTS) as TextCode[];

/** All codes of replies to commands. */
export const COMMAND_REPLY_CODES = [...TEXT_CODES, "users", "mail", "help"] as const;

/** The codes of all refusals. */
export const REFUSALS = TEXT_CODES.filter((code) => !ACCEPTED.has(code));

const REFUSED: ReadonlySet<string> = new Set(REFUSALS);

/** A reply that is one frame. The fields of its text are set; `logged-out` has a user all the same. */
export interface TextReply {
  readonly code: TextCode;
  /** A user's name. */
  readonly user?: string;
  /** The `address:port` of the client. */
  readonly peer?: string;
  /** The most symbols that a text may have. */
  readonly max?: number;
  /** The number of mailboxes that were too full for the message. */
  readonly full?: number;
}

/** The mail that a reply showed. */
export interface Shown {
  /** The name of the mailbox's owner. */
  readonly user: string;
  /** The id of that user. */
  readonly id: number;
  /** The number of the last message that was shown, counted since the user registered. */
  readonly through: number;
}

/** The users in the order of registration. A list never changes: another list is another object. */
export interface UserList {
  readonly size: number;
  /** All users, in parts. Lists that differ in a few users share all other parts. */
  parts(): Iterable<UserPart>;
}

/** A few users, one behind the other. It never changes; `undefined` stands for nobody. */
export type UserPart = readonly ({ readonly name: string } | undefined)[];

/** A reply to a command, or to a mistake. */
export type Reply =
  | TextReply
  | { readonly code: "users"; readonly users: UserList }
  | {
    readonly code: "mail";
    /** Makes the list of messages, the oldest first. */
    readonly mail: () => readonly WaitingMail[];
    readonly count: number;
    readonly shown: Shown;
  }
  | { readonly code: "help"; readonly text: () => string }
  | { readonly code: "mistake"; readonly mistake: Mistake };

/** Is this the reply to a command that was not carried out? */
export function isRefusal(reply: Reply): reply is TextReply {
  return REFUSED.has(reply.code);
}

type Field = Exclude<keyof TextReply, "code">;

/** The texts, parted at their field: the text before it, its name, the text behind it. */
const TEMPLATES = new Map(TEXT_CODES.map((code) => [code, TEXTS[code].split(/[{}]/)]));

/** Is the text of this code always the same? */
export function isConstant(code: TextCode): boolean {
  return TEMPLATES.get(code)!.length === 1;
}

/** The text of a reply that is one frame. */
export function replyText(reply: TextReply): string {
  const [before = "", field, after = ""] = TEMPLATES.get(reply.code)!;
  return field === undefined ? before : before + reply[field as Field] + after;
}

/** Parses the text of a reply; `undefined` if it has none of `codes`. */
export function parseReplyText(
  text: string,
  codes: readonly TextCode[],
): TextReply | undefined {
  for (const code of codes) {
    const [before = "", field, after = ""] = TEMPLATES.get(code)!;
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
