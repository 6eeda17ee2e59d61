// @ts-check
/** A person in the chat: one name, over as many connections as it takes. It knows of no page. */
import { Connection, WAIT_S } from "./connection.js";

/**
 * A message. It came `again` if it was shown before and it is not known whether the server had
 * heard so: then it may be the same one, or another with the same words.
 * @typedef {{ readonly from: string, readonly text: string, readonly again: boolean }} Mail
 */

/**
 * @typedef {{ readonly kind: "connecting" }
 *   | { readonly kind: "here", readonly greeting: string }
 *   | { readonly kind: "away", readonly why: string, readonly seconds: number }
 *   | { readonly kind: "refused", readonly why: string }
 *   | { readonly kind: "left" }} State
 */

/**
 * Hears what happens.
 * @typedef {{
 *   state(state: State): void,
 *   mail(mail: readonly Mail[]): void,
 *   users(names: readonly string[]): void,
 * }} Listener
 */

/** A reload of the page keeps this, where it can; it never throws.
 * @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Memory */

/** In strict mode, which has no `wait`, it is looked for mail so often, in milliseconds. */
const POLL_MS = 1_000;
/** The list of users is asked for so often, in milliseconds. */
const USERS_MS = 5_000;
/** The first pause before another try to connect, and the longest, in milliseconds. */
const PAUSE_MS = 500;
const PAUSE_MS_MAX = 15_000;
const UNSURE = "asvt-chat.unsure";

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A person who takes part under one name. */
export class Talk {
  #url;
  #settings;
  #strict = false;
  #listener;
  #memory;
  /** What ends as soon as another takes its place: one stay under one name.
   * @type {{ readonly name: string } | undefined} */
  #stay;
  /** @type {Connection | undefined} */
  #connection;
  /** Mail that was shown, and that the server may not know to be taken.
   * @type {readonly Mail[]} */
  #unsure = [];
  /** The connection that it was shown over.
   * @type {Connection | undefined} */
  #shownBy;
  /** @type {readonly string[]} */
  #users = [];
  /** Ends a pause. */
  #endPause = () => {};

  /**
   * @param {string} url
   * @param {() => Promise<{ readonly strict: boolean }>} settings asks the server for them, before
   *   each connection: it may have come back as another
   * @param {Listener} listener
   * @param {Memory} memory
   */
  constructor(url, settings, listener, memory) {
    this.#url = url;
    this.#settings = settings;
    this.#listener = listener;
    this.#memory = memory;
    this.#unsure = JSON.parse(memory.getItem(UNSURE) ?? "[]");
  }

  /**
   * Takes a name, and keeps it over all breaks until {@link leave}.
   * @param {string} name
   * @param {boolean} isBack whether this page had the name before
   */
  async join(name, isBack = false) {
    this.stop();
    const stay = this.#stay = { name };
    let wasHere = isBack;
    for (let tries = 0; this.#stay === stay; tries++) {
      this.#listener.state({ kind: "connecting" });
      let connection, why;
      try {
        const { strict } = await this.#settings();
        if (this.#stay !== stay) return;
        this.#strict = strict;
        connection = this.#connection = new Connection(this.#url);
        const [greeting = ""] = await connection.ask("register", name);
        if (/^(Hello|Nice to see you), /.test(greeting)) {
          wasHere = true;
          tries = 0;
          if (this.#stay === stay) this.#listener.state({ kind: "here", greeting });
          await this.#attend(connection);
        }
        if (!wasHere) return this.#stay === stay ? this.#refuse(connection, greeting) : undefined;
        // It may pass: a full server, or that it still holds the connection before, which broke
        // without a word.
        why = greeting;
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
      }
      connection?.close();
      if (this.#stay === stay) await this.#pause(why, tries);
    }
  }

  /** Tries to connect at once. */
  retryNow() {
    this.#endPause();
  }

  /** Takes part no more; the name and its mail stay. */
  stop() {
    this.#stay = undefined;
    this.#connection?.close();
    this.#endPause();
  }

  /** The name and its mailbox are no more. Rejects where the server could not be told: they stay. */
  async leave() {
    const stay = this.#stay;
    if (stay === undefined || this.#connection === undefined) return;
    const asked = this.#connection.ask("logout");
    this.#stay = undefined;
    try {
      const [reply = ""] = await asked;
      if (!reply.startsWith("U've been")) throw new Error(reply);
    } catch (error) {
      this.join(stay.name, true);
      throw error;
    }
    this.#connection.close();
    this.#remember([]);
    this.#listener.state({ kind: "left" });
  }

  /**
   * Sends a text, to all where `to` is left out. Resolves to the server's reply.
   * @param {string} text
   * @param {string} [to]
   * @returns {Promise<string>}
   */
  async send(text, to) {
    if (this.#connection === undefined) throw new Error("You are not connected");
    const words = to === undefined ? ["sendall", text] : ["send", to, text];
    const [reply = ""] = await this.#ask(this.#connection, ...words);
    return reply;
  }

  /**
   * @param {Connection} connection
   * @param {string} why
   */
  #refuse(connection, why) {
    this.#stay = undefined;
    connection.close();
    this.#listener.state({ kind: "refused", why });
  }

  /**
   * @param {string} why
   * @param {number} tries
   */
  async #pause(why, tries) {
    // Not all who were cut off at once come back at once.
    const ms = Math.min(PAUSE_MS * 2 ** tries, PAUSE_MS_MAX) * (0.75 + Math.random() / 2);
    this.#listener.state({ kind: "away", why, seconds: Math.ceil(ms / 1000) });
    await Promise.race([
      sleep(ms),
      new Promise((resolve) => this.#endPause = () => resolve(undefined)),
    ]);
  }

  /**
   * Hears of mail and users until the connection ends: then it rejects.
   * @param {Connection} connection
   */
  async #attend(connection) {
    await this.#look(connection);
    let lookedAt = Date.now();
    for (let isFirst = true;; isFirst = false) {
      const words = this.#strict ? ["receive"] : ["wait", String(WAIT_S)];
      const [count = "", ...frames] = await this.#ask(connection, ...words);
      if (!/^\d+$/.test(count)) throw new Error(count);
      this.#show(connection, frames, isFirst);
      const isNew = frames.some((name, at) => at % 2 === 0 && !this.#users.includes(name));
      // Never behind a `wait`: it would take mail whose reply may get lost on its way.
      if (isNew || Date.now() - lookedAt >= USERS_MS) {
        await this.#look(connection);
        lookedAt = Date.now();
      }
      if (this.#strict) await sleep(POLL_MS);
    }
  }

  /** @param {Connection} connection */
  async #look(connection) {
    const [, ...names] = await this.#ask(connection, "users");
    this.#users = names;
    this.#listener.users(names);
  }

  /**
   * @param {Connection} connection
   * @param {readonly string[]} frames sender and text of each
   * @param {boolean} isFirst whether it is the first answer of a connection
   */
  #show(connection, frames, isFirst) {
    /** @type {Mail[]} */
    const mail = [];
    for (let at = 0; at < frames.length; at += 2) {
      mail.push({ from: frames[at] ?? "", text: frames[at + 1] ?? "", again: false });
    }
    const before = isFirst ? this.#unsure : [];
    const isAgain = before.every(({ from, text }, at) =>
      mail[at]?.from === from && mail[at]?.text === text
    );
    const marked = mail.map((one, at) => ({ ...one, again: isAgain && at < before.length }));
    if (mail.length > 0) this.#listener.mail(marked);
    // With `receive` it is taken already.
    this.#shownBy = connection;
    this.#remember(this.#strict ? [] : mail);
  }

  /**
   * Asks; that a command was answered says that the mail which was shown before it is taken.
   * @param {Connection} connection
   * @param {readonly string[]} words
   */
  async #ask(connection, ...words) {
    const shown = this.#unsure;
    const frames = await connection.ask(...words);
    if (this.#unsure === shown && this.#shownBy === connection) this.#remember([]);
    return frames;
  }

  /** @param {readonly Mail[]} mail */
  #remember(mail) {
    this.#unsure = mail;
    if (mail.length === 0) this.#memory.removeItem(UNSURE);
    else this.#memory.setItem(UNSURE, JSON.stringify(mail));
  }
}
