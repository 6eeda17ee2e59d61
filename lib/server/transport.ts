/** The stream under a connection, and the facts that are shown of a connection. */
import type { Reader } from "../protocol/frame_stream.ts";

/** The other end of a connection. */
export interface Remote {
  /** Its IP address. */
  readonly address: string;
  /** Its `address:port`. */
  readonly peer: string;
}

/** A stream of bytes in both directions: TCP or a WebSocket. */
export interface Connection extends Reader, Remote {
  /** Writes some of the bytes, and resolves to their number. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends the sending side. */
  closeWrite(): Promise<void>;
  close(): void;
}

/** The facts that the wire view and the metrics show of a connection. */
export interface ConnectionFacts {
  /** The number of the connection among all of this process. */
  readonly connection: number;
  readonly peer: string;
  /** When it was accepted (ms since 1970). */
  readonly since: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Closes what may be closed already, by the client or by a time-out. */
export function closeQuietly(closer: { close(): void }): void {
  try {
    closer.close();
  } catch {
    // It is closed already.
  }
}
