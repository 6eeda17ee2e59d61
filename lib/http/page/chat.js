// @ts-check
/// <reference lib="dom" />
/** The view to chat in. */
import { add, clearHistory, receiverOf, scrollDown } from "./history.js";
import { arrange, element, forBrowser, forTab, make, setText } from "./page.js";
import { printable } from "../../text/printable.ts";
import { Talk } from "./talk.js";
import { parseMessage, TO_ONE } from "../../text/input_line.ts";
import { countSymbols, tooLong } from "../../text/symbols.ts";

/** @import { Mail, State } from "./talk.js" */

/** So many users have a button; the others are written to by `@name`. */
const BUTTONS_MAX = 200;
/** The counter is there when so many symbols, or less, are left. */
const COUNTER_LEFT = 20;
/** The server has so long to say its settings, and is asked again after so long: in milliseconds. */
const SETTINGS_MS = 10_000;
const SETTINGS_AGAIN_MS = 2_000;
const NAME = "asvt-chat.name";

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

const talk = new Talk(
  new URL("ws", location.href.replace(/^http/, "ws")).href.replace(/#.*/, ""),
  askSettings,
  { state: showState, mail: showMail, users: showUsers },
  forTab,
);
/** Without limits while those of the server are not known: then it is the judge. */
let settings = { strict: false, nameSymbolsMax: Infinity, textSymbolsMax: Infinity };
/** To whom the next message goes; all where it is left out.
 * @type {string | undefined} */
let receiver;
/** Who takes part, or wants to. */
let me = "";
let isHere = false;

nameField.value = forBrowser.getItem(NAME) ?? "";
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
  if (key === "Escape") address(undefined);
});
textField.addEventListener("input", count);
allButton.addEventListener("click", () => writeTo(undefined));
element("leave", HTMLElement).addEventListener("click", leave);
element("retry", HTMLElement).addEventListener("click", () => talk.retryNow());
element("rename", HTMLElement).addEventListener("click", () => {
  talk.stop();
  askName(status.textContent);
  learnSettings();
});
// The server need not find out by itself that the page is gone.
addEventListener("pagehide", () => talk.stop());
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
// A reload goes on under the same name.
const before = forTab.getItem(NAME);
if (before === null) {
  nameField.focus();
  learnSettings();
} else enter(before, true);

/** What the server says of itself now. */
async function askSettings() {
  const response = await fetch("settings.json", { signal: AbortSignal.timeout(SETTINGS_MS) })
    .catch(() => undefined);
  if (!response?.ok) throw new Error("The server does not answer");
  settings = await response.json();
  element("name-hint", HTMLElement).textContent = `1 to ${settings.nameSymbolsMax} symbols`;
  return settings;
}

/** The limits are shown as soon as the server says them, even if nobody joins. */
async function learnSettings() {
  for (; me === ""; await new Promise((resolve) => setTimeout(resolve, SETTINGS_AGAIN_MS))) {
    try {
      await askSettings();
      if (me === "") setText(status, "");
      return;
    } catch {
      if (me === "") setText(status, "The server does not answer. Asking again …");
    }
  }
}

/**
 * @param {string} name
 * @param {boolean} isBack
 */
function enter(name, isBack) {
  me = name;
  element("me", HTMLElement).textContent = printable(name);
  forTab.setItem(NAME, name);
  talk.join(name, isBack);
}

/** @param {State} state */
function showState(state) {
  isHere = state.kind === "here";
  switch (state.kind) {
    case "connecting":
      // What is wrong stays to be read until it is mended.
      if (away.hidden) setText(status, "Connecting …");
      else pause.textContent = "Trying now …";
      break;
    case "here":
      setText(status, printable(state.greeting));
      showAway(false);
      forBrowser.setItem(NAME, me);
      if (room.hidden) showRoom(true);
      break;
    case "away":
      setText(status, `${printable(state.why).replace(/[.!]$/, "")}.`);
      pause.textContent = `Trying again in ${state.seconds} s.`;
      showAway(true);
      break;
    case "refused":
      askName(printable(state.why));
      break;
    case "left":
      clearHistory();
      askName("");
      setText(status, "You have left.");
  }
}

/**
 * Nobody takes part any more: another name may be given.
 * @param {string} why
 */
function askName(why) {
  nameField.value = me;
  me = "";
  forTab.removeItem(NAME);
  setText(status, "");
  showAway(false);
  showRoom(false);
  nameError.textContent = why;
  markInvalid(nameField, nameError);
}

/** @param {boolean} isAway */
function showAway(isAway) {
  const isLeft = !isAway && away.contains(document.activeElement);
  away.hidden = !isAway;
  if (isLeft) textField.focus();
}

/** @param {boolean} isIn */
function showRoom(isIn) {
  room.hidden = !isIn;
  join.hidden = isIn;
  nameError.textContent = "";
  markInvalid(nameField, nameError);
  scrollDown();
  (isIn ? textField : nameField).focus();
}

/** @param {readonly Mail[]} mail */
function showMail(mail) {
  add(...mail.map(({ from, text, again }) => ({ at: Date.now(), from, text, again })));
}

/** @param {readonly string[]} names */
function showUsers(names) {
  setText(element("users-count", HTMLElement), String(names.length));
  const others = names.filter((name) => name !== me);
  arrange(users, others.slice(0, BUTTONS_MAX), userItem);
  const more = others.length - BUTTONS_MAX;
  setText(element("more", HTMLElement), more > 0 ? `and ${more} more: write @name` : "");
}

/** @param {string} name */
function userItem(name) {
  const button = make("button", "", make("bdi", "", printable(name)));
  button.type = "button";
  button.setAttribute("aria-pressed", String(receiver === name));
  button.addEventListener("click", () => writeTo(name));
  return make("li", "", button);
}

/** @param {string | undefined} name */
function writeTo(name) {
  address(name);
  textField.focus();
}

/** @param {string | undefined} name */
function address(name) {
  receiver = name;
  setText(element("to", HTMLElement), receiverOf(name));
  allButton.setAttribute("aria-pressed", String(name === undefined));
  for (const item of users.children) {
    const isPressed = item.getAttribute("data-key") === name;
    item.firstElementChild?.setAttribute("aria-pressed", String(isPressed));
  }
}

/** What is typed, and to whom it goes, or why it can't be sent. */
function typed() {
  const message = parseMessage(textField.value);
  if (message.kind === "wrong") return { why: message.why, text: "" };
  const { text } = message;
  const to = message.kind === "one" ? message.to : receiver;
  const why = message.kind === "one" && text === ""
    ? TO_ONE
    : tooLong("text", text, settings.textSymbolsMax);
  return { to, text, why };
}

function count() {
  const left = settings.textSymbolsMax - countSymbols(typed().text);
  counter.classList.toggle("over", left < 0);
  counter.textContent = left > COUNTER_LEFT ? "" : left < 0 ? `${-left} too many` : `${left} left`;
  if (left >= 0) showTextError("");
}

async function submit() {
  const value = textField.value;
  const { to, text, why } = typed();
  if (why !== undefined) return showTextError(why);
  if (text === "") return;
  if (!isHere) return showTextError("You are not connected. It stays here until you are.");
  showTextError("");
  textField.value = "";
  count();
  try {
    const reply = await talk.send(text, to);
    if (!reply.startsWith("Message added to storage!")) return keep(value, reply);
    add({ at: Date.now(), from: "", text, to, mine: true });
    const note = reply.slice("Message added to storage!".length).trim();
    if (note !== "") add({ at: Date.now(), from: "", text: note, note: true });
  } catch {
    keep(value, "The connection was lost: this may have been sent, or not.");
  }
}

/**
 * What could not be sent is in its field again, unless something else is.
 * @param {string} value
 * @param {string} why
 */
function keep(value, why) {
  if (textField.value === "") textField.value = value;
  else add({ at: Date.now(), from: "", text: `Perhaps not sent: ${value}`, note: true });
  count();
  showTextError(why);
}

/** @param {string} why */
function showTextError(why) {
  textError.textContent = printable(why);
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
    await talk.leave();
  } catch {
    showTextError("The server could not be told: your name stays.");
  }
}
