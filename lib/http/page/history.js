// @ts-check
/// <reference lib="dom" />
/** The messages that the page shows. The newest outlast a reload. */
import { element, make, tabStorage } from "./page.js";
import { printable, printableName } from "../../text/printable.ts";

/** The page shows at most this many messages: more than a mailbox holds by default. */
const MESSAGES_MAX = 2_000;
/**
 * At most this many UTF-16 units of JSON outlast a reload: a browser stores 5 million for all pages
 * of a server.
 */
const STORED_UNITS_MAX = 1_000_000;
const HISTORY_KEY = "asvt-chat.history";

/**
 * A line of the history: a message of this user (`mine`) or of another one, or a note of the page.
 * @typedef {{ at: number, from: string, text: string, to?: string | undefined, mine?: boolean,
 *   again?: boolean, note?: boolean }} Entry
 */

const messages = element("messages", HTMLElement);
/** @type {Entry[]} */
const history = JSON.parse(tabStorage.getItem(HISTORY_KEY) ?? "[]");
for (const entry of history) messages.append(messageOf(entry));

/**
 * Adds entries at the end, and drops the oldest where there are more than {@link MESSAGES_MAX}.
 * @param {...Entry} entries
 */
export function add(...entries) {
  const isAtEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 40;
  history.push(...entries);
  messages.append(...entries.map(messageOf));
  while (history.length > MESSAGES_MAX) {
    history.shift();
    messages.firstElementChild?.remove();
  }
  tabStorage.setItem(HISTORY_KEY, newestOf(history));
  if (isAtEnd || entries.some(({ mine }) => mine)) scrollDown();
}

/**
 * Adds a note of the page.
 * @param {string} text
 */
export function addNote(text) {
  add({ at: Date.now(), from: "", text, note: true });
}

/**
 * The newest entries that may be stored, as JSON.
 * @param {readonly Entry[]} entries
 */
function newestOf(entries) {
  const kept = [];
  let units = 2;
  for (let at = entries.length - 1; at >= 0; at--) {
    const entry = JSON.stringify(entries[at]);
    units += entry.length + 1;
    if (units > STORED_UNITS_MAX) break;
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
  const other = make("bdi", "", mine ? receiverOf(to) : printableName(from));
  const who = mine ? ["You to ", other] : [other];
  const meta = make("div", "meta", make("span", "", ...who), make("span", "", time));
  if (again) meta.append(make("span", "", "perhaps shown before"));
  const body = make("div", "text", text);
  body.dir = "auto";
  return make("div", mine ? "message mine" : "message", meta, body);
}

/** Removes all messages. */
export function clearHistory() {
  tabStorage.removeItem(HISTORY_KEY);
  history.length = 0;
  messages.replaceChildren();
}

/**
 * The receiver as the page shows it. A name has an `@`, so that no user can look like `everyone`.
 * @param {string | undefined} name
 */
export function receiverOf(name) {
  return name === undefined ? "everyone" : `@${printableName(name)}`;
}
