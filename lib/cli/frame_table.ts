/** The table of `inspect`: a row for each frame, no wider than a terminal. */
import type { Line } from "../protocol/inspector.ts";

/** The widths of the columns. 12 bytes in hex are a length and a name of 8 letters. */
const WIDTHS = { byte: 5, hex: 35, text: 12, meaning: 22 };
const GAP = "  ";
const TABLE_WIDTH = 80;

/** The row of the names of the columns. */
export function headRow(): string {
  return row([[" byte"], ["hex"], ["text"], ["meaning"]]);
}

/** The row of a frame. What is wrong or odd about it stands below. */
export function frameRow({ offset, hex, text, meaning, mistake, remark }: Line): string {
  const cells = [
    [String(offset).padStart(WIDTHS.byte)],
    wrapWords(hex, WIDTHS.hex),
    wrapSymbols(text, WIDTHS.text),
    wrapWords(meaning, WIDTHS.meaning),
  ];
  const notes = [
    mistake && `${mistake.code}: ${mistake.text}`,
    remark && `${remark.kind}: ${remark.text}`,
  ];
  const indent = " ".repeat(WIDTHS.byte) + GAP;
  const below = notes.filter((note) => note !== undefined)
    .flatMap((note) => wrapWords(note, TABLE_WIDTH - indent.length));
  return [row(cells), ...below.map((line) => indent + line)].join("\n");
}

/** A row of the table. Each cell is a list of lines. */
function row(cells: readonly (readonly string[])[]): string {
  const widths = Object.values(WIDTHS);
  const height = Math.max(...cells.map((cell) => cell.length));
  return Array.from({ length: height }, (_, line) => {
    const padded = cells.map((cell, column) => (cell[line] ?? "").padEnd(widths[column]!));
    return padded.join(GAP).trimEnd();
  }).join("\n");
}

/** Splits a text into lines of at most `width` symbols, at blanks where there are any. */
function wrapWords(text: string, width: number): string[] {
  const lines = text.match(new RegExp(`.{1,${width}}(?: |$)|.{${width}}`, "gu")) ?? [];
  return lines.map((line) => line.trimEnd());
}

/** Splits a text into lines of at most `width` symbols; an escape such as `\u0000` stays whole. */
function wrapSymbols(text: string, width: number): string[] {
  const lines = [""];
  for (const [symbol] of text.matchAll(/\\u[0-9a-f]{4}|\\.|./gu)) {
    if ([...lines.at(-1)! + symbol].length > width) lines.push("");
    lines[lines.length - 1] += symbol;
  }
  return lines;
}
