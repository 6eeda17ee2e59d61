/** Headers of the PROXY protocol, version 2, as the tests send them. */
import { concat } from "@std/bytes";
import { PROXY_SIGNATURE } from "../../lib/protocol/proxy_protocol.ts";

/** A header with these fields. By default its length is the size of the rest. */
export function header(
  kind: number,
  family: number,
  rest: readonly number[] = [],
  length = rest.length,
): Uint8Array {
  const fields = [kind, family, length >> 8, length & 255];
  return concat([PROXY_SIGNATURE, Uint8Array.from([...fields, ...rest])]);
}

/** The rest of a header for TCP over IPv4: the client's address, the proxy's, their ports. */
export function tcp4(address: string, port: number): number[] {
  return [...address.split(".").map(Number), 10, 9, 9, 9, port >> 8, port & 255, 0x7a, 0x69];
}

/** The rest of a header for TCP over IPv6. `digits` are the 32 of the client's address. */
export function tcp6(digits: string, port: number): number[] {
  const proxy = Array.from({ length: 16 }, () => 9);
  return [...Uint8Array.fromHex(digits), ...proxy, port >> 8, port & 255, 0x7a, 0x69];
}

/** The header of a connection for a client with this address. */
export function from(address: string, port = 50_000): Uint8Array {
  return header(0x21, 0x11, tcp4(address, port));
}

/** The header of a connection of the proxy itself, such as a health check. */
export const LOCAL = header(0x20, 0x00);
