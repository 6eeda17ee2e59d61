/** Decodes UTF-8 as strictly as Python does. Pure. */

/**
 * Decodes a payload; `undefined` if it is not UTF-8. The server uses a faster decoder
 * (`server/fast_utf8.ts`), which the tests hold against {@link decodeUtf8}.
 */
export type Decode = (payload: Uint8Array) => string | undefined;

/** A byte order mark is a symbol like any other. Surrogates and overlong forms are errors. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** The plain decoder. */
export const decodeUtf8: Decode = (payload) => {
  try {
    return decoder.decode(payload);
  } catch {
    return undefined;
  }
};
