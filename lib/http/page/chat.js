// @ts-check
/// <reference lib="dom" />
/** The chat view: it joins, shows messages and users, and sends. */
import { add, addNote, clearHistory, receiverOf, scrollDown } from "./history.js";
import { browserStorage, element, make, setText, tabStorage, updateChildren } from "./page.js";
import { ChatClient } from "./chat_client.js";
import { printableName } from "../../text/printable.ts";
import { parseLine, TO_ONE } from "../../text/input_line.ts";
import { countSymbols, tooLong } from "../../text/symbols.ts";

/** @import { Mail, State } from "./chat_client.js" */
/** @import { Action } from "../../text/input_line.ts" */

/** At most this many users have a button. `@name` writes to any user. */
const BUTTONS_MAX = 200;
/** The counter appears when at most this many symbols are left. */
const COUNTED_SYMBOLS_MAX = 20;
/** The server must send its settings within this time (ms). */
const SETTINGS_MS_MAX = 10_000;
/** The page asks again this long after it got no settings (ms). */
const SETTINGS_AGAIN_MS = 2_000;
const HELP = [
  `${TO_ONE}. //hi begins with a slash, @@hi with an at sign`,
  "/users shows who is registered. /quit leaves, and mail waits for you. /logout removes your name",
];
const NAME_KEY = "asvt-chat.name";

const join = element("join", HTMLFormElement);
const nameField = element("name", HTMLInputElement);
const nameError = element("name-error", HTMLElement);
const room = element("room", HTMLElement);
const allButton = element("all", HTMLElement);
const users = element("users", HTMLElement);
const compose = element("compose", HTMLFormElement);
const textField = element("text", HTMLInputElement);
const textError = element("text-error", HTMLElement);
const counter = element("counter", HTMLElement);
const status = element("status", HTMLElement);
const away = element("away", HTMLElement);
const pause = element("pause", HTMLElement);

const client = new ChatClient(
  new URL("ws", location.href.replace(/^http/, "ws")).href.replace(/#.*/, ""),
  fetchSettings,
  { state: showState, mail: showMail, users: showUsers },
  tabStorage,
);
/** Until the server has sent its limits there are none here: the server itself checks them. */
let settings = { strict: false, nameSymbolsMax: Infinity, textSymbolsMax: Infinity };
/** The receiver of the next message; `undefined` means all users.
 * @type {string | undefined} */
let receiver;
/** The name that this user has or asks for; empty before. */
let ownName = "";
let isConnected = false;
/** The registered users.
 * @type {readonly string[]} */
let names = [];

nameField.value = browserStorage.getItem(NAME_KEY) ?? "";
join.addEventListener("submit", (event) => {
  event.preventDefault();
  nameError.textContent = tooLong("name", nameField.value, settings.nameSymbolsMax) ?? "";
  markInvalid(nameField, nameError);
  if (nameError.textContent === "") enter(nameField.value, false);
});
compose.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
compose.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") setReceiver(undefined);
});
textField.addEventListener("input", updateCounter);
allButton.addEventListener("click", () => writeTo(undefined));
element("leave", HTMLElement).addEventListener("click", leave);
element("retry", HTMLElement).addEventListener("click", () => client.retry());
element("rename", HTMLElement).addEventListener("click", quit);
// A close tells the server at once that the page is gone.
addEventListener("pagehide", () => client.stop());
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
// After a reload the page joins under the same name.
const storedName = tabStorage.getItem(NAME_KEY);
if (storedName === null) {
  nameField.focus();
  loadSettings();
} else enter(storedName, true);

/** The settings that the server has now. Rejects where it does not send them. */
async function fetchSettings() {
  const response = await fetch("settings.json", { signal: AbortSignal.timeout(SETTINGS_MS_MAX) })
    .catch(() => undefined);
  if (!response?.ok) throw new Error("The server does not answer");
  settings = await response.json();
  element("name-hint", HTMLElement).textContent = `1 to ${settings.nameSymbolsMax} symbols`;
  return settings;
}

/** Fetches the settings while the user has not joined, until the server sends them. */
async function loadSettings() {
  for (; ownName === ""; await new Promise((resolve) => setTimeout(resolve, SETTINGS_AGAIN_MS))) {
    try {
      await fetchSettings();
      if (ownName === "") setText(status, "");
      return;
    } catch {
      if (ownName === "") setText(status, "The server does not answer. Asking again …");
    }
  }
}

/**
 * @param {string} name
 * @param {boolean} isBack whether this tab had the name before
 */
function enter(name, isBack) {
  ownName = name;
  element("me", HTMLElement).textContent = printableName(name);
  tabStorage.setItem(NAME_KEY, name);
  client.join(name, isBack);
}

/** @param {State} state */
function showState(state) {
  isConnected = state.kind === "here";
  switch (state.kind) {
    case "connecting":
      // An error stays readable until the connection is back.
      if (away.hidden) setText(status, "Connecting …");
      else pause.textContent = "Trying now …";
      break;
    case "here":
      setText(status, printableName(state.greeting));
      showAway(false);
      browserStorage.setItem(NAME_KEY, ownName);
      if (room.hidden) showRoom(true);
      break;
    case "away":
      setText(status, `${printableName(state.why).replace(/[.!]$/, "")}.`);
      pause.textContent = `Trying again in ${state.seconds} s.`;
      showAway(true);
      break;
    case "refused":
      showJoin(printableName(state.why));
      break;
    case "left":
      clearHistory();
      showJoin("");
      setText(status, "You have left.");
  }
}

/**
 * Shows the form for the name, with an error.
 * @param {string} why the error; empty for none
 */
function showJoin(why) {
  nameField.value = ownName;
  ownName = "";
  tabStorage.removeItem(NAME_KEY);
  setText(status, "");
  showAway(false);
  showRoom(false);
  nameError.textContent = why;
  markInvalid(nameField, nameError);
}

/** @param {boolean} isAway */
function showAway(isAway) {
  const isFocusLost = !isAway && away.contains(document.activeElement);
  away.hidden = !isAway;
  if (isFocusLost) textField.focus();
}

/** @param {boolean} isShown whether the room is shown, else the form for the name */
function showRoom(isShown) {
  room.hidden = !isShown;
  join.hidden = isShown;
  nameError.textContent = "";
  markInvalid(nameField, nameError);
  scrollDown();
  (isShown ? textField : nameField).focus();
}

/** @param {readonly Mail[]} mail */
function showMail(mail) {
  add(...mail.map(({ from, text, again }) => ({ at: Date.now(), from, text, again })));
}

/** @param {readonly string[]} all */
function showUsers(all) {
  names = all;
  setText(element("users-count", HTMLElement), String(names.length));
  const receivers = names.filter((name) => name !== ownName);
  updateChildren(users, receivers.slice(0, BUTTONS_MAX), userItem);
  const more = receivers.length - BUTTONS_MAX;
  setText(element("more", HTMLElement), more > 0 ? `and ${more} more: write @name` : "");
}

/** @param {string} name */
function userItem(name) {
  const button = make("button", "", make("bdi", "", printableName(name)));
  button.type = "button";
  button.setAttribute("aria-pressed", String(receiver === name));
  button.addEventListener("click", () => writeTo(name));
  return make("li", "", button);
}

/** @param {string | undefined} name */
function writeTo(name) {
  setReceiver(name);
  textField.focus();
}

/** @param {string | undefined} name */
function setReceiver(name) {
  receiver = name;
  setText(element("to", HTMLElement), receiverOf(name));
  allButton.setAttribute("aria-pressed", String(name === undefined));
  for (const item of users.children) {
    const isPressed = item.getAttribute("data-key") === name;
    item.firstElementChild?.setAttribute("aria-pressed", String(isPressed));
  }
}

/**
 * What the line in the field means, and for a message its receiver and text.
 * @returns {{ action: Action, to?: string | undefined, text: string }}
 */
function parseField() {
  const action = parseLine(textField.value);
  if (action.kind !== "all" && action.kind !== "one") return { action, text: "" };
  const { text } = action;
  const to = action.kind === "one" ? action.to : receiver;
  const why = action.kind === "one" && text === ""
    ? TO_ONE
    : tooLong("text", text, settings.textSymbolsMax);
  return { action: why === undefined ? action : { kind: "wrong", why }, to, text };
}

function updateCounter() {
  const left = settings.textSymbolsMax - countSymbols(parseField().text);
  counter.classList.toggle("over", left < 0);
  counter.textContent = left > COUNTED_SYMBOLS_MAX
    ? ""
    : left < 0
    ? `${-left} too many`
    : `${left} left`;
  if (left >= 0) showTextError("");
}

async function submit() {
  const value = textField.value;
  const { action, to, text } = parseField();
  if (action.kind === "wrong") return showTextError(action.why);
  if (action.kind !== "all" && action.kind !== "one") return await performWord(action.kind);
  if (!isConnected) return showTextError("You are not connected. It stays here until you are.");
  showTextError("");
  textField.value = "";
  updateCounter();
  try {
    const reply = await client.send(text, to);
    if (!reply.startsWith("Message added to storage!")) return giveBack(value, reply);
    add({ at: Date.now(), from: "", text, to, mine: true });
    const more = reply.slice("Message added to storage!".length).trim();
    if (more !== "") addNote(more);
  } catch {
    giveBack(value, "The connection was lost: this may have been sent, or not.");
  }
}

/** @param {Exclude<Action["kind"], "all" | "one" | "wrong">} word */
async function performWord(word) {
  textField.value = "";
  updateCounter();
  if (word === "help") HELP.forEach(addNote);
  if (word === "users") addNote(`${names.length} here: ${names.map(printableName).join(", ")}`);
  if (word === "quit") quit();
  if (word === "logout") await leave();
}

/** Leaves, so that the name and its mail stay. */
function quit() {
  client.stop();
  showJoin(status.textContent);
  loadSettings();
}

/**
 * Puts a line that was not sent back into its field. A note shows it where the field is in use.
 * @param {string} value
 * @param {string} why
 */
function giveBack(value, why) {
  if (textField.value === "") textField.value = value;
  else addNote(`Perhaps not sent: ${value}`);
  updateCounter();
  showTextError(why);
}

/** @param {string} why */
function showTextError(why) {
  textError.textContent = printableName(why);
  markInvalid(textField, textError);
}

/**
 * @param {HTMLInputElement} field
 * @param {HTMLElement} error
 */
function markInvalid(field, error) {
  field.setAttribute("aria-invalid", String(error.textContent !== ""));
}

async function leave() {
  try {
    await client.leave();
  } catch {
    showTextError("The server could not be told: your name stays.");
  }
}
