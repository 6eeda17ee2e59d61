/**
 * The mistakes that the server recognizes in the bytes of a client: a table of codes, tests and
 * texts. Pure. `RequestReader` in `request_reader` decides what the client gets of it: in strict mode
 * no text, and mostly no reply.
 *
 * {@link explain} takes the first row whose test the evidence passes. The last rows are for bytes
 * that prove no mistake of the client: their texts only say what has arrived.
 */
import {
  commandInFrame,
  type Evidence,
  hasCommandAtStart,
  hasLength,
  hasSwallowedByte,
  isEightByteArgument,
  isHttp,
  isPrintableText,
  isProxyHeader,
  isShortBy,
  latin1,
  nextLength,
  NUL,
  payload,
  readBigEndian,
  readShortLength,
  wholeText,
} from "./mistake_evidence.ts";
import { clip } from "../text/symbols.ts";
import { nearest } from "../text/nearest.ts";
import { LENGTH_BYTES, readLength } from "./frame.ts";
import { hex, quoted } from "../text/printable.ts";

/** A kind of mistake, as it stands in the log. */
export type MistakeCode =
  | "tls"
  | "http"
  | "proxy-header"
  | "symbols-counted"
  | "big-endian"
  | "short-length"
  | "plain-text"
  | "nul-between"
  | "over-limit"
  | "empty-command"
  | "eight-byte-length"
  | "nul-counted"
  | "length-counted"
  | "argument-in-command"
  | "unknown-command"
  | "argument-missing"
  | "incomplete-frame";

/** A mistake and its explanation. */
export interface Mistake {
  readonly code: MistakeCode;
  /** What has arrived, how to mend it, and the bytes in hex. It is safe to print. */
  readonly text: string;
}

/** The reason why no more bytes come. */
function ending(seen: Evidence): string {
  return seen.kind === "cut-off" ? "the stream ended" : `nothing more came for ${seen.seconds} s`;
}

/** The frame that was expected, in words. */
function expectedFrame({ expected, command }: Evidence): string {
  return command === undefined ? "a command" : `the ${expected} of '${command}'`;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

interface Row {
  readonly code: MistakeCode;
  /** Is this the mistake? */
  readonly proves: (seen: Evidence) => boolean;
  readonly text: (seen: Evidence) => string;
}

/** Is the mistake in a length, or in bytes where a length should be? */
const isAtLength = ({ kind }: Evidence) => kind !== "unknown-command";

/** The table. Its order matters: the first row that fits is taken. */
const MISTAKES: readonly Row[] = [
  {
    code: "tls",
    proves: (seen) =>
      isAtLength(seen) && hasLength(seen) && seen.bytes[0] === 0x16 && seen.bytes[1] === 3 &&
      seen.bytes[2]! <= 4,
    text: () => "This is a TLS hello, but this port speaks the plain protocol. Connect without TLS",
  },
  {
    code: "http",
    proves: (seen) =>
      isAtLength(seen) && seen.command === undefined &&
      isHttp(seen.bytes),
    text: () =>
      "This is an HTTP request, but this port speaks the chat's own protocol. " +
      "Send frames: a 4-byte little-endian length, then that many bytes",
  },
  {
    code: "proxy-header",
    proves: (seen) => isAtLength(seen) && seen.command === undefined && isProxyHeader(seen.bytes),
    text: () =>
      "So begins a header of the PROXY protocol, but your address is not in --proxy-protocol. If it " +
      "is a proxy's, add it to that list; a client begins with the length of a command",
  },
  {
    code: "symbols-counted",
    proves: (seen) => wholeText(seen) !== undefined,
    text: (seen) =>
      `The length before counts symbols, not bytes: it said ${seen.previous!.length}, but the ` +
      `text went on: ${quoted(clip(wholeText(seen)!))}. Encode the text to UTF-8 first, then count`,
  },
  {
    code: "nul-counted",
    proves: (seen) => isAtLength(seen) && nextLength(seen) !== undefined,
    text: (seen) =>
      `The length of the argument before is 1 too many: it took the first byte of the next ` +
      `length, ${nextLength(seen)}. Does it count a NUL that you do not send? Send ` +
      `${seen.previous!.length - 1}`,
  },
  {
    code: "eight-byte-length",
    proves: (seen) => isAtLength(seen) && isEightByteArgument(seen),
    text: ({ previous }) =>
      "The length of a frame has 4 bytes, not 8: four zeros stood before the argument. " +
      `Send ${hex(Uint8Array.of(previous!.length, 0, 0, 0))} alone`,
  },
  {
    code: "big-endian",
    proves: (seen) => {
      if (seen.kind !== "over-limit") return false;
      const length = readBigEndian(seen.bytes);
      return length > 0 && length <= seen.bytesMax;
    },
    text: ({ bytes }) =>
      `The length of a frame comes lowest byte first (little-endian): these bytes mean ` +
      `${readLength(bytes)}, only in big-endian order ${readBigEndian(bytes)}. ` +
      `Send ${hex(bytes.slice(0, LENGTH_BYTES).reverse())}`,
  },
  {
    code: "short-length",
    proves: (seen) => readShortLength(seen) !== undefined,
    text: (seen) => {
      const { size, length } = readShortLength(seen)!;
      return `The length of ${expectedFrame(seen)} has 4 bytes, lowest first: the text begins ` +
        `behind ${size}. Send ${hex(Uint8Array.of(length, 0, 0, 0))}`;
    },
  },
  {
    code: "plain-text",
    proves: (seen) => isAtLength(seen) && seen.bytes.length >= 2 && isPrintableText(seen.bytes),
    text: (seen) =>
      `This is text where the length of ${expectedFrame(seen)} should be: ` +
      `${quoted(clip(latin1(seen.bytes)))}. ` +
      "Send a 4-byte little-endian length first (nc and telnet can't): users is " +
      "05 00 00 00 75 73 65 72 73",
  },
  {
    code: "nul-between",
    proves: (seen) => {
      if (!isAtLength(seen) || !hasLength(seen) || seen.bytes[0] !== NUL) return false;
      const length = readLength(seen.bytes) >>> 8;
      const fifth = seen.bytes[LENGTH_BYTES] ?? (seen.kind === "over-limit" ? NUL : undefined);
      return fifth === NUL && length > 0 && length <= seen.bytesMax;
    },
    text: (seen) =>
      `The length of ${expectedFrame(seen)} reads as ${readLength(seen.bytes)}; without its ` +
      `first 00 it is ${readLength(seen.bytes) >>> 8}: did the text before end with a NUL that ` +
      "its length does not count? Do not send that NUL",
  },
  {
    code: "over-limit",
    proves: ({ kind }) => kind === "over-limit",
    text: (seen) =>
      `The length of ${expectedFrame(seen)} is ${readLength(seen.bytes)} bytes, over the limit ` +
      `of ${seen.bytesMax}. Check that the frame before has as many bytes as it said, or send less`,
  },
  {
    code: "empty-command",
    proves: (seen) => seen.kind === "unknown-command" && payload(seen).length === 0,
    text: () =>
      "A command of 0 bytes. Send the length of the command's name, then the name. If your " +
      "lengths have 8 bytes, send 4; if NULs fill up the text before, do not send them",
  },
  {
    code: "eight-byte-length",
    proves: (seen) =>
      seen.kind === "unknown-command" && payload(seen).length > LENGTH_BYTES &&
      payload(seen).subarray(0, LENGTH_BYTES).every((byte) => byte === NUL) &&
      hasCommandAtStart(seen, latin1(payload(seen).subarray(LENGTH_BYTES))),
    text: ({ bytes }) =>
      "The length of a frame has 4 bytes, not 8: four zeros stand before the command. " +
      `Send ${hex(bytes.subarray(0, LENGTH_BYTES))} alone`,
  },
  {
    code: "nul-counted",
    proves: (seen) =>
      isShortBy(seen, 1) ||
      (seen.kind === "unknown-command" &&
        (seen.commands.includes(latin1(payload(seen)).replaceAll("\0", "")) ||
          hasSwallowedByte(seen))),
    text: (seen) =>
      hasSwallowedByte(seen)
        ? `The length of a command is 1 too many: it says ${
          readLength(seen.bytes)
        } and takes the ` +
          "first byte of the next length. Does it count a NUL that you do not send? Send " +
          `${readLength(seen.bytes) - 1}`
        : seen.kind === "unknown-command"
        ? `The command holds ${payload(seen).filter((byte) => byte === NUL).length} NUL: ` +
          `${
            quoted(clip(latin1(payload(seen))))
          }. Send and count its letters alone, one byte each, ` +
          "no NUL at the end"
        : `1 byte of ${expectedFrame(seen)} is missing: the length says ` +
          `${readLength(seen.bytes)}, ${payload(seen).length} came, then ${ending(seen)}. ` +
          "Does your length count a NUL at the end? Count only what you send",
  },
  {
    code: "length-counted",
    proves: (seen) =>
      isShortBy(seen, LENGTH_BYTES) ||
      (seen.kind === "unknown-command" &&
        seen.commands.includes(latin1(payload(seen).subarray(0, -LENGTH_BYTES))) &&
        readLength(payload(seen).subarray(-LENGTH_BYTES)) <= seen.bytesMax),
    text: (seen) =>
      `The length of ${expectedFrame(seen)} is 4 too many: it says ${readLength(seen.bytes)}, ` +
      (seen.kind === "unknown-command"
        ? "and the last 4 of these bytes are the next length. "
        : `${payload(seen).length} came, then ${ending(seen)}. `) +
      `Does it count its own 4 bytes? Send ${readLength(seen.bytes) - LENGTH_BYTES}`,
  },
  {
    code: "argument-in-command",
    proves: (seen) => seen.kind === "unknown-command" && commandInFrame(seen) !== undefined,
    text: (seen) => {
      const command = commandInFrame(seen)!;
      return `The frame holds more than the command '${command}': ` +
        `${quoted(clip(latin1(payload(seen))))}. An argument is a frame of its own. ` +
        `Send ${hex(Uint8Array.of(command.length, 0, 0, 0))} and the command, then the argument`;
    },
  },
  {
    code: "unknown-command",
    proves: ({ kind }) => kind === "unknown-command",
    text: (seen) => {
      const word = clip(decoder.decode(payload(seen).subarray(0, 64)));
      const near = nearest(word, seen.commands);
      return `Unknown command ${quoted(word)}. ` +
        (near === undefined ? "" : `Did you mean '${near}'? `) +
        `The commands are ${seen.commands.join(", ")}`;
    },
  },
  {
    code: "argument-missing",
    proves: ({ bytes }) => bytes.length === 0,
    text: (seen) =>
      `'${seen.command}' was begun, then ${ending(seen)}. Send ${expectedFrame(seen)} as a frame`,
  },
  {
    code: "incomplete-frame",
    proves: () => true,
    text: (seen) =>
      (hasLength(seen)
        ? `${payload(seen).length} of ${readLength(seen.bytes)} bytes of ${expectedFrame(seen)}`
        : `${seen.bytes.length} of the 4 bytes of the length of ${expectedFrame(seen)}`) +
      ` came, then ${
        ending(seen)
      }. Send as many bytes as the length says; if you did, check that ` +
      "the frame before has as many as it said",
  },
];

/** All codes; some have two rows. */
export const MISTAKE_CODES: ReadonlySet<MistakeCode> = new Set(MISTAKES.map(({ code }) => code));

/** Finds the mistake that the evidence proves. Its text shows at most 32 of the bytes in hex. */
export function explain(seen: Evidence): Mistake {
  const row = MISTAKES.find(({ proves }) => proves(seen))!;
  const bytes = seen.bytes.length === 0 ? "" : ` Bytes: ${hex(seen.bytes)}`;
  return { code: row.code, text: `${row.text(seen)}.${bytes}` };
}
