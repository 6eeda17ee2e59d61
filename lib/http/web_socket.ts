/** A WebSocket as a connection. */
import type { Connection, Remote } from "../server/transport.ts";
import { ByteQueue } from "./byte_queue.ts";
import { type LibrarySocket, newUpgrader, type Upgrader } from "./ws.ts";

/** Close codes of RFC 6455, section 7.4. */
const NORMAL = 1000;
const BINARY_ONLY = 1003;
const TRY_AGAIN_LATER = 1013;

/** The client has this long (ms) to answer a close frame. Then the connection is destroyed. */
const CLOSE_MS_MAX = 2_000;
/** The only subprotocol: the frames of the chat. Programs built with Emscripten ask for it. */
const SUBPROTOCOL = "binary";
/** With more unread bytes than this the socket is not read. */
const UNREAD_BYTES_MAX = 16_384;
/** A message may come in this many fragments or TCP segments, and in one more for each so many bytes. */
const PARTS_MIN = 1_024;
const BYTES_PER_PART = 256;

/** Makes WebSockets of requests. A message longer than `bytesMax` bytes closes its socket with 1009. */
export function webSocketUpgrader(bytesMax: number): Upgrader {
  const partsMax = PARTS_MIN + Math.ceil(bytesMax / BYTES_PER_PART);
  return newUpgrader({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: bytesMax,
    maxFragments: partsMax,
    maxBufferedChunks: partsMax,
    closeTimeout: CLOSE_MS_MAX,
    handleProtocols: (offered) => offered.has(SUBPROTOCOL) && SUBPROTOCOL,
  });
}

/**
 * The binary messages of a WebSocket are one stream of bytes: where a message ends means nothing.
 *
 * A close needs nothing of the other end: reads and writes end at once, and the TCP connection
 * CLOSE_MS_MAX after the close frame was queued.
 */
export class WebSocketConnection implements Connection {
  readonly address: string;
  readonly peer: string;
  readonly isWebSocket = true;
  readonly #socket: LibrarySocket;
  readonly #closed: () => void;
  readonly #unread = new ByteQueue();
  /** Why nothing more comes: an error, or the end of the stream. */
  #end: Error | "end" | undefined;
  /** Was a close frame queued? */
  #isClosing = false;
  #isOver = false;
  /** Ends the pending read. */
  #wake: (() => void) | undefined;
  /** Ends the pending write. */
  #failWrite: ((error: Error) => void) | undefined;

  /** `closed` is called once, when the chat has left the connection or the client has closed it. */
  constructor(socket: LibrarySocket, { address, peer }: Remote, closed: () => void) {
    this.address = address;
    this.peer = peer;
    this.#socket = socket;
    this.#closed = closed;
    socket.on("message", (bytes, isBinary) => this.#receive(bytes, isBinary));
    // The close event follows.
    socket.on("error", (error) => this.#finish(error));
    socket.on("close", (code) => {
      // 1006: the TCP connection ended without a close frame.
      this.#finish(code === 1006 ? new Error("the WebSocket broke") : "end");
      this.#leave();
    });
  }

  /** See {@link Connection.read}. Throws where an error has ended the WebSocket. */
  async read(p: Uint8Array): Promise<number | null> {
    while (this.#unread.length === 0 && this.#end === undefined) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const length = this.#unread.shift(p);
    if (this.#unread.length <= UNREAD_BYTES_MAX) this.#socket.resume();
    if (length > 0) return length;
    if (this.#end instanceof Error) throw this.#end;
    return null;
  }

  /** Sends a message. Resolves when the system has taken it. */
  async write(bytes: Uint8Array): Promise<number> {
    if (this.#end instanceof Error) throw this.#end;
    await new Promise<void>((resolve, reject) => {
      this.#failWrite = reject;
      this.#socket.send(bytes, (error) => error ? reject(error) : resolve());
    });
    this.#failWrite = undefined;
    return bytes.length;
  }

  /** Begins the close handshake. What comes before its end is still read. */
  closeWrite(): Promise<void> {
    this.#close(NORMAL);
    return Promise.resolve();
  }

  close(): void {
    this.#close(this.#failWrite === undefined ? NORMAL : TRY_AGAIN_LATER);
    this.#finish(new Error("the WebSocket is closed"));
    this.#unread.clear();
    this.#leave();
  }

  #receive(bytes: Uint8Array, isBinary: boolean): void {
    if (this.#end !== undefined) return;
    if (!isBinary) {
      const reason = "a text message came";
      this.#close(BINARY_ONLY, reason);
      return this.#finish(new Error(reason));
    }
    if (bytes.length === 0) return;
    this.#unread.push(bytes);
    if (this.#unread.length > UNREAD_BYTES_MAX) this.#socket.pause();
    this.#wake?.();
  }

  #close(code: number, reason = ""): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#socket.close(code, reason);
  }

  /** Nothing more comes. The socket is read on, up to the close frame. */
  #finish(end: Error | "end"): void {
    this.#end ??= end;
    this.#socket.resume();
    this.#wake?.();
    if (end instanceof Error) this.#failWrite?.(end);
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#closed();
  }
}
