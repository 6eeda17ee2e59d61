// @ts-check
/** One WebSocket of the page: it sends commands and reads their replies. */
import { encodeFrames, FrameSplitter } from "./frames.js";

/** A `wait` of the page asks for this long (s); the next one follows it. */
export const WAIT_S = 5;
/** The connection is given up when a reply is this late (ms). */
const REPLY_MS_MAX = 10_000;

/** One connection. Replies come in the order of the commands. */
export class Connection {
  /** Commands whose reply is not complete.
   * @type {{ words: readonly string[], frames: string[], reply: PromiseWithResolvers<string[]> }[]} */
  #pending = [];
  #splitter = new FrameSplitter();
  #socket;
  /** The reason of the end: what the server said without a command, or that it was silent. */
  #reason = "";
  #isOver = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {string} url */
  constructor(url) {
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => this.#pending.forEach(({ words }) => this.#send(words));
    this.#socket.onmessage = ({ data }) => {
      clearTimeout(this.#timer);
      for (const frame of this.#splitter.push(new Uint8Array(data))) this.#receive(frame);
      if (this.#pending.length > 0) this.#startTimer();
    };
    this.#socket.onclose = () => this.#end();
  }

  /**
   * Sends a command. Resolves to the frames of its reply, and rejects where the connection ends
   * before they came.
   * @param {readonly string[]} words the command and its arguments
   * @returns {Promise<string[]>}
   */
  request(...words) {
    /** @type {PromiseWithResolvers<string[]>} */
    const reply = Promise.withResolvers();
    if (this.#isOver) reply.reject(this.#error());
    else {
      this.#pending.push({ words, frames: [], reply });
      if (this.#pending.length === 1 || words[0] !== "wait") this.#startTimer();
      if (this.#socket.readyState === WebSocket.OPEN) this.#send(words);
    }
    return reply.promise;
  }

  close() {
    this.#socket.close();
  }

  /** A connection may break unnoticed, as when a laptop sleeps: only the silence shows it. */
  #startTimer() {
    clearTimeout(this.#timer);
    const isWaiting = this.#pending.length === 1 && this.#pending[0]?.words[0] === "wait";
    this.#timer = setTimeout(() => {
      this.#reason = "The server does not answer";
      this.#socket.close();
      this.#end();
    }, REPLY_MS_MAX + (isWaiting ? 1000 * WAIT_S : 0));
  }

  #error() {
    return new Error(this.#reason || "The connection is lost");
  }

  /** @param {readonly string[]} words */
  #send(words) {
    this.#socket.send(encodeFrames(words));
  }

  /** @param {string} frame */
  #receive(frame) {
    const first = this.#pending[0];
    if (first === undefined) {
      this.#reason = frame;
      return;
    }
    first.frames.push(frame);
    if (first.frames.length < frameCount(first.words[0] ?? "", first.frames[0] ?? "")) return;
    this.#pending.shift();
    first.reply.resolve(first.frames);
  }

  #end() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    for (const { reply } of this.#pending) reply.reject(this.#error());
    this.#pending = [];
  }
}

/**
 * The number of frames in the reply to a command, told from the first of them.
 * @param {string} command
 * @param {string} first
 */
function frameCount(command, first) {
  if (!/^\d+$/.test(first)) return 1;
  if (command === "users") return 1 + Number(first);
  return command === "receive" || command === "wait" ? 1 + 2 * Number(first) : 1;
}
