/** A TCP connection, made by a client or by a proxy for a client. */
import { concat, copy } from "@std/bytes";
import { Deadline } from "./deadline.ts";
import { closeQuietly, type Connection, type Remote } from "./transport.ts";
import { formatHostPort, type SocketAddress, unmapped } from "../protocol/ip.ts";
import { parseProxyHeader } from "../protocol/proxy_protocol.ts";

/** The header of a proxy is read in chunks of at most this size. */
const READ_BYTES = 512;

/** The other end as the system names it, but an IPv4 address is never written as IPv6. */
export function remoteOf({ hostname, port }: SocketAddress): Remote {
  const address = unmapped(hostname);
  return { address, peer: formatHostPort({ hostname: address, port }) };
}

/** A TCP connection. As a class it needs no closure for each method: there may be thousands. */
export class TcpConnection implements Connection {
  readonly address: string;
  readonly peer: string;
  readonly #conn: Deno.TcpConn;

  /** `noDelay`: written bytes leave at once, even while earlier ones are not acknowledged. */
  constructor(conn: Deno.TcpConn, noDelay: boolean) {
    this.#conn = conn;
    const { address, peer } = remoteOf(conn.remoteAddr);
    this.address = address;
    this.peer = peer;
    try {
      conn.setNoDelay(noDelay);
    } catch {
      // The connection is reset already: the first read throws the reason.
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
 * Reads the PROXY protocol header with which a connection of a proxy begins, for at most `seconds`
 * seconds. Resolves to the connection behind it, with the address of the user, or to a sentence
 * without its full stop that says what is wrong. Never throws.
 */
export async function readProxyHeader(
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
  deadline.set(1_000 * seconds);
  try {
    for (;;) {
      const header = parseProxyHeader(bytes);
      if (header.kind === "wrong") return { wrong: header.text };
      if (header.kind === "whole") {
        const { address, peer } = header.source ? remoteOf(header.source) : connection;
        return {
          address,
          peer,
          isProxied: true,
          read: readAfter(bytes.subarray(header.size), connection),
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
    // The connection is lost, or its time is over.
  } finally {
    deadline.close();
  }
  return { wrong: `${bytes.length} bytes of a header came, ${end}` };
}

/** Reads these bytes, and then the connection. */
function readAfter(bytes: Uint8Array, connection: Connection): Connection["read"] {
  return (p) => {
    if (bytes.length === 0) return connection.read(p);
    const length = copy(bytes, p);
    bytes = bytes.subarray(length);
    return Promise.resolve(length);
  };
}
