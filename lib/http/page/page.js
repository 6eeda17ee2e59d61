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
 * Shows a text; one that is there already is not touched, so that nobody hears it again.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Makes the children of an element those of the keys, in their order. Who stays is not touched, so
 * that focus, a click that has begun and what is open outlast it.
 * @param {HTMLElement} parent
 * @param {readonly string[]} keys
 * @param {(key: string) => HTMLElement} makeChild
 */
export function arrange(parent, keys, makeChild) {
  const wanted = new Set(keys);
  /** @type {Map<string, Element>} */
  const kept = new Map();
  for (const child of [...parent.children]) {
    const key = child.getAttribute("data-key") ?? "";
    if (wanted.has(key)) kept.set(key, child);
    else child.remove();
  }
  let next = parent.firstElementChild;
  for (const key of wanted) {
    const child = kept.get(key) ?? withKey(makeChild(key), key);
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
}

/**
 * @param {HTMLElement} child
 * @param {string} key
 */
function withKey(child, key) {
  child.dataset.key = key;
  return child;
}

/** A storage that never throws: what it can't keep stays until the page is closed. */
class Shelf {
  /** @type {Storage | undefined} */
  #storage;
  /** @type {Map<string, string>} */
  #rest = new Map();

  /** @param {() => Storage} open */
  constructor(open) {
    try {
      this.#storage = open();
    } catch {
      // The browser forbids it.
    }
  }

  /** @param {string} key */
  getItem(key) {
    return this.#rest.get(key) ?? this.#storage?.getItem(key) ?? null;
  }

  /**
   * @param {string} key
   * @param {string} value
   */
  setItem(key, value) {
    this.removeItem(key);
    try {
      if (this.#storage !== undefined) return this.#storage.setItem(key, value);
    } catch {
      // It is full.
    }
    this.#rest.set(key, value);
  }

  /** @param {string} key */
  removeItem(key) {
    this.#rest.delete(key);
    this.#storage?.removeItem(key);
  }
}

/** Kept for this tab, over reloads. */
export const forTab = new Shelf(() => sessionStorage);
/** Kept for this browser. */
export const forBrowser = new Shelf(() => localStorage);

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
