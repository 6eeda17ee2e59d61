// @ts-check
/// <reference lib="dom" />
/** Helpers that both views of the page use, and the switch between the views. */

/**
 * The element with this id. Throws where the page has none of this kind.
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
 * A new element with this content. A string becomes text, never HTML.
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
 * Shows a text. The element is not touched where it has this text already: a screen reader would
 * read it out again.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Gives an element one child for each key, in the order of the keys. A child whose key stays is not
 * touched, so that its focus, a half-done click and an open list are kept.
 * @param {HTMLElement} parent
 * @param {readonly string[]} keys
 * @param {(key: string) => HTMLElement} makeChild
 */
export function updateChildren(parent, keys, makeChild) {
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

/** A storage that never throws. An item that the browser does not store is kept until the page closes. */
class SafeStorage {
  /** @type {Storage | undefined} */
  #storage;
  /** @type {Map<string, string>} */
  #rest = new Map();

  /** @param {() => Storage} open */
  constructor(open) {
    try {
      this.#storage = open();
    } catch {
      // The browser forbids storage.
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
      // The storage is full.
    }
    this.#rest.set(key, value);
  }

  /** @param {string} key */
  removeItem(key) {
    this.#rest.delete(key);
    this.#storage?.removeItem(key);
  }
}

/** Items of this tab; a reload keeps them. */
export const tabStorage = new SafeStorage(() => sessionStorage);
/** Items of all tabs of this browser. */
export const browserStorage = new SafeStorage(() => localStorage);

/** Shows the view that the fragment of the address names. */
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
