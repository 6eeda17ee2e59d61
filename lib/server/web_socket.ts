/** A WebSocket as a connection. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "./transport.ts";
import { ChunkReader } from "../protocol/frame_stream.ts";

/** While too many bytes wait to be sent, their number is checked at this interval (ms). */
const DRAIN_CHECK_MS = 20;

/** Close codes of RFC 6455, section 7.4. */
const NORMAL = 1000;
const BINARY_ONLY = 1003;
const TOO_BIG = 1009;
const TRY_AGAIN_LATER = 1013;

/**
 * Makes a {@link Connection} of an open WebSocket. Its binary messages are one stream of bytes:
 * where a message ends means nothing. A WebSocket can't be told to stop reading, so it is closed
 * when more than `bytesMax` bytes have come and were not read.
 */
export function webSocketConnection(
  socket: WebSocket,
  { address, peer, bytesMax }: { address: string; peer: string; bytesMax: number },
): Connection {
  const messages = new Messages(socket, bytesMax);
  const reader = new ChunkReader(() => messages.next());
  const isBlocked = () => socket.bufferedAmount > bytesMax;
  return {
    address,
    peer,
    read: (p) => reader.read(p),
    async write(bytes) {
      socket.send(bytes as Uint8Array<ArrayBuffer>);
      while (isBlocked() && socket.readyState === WebSocket.OPEN) {
        await sleep(DRAIN_CHECK_MS);
      }
      if (socket.readyState !== WebSocket.OPEN) {
        throw messages.failure ?? new Error("the WebSocket is closed");
      }
      return bytes.length;
    },
    closeWrite: () => Promise.resolve(socket.close(NORMAL)),
    close: () => socket.close(isBlocked() ? TRY_AGAIN_LATER : NORMAL),
  };
}

/** The messages of a WebSocket that were not read yet. */
class Messages {
  readonly #chunks: Uint8Array[] = [];
  /** The size of all chunks. */
  #bytes = 0;
  /** Why no further chunk comes: an error, or the end of the stream. */
  #end: Error | "end" | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: WebSocket, bytesMax: number) {
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (this.#end !== undefined) return;
      if (typeof data === "string") return this.#refuse(socket, BINARY_ONLY, "a text message came");
      if (data.byteLength === 0) return;
      this.#chunks.push(new Uint8Array(data));
      this.#bytes += data.byteLength;
      if (this.#bytes > bytesMax) {
        this.#chunks.length = 0;
        return this.#refuse(socket, TOO_BIG, `more than ${bytesMax} bytes came unprocessed`);
      }
      this.#wake?.();
    };
    socket.onclose = ({ wasClean }) =>
      this.#finish(wasClean ? "end" : new Error("the WebSocket broke"));
    // The close event follows, and says what is wrong.
    socket.onerror = () => {};
  }

  /** The error that has ended the WebSocket, if any. */
  get failure(): Error | undefined {
    return this.#end instanceof Error ? this.#end : undefined;
  }

  /**
   * The next message; `undefined` behind the last. Throws where an error has ended the WebSocket.
   */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#chunks.length === 0 && this.#end === undefined) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) this.#bytes -= chunk.length;
    else if (this.failure !== undefined) throw this.failure;
    return chunk;
  }

  #refuse(socket: WebSocket, code: number, reason: string): void {
    socket.close(code, reason);
    this.#finish(new Error(reason));
  }

  #finish(end: Error | "end"): void {
    this.#end ??= end;
    this.#wake?.();
  }
}
