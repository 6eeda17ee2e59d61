// @ts-check
/// <reference lib="dom" />
/** The messages that the page shows: a reload keeps the newest. */
import { element, forTab, make } from "./page.js";
import { printable } from "../../text/printable.ts";

/** So many messages of a visit are kept: more than a mailbox holds by default. */
const HISTORY_MAX = 2_000;
/** So many symbols of it, as JSON, outlast a reload: a browser keeps 5 million for all pages here. */
const HISTORY_SYMBOLS_MAX = 1_000_000;
const HISTORY = "asvt-chat.history";

/**
 * A line of the history: a message, ours or another's, or a note.
 * @typedef {{ at: number, from: string, text: string, to?: string | undefined, mine?: boolean,
 *   again?: boolean, note?: boolean }} Entry
 */

const messages = element("messages", HTMLElement);
/** @type {Entry[]} */
const history = JSON.parse(forTab.getItem(HISTORY) ?? "[]");
for (const entry of history) messages.append(messageOf(entry));

/**
 * Adds entries at the end, and drops the oldest of too many.
 * @param {...Entry} entries
 */
export function add(...entries) {
  const isAtEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 40;
  history.push(...entries);
  messages.append(...entries.map(messageOf));
  while (history.length > HISTORY_MAX) {
    history.shift();
    messages.firstElementChild?.remove();
  }
  forTab.setItem(HISTORY, newestOf(history));
  if (isAtEnd || entries.some(({ mine }) => mine)) scrollDown();
}

/**
 * The newest entries that fit in the storage, as JSON.
 * @param {readonly Entry[]} entries
 */
function newestOf(entries) {
  const kept = [];
  let symbols = 2;
  for (let at = entries.length - 1; at >= 0; at--) {
    const entry = JSON.stringify(entries[at]);
    symbols += entry.length + 1;
    if (symbols > HISTORY_SYMBOLS_MAX) break;
    kept.push(entry);
  }
  return `[${kept.reverse()}]`;
}

/** Shows the newest message. */
export function scrollDown() {
  messages.scrollTop = messages.scrollHeight;
}

/** @param {Entry} entry */
function messageOf({ at, from, text, to, mine, again, note }) {
  if (note) return make("p", "notice", printable(text));
  const time = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const other = make("bdi", "", mine ? receiverOf(to) : printable(from));
  const who = mine ? ["You to ", other] : [other];
  const meta = make("div", "meta", make("span", "", ...who), make("span", "", time));
  if (again) meta.append(make("span", "", "perhaps shown before"));
  const body = make("div", "text", text);
  body.dir = "auto";
  return make("div", mine ? "message mine" : "message", meta, body);
}

/** Forgets all messages. */
export function clearHistory() {
  forTab.removeItem(HISTORY);
  history.length = 0;
  messages.replaceChildren();
}

/**
 * Who is written to, in a way that no name can look like all.
 * @param {string | undefined} name
 */
export function receiverOf(name) {
  return name === undefined ? "everyone" : `@${printable(name)}`;
}
