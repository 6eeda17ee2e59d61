/** The stream under a connection: TCP or a WebSocket. */
import type { Reader } from "../protocol/frame_stream.ts";

/** The other end of a connection. */
export interface Remote {
  /** Its IP address. */
  readonly address: string;
  /** Its `address:port`. */
  readonly peer: string;
  /** Did a proxy tell these in a header, which has been read? */
  readonly isProxied?: boolean;
  /** Is it a WebSocket? */
  readonly isWebSocket?: boolean;
}

/** A stream of bytes in both directions. */
export interface Connection extends Reader, Remote {
  /** Writes some of the bytes, and resolves to their number. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends the sending side. */
  closeWrite(): Promise<void>;
  close(): void;
}

/** Closes what may be closed already, by the client or by a time-out. */
export function closeQuietly(closer: { close(): void }): void {
  try {
    closer.close();
  } catch {
    // It is closed already.
  }
}
