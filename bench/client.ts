/** A client for measurements: it blocks, so that nothing stands between it and the server. */
import { encodeFrames, LENGTH_BYTES, readLength } from "../lib/protocol/frame.ts";
import type { Peer } from "./peers.ts";
import { connect, receive, send } from "./sockets.ts";

const SEND_BYTES = 16_384;

export class BlockingClient {
  readonly #socket: number;
  readonly #buffer = new Uint8Array(262_144);
  #begin = 0;
  #end = 0;

  constructor({ hostname, port }: Pick<Peer, "hostname" | "port">) {
    this.#socket = connect(hostname, port);
  }

  /** Sends a command with its arguments. */
  tell(...words: string[]): void {
    send(this.#socket, encodeFrames(words) as Uint8Array<ArrayBuffer>);
  }

  /** Sends commands of one reply each, some at a time, and waits for all the replies. */
  tellAll(commands: Iterable<readonly string[]>): void {
    let words: string[] = [];
    let bytes = 0;
    let replies = 0;
    const flush = () => {
      this.tell(...words);
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

  /** Reads frames and throws them away; returns how many bytes the last one had. */
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

  /** Reads a frame with a number. */
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
