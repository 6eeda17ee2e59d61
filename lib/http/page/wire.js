// @ts-check
/// <reference lib="dom" />
/** The view that watches the frames of a connection. */
import { arrange, element, forTab, make, setText } from "./page.js";
import { printable } from "../../text/printable.ts";

/**
 * What the server tells a watcher, a line of JSON each: see lib/wire.ts.
 * @typedef {{ kind: "connected", connection: number, peer: string }
 *   | { kind: "line", at: number, direction: "in" | "out", offset: number, size: number,
 *       hex: string, text: string, meaning: string, mistake?: { code: string, text: string } }
 *   | { kind: "dropped", lines: number }
 *   | { kind: "ended", reason: string }} WireEvent
 */

/** So many rows are kept; the oldest go. */
const ROWS_MAX = 2_000;
/** The list of connections is asked for so often, in milliseconds. */
const LIST_MS = 3_000;
const TOKEN = "asvt-chat.token";

const tokenForm = element("token-form", HTMLFormElement);
const tokenField = element("token", HTMLInputElement);
const watchForm = element("watch", HTMLFormElement);
const choice = element("connection", HTMLSelectElement);
const stopButton = element("stop", HTMLButtonElement);
const error = element("wire-error", HTMLElement);
const watched = element("watched", HTMLElement);
const rows = element("rows", HTMLElement);
const scroll = element("scroll", HTMLElement);
const copyButton = element("copy", HTMLButtonElement);

/** @type {WireEvent[]} */
let events = [];
/** @type {AbortController | undefined} */
let watching;

tokenForm.addEventListener("submit", (event) => {
  event.preventDefault();
  forTab.setItem(TOKEN, tokenField.value);
  tokenForm.hidden = true;
  list();
});
watchForm.addEventListener("submit", (event) => {
  event.preventDefault();
  watch(choice.value);
});
stopButton.addEventListener("click", () => watching?.abort());
element("clear", HTMLElement).addEventListener("click", () => {
  events = [];
  rows.replaceChildren();
});
copyButton.addEventListener("click", copy);
element("download", HTMLElement).addEventListener("click", download);
addEventListener("hashchange", list);
setInterval(list, LIST_MS);
list();

/**
 * Asks for something that only those who run the server may see; says why it may not be seen.
 * @param {string} path
 * @param {AbortSignal} [signal]
 */
async function ask(path, signal) {
  const token = forTab.getItem(TOKEN);
  const response = await fetch(path, {
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    ...signal && { signal },
  });
  // What another question was refused for stays to be read.
  const [question = ""] = path.split("?");
  if (response.ok) {
    if (error.dataset.question === question) error.textContent = "";
    return response;
  }
  error.dataset.question = question;
  const why = (await response.text()).trim();
  // Whoever has given no token yet has done nothing wrong.
  error.textContent = response.status === 401 && token === null ? "" : why;
  if (response.status === 401) {
    forTab.removeItem(TOKEN);
    tokenForm.hidden = false;
  }
  return undefined;
}

/** Shows which connections there are, while somebody looks. */
async function list() {
  if (location.hash !== "#wire" || !tokenForm.hidden) return;
  let response;
  try {
    response = await ask("wire/connections");
  } catch {
    error.dataset.question = "wire/connections";
    error.textContent = "The server is not there.";
  }
  if (response === undefined) return;
  /** @type {{ connection: number, peer: string, user: string | null }[]} */
  const connections = await response.json();
  const labels = new Map([["next", "the next one that connects"]]);
  for (const { connection, peer, user } of connections) {
    const who = user === null ? "" : `, ${printable(user)}`;
    labels.set(String(connection), `${connection}: ${peer}${who}`);
  }
  arrange(choice, [...labels.keys()], (value) => new Option("", value));
  for (const option of choice.options) setText(option, labels.get(option.value) ?? "");
}

/** @param {string} connection */
async function watch(connection) {
  watching?.abort();
  const controller = watching = new AbortController();
  watched.textContent = "Asking the server …";
  stopButton.disabled = false;
  try {
    const response = await ask(`wire?connection=${connection}`, controller.signal);
    if (response?.body) {
      // From now on the server has an eye on it.
      watched.textContent = connection === "next"
        ? "Waiting for the next connection …"
        : "Watching …";
      await readEvents(response.body);
    } else watched.textContent = "Nothing is watched.";
  } catch {
    if (watching === controller) {
      watched.textContent = controller.signal.aborted ? "Stopped." : "The server has gone.";
    }
  }
  if (watching === controller) stopButton.disabled = true;
}

/** @param {ReadableStream<Uint8Array<ArrayBuffer>>} body */
async function readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    add(lines.map((line) => JSON.parse(line)));
  }
}

/** @param {readonly WireEvent[]} more */
function add(more) {
  const isAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
  events = [...events, ...more].slice(-ROWS_MAX);
  rows.append(...more.flatMap(rowsOf));
  while (rows.childElementCount > ROWS_MAX) rows.firstElementChild?.remove();
  if (isAtEnd) scroll.scrollTop = scroll.scrollHeight;
}

/** @param {WireEvent} event */
function rowsOf(event) {
  switch (event.kind) {
    case "connected":
      watched.textContent = `Connection ${event.connection}, ${event.peer}`;
      return noteRow(`Connection ${event.connection} of ${event.peer}`);
    case "dropped":
      return noteRow(`${event.lines} lines are missing: they came faster than this page reads`);
    case "ended":
      watched.textContent += ": ended";
      return noteRow(`The connection has ended: ${event.reason}`);
    case "line":
      return event.mistake === undefined
        ? lineRow(event)
        : [lineRow(event), mistakeRow(event.mistake)];
  }
}

/** @param {string} text */
function noteRow(text) {
  return wideRow("note", text);
}

/**
 * What is wrong with the frame above it.
 * @param {{ code: string, text: string }} mistake
 */
function mistakeRow({ code, text }) {
  return wideRow("mistake", make("strong", "", code), ` ${printable(text)}`);
}

/**
 * @param {string} className
 * @param {...(Node | string)} content
 */
function wideRow(className, ...content) {
  const cell = td("", ...content);
  cell.colSpan = 6;
  return tr(className, cell);
}

/** @param {WireEvent & { kind: "line" }} line */
function lineRow({ at, direction, offset, hex, text, meaning, mistake }) {
  const time = `${new Date(at).toLocaleTimeString("en-GB")}.${String(at % 1000).padStart(3, "0")}`;
  const bytes = td("bytes");
  if (hex !== "") {
    const length = make("span", "length", hex.slice(0, 11));
    length.title = "The length, lowest byte first";
    bytes.append(length, hex.slice(11).trim());
  }
  const content = td("content", make("bdi", "", text));
  const way = td("direction", direction === "in" ? "→ server" : "← client");
  const understood = td("meaning", printable(meaning));
  const cells = [td("time", time), way, td("offset", String(offset)), bytes, content, understood];
  return tr(mistake === undefined ? direction : `${direction} wrong`, ...cells);
}

/**
 * The roles are said, since a phone shows the table as blocks.
 * @param {string} className
 * @param {...(Node | string)} content
 */
function td(className, ...content) {
  const cell = make("td", className, ...content);
  cell.setAttribute("role", "cell");
  return cell;
}

/**
 * @param {string} className
 * @param {...HTMLElement} cells
 */
function tr(className, ...cells) {
  const row = make("tr", className, ...cells);
  row.setAttribute("role", "row");
  return row;
}

async function copy() {
  try {
    await navigator.clipboard.writeText(JSON.stringify(events, null, 2));
    copyButton.textContent = "Copied";
  } catch {
    // Over HTTP a browser allows it only to pages of its own machine.
    copyButton.textContent = "Not allowed here";
  }
  setTimeout(() => copyButton.textContent = "Copy as JSON", 2_000);
}

function download() {
  const blob = new Blob([JSON.stringify(events, null, 2)], { type: "application/json" });
  const link = make("a", "");
  link.href = URL.createObjectURL(blob);
  link.download = "wire.json";
  link.click();
  URL.revokeObjectURL(link.href);
}
