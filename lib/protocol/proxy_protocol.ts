/**
 * The header by which a proxy says for whom it connects: the PROXY protocol of HAProxy, version 2,
 * for TCP. Pure.
 */
import { formatAddress, type SocketAddress } from "./ip.ts";
import { hex } from "../text/printable.ts";

/** The first bytes of every header. */
export const PROXY_SIGNATURE = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10);
/** The first bytes of a header of version 1, which is a line of text. */
const SIGNATURE_1 = new TextEncoder().encode("PROXY ");
/** The signature, version and command, family, length of the rest. */
const FIXED_BYTES = 16;
/** A longer header is refused. The addresses take up to 36 bytes, what follows them is skipped. */
const BYTES_MAX = 4_096;

const LOCAL = 0;
const PROXY = 1;
const UNSPEC = 0x00;
const TCP4 = 0x11;
const TCP6 = 0x21;
/** The bytes of two addresses and two ports. */
const BLOCK_BYTES = new Map([[UNSPEC, 0], [TCP4, 12], [TCP6, 36]]);

/** What the first bytes of a connection say. */
export type ProxyHeader =
  | { readonly kind: "incomplete" }
  /** What came, as a sentence without its end; it holds no text of a mail. */
  | { readonly kind: "wrong"; readonly text: string }
  /** Without a source the proxy connects for itself, or can't say for whom. */
  | { readonly kind: "whole"; readonly size: number; readonly source: SocketAddress | undefined };

/** Reads the header at the beginning of all that has come. */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader {
  const same = agreeing(bytes, PROXY_SIGNATURE);
  if (same < Math.min(bytes.length, PROXY_SIGNATURE.length)) return withoutSignature(bytes, same);
  const text = wrongField(bytes);
  if (text !== undefined) return { kind: "wrong", text };
  const size = sizeOf(bytes);
  if (bytes.length < size) return { kind: "incomplete" };
  return { kind: "whole", size, source: sourceOf(bytes) };
}

/** How many of the first bytes are those of a signature. */
function agreeing(bytes: Uint8Array, signature: Uint8Array): number {
  const other = signature.findIndex((byte, at) => byte !== bytes[at]);
  return other < 0 ? signature.length : other;
}

function withoutSignature(bytes: Uint8Array, same: number): ProxyHeader {
  const same1 = agreeing(bytes, SIGNATURE_1);
  if (same1 === SIGNATURE_1.length) {
    return { kind: "wrong", text: "A header of version 1 came, which is text" };
  }
  if (same1 === bytes.length) return { kind: "incomplete" };
  const [seen, expected] = [bytes, PROXY_SIGNATURE].map((all) => hex(all.subarray(same, same + 1)));
  return { kind: "wrong", text: `No header came: byte ${same + 1} is ${seen}, not ${expected}` };
}

/** The fixed part and the bytes that follow it, or the least that may come. */
function sizeOf(bytes: Uint8Array): number {
  const [high, low] = bytes.subarray(FIXED_BYTES - 2);
  return low === undefined ? FIXED_BYTES : FIXED_BYTES + (high! << 8 | low);
}

function wrongField(bytes: Uint8Array): string | undefined {
  const [first = 2 << 4, family = UNSPEC] = bytes.subarray(PROXY_SIGNATURE.length);
  const [version, command] = [first >> 4, first & 15];
  if (version !== 2) return `A header of version ${version} came`;
  if (command > PROXY) {
    return `A header with the command ${command} came, which is not LOCAL (0) and not PROXY (1)`;
  }
  const needed = command === LOCAL ? 0 : BLOCK_BYTES.get(family);
  if (needed === undefined) {
    return `A header for the family ${hex(Uint8Array.of(family))} came, which is not TCP over ` +
      "IPv4 (11) and not TCP over IPv6 (21)";
  }
  const size = sizeOf(bytes);
  if (size > BYTES_MAX) return `A header of ${size} bytes came, over the limit of ${BYTES_MAX}`;
  if (bytes.length >= FIXED_BYTES && size < FIXED_BYTES + needed) {
    return `A header of ${size} bytes came, whose addresses take ${FIXED_BYTES + needed}`;
  }
  return undefined;
}

/** The user's end of the connection: the addresses of both ends come first, then their ports. */
function sourceOf(bytes: Uint8Array): SocketAddress | undefined {
  const [first, family] = bytes.subarray(PROXY_SIGNATURE.length);
  if ((first! & 15) === LOCAL || family === UNSPEC) return undefined;
  const size = family === TCP4 ? 4 : 16;
  const block = bytes.subarray(FIXED_BYTES);
  const [high = 0, low = 0] = block.subarray(2 * size);
  return { hostname: formatAddress(block.subarray(0, size)), port: high << 8 | low };
}
