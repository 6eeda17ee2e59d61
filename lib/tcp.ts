/** A TCP connection as the server sees every connection, also when a proxy has made it. */
import { concat } from "@std/bytes";
import { closeQuietly, type Connection } from "./connection.ts";
import { Deadline } from "./deadline.ts";
import type { ByteReader } from "./frame_stream.ts";
import { parseProxyHeader } from "./proxy_header.ts";

/** What is read at once: little for who is idle, more for who sends much. */
const READ_BYTES = 512;
const READ_BYTES_MAX = 16_384;

/** The address of the other end, and with the port; an IPv4 one that is written as IPv6 is IPv4. */
export function remoteOf(
  { hostname, port }: Pick<Deno.NetAddr, "hostname" | "port">,
): { address: string; peer: string } {
  const address = hostname.replace(/^::ffff:(?=\d+\.)/, "");
  return { address, peer: address.includes(":") ? `[${address}]:${port}` : `${address}:${port}` };
}

/** A TCP connection; a class, as thousands of them cost less memory without a closure for each method. */
export class TcpConnection implements Connection, ByteReader {
  readonly address: string;
  readonly peer: string;
  readonly #conn: Deno.TcpConn;
  #buffer = new Uint8Array(READ_BYTES);

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

  get reader(): ByteReader {
    return this;
  }

  /**
   * Reads the bytes as they come. Each chunk is a view of one buffer, valid until the next is asked
   * for; `conn.readable`, with new memory for every chunk, serves less than half the requests a second.
   */
  read(): Promise<ReadableStreamReadResult<Uint8Array>> {
    return this.#conn.read(this.#buffer).then(this.#take);
  }

  readonly #take = (length: number | null): ReadableStreamReadResult<Uint8Array> => {
    if (length === null) return { done: true };
    const buffer = this.#buffer;
    const value = buffer.subarray(0, length);
    if (length === buffer.length && length < READ_BYTES_MAX) {
      this.#buffer = new Uint8Array(Math.min(4 * length, READ_BYTES_MAX));
    } else if (8 * length < buffer.length && buffer.length > READ_BYTES) {
      this.#buffer = new Uint8Array(READ_BYTES);
    }
    return { done: false, value };
  };

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
        const { size, source } = header;
        const reader = readerBehind(bytes.subarray(size), connection.reader);
        return {
          ...(source === undefined ? connection : remoteOf(source)),
          reader,
          write: (piece) => connection.write(piece),
          closeWrite: () => connection.closeWrite(),
          close: () => connection.close(),
        };
      }
      const next = await connection.reader.read();
      if (next.done) break;
      bytes = concat([bytes, next.value]);
    }
  } catch {
    // It is lost, or its time is over.
  } finally {
    deadline.close();
  }
  return { wrong: `${bytes.length} bytes of a header came, ${end}` };
}

/** Reads these bytes first. */
function readerBehind(bytes: Uint8Array, reader: ByteReader): ByteReader {
  if (bytes.length === 0) return reader;
  let first: Uint8Array | undefined = bytes;
  return {
    read() {
      if (first === undefined) return reader.read();
      const value = first;
      first = undefined;
      return Promise.resolve({ done: false, value });
    },
  };
}
