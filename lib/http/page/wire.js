// @ts-check
/// <reference lib="dom" />
/** The wire view: it watches the frames of a connection. */
import { element, make, setText, tabStorage, updateChildren } from "./page.js";
import { printable, printableName } from "../../text/printable.ts";

/**
 * An event of a watched connection, as lib/http/wire_watcher.ts defines it: one JSON object per line.
 * @typedef {{ kind: "connected", connection: number, peer: string, isWebSocket: boolean }
 *   | { kind: "line", connection: number, at: number, direction: "in" | "out", offset: number,
 *       size: number, hex: string, text: string, meaning: string, isPartial?: boolean,
 *       pieces?: { count: number, gapMs: number }, remark?: { kind: string, text: string },
 *       mistake?: { code: string, text: string } }
 *   | { kind: "passed-over", connection: number, peer: string }
 *   | { kind: "dropped", lines: number }
 *   | { kind: "ended", connection: number, reason: string }} WireEvent
 */

/** The table keeps at most this many rows, the newest. */
const ROWS_MAX = 2_000;
/** The page asks for the list of connections at this interval (ms). */
const LIST_MS = 3_000;
const TOKEN_KEY = "asvt-chat.token";
/** The form of an address, IPv4 or IPv6. All else is a name. */
const IP_ADDRESS = /^(?:\d+(?:\.\d+){3}|[0-9a-f]*(?::[0-9a-f.]*){2,})$/i;
/** The entries of the list that are no open connections. */
const NEXT = new Map([
  ["next", "the next one that connects"],
  ["every", "every one that connects from now on"],
]);

const tokenForm = element("token-form", HTMLFormElement);
const tokenField = element("token", HTMLInputElement);
const watchForm = element("watch", HTMLFormElement);
const choice = element("connection", HTMLSelectElement);
const only = element("only", HTMLInputElement);
const onlyRow = element("only-row", HTMLElement);
const empty = element("empty", HTMLElement);
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
/**
 * The rows of frames that are not whole yet, by their connections: the next line takes their place.
 * @type {Map<number, { offset: number, rows: HTMLElement[] }>}
 */
const partialRows = new Map();
/** The connection of the last row. */
let lastConnection = 0;

tokenForm.addEventListener("submit", (event) => {
  event.preventDefault();
  tabStorage.setItem(TOKEN_KEY, tokenField.value);
  tokenForm.hidden = true;
  updateList();
});
watchForm.addEventListener("submit", (event) => {
  event.preventDefault();
  watch(choice.value, only.value.trim());
});
choice.addEventListener("change", () => onlyRow.hidden = choice.value !== "every");
stopButton.addEventListener("click", () => watching?.abort());
element("clear", HTMLElement).addEventListener("click", () => {
  events = [];
  rows.replaceChildren();
  partialRows.clear();
  empty.hidden = false;
});
copyButton.addEventListener("click", copy);
element("download", HTMLElement).addEventListener("click", download);
addEventListener("hashchange", updateList);
setInterval(updateList, LIST_MS);
updateList();
tellPort();

/** @param {string} value */
function labelOf(value) {
  return NEXT.get(value);
}

/** Says in the empty view which port a client has to connect to. */
async function tellPort() {
  try {
    const { port } = await (await fetch("settings.json")).json();
    for (const place of document.querySelectorAll(".chat-port")) place.textContent = String(port);
  } catch {
    // The list of connections says that the server is not there.
  }
}

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
  /** @type {{ connection: number, peer: string, user: string | null, isWebSocket: boolean }[]} */
  const connections = await response.json();
  const labels = new Map(NEXT);
  for (const { connection, peer, user, isWebSocket } of connections) {
    const suffix = (user === null ? "" : `, ${printableName(user)}`) +
      (isWebSocket ? " (WebSocket)" : "");
    labels.set(String(connection), `${connection}: ${peer}${suffix}`);
  }
  updateChildren(choice, [...labels.keys()], (value) => new Option("", value));
  for (const option of choice.options) setText(option, labels.get(option.value) ?? "");
}

/**
 * @param {string} connection
 * @param {string} filter the address or the name to which every next connection is restricted
 */
async function watch(connection, filter) {
  watching?.abort();
  const controller = watching = new AbortController();
  watched.textContent = "Asking the server …";
  stopButton.disabled = false;
  try {
    const query = new URLSearchParams({ connection });
    if (connection === "every" && filter !== "") {
      query.set(IP_ADDRESS.test(filter) ? "address" : "user", filter);
    }
    const response = await request(`wire?${query}`, controller.signal);
    if (response?.body) {
      watched.textContent = labelOf(connection) === undefined
        ? "Watching …"
        : "Waiting for the next connection …";
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
  for (const event of more) addRows(event);
  empty.hidden = rows.childElementCount > 0;
  while (rows.childElementCount > ROWS_MAX) rows.firstElementChild?.remove();
  if (isAtEnd) scroll.scrollTop = scroll.scrollHeight;
}

/** @param {WireEvent} event */
function addRows(event) {
  switch (event.kind) {
    case "connected": {
      const what = `Connection ${event.connection}`;
      const way = event.isWebSocket ? ", a WebSocket" : "";
      watched.textContent = `${what}, ${event.peer}${way}`;
      lastConnection = event.connection;
      return rows.append(noteRow(`${what} of ${event.peer}${way}`));
    }
    case "passed-over":
      return rows.append(noteRow(
        `Connection ${event.connection} of ${event.peer} is not followed, since too many are: ` +
          "choose an address or a name",
      ));
    case "dropped":
      return rows.append(
        noteRow(`${event.lines} lines are missing: they came faster than this page reads`),
      );
    case "ended":
      watched.textContent += ": ended";
      partialRows.delete(event.connection);
      return rows.append(noteRow(`The connection has ended: ${event.reason}`, event.connection));
    case "line":
      return addLine(event);
  }
}

/** @param {WireEvent & { kind: "line" }} line */
function addLine(line) {
  const { connection, direction, offset, isPartial } = line;
  if (connection !== lastConnection) rows.append(noteRow(`Connection ${connection}`));
  lastConnection = connection;
  if (direction === "in") {
    const partial = partialRows.get(connection);
    if (partial?.offset === offset) { for (const row of partial.rows) row.remove(); }
    partialRows.delete(connection);
  }
  const added = rowsOf(line);
  rows.append(...added);
  if (isPartial) partialRows.set(connection, { offset, rows: added });
}

/**
 * The row of a frame, and below it what is to be said about it.
 * @param {WireEvent & { kind: "line" }} line
 */
function rowsOf(line) {
  const { mistake, remark, pieces } = line;
  const added = [lineRow(line)];
  if (pieces !== undefined) {
    const { count, gapMs } = pieces;
    const text =
      `It came in ${count} pieces, ${gapMs} ms apart: send a command in one write, or turn ` +
      "on TCP_NODELAY";
    added.push(wideRow("remark", make("strong", "", "pieces"), ` ${text}`));
  }
  if (remark !== undefined) {
    added.push(wideRow("remark", make("strong", "", remark.kind), ` ${printable(remark.text)}`));
  }
  if (mistake !== undefined) added.push(mistakeRow(mistake));
  return added;
}

/**
 * @param {string} text
 * @param {number} [connection] the connection that it is about, if others are watched too
 */
function noteRow(text, connection) {
  const isOther = connection !== undefined && connection !== lastConnection;
  return wideRow("note", isOther ? `${connection}: ${text}` : text);
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
function lineRow({ at, direction, offset, hex, text, meaning, mistake, isPartial }) {
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
  const kind = mistake !== undefined ? " wrong" : isPartial ? " partial" : "";
  return tr(`${direction}${kind}`, ...cells);
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
