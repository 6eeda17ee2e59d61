/**
 * Reads the header in which a proxy tells the address of its client: the PROXY protocol of HAProxy,
 * version 2, for TCP. Pure.
 */
import { formatAddress, type SocketAddress } from "./ip.ts";
import { hex } from "../text/printable.ts";

/** The first bytes of every header. */
export const PROXY_SIGNATURE = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10);
/** The first bytes of a header of version 1, which is a line of text and is not supported. */
const SIGNATURE_1 = new TextEncoder().encode("PROXY ");
/** The fixed part: signature (12), version and command (1), family (1), length of the rest (2). */
const FIXED_BYTES = 16;
/** A longer header is an error. The addresses take at most 36 bytes; the rest is ignored. */
const HEADER_BYTES_MAX = 4_096;

const LOCAL = 0;
const PROXY = 1;
const UNSPEC = 0x00;
const TCP4 = 0x11;
const TCP6 = 0x21;
/** The bytes of two addresses and two ports, by family. */
const ADDRESSES_BYTES = new Map([[UNSPEC, 0], [TCP4, 12], [TCP6, 36]]);

/** The header that the first bytes of a connection hold. */
export type ProxyHeader =
  /** More bytes are needed. */
  | { readonly kind: "incomplete" }
  /** Not a valid header: `text` is a sentence without a full stop. It holds no text of a mail. */
  | { readonly kind: "wrong"; readonly text: string }
  /**
   * A valid header of `size` bytes. `source` is the client; `undefined` if the proxy connects for
   * itself or does not know the client.
   */
  | { readonly kind: "whole"; readonly size: number; readonly source: SocketAddress | undefined };

/** Reads the header of a connection. `bytes` are all bytes that have arrived on it. */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader {
  const equal = countEqual(bytes, PROXY_SIGNATURE);
  if (equal < Math.min(bytes.length, PROXY_SIGNATURE.length)) {
    return withoutSignature(bytes, equal);
  }
  const text = wrongField(bytes);
  if (text !== undefined) return { kind: "wrong", text };
  const size = sizeOf(bytes);
  if (bytes.length < size) return { kind: "incomplete" };
  return { kind: "whole", size, source: sourceOf(bytes) };
}

/** The number of bytes at the beginning that are those of a signature. */
function countEqual(bytes: Uint8Array, signature: Uint8Array): number {
  const other = signature.findIndex((byte, at) => byte !== bytes[at]);
  return other < 0 ? signature.length : other;
}

/** The header of bytes whose first `equal` are those of the signature, but not all. */
function withoutSignature(bytes: Uint8Array, equal: number): ProxyHeader {
  const equal1 = countEqual(bytes, SIGNATURE_1);
  if (equal1 === SIGNATURE_1.length) {
    return { kind: "wrong", text: "A header of version 1 came, which is text" };
  }
  if (equal1 === bytes.length) return { kind: "incomplete" };
  const [seen, expected] = [bytes, PROXY_SIGNATURE].map((all) =>
    hex(all.subarray(equal, equal + 1))
  );
  return { kind: "wrong", text: `No header came: byte ${equal + 1} is ${seen}, not ${expected}` };
}

/** The size of the whole header in bytes, or of its fixed part while the length is missing. */
function sizeOf(bytes: Uint8Array): number {
  const [high, low] = bytes.subarray(FIXED_BYTES - 2);
  return low === undefined ? FIXED_BYTES : FIXED_BYTES + (high! << 8 | low);
}

/** What is wrong with the fields behind the signature; `undefined` if nothing is. */
function wrongField(bytes: Uint8Array): string | undefined {
  const [first = 2 << 4, family = UNSPEC] = bytes.subarray(PROXY_SIGNATURE.length);
  const [version, command] = [first >> 4, first & 15];
  if (version !== 2) return `A header of version ${version} came`;
  if (command > PROXY) {
    return `A header with the command ${command} came, which is not LOCAL (0) and not PROXY (1)`;
  }
  const needed = command === LOCAL ? 0 : ADDRESSES_BYTES.get(family);
  if (needed === undefined) {
    return `A header for the family ${hex(Uint8Array.of(family))} came, which is not TCP over ` +
      "IPv4 (11) and not TCP over IPv6 (21)";
  }
  const size = sizeOf(bytes);
  if (size > HEADER_BYTES_MAX) {
    return `A header of ${size} bytes came, over the limit of ${HEADER_BYTES_MAX}`;
  }
  if (bytes.length >= FIXED_BYTES && size < FIXED_BYTES + needed) {
    return `A header of ${size} bytes came, whose addresses take ${FIXED_BYTES + needed}`;
  }
  return undefined;
}

/** The client of the proxy. The addresses of client and proxy come first, then their ports. */
function sourceOf(bytes: Uint8Array): SocketAddress | undefined {
  const [first, family] = bytes.subarray(PROXY_SIGNATURE.length);
  if ((first! & 15) === LOCAL || family === UNSPEC) return undefined;
  const size = family === TCP4 ? 4 : 16;
  const block = bytes.subarray(FIXED_BYTES);
  const [high = 0, low = 0] = block.subarray(2 * size);
  return { hostname: formatAddress(block.subarray(0, size)), port: high << 8 | low };
}
