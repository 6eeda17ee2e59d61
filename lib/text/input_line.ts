/**
 * Parses the lines that a user types, in the terminal and on the page. A line that begins with `/` or
 * `@` is never a message to all, also where symbols stand before it that can't be seen.
 */
import { nearest } from "./nearest.ts";

/** A line as an action: a message to all users or to one, a word behind a slash, or an error. */
export type Action =
  | { readonly kind: "all"; readonly text: string }
  | { readonly kind: "one"; readonly to: string; readonly text: string }
  | { readonly kind: "nothing" }
  | { readonly kind: "users" }
  | { readonly kind: "help" }
  | { readonly kind: "logout" }
  | { readonly kind: "quit" }
  /** The line is not valid; `why` is for the user. */
  | { readonly kind: "wrong"; readonly why: string };

/** The words that may follow a slash; `msg` is followed by a name and a text. */
const WORDS = ["users", "help", "logout", "quit", "msg"] as const;

/** Tells the user how to write a message to one person. */
export const TO_ONE = 'To one person: @Bob hi, or @"A b" hi for a name with blanks';

/** What shows nothing at the beginning of a line: blanks, controls, byte order marks, joiners, marks. */
const INVISIBLE = /^[\s\u2800\ufffc\ufffd\p{Cc}\p{Cf}\p{M}\p{Default_Ignorable_Code_Point}]+/u;

/** Parses a line. `//hi` is the text `/hi`, `@@hi` the text `@hi`. */
export function parseLine(line: string): Action {
  const visible = line.replace(INVISIBLE, "");
  if (visible === "") return { kind: "nothing" };
  // The wide forms of East Asian keyboards are the same signs.
  const [sign, next] = visible.slice(0, 2).normalize("NFKC");
  if (sign !== "/" && sign !== "@") return { kind: "all", text: line };
  const rest = visible.slice(1);
  if (next === sign) return { kind: "all", text: rest };
  return sign === "/" ? parseWord(rest) : parseDirect(rest);
}

/** Parses what stands behind a slash. */
function parseWord(rest: string): Action {
  const [, word = "", more = ""] = /^(\S*) ?(.*)$/su.exec(rest)!;
  const kind = WORDS.find((known) => known === word.toLowerCase());
  if (kind === "msg") return parseDirect(more);
  if (kind !== undefined && more.trim() === "") return { kind };
  if (kind !== undefined) return { kind: "wrong", why: `Nothing may follow /${kind}` };
  const near = nearest(word, WORDS);
  const hint = near === undefined
    ? "/help lists what there is, and // begins a text with a slash"
    : `did you mean /${near}?`;
  return { kind: "wrong", why: `There is no /${word}: ${hint}` };
}

/** Parses a name, a blank and a text. */
function parseDirect(rest: string): Action {
  const match = /^(?:("(?:[^"\\]|\\.)*")|([^\s"]\S*)) (.*)$/su.exec(rest);
  if (match === null) return { kind: "wrong", why: TO_ONE };
  const [, quoted = "", plain, text = ""] = match;
  try {
    return { kind: "one", to: plain ?? JSON.parse(quoted), text };
  } catch {
    return { kind: "wrong", why: `${quoted} is no name: between quotes, write \\" and \\\\` };
  }
}
