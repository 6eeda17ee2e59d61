/** A decoder of UTF-8 for short texts, at a fifth of the cost of `TextDecoder`. */
import { Buffer } from "node:buffer";
import { type Decode, decodeUtf8 } from "../protocol/utf8.ts";

/** The function that `Buffer.toString` calls. It needs no `Buffer` around the bytes. */
const utf8Slice: (this: Uint8Array, start: number, end: number) => string = Reflect.get(
  Buffer.prototype,
  "utf8Slice",
);

/**
 * Decodes as {@link decodeUtf8} does. `utf8Slice` writes U+FFFD for bytes that are not UTF-8, but a
 * text may also hold that symbol.
 */
export const decodeFast: Decode = (bytes, start, end) => {
  const text = utf8Slice.call(bytes, start, end);
  return text.includes("\ufffd") ? decodeUtf8(bytes, start, end) : text;
};
