/** Bytes to texts: strictly, and at little cost. Pure. */

/** What `Buffer.toString` calls, without a buffer being made for it: a fifth of a decoder's cost. */
type Utf8Slice = (this: Uint8Array, start: number, end: number) => string;
/** Got when it is first needed: who asks for the global `Buffer` loads it, 4 ms of a server's start. */
let utf8Slice: Utf8Slice | undefined;
/** UTF-8 as Python reads it: a byte order mark is a symbol, surrogates and overlong forms are not. */
const strictDecoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** The text of these bytes, with U+FFFD for what is not UTF-8. */
function decodeAny(bytes: Uint8Array, start: number, end: number): string {
  utf8Slice ??= (Buffer.prototype as unknown as { utf8Slice: Utf8Slice }).utf8Slice;
  return utf8Slice.call(bytes, start, end);
}

/** The text of these bytes; `undefined` where it is not all ASCII. */
export function decodeAscii(bytes: Uint8Array, start: number, end: number): string | undefined {
  const text = decodeAny(bytes, start, end);
  return text.length === end - start && !text.includes("\ufffd") ? text : undefined;
}

/** The text of these bytes; `undefined` where it is not UTF-8. */
export function decode(bytes: Uint8Array, start: number, end: number): string | undefined {
  const text = decodeAny(bytes, start, end);
  if (!text.includes("\ufffd")) return text;
  try {
    return strictDecoder.decode(bytes.subarray(start, end));
  } catch {
    return undefined;
  }
}

/** The texts of at most so many bytes are remembered by {@link decodeShort}. */
export const SHORT_BYTES = 16;
/** So many of them at most, each in the place that its bytes lead to. */
const SHORT_TEXTS = 1_024;
const shortTexts: string[] = Array(SHORT_TEXTS).fill("");
/** Their bytes, which are compared in a third of the time of a text's letters, and how many they are. */
const shortBytes = new Uint8Array(SHORT_TEXTS * SHORT_BYTES);
const shortLengths = new Uint8Array(SHORT_TEXTS);

/** The same for a short text, a name mostly: the same few come again and again. */
export function decodeShort(bytes: Uint8Array, start: number, end: number): string | undefined {
  let hash = 0;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  const place = (hash ^ hash >>> 16) & SHORT_TEXTS - 1;
  if (isRemembered(place, bytes, start, end)) return shortTexts[place];
  const text = decode(bytes, start, end);
  if (text === undefined) return undefined;
  shortTexts[place] = text;
  shortLengths[place] = end - start;
  shortBytes.set(bytes.subarray(start, end), place * SHORT_BYTES);
  return text;
}

function isRemembered(place: number, bytes: Uint8Array, start: number, end: number): boolean {
  if (shortLengths[place] !== end - start) return false;
  const shift = place * SHORT_BYTES - start;
  for (let i = start; i < end; i++) if (bytes[i] !== shortBytes[i + shift]) return false;
  return true;
}
