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

/** All symbols that show nothing, joiners too, and every blank but the one of the space bar. */
export const INVISIBLE =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\ufffc]|[^\P{Zs} ]/gu;

/** Blanks that cannot be seen: at an end, or behind another blank. */
const HIDDEN_BLANK = /^ | $|(?<= ) /g;

/** A text of mail, with each UTF-16 unit of an unsafe symbol written as `\uXXXX`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, escapeSymbol);
}

/**
 * A name, or a reply that holds names, with everything escaped that can't be seen, and `\` as `\\`: two
 * names that are not the same look different. (Letters of two scripts may still look alike.)
 */
export function printableName(name: string): string {
  const escaped = name.replaceAll("\\", "\\\\");
  // Two spellings of one letter: é, and e with a mark behind it.
  const isOneSpelling = escaped === escaped.normalize();
  const spelled = isOneSpelling ? escaped : escaped.replace(/[^\0-\x7f]/gu, escapeSymbol);
  return spelled.replace(INVISIBLE, escapeSymbol).replace(HIDDEN_BLANK, escapeSymbol);
}

/** The name that {@link printableName} has made this of. What is no escape stays as it is. */
export function parsePrintableName(shown: string): string {
  return shown.replace(
    /\\(?:(\\)|u([0-9a-f]{4}))/g,
    (_, backslash: string | undefined, unit: string) =>
      backslash ?? String.fromCharCode(parseInt(unit, 16)),
  );
}

function escapeSymbol(symbol: string): string {
  const units = Array.from({ length: symbol.length }, (_, at) => symbol.charCodeAt(at));
  return units.map((unit) => "\\u" + unit.toString(16).padStart(4, "0")).join("");
}

/** The value as JSON that shows each symbol. Of a text, the quotes are included. */
export function quoted(value: string | object): string {
  return JSON.stringify(value).replace(INVISIBLE, escapeSymbol);
}

/** The first `max` bytes in hex, with blanks between them; ` ...` follows if there are more. */
export function hex(bytes: Uint8Array, max = 32): string {
  const pairs = Array.from(bytes.subarray(0, max), (byte) => byte.toString(16).padStart(2, "0"));
  return pairs.join(" ") + (bytes.length > max ? " ..." : "");
}
