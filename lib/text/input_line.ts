/** What a line means that somebody typed into the terminal client. */
import { nearest } from "./nearest.ts";
import { type Message, parseMessage } from "./message.js";

/** An order of the person at the terminal. */
export type Order =
  | Message
  | { readonly kind: "nothing" }
  | { readonly kind: "users" }
  | { readonly kind: "help" }
  | { readonly kind: "logout" }
  | { readonly kind: "quit" };

const WORDS = ["users", "help", "logout", "quit"] as const;

/** Parses a typed line; `//` and `@@` begin a text with a slash or an at sign. */
export function parseLine(line: string): Order {
  if (line === "") return { kind: "nothing" };
  if (line.startsWith("//")) return { kind: "all", text: line.slice(1) };
  return line.startsWith("/") ? parseWord(line.slice(1).trim().toLowerCase()) : parseMessage(line);
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
