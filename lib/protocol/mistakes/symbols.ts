/** Lengths that count symbols in place of bytes. Pure. */
import { concat } from "@std/bytes";
import { countSymbols } from "../../text/symbols.ts";
import { LENGTH_BYTES, readLength } from "../frame.ts";
import { type Evidence, framesFit, shown, SYMBOL_BYTES_MAX, utf8 } from "./evidence.ts";
import type { Finding } from "./finding.ts";

/** The mistake of a client whose lengths count symbols. */
export function symbolsCounted(seen: Evidence): Finding | undefined {
  const previous = seen.past.at(-1)?.payload;
  if (previous === undefined || !previous.some((byte) => byte >= 0x80)) return undefined;
  const whole = [1, 2].map((units) => wholeText(seen, previous, units)).find(Boolean);
  if (whole === undefined) return undefined;
  const rule = `The length before counts symbols, not bytes: it said ${previous.length}, but the ` +
    "text went on. Encode the text to UTF-8 first, then count its bytes";
  return { code: "symbols-counted", rule, seen: `The text is ${shown(whole)}` };
}

/**
 * The bytes of a text whose length counts symbols, of which one of 4 bytes counts as `units` (2 in
 * UTF-16); `undefined` if they are no such text.
 */
function wholeText(seen: Evidence, previous: Uint8Array, units: number): Uint8Array | undefined {
  const joined: Uint8Array = concat([previous, seen.bytes]);
  const end = endOfSymbols(joined, previous.length, units);
  if (end <= previous.length) return undefined;
  const whole = joined.subarray(0, end);
  const text = utf8(whole);
  if (text === undefined || /(?![\t\n\r])\p{Cc}/u.test(text)) return undefined;
  const next = joined.subarray(end);
  const role = seen.expected;
  const goesOn = framesFit(seen, joined, end, role) ||
    (next.length >= LENGTH_BYTES && readLength(next) <= seen.bytesMax && role !== "command");
  const isReached = countSymbols(text) >= previous.length || text.length >= previous.length;
  const isCut = joined.subarray(previous.length, end).some((byte) => byte >= 0x80);
  const isExact = next.length === 0 && countSymbols(text) === previous.length;
  const isAll = next.length < LENGTH_BYTES && (isExact || (isCut && isReached));
  return goesOn || isAll ? whole : undefined;
}

/** The offset behind the first `count` symbols of UTF-8, at most the end. */
function endOfSymbols(bytes: Uint8Array, count: number, units: number): number {
  let end = 0;
  for (let left = count; left > 0 && end < bytes.length;) {
    const first = bytes[end]!;
    end += first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : SYMBOL_BYTES_MAX;
    left -= first < 0xf0 ? 1 : units;
  }
  return Math.min(end, bytes.length);
}
