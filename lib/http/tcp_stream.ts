/** A TCP connection as a stream of Node, as `node:http` and `ws` take it. */
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { concat } from "@std/bytes";
import { Deadline } from "../server/deadline.ts";
import { closeQuietly, type Remote } from "../server/transport.ts";
import { remoteOf } from "../server/tcp.ts";

/** The size of the first buffer. */
const READ_BYTES_MIN = 512;
/** A read that fills the buffer makes the next one this large. As much waits in the stream. */
const READ_BYTES_MAX = 4_096;

/** Bytes are read when they are asked for, and a write is over when the system has taken it. */
export class TcpStream extends Duplex {
  /** The other end of the connection. */
  readonly remote: Remote;
  /** The time limit for what the client has to do next. The chat sets its own ones for a WebSocket. */
  #deadline: Deadline | undefined = new Deadline(() => this.destroy());
  readonly #conn: Deno.TcpConn;
  readonly #writeMs: number;
  #buffer = new Uint8Array(READ_BYTES_MIN);
  /** Did the last read fill the buffer? More may wait, and others go first. */
  #isFull = false;
  /** Nothing more is read before it resolves. */
  #held: PromiseWithResolvers<void> | undefined;

  /** `writeMs`: the client must take some bytes of an answer within this time (ms). */
  constructor(conn: Deno.TcpConn, writeMs: number) {
    super({ highWaterMark: READ_BYTES_MAX, allowHalfOpen: true });
    this.#conn = conn;
    this.#writeMs = writeMs;
    this.remote = remoteOf(conn.remoteAddr);
    // The error follows from the end of the connection, which the close event tells.
    this.on("error", () => {});
    try {
      conn.setNoDelay(true);
    } catch {
      // The connection is reset already: the first read fails.
    }
  }

  /** The client must act within `ms` milliseconds; Infinity: it need not. */
  limit(ms: number): void {
    this.#deadline?.set(ms);
  }

  /** No time limit applies any more. */
  free(): void {
    this.#deadline?.close();
    this.#deadline = undefined;
  }

  /**
   * Reads nothing more until {@link readOn}: whatever calls `resume` meanwhile, as `node:http` does
   * behind each request.
   */
  hold(): void {
    this.#held ??= Promise.withResolvers();
  }

  readOn(): void {
    this.#held?.resolve();
    this.#held = undefined;
  }

  override async _read(): Promise<void> {
    try {
      await this.#held?.promise;
      // The runtime would read a flood on and on before it turns the event loop.
      if (this.#isFull) await sleep(0);
      const length = await this.#conn.read(this.#buffer);
      if (length === null) return void this.push(null);
      this.#isFull = length === this.#buffer.length;
      // A copy: the library may keep a byte of it, and would keep the whole buffer with it.
      const bytes = Buffer.from(this.#buffer.slice(0, length).buffer);
      if (length === this.#buffer.length && length < READ_BYTES_MAX) {
        this.#buffer = new Uint8Array(READ_BYTES_MAX);
      }
      this.push(bytes);
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  override _write(bytes: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.#writeAll(bytes).then(() => done(), done);
  }

  /** Writes what has gathered at once, such as the head of a message and its bytes. */
  override _writev(
    chunks: readonly { readonly chunk: Uint8Array }[],
    done: (error?: Error) => void,
  ): void {
    this._write(concat(chunks.map(({ chunk }) => chunk)), "", done);
  }

  override _final(done: (error?: Error) => void): void {
    this.limit(this.#writeMs);
    this.#conn.closeWrite().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.free();
    closeQuietly(this.#conn);
    done(error);
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      this.limit(this.#writeMs);
      rest = rest.subarray(await this.#conn.write(rest));
    }
    this.limit(Infinity);
  }
}
