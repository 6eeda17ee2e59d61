/** `inspect`: explains the bytes of a client, from a file or a pipe, as a table. */
import { concat } from "@std/bytes";
import { messageOf, UsageError } from "../errors.ts";
import { HELP_FLAG, parseFlags, printHelp, text, toggle, type Values } from "../flags.ts";
import { parseServerOptions, SERVER_FLAGS } from "../options.ts";
import { print, PROGRAM } from "../program.ts";
import { type CommandName, commandNames } from "../protocol/command.ts";
import { splitFrames } from "../protocol/frame.ts";
import { type Line, RequestInspector } from "../protocol/inspector.ts";
import { inspectReplies } from "../protocol/reply_inspector.ts";
import { counted } from "../text/phrases.ts";
import { printable } from "../text/printable.ts";
import { shown } from "../text/shell.ts";
import { frameRow, headRow } from "./frame_table.ts";
import { parseHex } from "./hex_text.ts";
import { requireFiles } from "./permissions.ts";

const FLAGS = {
  hex: toggle("bytes as programs show them: 05 00, 05:00, {0x05, 0x00}, b'\\x05', xxd, Wireshark"),
  replies: toggle("the bytes are those of a server"),
  commands: text("LIST", "with --replies: the commands in order, as in register,users"),
  strict: SERVER_FLAGS.strict,
  nameSymbolsMax: SERVER_FLAGS.nameSymbolsMax,
  textSymbolsMax: SERVER_FLAGS.textSymbolsMax,
  frameBytesMax: SERVER_FLAGS.frameBytesMax,
  ...HELP_FLAG,
};
const ABOUT =
  `Explain the bytes of a client, or with --replies of a server, frame by frame: ${PROGRAM} inspect
[FILE] [flags]. Without FILE, or for -, they come from stdin. The exit code is 0 if all are whole and
none is refused or odd, else 1`;

/** A longer input is refused: a user needs an explanation of a few frames. */
const INPUT_BYTES_MAX = 16_777_216;
/** The input is explained in pieces of this size, so that their lines take little memory. */
const PIECE_BYTES = 65_536;

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
  const commands = commandsOf(options);
  if (path !== "-") requireFiles({ read: [path], write: [] }, []);
  const input = await read(path);
  const bytes = options.hex ? parseHex(new TextDecoder().decode(input)) : input;
  if (bytes.length === 0) throw new UsageError("There is nothing to inspect: not a byte came");
  print(headRow());
  let frames = 0;
  let remarks = 0;
  let readBytes = 0;
  let wrong: Line | undefined;
  for (
    const line of options.replies ? inspectReplies(bytes, commands) : inspectBytes(bytes, options)
  ) {
    print(frameRow(line));
    frames++;
    readBytes = line.offset + line.size;
    if (line.remark !== undefined) remarks++;
    wrong = line.mistake && line;
  }
  print("\n" + verdict({ size: bytes.length, readBytes, frames, remarks, wrong }, options));
  if (wrong?.offset === 0 && !options.hex && isHex(bytes)) {
    print("If this is how you write bytes in hex, add --hex.");
  }
  if (wrong !== undefined || remarks > 0) Deno.exitCode = 1;
}

/** The commands of `--commands`. Throws {@link UsageError} for a name that is none. */
function commandsOf(options: Values<typeof FLAGS>): CommandName[] | undefined {
  if (options.commands === "") return undefined;
  if (!options.replies) {
    throw new UsageError("--commands is for the replies to them: add --replies");
  }
  const known = commandNames(options.strict);
  return options.commands.split(",").map((given) => {
    const name = known.find((name) => name === given.trim());
    if (name !== undefined) return name;
    throw new UsageError(`--commands: ${shown(given)} is no command, as in ${known.join(",")}`);
  });
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
  given: Values<typeof FLAGS>,
): Iterable<Line> {
  const inspector = new RequestInspector({ ...parseServerOptions([]), ...given, showTexts: true });
  const { frameBytesMax } = given;
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

/** What was found in all. */
interface Found {
  /** The number of bytes. */
  readonly size: number;
  /** The number of bytes that the server would read before it closes the connection. */
  readonly readBytes: number;
  readonly frames: number;
  /** The number of frames that are odd or refused. */
  readonly remarks: number;
  readonly wrong: Line | undefined;
}

/** The last line: whether all is right, or how the server would end the connection. */
function verdict(
  { size, readBytes, frames, remarks, wrong }: Found,
  { strict, replies }: Values<typeof FLAGS>,
): string {
  const end = strict ? "close the connection and not say why" : "say so and close the connection";
  if (wrong !== undefined && replies) return `Wrong from byte ${wrong.offset} of ${size} on.`;
  if (wrong !== undefined) {
    return `Wrong from byte ${wrong.offset} of ${size} on: the server would ${end}.`;
  }
  const sum = `${counted(frames, "frame")} in ${counted(readBytes, "byte")}`;
  const unread = size === readBytes
    ? ""
    : ` The server would not read the ${counted(size - readBytes, "byte")} behind them.`;
  const whole = replies ? "whole replies" : "whole commands";
  return remarks === 0
    ? `All right: ${sum}, ${whole}.`
    : `Not all right: ${sum}, ${remarks} of them refused or odd.${unread}`;
}

/** The bytes are hex digits, so the user may have forgotten `--hex`. */
function isHex(bytes: Uint8Array): boolean {
  try {
    return parseHex(new TextDecoder().decode(bytes)).length > 0;
  } catch {
    return false;
  }
}
