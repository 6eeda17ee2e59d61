// @ts-check
/// <reference lib="dom" />
/** The wire view: it watches the frames of a connection. */
import { element, make, setText, tabStorage, updateChildren } from "./page.js";
import { printable, printableName } from "../../text/printable.ts";

/**
 * An event of a watched connection, as lib/http/wire_view.ts sends it: one JSON object per line.
 * @typedef {{ kind: "connected", connection: number, peer: string }
 *   | { kind: "line", at: number, direction: "in" | "out", offset: number, size: number,
 *       hex: string, text: string, meaning: string, mistake?: { code: string, text: string } }
 *   | { kind: "dropped", lines: number }
 *   | { kind: "ended", reason: string }} WireEvent
 */

/** The table keeps at most this many rows, the newest. */
const ROWS_MAX = 2_000;
/** The page asks for the list of connections at this interval (ms). */
const LIST_MS = 3_000;
const TOKEN_KEY = "asvt-chat.token";

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
  tabStorage.setItem(TOKEN_KEY, tokenField.value);
  tokenForm.hidden = true;
  updateList();
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
addEventListener("hashchange", updateList);
setInterval(updateList, LIST_MS);
updateList();

/**
 * Fetches a path that may need the admin token. Where the server refuses, shows the reason and
 * resolves to `undefined`.
 * @param {string} path
 * @param {AbortSignal} [signal]
 */
async function request(path, signal) {
  const token = tabStorage.getItem(TOKEN_KEY);
  const response = await fetch(path, {
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    ...signal && { signal },
  });
  // A success clears only the error of its own endpoint: another one's error stays readable.
  const [endpoint = ""] = path.split("?");
  if (response.ok) {
    if (error.dataset.endpoint === endpoint) error.textContent = "";
    return response;
  }
  error.dataset.endpoint = endpoint;
  const why = (await response.text()).trim();
  // A user who has not given a token yet made no mistake: the form asks for it.
  error.textContent = response.status === 401 && token === null ? "" : why;
  if (response.status === 401) {
    tabStorage.removeItem(TOKEN_KEY);
    tokenForm.hidden = false;
  }
  return undefined;
}

/** Updates the list of connections while the wire view is shown. */
async function updateList() {
  if (location.hash !== "#wire" || !tokenForm.hidden) return;
  let response;
  try {
    response = await request("wire/connections");
  } catch {
    error.dataset.endpoint = "wire/connections";
    error.textContent = "The server is not there.";
  }
  if (response === undefined) return;
  /** @type {{ connection: number, peer: string, user: string | null }[]} */
  const connections = await response.json();
  const labels = new Map([["next", "the next one that connects"]]);
  for (const { connection, peer, user } of connections) {
    const suffix = user === null ? "" : `, ${printableName(user)}`;
    labels.set(String(connection), `${connection}: ${peer}${suffix}`);
  }
  updateChildren(choice, [...labels.keys()], (value) => new Option("", value));
  for (const option of choice.options) setText(option, labels.get(option.value) ?? "");
}

/** @param {string} connection */
async function watch(connection) {
  watching?.abort();
  const controller = watching = new AbortController();
  watched.textContent = "Asking the server …";
  stopButton.disabled = false;
  try {
    const response = await request(`wire?connection=${connection}`, controller.signal);
    if (response?.body) {
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
 * The row below a frame with a mistake.
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
  const understoodAs = td("meaning", printable(meaning));
  const cells = [td("time", time), way, td("offset", String(offset)), bytes, content, understoodAs];
  return tr(mistake === undefined ? direction : `${direction} wrong`, ...cells);
}

/**
 * The role is given, since narrow.css shows the table as blocks, which removes its own role.
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
    // Without HTTPS a browser allows this only to pages from localhost.
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
