/**
 * The library `ws`, which speaks WebSocket over a stream. While it is loaded it looks for two
 * variables of the environment, for which Deno asks a permission: so it is given them.
 */
import process from "node:process";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

/** A WebSocket of the library, as far as it is used here. */
export interface LibrarySocket {
  /** Sends a binary message; `done` is called when the system has taken it, or with an error. */
  send(bytes: Uint8Array, done: (error?: Error | null) => void): void;
  /** Begins the close handshake. After `closeTimeout` the connection is destroyed. */
  close(code: number, reason?: string): void;
  pause(): void;
  resume(): void;
  on(event: "message", listener: (bytes: Uint8Array, isBinary: boolean) => void): void;
  on(event: "close", listener: (code: number) => void): void;
  on(event: "error", listener: (error: Error) => void): void;
}

/** Makes WebSockets of requests to upgrade. */
export interface Upgrader {
  handleUpgrade(
    request: IncomingMessage,
    stream: Duplex,
    head: Uint8Array,
    opened: (socket: LibrarySocket) => void,
  ): void;
  /** A request was no proper handshake. Without a listener the library answers. */
  on(
    event: "wsClientError",
    listener: (error: Error, stream: Duplex, request: IncomingMessage) => void,
  ): void;
}

/** The options of the library; `closeTimeout` is in ms. */
interface UpgraderOptions {
  readonly noServer: true;
  readonly clientTracking: false;
  readonly perMessageDeflate: false;
  readonly maxPayload: number;
  readonly maxFragments: number;
  readonly maxBufferedChunks: number;
  readonly closeTimeout: number;
  readonly handleProtocols: (offered: ReadonlySet<string>) => string | false;
}

const environment = Object.getOwnPropertyDescriptor(process, "env")!;
const value = { WS_NO_BUFFER_UTIL: "1", WS_NO_UTF_8_VALIDATE: "1" };
Object.defineProperty(process, "env", { ...environment, value });
const library = await import("ws").finally(() =>
  Object.defineProperty(process, "env", environment)
);

/** Makes an {@link Upgrader}. */
export const newUpgrader = (options: UpgraderOptions): Upgrader =>
  new library.WebSocketServer(options);
