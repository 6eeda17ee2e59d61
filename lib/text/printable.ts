/**
 * Text and bytes from the wire, escaped so that they are safe to show: a message must not move the
 * cursor of a terminal, break a line of the log, or look like another name. The server sends names and
 * texts as they are: each program that shows them escapes them.
 */

/**
 * Controls, line and paragraph separators, marks that change the direction of writing, and symbols
 * that are invisible. Joiners, selectors and tags stay: emoji and some scripts are made of them.
 */
const UNSAFE =
  /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]|(?![\u200c\u200d\ufe00-\ufe0f\u{e0020}-\u{e007f}])\p{Default_Ignorable_Code_Point}/gu;

/** The text with each UTF-16 unit of an unsafe symbol written as `\uXXXX`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, escapeSymbol);
}

function escapeSymbol(symbol: string): string {
  const units = Array.from({ length: symbol.length }, (_, at) => symbol.charCodeAt(at));
  return units.map((unit) => "\\u" + unit.toString(16).padStart(4, "0")).join("");
}

/** The text as a JSON string that is safe to print, quotes included. */
export function quoted(text: string): string {
  return printable(JSON.stringify(text));
}

/** The first `max` bytes in hex, with blanks between them; ` ...` follows if there are more. */
export function hex(bytes: Uint8Array, max = 32): string {
  const pairs = Array.from(bytes.subarray(0, max), (byte) => byte.toString(16).padStart(2, "0"));
  return pairs.join(" ") + (bytes.length > max ? " ..." : "");
}
