/** Parses the lines that a user types, in the terminal and on the page. */
import { nearest } from "./nearest.ts";

/** A message: to all users, to one user, or not valid (`why` is for the user). */
export type Message =
  | { readonly kind: "all"; readonly text: string }
  | { readonly kind: "one"; readonly to: string; readonly text: string }
  | { readonly kind: "wrong"; readonly why: string };

/** The words that may follow a slash. */
const WORDS = ["users", "help", "logout", "quit"] as const;

/** A line of the terminal: a message, a word behind a slash, or nothing. */
export type Action =
  | Message
  | { readonly kind: "nothing" }
  | { readonly kind: "users" }
  | { readonly kind: "help" }
  | { readonly kind: "logout" }
  | { readonly kind: "quit" };

/** Tells the user how to write a message to one person. */
export const TO_ONE = 'To one person: @Bob hi, or @"A b" hi for a name with blanks';

/** Parses a line of the terminal. `//hi` is the text `/hi`, `@@hi` the text `@hi`. */
export function parseLine(line: string): Action {
  if (line === "") return { kind: "nothing" };
  if (line.startsWith("//")) return { kind: "all", text: line.slice(1) };
  return line.startsWith("/") ? parseWord(line.slice(1).trim().toLowerCase()) : parseMessage(line);
}

function parseWord(word: string): Action {
  const kind = WORDS.find((known) => known === word);
  if (kind !== undefined) return { kind };
  const near = nearest(word, WORDS);
  const hint = near === undefined
    ? "/help lists what there is, and // begins a text with a slash"
    : `did you mean /${near}?`;
  return { kind: "wrong", why: `There is no /${word}: ${hint}` };
}

/** Parses a line that is a message. `@@hi` is the text `@hi`. */
export function parseMessage(line: string): Message {
  if (line.startsWith("@@")) return { kind: "all", text: line.slice(1) };
  return line.startsWith("@") ? parseDirect(line) : { kind: "all", text: line };
}

function parseDirect(line: string): Message {
  const match = /^@(?:("(?:[^"\\]|\\.)*")|([^\s"]\S*)) (.*)$/u.exec(line);
  if (match === null) return { kind: "wrong", why: TO_ONE };
  const [, quoted = "", plain, text = ""] = match;
  try {
    return { kind: "one", to: plain ?? JSON.parse(quoted), text };
  } catch {
    return { kind: "wrong", why: `${quoted} is no name: between quotes, write \\" and \\\\` };
  }
}
