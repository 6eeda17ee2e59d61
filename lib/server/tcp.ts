/** A TCP connection as the server sees every connection, also when a proxy has made it. */
import { concat } from "@std/bytes";
import { closeQuietly, type Connection } from "./connection.ts";
import { Deadline } from "./deadline.ts";
import { fill } from "../protocol/frame_stream.ts";
import { formatHostPort, type SocketAddress, unmapped } from "../protocol/ip.ts";
import { parseProxyHeader } from "../protocol/proxy_protocol.ts";

/** So much of a proxy's header is read at once. */
const READ_BYTES = 512;

/** The other end of a connection: its address, and `address:port`. */
export interface Remote {
  readonly address: string;
  readonly peer: string;
}

/** The other end as the system names it; IPv4 that the system writes as IPv6 is IPv4. */
export function remoteOf({ hostname, port }: SocketAddress): Remote {
  const address = unmapped(hostname);
  return { address, peer: formatHostPort({ hostname: address, port }) };
}

/** A TCP connection; a class, as thousands of them cost less memory without a closure for each method. */
export class TcpConnection implements Connection {
  readonly address: string;
  readonly peer: string;
  readonly #conn: Deno.TcpConn;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    const { address, peer } = remoteOf(conn.remoteAddr);
    this.address = address;
    this.peer = peer;
    try {
      // A reply leaves at once.
      conn.setNoDelay(true);
    } catch {
      // It was reset already: the first read will say what is wrong.
    }
  }

  read(p: Uint8Array): Promise<number | null> {
    return this.#conn.read(p);
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#conn.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.#conn.closeWrite();
  }

  close(): void {
    this.#conn.close();
  }
}

/**
 * Reads the header with which a proxy begins, within a time: the connection with the address of the
 * user, or what is wrong, as a sentence without its end. It never throws.
 */
export async function behindHeader(
  connection: Connection,
  seconds: number,
): Promise<Connection | { readonly wrong: string }> {
  const buffer = new Uint8Array(READ_BYTES);
  let bytes: Uint8Array = new Uint8Array(0);
  let end = "then the connection ended";
  const deadline = new Deadline(() => {
    end = `then nothing more for ${seconds} s`;
    closeQuietly(connection);
  });
  deadline.set(1000 * seconds);
  try {
    for (;;) {
      const header = parseProxyHeader(bytes);
      if (header.kind === "wrong") return { wrong: header.text };
      if (header.kind === "whole") {
        const { address, peer } = header.source ? remoteOf(header.source) : connection;
        return {
          address,
          peer,
          read: readBehind(bytes.subarray(header.size), connection),
          write: (piece) => connection.write(piece),
          closeWrite: () => connection.closeWrite(),
          close: () => connection.close(),
        };
      }
      const length = await connection.read(buffer);
      if (length === null) break;
      bytes = concat([bytes, buffer.subarray(0, length)]);
    }
  } catch {
    // It is lost, or its time is over.
  } finally {
    deadline.close();
  }
  return { wrong: `${bytes.length} bytes of a header came, ${end}` };
}

/** Reads these bytes first. */
function readBehind(bytes: Uint8Array, connection: Connection): Connection["read"] {
  return (p) => {
    if (bytes.length === 0) return connection.read(p);
    const length = fill(p, bytes);
    bytes = bytes.subarray(length);
    return Promise.resolve(length);
  };
}
