/**
 * Text and bytes from the wire, made safe to print: nobody may paint another's screen or log.
 */

/** The text with everything that could move a cursor or turn its direction written as `\uXXXX`. */
export function printable(text: string): string {
  // Controls, line and paragraph separators, direction overrides, and what is invisible; but not the
  // joiners, selectors and tags that emoji and some scripts are made of. Compiled when it is needed:
  // that takes 1 ms, which a server's start would wait for.
  const unsafe =
    /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]|(?![\u200c\u200d\ufe00-\ufe0f\u{e0020}-\u{e007f}])\p{Default_Ignorable_Code_Point}/gu;
  return text.replace(unsafe, escapeSymbol);
}

function escapeSymbol(symbol: string): string {
  const units = Array.from({ length: symbol.length }, (_, at) => symbol.charCodeAt(at));
  return units.map((unit) => "\\u" + unit.toString(16).padStart(4, "0")).join("");
}

/** The text as a JSON string that is safe to print, quotes included. */
export function quoted(text: string): string {
  return printable(JSON.stringify(text));
}

/** The first `max` bytes in hex, parted by blanks; ` ...` follows where there are more. */
export function hex(bytes: Uint8Array, max = 32): string {
  const pairs = Array.from(bytes.subarray(0, max), (byte) => byte.toString(16).padStart(2, "0"));
  return pairs.join(" ") + (bytes.length > max ? " ..." : "");
}
