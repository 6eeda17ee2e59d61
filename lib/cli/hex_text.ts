/** Reads bytes in hex, as people write them and as tools print them. */
import { UsageError } from "../errors.ts";
import { quoted } from "../text/printable.ts";
import { clip } from "../text/symbols.ts";

const FORMATS = "--hex reads 05 00, 05:00, 0x05, {0x05, 0x00}, \\x05, b'\\x05', and what xxd, " +
  "hexdump -C and Wireshark print";

/** A line of a dump: the offset of its bytes, the bytes in hex, and the bytes as text. */
const XXD = /^([0-9a-f]+):((?: (?:[0-9a-f]{2})+)+)(?: {2}(.*))?$/i;
const HEXDUMP = /^([0-9a-f]{8,})((?: {1,2}[0-9a-f]{2})+) +\|(.*)\|$/i;
/** A line of a dump of Wireshark. Its text is cut off, or has dots for what can't be shown. */
const WIRESHARK = /^([0-9a-f]{4,8}) {2,3}((?:[0-9a-f]{2} )*[0-9a-f]{2})(?: {2,}(.*))?$/i;
/** The bytes as Python shows them. */
const PYTHON = /^b(['"])(.*)\1$/s;
/** Strings of C with escapes alone, as Wireshark copies them: a line for some of the bytes. */
const ESCAPED = /^(?:"(?:\\x[0-9a-f]{2})*"\s*\\?\s*)+$/i;
/** An array of C: what stands between the braces. */
const ARRAY = /^[^{}"]*\{([^{}]*)\}\s*;?\s*$/s;
/** The last line of `hexdump`: the number of bytes. */
const HEXDUMP_END = /^([0-9a-f]{8,})$/i;
/** A longer line is no row: megabytes would overflow the stack of these expressions. */
const ROW_SYMBOLS_MAX = 1_024;

const DIGITS = /^[0-9a-f]+$/i;

/** The bytes of a text in hex. Throws {@link UsageError} with the place of what is no hex. */
export function parseHex(text: string): Uint8Array {
  const python = PYTHON.exec(text.trim());
  if (python !== null) return parsePython(python[2]!);
  const [first = ""] = text.trim().split("\n", 1);
  const format = [XXD, HEXDUMP, WIRESHARK].find((row) => match(row, first.trim()));
  return parseDigits(format === undefined ? withoutQuotes(text) : text, format);
}

/** The text without the quotes of strings of C, or what stands between the braces of an array. */
function withoutQuotes(text: string): string {
  return ESCAPED.test(text.trim())
    ? text.replace(/"\s*\\?\s*(?:"|$)|^\s*"/g, "")
    : (ARRAY.exec(text)?.[1] ?? text).replace(/\/\*.*?\*\//gs, "");
}

/** The bytes between the quotes of a `bytes` of Python. */
function parsePython(text: string): Uint8Array {
  const simple: Record<string, number> = { n: 10, r: 13, t: 9, "\\": 92, "'": 39, '"': 34 };
  const bytes = Array.from(
    text.matchAll(/\\x([0-9a-f]{2})|\\([nrt\\'"])|([\x20-\x5b\x5d-\x7e])|(.)/gis),
    ([, pair, escape, letter, other]) => {
      if (other !== undefined) {
        throw new UsageError(
          `${quoted(clip(other))} does not stand in bytes as Python shows them. ${FORMATS}`,
        );
      }
      return pair !== undefined
        ? parseInt(pair, 16)
        : escape !== undefined
        ? simple[escape]!
        : letter!.charCodeAt(0);
    },
  );
  return Uint8Array.from(bytes);
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
