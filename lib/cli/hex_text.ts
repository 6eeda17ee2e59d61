/** Reads bytes in hex, as people write them and as tools print them. */
import { UsageError } from "../errors.ts";
import { quoted } from "../text/printable.ts";
import { clip } from "../text/symbols.ts";

const FORMATS = "--hex reads 05 00 75, 0x05, \\x05, and what xxd and hexdump -C print";

/** A line of a dump: the offset of its bytes, the bytes in hex, and the bytes as text. */
const XXD = /^([0-9a-f]+):((?: (?:[0-9a-f]{2})+)+)(?: {2}(.*))?$/i;
const HEXDUMP = /^([0-9a-f]{8,})((?: {1,2}[0-9a-f]{2})+) +\|(.*)\|$/i;
/** The last line of `hexdump`: the number of bytes. */
const HEXDUMP_END = /^([0-9a-f]{8,})$/i;
/** A longer line is no row: megabytes would overflow the stack of these expressions. */
const ROW_SYMBOLS_MAX = 1_024;

const DIGITS = /^[0-9a-f]+$/i;

/** The bytes of a text in hex. Throws {@link UsageError} with the place of what is no hex. */
export function parseHex(text: string): Uint8Array {
  const [first = ""] = text.trim().split("\n", 1);
  const format = [XXD, HEXDUMP].find((row) => match(row, first.trim()));
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
  for (const { 0: word, index } of line.matchAll(/[^\s,]+/g)) {
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
  const hint = /^b['"]/.test(word)
    ? "This is how Python shows bytes; print(data.hex()) shows them in hex. "
    : "";
  return new UsageError(`${place}: ${quoted(clip(word))} ${why}. ${hint}${FORMATS}`);
}

/** The digits of a row of a dump. `count` is the number of bytes in the rows before it. */
function digitsOfRow(format: RegExp, line: string, number: number, count: number): string {
  const wrong = (what: string) => new UsageError(`Line ${number}: ${what}`);
  if (line === "*") throw wrong("* stands for lines that hexdump left out. Use hexdump -v -C");
  const found = match(format, line) ?? (format === HEXDUMP ? match(HEXDUMP_END, line) : null);
  if (found === null) {
    const tool = format === XXD ? "xxd" : "hexdump -C";
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
  if (text !== undefined && text.trim() !== shown.trim()) {
    throw wrong(`its bytes are ${quoted(shown)}, but beside them stands ${quoted(text)}`);
  }
  return digits;
}
