/** A TCP connection as a stream of Node, as `node:http` and `ws` take it. */
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { concat } from "@std/bytes";
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
  /** Since this time (ms, as `performance.now`) the client has taken nothing of a write. */
  blockedSince: number | undefined;
  readonly #conn: Deno.TcpConn;
  #buffer = new Uint8Array(READ_BYTES_MIN);

  constructor(conn: Deno.TcpConn) {
    super({ highWaterMark: READ_BYTES_MAX, allowHalfOpen: true });
    this.#conn = conn;
    this.remote = remoteOf(conn.remoteAddr);
    // The error follows from the end of the connection, which the close event tells.
    this.on("error", () => {});
    try {
      conn.setNoDelay(true);
    } catch {
      // The connection is reset already: the first read fails.
    }
  }

  override async _read(): Promise<void> {
    try {
      const length = await this.#conn.read(this.#buffer);
      if (length === null) return void this.push(null);
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
    this.#conn.closeWrite().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    closeQuietly(this.#conn);
    done(error);
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      this.blockedSince = performance.now();
      rest = rest.subarray(await this.#conn.write(rest));
    }
    this.blockedSince = undefined;
  }
}
