// @ts-check
/** The chat for one user, over one connection after another. It knows nothing of the page. */
import { Connection, WAIT_S } from "./connection.js";

/**
 * A message. `again`: the user may have seen it before. The connection broke before the server
 * confirmed the mail that was shown, and this has the same sender and text.
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
 * Called when the state changes, when mail arrives, and with each new list of users.
 * @typedef {{
 *   state(state: State): void,
 *   mail(mail: readonly Mail[]): void,
 *   users(names: readonly string[]): void,
 * }} Listener
 */

/** A storage that outlasts a reload of the page where the browser allows it, and never throws.
 * @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Memory */

/** Strict mode has no `wait`: the client asks for mail at this interval (ms). */
const POLL_MS = 1_000;
/** The client asks for the list of users at this interval (ms). */
const USERS_MS = 5_000;
/** The first pause before a new try to connect (ms). Each further pause is twice as long. */
const BACK_OFF_MS = 500;
const BACK_OFF_MS_MAX = 15_000;
const UNCONFIRMED_KEY = "asvt-chat.unconfirmed";

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A user who takes part under one name and reconnects after each loss. */
export class ChatClient {
  #url;
  #settings;
  #strict = false;
  #listener;
  #memory;
  /** A new object for each {@link join}: the loop of an earlier one ends when it finds another here.
   * @type {{ readonly name: string } | undefined} */
  #visit;
  /** @type {Connection | undefined} */
  #connection;
  /** Mail that the user saw, while the server has not confirmed that it is taken.
   * @type {readonly Mail[]} */
  #unconfirmed = [];
  /** The connection that brought the unconfirmed mail.
   * @type {Connection | undefined} */
  #unconfirmedOn;
  /** @type {readonly string[]} */
  #users = [];
  #endBackOff = () => {};

  /**
   * @param {string} url
   * @param {() => Promise<{ readonly strict: boolean }>} settings asks the server for its settings;
   *   called before each connection, since the server may have restarted with new ones
   * @param {Listener} listener
   * @param {Memory} memory
   */
  constructor(url, settings, listener, memory) {
    this.#url = url;
    this.#settings = settings;
    this.#listener = listener;
    this.#memory = memory;
    this.#unconfirmed = JSON.parse(memory.getItem(UNCONFIRMED_KEY) ?? "[]");
  }

  /**
   * Registers a name and keeps it over all losses, until {@link leave}, {@link stop} or the next
   * call. Resolves when that has come, or when the name is refused.
   * @param {string} name
   * @param {boolean} isBack whether this page had the name before
   */
  async join(name, isBack = false) {
    this.stop();
    const visit = this.#visit = { name };
    let wasHere = isBack;
    for (let tries = 0; this.#visit === visit; tries++) {
      this.#listener.state({ kind: "connecting" });
      let connection, why;
      try {
        const { strict } = await this.#settings();
        if (this.#visit !== visit) return;
        this.#strict = strict;
        connection = this.#connection = new Connection(this.#url);
        const [greeting = ""] = await connection.request("register", name);
        if (/^(Hello|Nice to see you), /.test(greeting)) {
          wasHere = true;
          tries = 0;
          if (this.#visit === visit) this.#listener.state({ kind: "here", greeting });
          await this.#receive(connection);
        }
        if (!wasHere) return this.#visit === visit ? this.#refuse(connection, greeting) : undefined;
        // The refusal may pass: the server is full, or it still holds our connection before, which
        // broke unnoticed.
        why = greeting;
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
      }
      connection?.close();
      if (this.#visit === visit) await this.#backOff(why, tries);
    }
  }

  /** Ends the pause before the next try to connect, if there is one. */
  retry() {
    this.#endBackOff();
  }

  /** Disconnects and stays so. The server keeps the name and its mail. */
  stop() {
    this.#visit = undefined;
    this.#connection?.close();
    this.#endBackOff();
  }

  /**
   * Removes the name and its mailbox. Rejects where the server can't be told; then both stay, and
   * the client reconnects.
   */
  async leave() {
    const visit = this.#visit;
    if (visit === undefined || this.#connection === undefined) return;
    const replying = this.#connection.request("logout");
    this.#visit = undefined;
    try {
      const [reply = ""] = await replying;
      if (!reply.startsWith("U've been")) throw new Error(reply);
    } catch (error) {
      this.join(visit.name, true);
      throw error;
    }
    this.#connection.close();
    this.#setUnconfirmed([]);
    this.#listener.state({ kind: "left" });
  }

  /**
   * Sends a text to one user, or to all where `to` is left out. Resolves to the server's reply.
   * Rejects where the connection is lost; then the text may have been sent.
   * @param {string} text
   * @param {string} [to]
   * @returns {Promise<string>}
   */
  async send(text, to) {
    if (this.#connection === undefined) throw new Error("You are not connected");
    const words = to === undefined ? ["sendall", text] : ["send", to, text];
    const [reply = ""] = await this.#request(this.#connection, ...words);
    return reply;
  }

  /**
   * @param {Connection} connection
   * @param {string} why
   */
  #refuse(connection, why) {
    this.#visit = undefined;
    connection.close();
    this.#listener.state({ kind: "refused", why });
  }

  /**
   * @param {string} why
   * @param {number} tries
   */
  async #backOff(why, tries) {
    // A random part, so that clients which lost a server together do not return together.
    const ms = Math.min(BACK_OFF_MS * 2 ** tries, BACK_OFF_MS_MAX) * (0.75 + Math.random() / 2);
    this.#listener.state({ kind: "away", why, seconds: Math.ceil(ms / 1000) });
    await Promise.race([
      sleep(ms),
      new Promise((resolve) => this.#endBackOff = () => resolve(undefined)),
    ]);
  }

  /**
   * Asks for mail and users until the connection ends; then it rejects.
   * @param {Connection} connection
   */
  async #receive(connection) {
    await this.#updateUsers(connection);
    let updatedAt = performance.now();
    for (let isFirst = true;; isFirst = false) {
      const words = this.#strict ? ["receive"] : ["wait", String(WAIT_S)];
      const [count = "", ...frames] = await this.#request(connection, ...words);
      if (!/^\d+$/.test(count)) throw new Error(count);
      this.#deliver(connection, frames, isFirst);
      const isNew = frames.some((name, at) => at % 2 === 0 && !this.#users.includes(name));
      // Never sent while a `wait` is open: it would take the mail that the `wait` returns, and that
      // reply may still get lost.
      if (isNew || performance.now() - updatedAt >= USERS_MS) {
        await this.#updateUsers(connection);
        updatedAt = performance.now();
      }
      if (this.#strict) await sleep(POLL_MS);
    }
  }

  /** @param {Connection} connection */
  async #updateUsers(connection) {
    const [, ...names] = await this.#request(connection, "users");
    this.#users = names;
    this.#listener.users(names);
  }

  /**
   * @param {Connection} connection
   * @param {readonly string[]} frames the sender and the text of each message
   * @param {boolean} isFirst whether it is the first mail of a connection
   */
  #deliver(connection, frames, isFirst) {
    /** @type {Mail[]} */
    const mail = [];
    for (let at = 0; at < frames.length; at += 2) {
      mail.push({ from: frames[at] ?? "", text: frames[at + 1] ?? "", again: false });
    }
    const expected = isFirst ? this.#unconfirmed : [];
    const isAgain = expected.every(({ from, text }, at) =>
      mail[at]?.from === from && mail[at]?.text === text
    );
    const marked = mail.map((one, at) => ({ ...one, again: isAgain && at < expected.length }));
    if (mail.length > 0) this.#listener.mail(marked);
    this.#unconfirmedOn = connection;
    // `receive` takes the mail at once, `wait` leaves that to the next command.
    this.#setUnconfirmed(this.#strict ? [] : mail);
  }

  /**
   * Sends a command. Its reply confirms that the mail which was shown before it is taken.
   * @param {Connection} connection
   * @param {readonly string[]} words
   */
  async #request(connection, ...words) {
    const shown = this.#unconfirmed;
    const frames = await connection.request(...words);
    if (this.#unconfirmed === shown && this.#unconfirmedOn === connection) this.#setUnconfirmed([]);
    return frames;
  }

  /** @param {readonly Mail[]} mail */
  #setUnconfirmed(mail) {
    this.#unconfirmed = mail;
    if (mail.length === 0) this.#memory.removeItem(UNCONFIRMED_KEY);
    else this.#memory.setItem(UNCONFIRMED_KEY, JSON.stringify(mail));
  }
}
