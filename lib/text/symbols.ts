/** Symbols (Unicode code points), in which the protocol counts the lengths of names and texts. */

/** The number of symbols in a text, as Python's `len` counts them. */
export function countSymbols(text: string): number {
  return [...text].length;
}

/** Has the text more symbols than `max`? A symbol is one or two UTF-16 units long. */
export function hasMoreSymbols(text: string, max: number): boolean {
  if (text.length <= max) return false;
  return text.length > 2 * max || countSymbols(text) > max;
}

/** The first `max` symbols of a text; `...` follows if there are more. */
export function clip(text: string, max = 40): string {
  const symbols = [...text];
  return symbols.length > max ? symbols.slice(0, max).join("") + "..." : text;
}

/** Tells the user that a name or text has more than `max` symbols; `undefined` if it has not. */
export function tooLong(what: "name" | "text", text: string, max: number): string | undefined {
  const symbols = countSymbols(text);
  return symbols > max
    ? `The ${what} is too long: ${symbols} symbols, at most ${max} are allowed`
    : undefined;
}
