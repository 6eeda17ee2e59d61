/** `inspect`: explains the bytes of a client, from a file or a pipe, as a table. */
import { concat } from "@std/bytes";
import { messageOf, UsageError } from "../errors.ts";
import { HELP_FLAG, parseFlags, printHelp, toggle, type Values } from "../flags.ts";
import { parseServerOptions, SERVER_FLAGS } from "../options.ts";
import { print, PROGRAM } from "../program.ts";
import { splitFrames } from "../protocol/frame.ts";
import { type Line, RequestInspector } from "../protocol/inspector.ts";
import { counted } from "../text/phrases.ts";
import { printable } from "../text/printable.ts";
import { shown } from "../text/shell.ts";
import { parseHex } from "./hex_text.ts";
import { requireFiles } from "./permissions.ts";

const FLAGS = {
  hex: toggle("bytes in hex: 05 00 75, 0x05, \\x05, or the output of xxd or hexdump -C"),
  strict: SERVER_FLAGS.strict,
  frameBytesMax: SERVER_FLAGS.frameBytesMax,
  ...HELP_FLAG,
};
const ABOUT =
  `Explain the bytes of a client, frame by frame: ${PROGRAM} inspect [FILE] [flags]. Without FILE, or
for -, they come from stdin. The exit code is 0 if all are whole commands, else 1`;

/** A longer input is refused: a user needs an explanation of a few frames. */
const INPUT_BYTES_MAX = 16_777_216;
/** The input is explained in pieces of this size, so that their lines take little memory. */
const PIECE_BYTES = 65_536;

/** The widths of the columns. 12 bytes in hex are a length and a name of 8 letters. */
const WIDTHS = { byte: 5, hex: 35, text: 12, meaning: 22 };
const GAP = "  ";
const TABLE_WIDTH = 80;

/**
 * Explains the bytes of a file, or of stdin (`-`). Sets the exit code to 1 where they are not whole
 * commands. Throws {@link UsageError} where they can't be read.
 */
export async function inspect(args: string[]): Promise<void> {
  const { options, positionals: [path = "-", ...more] } = parseFlags(FLAGS, args);
  if (options.help) return printHelp(ABOUT, FLAGS);
  if (more.length > 0) {
    throw new UsageError(`Unexpected ${shown(more[0]!)}: inspect takes one FILE`);
  }
  if (path !== "-") requireFiles({ read: [path], write: [] }, []);
  const input = await read(path);
  const bytes = options.hex ? parseHex(new TextDecoder().decode(input)) : input;
  if (bytes.length === 0) throw new UsageError("There is nothing to inspect: not a byte came");
  print(row([[" byte"], ["hex"], ["text"], ["meaning"]]));
  let count = 0;
  let wrong: Line | undefined;
  for (const line of inspectBytes(bytes, options)) {
    print(format(line));
    count++;
    wrong = line.mistake && line;
  }
  print("\n" + verdict(bytes.length, count, wrong, options.strict));
  if (wrong?.offset === 0 && !options.hex && isHex(bytes)) {
    print("If this is how you write bytes in hex, add --hex.");
  }
  if (wrong !== undefined) Deno.exitCode = 1;
}

/** Reads a file to its end. Throws {@link UsageError} where it is too long. */
async function read(path: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of await open(path)) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > INPUT_BYTES_MAX) break;
    }
  } catch (error) {
    throw new UsageError(`Cannot read ${printable(path)}: ${messageOf(error)}`);
  }
  if (size <= INPUT_BYTES_MAX) return concat(chunks);
  throw new UsageError(
    `There is too much to inspect: more than ${INPUT_BYTES_MAX} bytes. Give the first ones alone`,
  );
}

async function open(path: string): Promise<ReadableStream<Uint8Array>> {
  if (path !== "-") return (await Deno.open(path)).readable;
  if (Deno.stdin.isTerminal()) console.error("Reads the bytes from stdin; Ctrl+D ends them");
  return Deno.stdin.readable;
}

/** The lines of all frames. A mistake is the last one. */
function* inspectBytes(
  bytes: Uint8Array,
  { strict, frameBytesMax }: Values<typeof FLAGS>,
): Iterable<Line> {
  const options = { ...parseServerOptions([]), strict, frameBytesMax, showTexts: true };
  const inspector = new RequestInspector(options);
  let rest: Uint8Array = new Uint8Array(0);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    const end = Math.min(at + PIECE_BYTES, bytes.length);
    const split = splitFrames(rest, bytes.subarray(at, end), frameBytesMax);
    rest = split.rest;
    const lines = inspector.feed(split);
    yield* lines;
    if (lines.at(-1)?.mistake !== undefined) return;
  }
  yield* inspector.breakOff("cut-off");
}

/** A line as a row of the table, with the explanation of its mistake below. */
function format({ offset, hex, text, meaning, mistake }: Line): string {
  const cells = [
    [String(offset).padStart(WIDTHS.byte)],
    wrapWords(hex, WIDTHS.hex),
    wrapSymbols(text, WIDTHS.text),
    wrapWords(meaning, WIDTHS.meaning),
  ];
  if (mistake === undefined) return row(cells);
  const indent = " ".repeat(WIDTHS.byte) + GAP;
  const words = wrapWords(`${mistake.code}: ${mistake.text}`, TABLE_WIDTH - indent.length);
  return [row(cells), ...words.map((line) => indent + line)].join("\n");
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

/** The last line: whether all is right, or how the server would end the connection. */
function verdict(size: number, frames: number, wrong: Line | undefined, strict: boolean): string {
  if (wrong === undefined) {
    return `All right: ${counted(frames, "frame")} in ${counted(size, "byte")}, whole commands.`;
  }
  const end = strict ? "close the connection and not say why" : "say so and close the connection";
  return `Wrong from byte ${wrong.offset} of ${size} on: the server would ${end}.`;
}

/** The bytes are hex digits, so the user may have forgotten `--hex`. */
function isHex(bytes: Uint8Array): boolean {
  try {
    return parseHex(new TextDecoder().decode(bytes)).length > 0;
  } catch {
    return false;
  }
}
