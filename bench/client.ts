/** A client for measurements: its socket blocks, so that no event loop delays it. */
import { encodeFrames, LENGTH_BYTES, readLength } from "../lib/protocol/frame.ts";
import type { Peer } from "./peers.ts";
import { connect, receive, send } from "./sockets.ts";

/** Commands are sent when their frames have more bytes together. */
const SEND_BYTES = 16_384;

export class BlockingClient {
  readonly #socket: number;
  readonly #buffer = new Uint8Array(262_144);
  #begin = 0;
  #end = 0;

  constructor({ hostname, port }: Pick<Peer, "hostname" | "port">) {
    this.#socket = connect(hostname, port);
  }

  /** Sends the frames of a command, or of several. */
  send(...words: string[]): void {
    send(this.#socket, encodeFrames(words) as Uint8Array<ArrayBuffer>);
  }

  /** Sends commands whose replies have one frame each, and waits for all replies. */
  sendAll(commands: Iterable<readonly string[]>): void {
    let words: string[] = [];
    let bytes = 0;
    let replies = 0;
    const flush = () => {
      this.send(...words);
      for (; replies > 0; replies--) this.skipFrames(1);
      words = [];
      bytes = 0;
    };
    for (const command of commands) {
      words.push(...command);
      bytes += command.join("").length + LENGTH_BYTES * command.length;
      replies++;
      if (bytes > SEND_BYTES) flush();
    }
    flush();
  }

  /** Reads frames and drops them; returns the number of bytes of the last one. */
  skipFrames(count: number): number {
    let length = 0;
    for (let left = count; left > 0; left--) {
      this.#need(LENGTH_BYTES);
      length = readLength(this.#buffer, this.#begin);
      this.#need(LENGTH_BYTES + length);
      this.#begin += LENGTH_BYTES + length;
    }
    return length;
  }

  /** Reads a frame that holds a number. */
  readCount(): number {
    const length = this.skipFrames(1);
    const bytes = this.#buffer.subarray(this.#begin - length, this.#begin);
    return Number(new TextDecoder().decode(bytes));
  }

  #need(bytes: number): void {
    while (this.#end - this.#begin < bytes) {
      this.#buffer.copyWithin(0, this.#begin, this.#end);
      this.#end -= this.#begin;
      this.#begin = 0;
      this.#end += receive(this.#socket, this.#buffer.subarray(this.#end), true);
    }
  }
}
