// @ts-check
/** What a typed line means for the mail, on the page as in the terminal. Pure. */

/**
 * A line that goes to all, or to one, or that can't be sent.
 * @typedef {{ readonly kind: "all", readonly text: string }
 *   | { readonly kind: "one", readonly to: string, readonly text: string }
 *   | { readonly kind: "wrong", readonly why: string }} Message
 */

/** How one person is written to. */
export const TO_ONE = 'To one person: @Bob hi, or @"A b" hi for a name with blanks';

/**
 * Parses a line that is no order; `@@` begins a text with an at sign.
 * @param {string} line
 * @returns {Message}
 */
export function parseMessage(line) {
  if (line.startsWith("@@")) return { kind: "all", text: line.slice(1) };
  return line.startsWith("@") ? parseDirect(line) : { kind: "all", text: line };
}

/**
 * @param {string} line
 * @returns {Message}
 */
function parseDirect(line) {
  const match = /^@(?:("(?:[^"\\]|\\.)*")|([^\s"]\S*)) (.*)$/u.exec(line);
  if (match === null) return { kind: "wrong", why: TO_ONE };
  const [, quoted = "", plain, text = ""] = match;
  try {
    return { kind: "one", to: plain ?? JSON.parse(quoted), text };
  } catch {
    return { kind: "wrong", why: `${quoted} is no name: between quotes, write \\" and \\\\` };
  }
}

/**
 * How many symbols the server counts in a text: code points, as Python does.
 * @param {string} text
 */
export function countSymbols(text) {
  return [...text].length;
}

/**
 * What is too long, in words; `undefined` where nothing is.
 * @param {string} what
 * @param {string} text
 * @param {number} symbolsMax
 */
export function tooLong(what, text, symbolsMax) {
  const symbols = countSymbols(text);
  return symbols > symbolsMax
    ? `The ${what} is too long: ${symbols} symbols, at most ${symbolsMax} are allowed`
    : undefined;
}
