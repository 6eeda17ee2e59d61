/** Headers of the PROXY protocol, version 2, as the tests send them. */
import { concat } from "@std/bytes";
import { PROXY_SIGNATURE } from "../../lib/protocol/proxy_protocol.ts";

/** A header of these fields; the length is that of the rest, where none is given. */
export function header(
  kind: number,
  family: number,
  rest: readonly number[] = [],
  length = rest.length,
): Uint8Array {
  const fields = [kind, family, length >> 8, length & 255];
  return concat([PROXY_SIGNATURE, Uint8Array.from([...fields, ...rest])]);
}

/** The rest of a header for TCP over IPv4: the user's address, the proxy's, their ports. */
export function tcp4(address: string, port: number): number[] {
  return [...address.split(".").map(Number), 10, 9, 9, 9, port >> 8, port & 255, 0x7a, 0x69];
}

/** The rest of a header for TCP over IPv6; the address has all its 32 digits. */
export function tcp6(digits: string, port: number): number[] {
  const bytes = Array.from(digits.match(/../g)!, (pair) => parseInt(pair, 16));
  const proxy = Array.from({ length: 16 }, () => 9);
  return [...bytes, ...proxy, port >> 8, port & 255, 0x7a, 0x69];
}

/** The header of a connection that a user makes from here. */
export function from(address: string, port = 50_000): Uint8Array {
  return header(0x21, 0x11, tcp4(address, port));
}

/** The header of a connection that the proxy makes for itself, as for a health check. */
export const LOCAL = header(0x20, 0x00);
