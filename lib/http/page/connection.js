// @ts-check
/** One connection of the page: commands, and their replies. */
import { encodeFrames, FrameSplitter } from "./frames.js";

/** How long a `wait` of the page waits (s); the next one follows it. */
export const WAIT_S = 5;
/** A server is gone that has not answered this long (ms) after it should have. */
const ANSWER_MS = 10_000;

/** One connection: commands, and their replies in the same order. */
export class Connection {
  /** @type {{ words: readonly string[], frames: string[], reply: PromiseWithResolvers<string[]> }[]} */
  #asked = [];
  #splitter = new FrameSplitter();
  #socket;
  /** What the server said without being asked: why it closes. */
  #lastWords = "";
  #isOver = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {string} url */
  constructor(url) {
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => this.#asked.forEach(({ words }) => this.#post(words));
    this.#socket.onmessage = ({ data }) => {
      clearTimeout(this.#timer);
      for (const frame of this.#splitter.push(new Uint8Array(data))) this.#receive(frame);
      if (this.#asked.length > 0) this.#await();
    };
    this.#socket.onclose = () => this.#end();
  }

  /**
   * The frames of the reply. Rejects where the connection ends before.
   * @param {readonly string[]} words
   * @returns {Promise<string[]>}
   */
  ask(...words) {
    /** @type {PromiseWithResolvers<string[]>} */
    const reply = Promise.withResolvers();
    if (this.#isOver) reply.reject(new Error(this.#why));
    else {
      this.#asked.push({ words, frames: [], reply });
      if (this.#asked.length === 1 || words[0] !== "wait") this.#await();
      if (this.#socket.readyState === WebSocket.OPEN) this.#post(words);
    }
    return reply.promise;
  }

  close() {
    this.#socket.close();
  }

  /** A link may break without a word, as when a laptop sleeps. */
  #await() {
    clearTimeout(this.#timer);
    const waits = this.#asked.length === 1 && this.#asked[0]?.words[0] === "wait";
    this.#timer = setTimeout(() => {
      this.#lastWords = "The server does not answer";
      this.#socket.close();
      this.#end();
    }, ANSWER_MS + (waits ? 1000 * WAIT_S : 0));
  }

  get #why() {
    return this.#lastWords || "The connection is lost";
  }

  /** @param {readonly string[]} words */
  #post(words) {
    this.#socket.send(encodeFrames(words));
  }

  /** @param {string} frame */
  #receive(frame) {
    const first = this.#asked[0];
    if (first === undefined) {
      this.#lastWords = frame;
      return;
    }
    first.frames.push(frame);
    if (first.frames.length < frameCount(first.words[0] ?? "", first.frames[0] ?? "")) return;
    this.#asked.shift();
    first.reply.resolve(first.frames);
  }

  #end() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    for (const { reply } of this.#asked) reply.reject(new Error(this.#why));
    this.#asked = [];
  }
}

/**
 * How many frames the reply to a command has, by its first one.
 * @param {string} command
 * @param {string} first
 */
function frameCount(command, first) {
  if (!/^\d+$/.test(first)) return 1;
  if (command === "users") return 1 + Number(first);
  return command === "receive" || command === "wait" ? 1 + 2 * Number(first) : 1;
}
