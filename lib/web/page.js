// @ts-check
/// <reference lib="dom" />
/** What both views of the page use. */

/**
 * The element of this id.
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`There is no ${kind.name} ${id} in the page`);
}

/**
 * A new element with what is in it; texts stay texts.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {...(Node | string)} content
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, className, ...content) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content);
  return made;
}

/**
 * What the server says of itself.
 * @returns {Promise<{ strict: boolean, nameSymbolsMax: number, textSymbolsMax: number,
 *   needsToken: boolean, wireTexts: boolean }>}
 */
export async function fetchSettings() {
  return await (await fetch("settings.json")).json();
}

/** Shows the view that the address names. */
function showView() {
  const name = location.hash === "#wire" ? "wire" : "chat";
  for (const view of document.querySelectorAll("main")) view.hidden = view.id !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

addEventListener("hashchange", showView);
showView();
