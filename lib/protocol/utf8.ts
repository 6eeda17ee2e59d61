/** UTF-8 to texts, as strictly as Python reads it. */

/**
 * Decodes `bytes` from `start` to before `end`; `undefined` where they are not UTF-8. The server
 * passes a faster one (`server/fast_utf8`), which the tests hold against {@link decodeUtf8}.
 */
export type Decode = (bytes: Uint8Array, start: number, end: number) => string | undefined;

/** A byte order mark is a symbol like any other; surrogates and overlong forms are not UTF-8. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** The plain decoder. */
export const decodeUtf8: Decode = (bytes, start, end) => {
  try {
    return decoder.decode(bytes.subarray(start, end));
  } catch {
    return undefined;
  }
};
