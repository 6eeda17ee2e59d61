/**
 * The mistakes that the server recognizes in the bytes of a client, and their texts. Pure.
 * `RequestReader` in `request_reader` decides what the client gets of it: in strict mode no text, and
 * mostly no reply.
 *
 * Of several mistakes that the evidence would fit the first one is taken, so the order of the tests
 * matters. The last ones are for bytes that prove no mistake of the client: their texts only say what
 * has arrived.
 */
import {
  commandInFrame,
  type Evidence,
  hasCommandAtStart,
  hasSwallowedByte,
  isEightByteArgument,
  isHttp,
  isPrintableText,
  isProxyHeader,
  isTls,
  latin1,
  lengthBehindNul,
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

/** All kinds of mistakes, as they stand in the log. */
export const MISTAKE_CODES = [
  "tls",
  "http",
  "proxy-header",
  "symbols-counted",
  "big-endian",
  "short-length",
  "plain-text",
  "nul-between",
  "over-limit",
  "empty-command",
  "eight-byte-length",
  "nul-counted",
  "length-counted",
  "argument-in-command",
  "unknown-command",
  "argument-missing",
  "incomplete-frame",
] as const;

/** A kind of mistake. */
export type MistakeCode = typeof MISTAKE_CODES[number];

/** A mistake and its explanation. */
export interface Mistake {
  readonly code: MistakeCode;
  /** What has arrived, how to mend it, and the bytes in hex. It is safe to print. */
  readonly text: string;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Finds the mistake that the evidence proves. Its text shows at most 32 of the bytes in hex. */
export function explain(seen: Evidence): Mistake {
  const { code, text } = seen.kind === "unknown-command"
    ? symbolsCounted(seen) ?? commandMistake(seen)
    : otherProtocol(seen) ?? symbolsCounted(seen) ?? lengthMistake(seen);
  const bytes = seen.bytes.length === 0 ? "" : ` Bytes: ${hex(seen.bytes)}`;
  return { code, text: `${text}.${bytes}` };
}

/** The mistake of a client that speaks another protocol. */
function otherProtocol({ bytes, command, isProxied }: Evidence): Mistake | undefined {
  if (isTls(bytes)) {
    const text =
      "This is a TLS hello, but this port speaks the plain protocol. Connect without TLS";
    return { code: "tls", text };
  }
  if (command === undefined && isHttp(bytes)) {
    const text = "This is an HTTP request, but this port speaks the chat's own protocol. " +
      "Send frames: a 4-byte little-endian length, then that many bytes";
    return { code: "http", text };
  }
  if (command === undefined && isProxyHeader(bytes)) {
    const text = isProxied
      ? "So begins a second header of the PROXY protocol, but one was read already, and only the " +
        "proxy next to this server may send it. Behind another proxy it must read that one's header " +
        "itself (accept-proxy in HAProxy), and send this server the user's address in its own"
      : "So begins a header of the PROXY protocol, but your address is not in --proxy-protocol. If " +
        "it is a proxy's, add it to that list; a client begins with the length of a command";
    return { code: "proxy-header", text };
  }
  return undefined;
}

/** The mistake of a client whose lengths count symbols. */
function symbolsCounted(seen: Evidence): Mistake | undefined {
  const whole = wholeText(seen);
  if (whole === undefined) return undefined;
  const text =
    `The length before counts symbols, not bytes: it said ${seen.previous!.length}, but the text ` +
    `went on: ${quoted(clip(whole))}. Encode the text to UTF-8 first, then count`;
  return { code: "symbols-counted", text };
}

/** The mistake in a length, in bytes where a length should be, or in an incomplete frame. */
function lengthMistake(seen: Evidence): Mistake {
  const { kind, bytes, previous, bytesMax } = seen;
  const frame = expectedFrame(seen);
  const next = nextLength(seen);
  if (next !== undefined) {
    const text =
      "The length of the argument before is 1 too many: it took the first byte of the next " +
      `length, ${next}. Does it count a NUL that you do not send? Send ${previous!.length - 1}`;
    return { code: "nul-counted", text };
  }
  if (isEightByteArgument(seen)) {
    const text =
      "The length of a frame has 4 bytes, not 8: four zeros stood before the argument. " +
      `Send ${hexLength(previous!.length)} alone`;
    return { code: "eight-byte-length", text };
  }
  const swapped = readBigEndian(seen);
  if (swapped !== undefined) {
    const text =
      "The length of a frame comes lowest byte first (little-endian): these bytes mean " +
      `${readLength(bytes)}, only in big-endian order ${swapped}. Send ${hexLength(swapped)}`;
    return { code: "big-endian", text };
  }
  const short = readShortLength(seen);
  if (short !== undefined) {
    const text = `The length of ${frame} has 4 bytes, lowest first: the text begins behind ` +
      `${short.size}. Send ${hexLength(short.length)}`;
    return { code: "short-length", text };
  }
  if (bytes.length >= 2 && isPrintableText(bytes)) {
    const text = `This is text where the length of ${frame} should be: ` +
      `${quoted(clip(latin1(bytes)))}. Send a 4-byte little-endian length first (nc and telnet ` +
      "can't): users is 05 00 00 00 75 73 65 72 73";
    return { code: "plain-text", text };
  }
  const behindNul = lengthBehindNul(seen);
  if (behindNul !== undefined) {
    const text = `The length of ${frame} reads as ${readLength(bytes)}; without its first 00 it ` +
      `is ${behindNul}: did the text before end with a NUL that its length does not count? Do not ` +
      "send that NUL";
    return { code: "nul-between", text };
  }
  if (kind === "over-limit") {
    const text = `The length of ${frame} is ${readLength(bytes)} bytes, over the limit of ` +
      `${bytesMax}. Check that the frame before has as many bytes as it said, or send less`;
    return { code: "over-limit", text };
  }
  return incompleteFrame(seen);
}

/** The mistake in a frame whose last bytes have not come. */
function incompleteFrame(seen: Evidence): Mistake {
  const { kind, bytes, command, seconds } = seen;
  const frame = expectedFrame(seen);
  const ending = kind === "cut-off" ? "the stream ended" : `nothing more came for ${seconds} s`;
  if (bytes.length === 0) {
    const text = `'${command}' was begun, then ${ending}. Send ${frame} as a frame`;
    return { code: "argument-missing", text };
  }
  const hasLength = bytes.length >= LENGTH_BYTES;
  const size = hasLength ? readLength(bytes) : LENGTH_BYTES;
  const came = payload(seen).length;
  if (came > 0 && size - came === 1) {
    const text = `1 byte of ${frame} is missing: the length says ${size}, ${came} came, then ` +
      `${ending}. Does your length count a NUL at the end? Count only what you send`;
    return { code: "nul-counted", text };
  }
  if (came > 0 && size - came === LENGTH_BYTES) {
    const text = `The length of ${frame} is 4 too many: it says ${size}, ${came} came, then ` +
      `${ending}. Does it count its own 4 bytes? Send ${size - LENGTH_BYTES}`;
    return { code: "length-counted", text };
  }
  const parts = hasLength
    ? `${came} of ${size} bytes of ${frame}`
    : `${bytes.length} of the 4 bytes of the length of ${frame}`;
  const text =
    `${parts} came, then ${ending}. Send as many bytes as the length says; if you did, ` +
    "check that the frame before has as many as it said";
  return { code: "incomplete-frame", text };
}

/** The mistake in a complete frame that is no command. */
function commandMistake(seen: Evidence): Mistake {
  const { commands, bytesMax } = seen;
  const bytes = payload(seen);
  const length = bytes.length;
  const shown = quoted(clip(latin1(bytes)));
  if (length === 0) {
    const text =
      "A command of 0 bytes. Send the length of the command's name, then the name. If your " +
      "lengths have 8 bytes, send 4; if NULs fill up the text before, do not send them";
    return { code: "empty-command", text };
  }
  const beginsWithNuls = bytes.subarray(0, LENGTH_BYTES).every((byte) => byte === NUL);
  if (beginsWithNuls && hasCommandAtStart(seen, latin1(bytes.subarray(LENGTH_BYTES)))) {
    const text = "The length of a frame has 4 bytes, not 8: four zeros stand before the command. " +
      `Send ${hexLength(length)} alone`;
    return { code: "eight-byte-length", text };
  }
  if (hasSwallowedByte(seen)) {
    const text = `The length of a command is 1 too many: it says ${length} and takes the first ` +
      "byte of the next length. Does it count a NUL that you do not send? Send " +
      `${length - 1}`;
    return { code: "nul-counted", text };
  }
  if (commands.includes(latin1(bytes).replaceAll("\0", ""))) {
    const nuls = bytes.filter((byte) => byte === NUL).length;
    const text = `The command holds ${nuls} NUL: ${shown}. Send and count its letters alone, one ` +
      "byte each, no NUL at the end";
    return { code: "nul-counted", text };
  }
  const last = bytes.subarray(-LENGTH_BYTES);
  const isBeforeLast = commands.includes(latin1(bytes.subarray(0, -LENGTH_BYTES)));
  if (isBeforeLast && readLength(last) <= bytesMax) {
    const text = `The length of a command is 4 too many: it says ${length}, and the last 4 of ` +
      "these bytes are the next length. Does it count its own 4 bytes? Send " +
      `${length - LENGTH_BYTES}`;
    return { code: "length-counted", text };
  }
  const command = commandInFrame(seen);
  if (command !== undefined) {
    const text = `The frame holds more than the command '${command}': ${shown}. An argument is a ` +
      `frame of its own. Send ${hexLength(command.length)} and the command, then the argument`;
    return { code: "argument-in-command", text };
  }
  const word = clip(decoder.decode(bytes.subarray(0, 64)));
  const near = nearest(word, commands);
  const hint = near === undefined ? "" : `Did you mean '${near}'? `;
  const text = `Unknown command ${quoted(word)}. ${hint}The commands are ${commands.join(", ")}`;
  return { code: "unknown-command", text };
}

/** The frame that was expected, in words. */
export function expectedFrame(
  { expected, command }: Pick<Evidence, "expected" | "command">,
): string {
  return command === undefined ? "a command" : `the ${expected} of '${command}'`;
}

/** A length as a client should send it, in hex. */
function hexLength(length: number): string {
  const bytes = new Uint8Array(LENGTH_BYTES);
  new DataView(bytes.buffer).setUint32(0, length, true);
  return hex(bytes);
}
