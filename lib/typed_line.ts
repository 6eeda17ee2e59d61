/** What a line means that somebody typed into the terminal client. */
import { nearest } from "./evidence.ts";

/** An order of the person at the terminal. */
export type Order =
  | { readonly kind: "nothing" }
  | { readonly kind: "all"; readonly text: string }
  | { readonly kind: "one"; readonly to: string; readonly text: string }
  | { readonly kind: "users" }
  | { readonly kind: "help" }
  | { readonly kind: "logout" }
  | { readonly kind: "quit" }
  | { readonly kind: "wrong"; readonly why: string };

const WORDS = ["users", "help", "logout", "quit"] as const;

/** Parses a typed line; `//` and `@@` begin a text with a slash or an at sign. */
export function parseLine(line: string): Order {
  if (line === "") return { kind: "nothing" };
  if (line.startsWith("//") || line.startsWith("@@")) return { kind: "all", text: line.slice(1) };
  if (line.startsWith("/")) return parseWord(line.slice(1).trim().toLowerCase());
  if (line.startsWith("@")) return parseDirect(line);
  return { kind: "all", text: line };
}

function parseWord(word: string): Order {
  const kind = WORDS.find((known) => known === word);
  if (kind !== undefined) return { kind };
  const near = nearest(word, WORDS);
  const hint = near === undefined
    ? "/help lists what there is, and // begins a text with a slash"
    : `did you mean /${near}?`;
  return { kind: "wrong", why: `There is no /${word}: ${hint}` };
}

function parseDirect(line: string): Order {
  const match = /^@(?:("(?:[^"\\]|\\.)*")|([^\s"]\S*)) (.*)$/u.exec(line);
  if (match === null) {
    return { kind: "wrong", why: 'To one person: @Bob hi, or @"A b" hi for a name with blanks' };
  }
  const [, quoted, plain, text = ""] = match;
  try {
    return { kind: "one", to: plain ?? JSON.parse(quoted!), text };
  } catch {
    return { kind: "wrong", why: `${quoted} is no name: between quotes, write \\" and \\\\` };
  }
}

/** What is too long, in words; `undefined` where nothing is. */
export function tooLong(what: string, text: string, symbolsMax: number): string | undefined {
  const symbols = [...text].length;
  return symbols > symbolsMax
    ? `The ${what} is too long: ${symbols} symbols, at most ${symbolsMax} are allowed`
    : undefined;
}
