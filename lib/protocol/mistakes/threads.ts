/** Frames of several threads that are mixed. Pure. */
import { LENGTH_BYTES, readLength } from "../frame.ts";
import { type Evidence, isCommand, isReadable } from "./evidence.ts";
import type { Finding } from "./finding.ts";

/** At most this many frames of threads are looked for. */
const THREADS_MAX = 4;

/** Several lengths one behind the other, then their texts: threads write to one socket. */
export function twoThreads(seen: Evidence): Finding | undefined {
  if (seen.expected !== "command") return undefined;
  const lengths: number[] = [];
  for (let at = 0; lengths.length < THREADS_MAX; at += LENGTH_BYTES) {
    if (seen.bytes.length - at < LENGTH_BYTES) break;
    const length = readLength(seen.bytes, at);
    if (length === 0 || length > seen.bytesMax) break;
    lengths.push(length);
    const texts = seen.bytes.subarray(at + LENGTH_BYTES);
    if (lengths.length < 2 || !areTexts(seen, texts, lengths)) continue;
    const rule = `${lengths.length} lengths came one behind the other, then their texts. Do ` +
      "two threads write to one socket? Put each frame, its length and its text, into one buffer " +
      "and send it by one call, under a lock";
    return { code: "two-threads", rule };
  }
  return undefined;
}

/** Are these bytes texts of these lengths, in this order or with the last one first? */
function areTexts(seen: Evidence, bytes: Uint8Array, lengths: readonly number[]): boolean {
  return [lengths, lengths.toReversed()].some((order) => {
    const total = order.reduce((sum, length) => sum + length, 0);
    return bytes.length >= total && isCommand(seen, bytes.subarray(0, order[0])) &&
      isReadable(bytes.subarray(0, total));
  });
}
