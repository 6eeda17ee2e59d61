/** Reads bytes in hex, as people write them and as tools print them. */
import { UsageError } from "../errors.ts";
import { quoted } from "../text/printable.ts";
import { clip } from "../text/symbols.ts";

const FORMATS = "--hex reads 05 00, 05:00, 0x05, {0x05, 0x00}, \\x05, b'\\x05', and what xxd, " +
  "xxd -i, hexdump -C and Wireshark print";

/** A line of a dump: the offset of its bytes, the bytes in hex, and the bytes as text. */
const XXD = /^([0-9a-f]+):((?: (?:[0-9a-f]{2})+)+)(?: {2}(.*))?$/i;
const HEXDUMP = /^([0-9a-f]{8,})((?: {1,2}[0-9a-f]{2})+) +\|(.*)\|$/i;
/** A line of a dump of Wireshark. Its text is cut off, or has dots for what can't be shown. */
const WIRESHARK = /^([0-9a-f]{4,8}) {2,3}((?:[0-9a-f]{2} )*[0-9a-f]{2})(?: {2,}(.*))?$/i;
/**
 * The begin of a string with escapes: `bytes` as Python shows them, a string of C, or what Wireshark
 * copies, a line for some of the bytes. Several that follow each other are one, as in both languages.
 */
const LITERAL = /(b?)(['"])/y;
/** What may stand between two of them: `\\` goes on in the next line. */
const BETWEEN_LITERALS = /\s*(?:\\\s*)?/y;
/** What stands in such a string: an escape of a byte, another one, or a symbol of ASCII. */
const IN_LITERAL = /\\x([0-9a-fA-F]{2})|\\([nrt0\\'"])(?![0-7])|([\x20-\x5b\x5d-\x7e])|(\\?[^])/g;
/** In a string of C all digits behind `\x` belong to it, in Python two. */
const C_ESCAPE = /\\x[0-9a-fA-F]{3,}/;
/** The value of each escape of one letter. */
const ESCAPES: Readonly<Record<string, number>> = {
  "n": 10,
  "r": 13,
  "t": 9,
  "0": 0,
  "\\": 92,
  "'": 39,
  '"': 34,
};
/** An array of C, as `xxd -i` and Wireshark write it, and the length that xxd writes behind it. */
const ARRAY = /\s*[^{}"';=]*=?\s*\{([^{}]*)\}\s*;?(?:\s*unsigned int \w+ = \d+;)?\s*/y;
/** A list in brackets, as of Rust and JavaScript. */
const LIST = /^\s*\[([^[\]]*)\]\s*;?\s*$/;
/** The last line of `hexdump`: the number of bytes. */
const HEXDUMP_END = /^([0-9a-f]{8,})$/i;
/** A longer line is no row: megabytes would overflow the stack of these expressions. */
const ROW_SYMBOLS_MAX = 1_024;

const DIGITS = /^[0-9a-f]+$/i;

/** The bytes of a text in hex. Throws {@link UsageError} with the place of what is no hex. */
export function parseHex(text: string): Uint8Array {
  const literals = literalsOf(text.trim());
  if (literals !== undefined) return Uint8Array.from(literals.flatMap(parseLiteral));
  const [first = ""] = text.trim().split("\n", 1);
  const format = [XXD, HEXDUMP, WIRESHARK].find((row) => match(row, first.trim()));
  return parseDigits(format === undefined ? withoutBraces(text) : text, format);
}

/** What stands in the braces of arrays, or the brackets of a list; else the text as it is. */
function withoutBraces(text: string): string {
  const plain = text.replace(/\/\*.*?\*\//gs, (comment) => comment.replace(/[^\n]/g, " "));
  const arrays = matchesInRow(ARRAY, plain);
  return arrays === undefined
    ? LIST.exec(plain)?.[1] ?? text
    : arrays.map(([, bytes]) => bytes).join("\n");
}

/** A string with escapes. */
interface Literal {
  readonly inside: string;
  /** `b` where Python shows bytes. */
  readonly prefix: string | undefined;
  readonly isPython: boolean;
}

/** The strings that are all of the text; `undefined` where something else is in it. */
function literalsOf(text: string): Literal[] | undefined {
  const literals: Literal[] = [];
  for (let at = 0; at < text.length;) {
    LITERAL.lastIndex = at;
    const [begin = "", prefix, quote = ""] = LITERAL.exec(text) ?? [];
    const end = begin === "" ? undefined : endOfLiteral(text, at + begin.length, quote);
    if (end === undefined) return undefined;
    const inside = text.slice(at + begin.length, end);
    literals.push({ inside, prefix, isPython: prefix === "b" || quote === "'" });
    BETWEEN_LITERALS.lastIndex = end + 1;
    BETWEEN_LITERALS.exec(text);
    at = BETWEEN_LITERALS.lastIndex;
  }
  // Digits in quotes are hex, unless Python or an escape says that they are text.
  const isCertain = literals.some(({ inside, prefix }) => prefix === "b" || inside.includes("\\"));
  return isCertain ? literals : undefined;
}

/** The index of the quote that ends a string. */
function endOfLiteral(text: string, start: number, quote: string): number | undefined {
  for (let at = start; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === quote) return at;
  }
  return undefined;
}

/** All matches of a sticky expression, where they are all of the text; else `undefined`. */
function matchesInRow(pattern: RegExp, text: string): RegExpExecArray[] | undefined {
  const found: RegExpExecArray[] = [];
  pattern.lastIndex = 0;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (match === null) return undefined;
    found.push(match);
  }
  return found;
}

/** The bytes of a string. Throws {@link UsageError} where they are not certain. */
function parseLiteral({ inside, isPython }: Literal): number[] {
  const [greedy] = (isPython ? undefined : C_ESCAPE.exec(inside)) ?? [];
  if (greedy !== undefined) {
    throw new UsageError(
      `${quoted(clip(greedy))} is one byte in Python and too much in C, which takes all digits ` +
        'behind \\x. Write b"…" for Python, or part the string: "\\x05" "abc"',
    );
  }
  return Array.from(inside.matchAll(IN_LITERAL), ([, pair, escape, letter, other]) => {
    if (other !== undefined) {
      throw new UsageError(`${quoted(clip(other))} is no byte in a string with \\x. ${FORMATS}`);
    }
    if (pair !== undefined) return parseInt(pair, 16);
    return escape === undefined ? letter!.charCodeAt(0) : ESCAPES[escape]!;
  });
}

function parseDigits(text: string, format: RegExp | undefined): Uint8Array {
  let digits = "";
  for (const [at, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "") continue;
    digits += format === undefined
      ? digitsOfWords(line, at + 1)
      : digitsOfRow(format, line.trim(), at + 1, digits.length / 2);
  }
  return Uint8Array.fromHex(digits);
}

function match(row: RegExp, line: string): RegExpExecArray | null {
  return line.length > ROW_SYMBOLS_MAX ? null : row.exec(line);
}

/** The digits of words such as `0x05`, or pairs of digits with or without `\x` before each. */
function digitsOfWords(line: string, number: number): string {
  const firstTwo: string[] = [];
  let digits = "";
  for (const { 0: given, index } of line.matchAll(/[^\s,]+/g)) {
    const word = /^[0-9a-f]{2}(?:[:-][0-9a-f]{2})+$/i.test(given)
      ? given.replace(/[:-]/g, "")
      : given;
    const isHex = /^0x[0-9a-f]{1,2}$/i.test(word) ||
      word.replace(/(?:\\x)?[0-9a-f]{2}/gi, "") === "";
    if (!isHex) throw refusal(`Line ${number}, column ${index + 1}`, word);
    if (firstTwo.length < 2 && firstTwo.push(word) === 2) refuseOffset(firstTwo, number);
    digits += word.replace(/^0x(?=.$)/i, "0").replace(/0x|\\x/gi, "");
  }
  return digits;
}

/** Throws where the first word is longer than the second: then it is an offset, not bytes. */
function refuseOffset([first = "", second = ""]: readonly string[], number: number): void {
  if (first.length <= second.length || !DIGITS.test(first)) return;
  const seen = `is ${quoted(clip(first))} an offset? It is longer than ${quoted(clip(second))}`;
  throw new UsageError(`Line ${number}: ${seen} behind it. ${FORMATS}`);
}

function refusal(place: string, word: string): UsageError {
  const why = DIGITS.test(word)
    ? "has an odd number of digits, and a byte has 2"
    : "is no byte in hex";
  return new UsageError(`${place}: ${quoted(clip(word))} ${why}. ${FORMATS}`);
}

/** The digits of a row of a dump. `count` is the number of bytes in the rows before it. */
function digitsOfRow(format: RegExp, line: string, number: number, count: number): string {
  const wrong = (what: string) => new UsageError(`Line ${number}: ${what}`);
  if (line === "*") throw wrong("* stands for lines that hexdump left out. Use hexdump -v -C");
  const found = match(format, line) ?? (format === HEXDUMP ? match(HEXDUMP_END, line) : null);
  if (found === null) {
    const tool = format === XXD ? "xxd" : format === HEXDUMP ? "hexdump -C" : "Wireshark";
    throw wrong(`${quoted(clip(line))} is no line of ${tool}, as the first is`);
  }
  const [, offset = "", pairs = "", text] = found;
  if (parseInt(offset, 16) !== count) {
    throw wrong(
      `it says that it begins at byte ${parseInt(offset, 16)} (${offset} in hex), but ${count} ` +
        "came before it. Give all lines from the first",
    );
  }
  const digits = pairs.replaceAll(" ", "");
  const shown = String.fromCharCode(...Uint8Array.fromHex(digits)).replace(/[^\x20-\x7e]/g, ".");
  if (format !== WIRESHARK && text !== undefined && text.trim() !== shown.trim()) {
    throw wrong(`its bytes are ${quoted(shown)}, but beside them stands ${quoted(text)}`);
  }
  return digits;
}
