/** Decodes UTF-8 as strictly as Python does. Pure. */

/**
 * Decodes `bytes` from `start` to before `end`; `undefined` if they are not UTF-8. The server uses
 * a faster decoder (`server/fast_utf8.ts`), which the tests hold against {@link decodeUtf8}.
 */
export type Decode = (bytes: Uint8Array, start: number, end: number) => string | undefined;

/** A byte order mark is a symbol like any other. Surrogates and overlong forms are errors. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** The plain decoder. */
export const decodeUtf8: Decode = (bytes, start, end) => {
  try {
    return decoder.decode(bytes.subarray(start, end));
  } catch {
    return undefined;
  }
};
