// @ts-check
/**
 * Text and bytes from the wire, made safe to show: nobody may paint another's screen, page or log,
 * or bear a name that looks like another's. Pure.
 */

/**
 * The text with everything that could move a cursor or turn its direction written as `\uXXXX`.
 * @param {string} text
 */
export function printable(text) {
  // Controls, line and paragraph separators, direction overrides, and what is invisible; but not the
  // joiners, selectors and tags that emoji and some scripts are made of. Compiled when it is needed:
  // that takes 1 ms, which a server's start would wait for.
  const unsafe =
    /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]|(?![\u200c\u200d\ufe00-\ufe0f\u{e0020}-\u{e007f}])\p{Default_Ignorable_Code_Point}/gu;
  return text.replace(unsafe, escapeSymbol);
}

/** @param {string} symbol */
function escapeSymbol(symbol) {
  const units = Array.from({ length: symbol.length }, (_, at) => symbol.charCodeAt(at));
  return units.map((unit) => "\\u" + unit.toString(16).padStart(4, "0")).join("");
}

/**
 * The text as a JSON string that is safe to print, quotes included.
 * @param {string} text
 */
export function quoted(text) {
  return printable(JSON.stringify(text));
}

/**
 * The first `max` bytes in hex, parted by blanks; ` ...` follows where there are more.
 * @param {Uint8Array} bytes
 */
export function hex(bytes, max = 32) {
  const pairs = Array.from(bytes.subarray(0, max), (byte) => byte.toString(16).padStart(2, "0"));
  return pairs.join(" ") + (bytes.length > max ? " ..." : "");
}
