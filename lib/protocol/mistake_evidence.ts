/** The evidence of a mistake, and the tests that `mistake.ts` makes with it. Pure. */
import { concat } from "@std/bytes";
import { LENGTH_BYTES, readLength } from "./frame.ts";
import { PROXY_SIGNATURE } from "./proxy_protocol.ts";

/** All that the server knows about the bytes that are not the protocol. */
export interface Evidence {
  /**
   * `over-limit`: a length over the limit. `unknown-command`: a complete frame that is no command.
   * `stalled`: an incomplete command whose time is over. `cut-off`: the stream ended inside one.
   */
  readonly kind: "over-limit" | "unknown-command" | "stalled" | "cut-off";
  /** All bytes that have arrived, from the length of the frame on. */
  readonly bytes: Uint8Array;
  /** The frame that was expected: `"command"`, or the name of an argument. */
  readonly expected: string;
  /** The command whose argument was expected; `undefined` if a command was. */
  readonly command: string | undefined;
  /** The payload of the frame before, if that is an argument. */
  readonly previous: Uint8Array | undefined;
  /** The commands that the server knows. */
  readonly commands: readonly string[];
  /** The limit of a frame's payload, in bytes. */
  readonly bytesMax: number;
  /** The time that a client has for a whole command (s). */
  readonly seconds: number;
  /** The connection began with the header of a proxy, which has been read. */
  readonly isProxied: boolean;
}

export const NUL = 0;
const HTTP_METHODS = "GET HEAD POST PUT DELETE OPTIONS PATCH CONNECT TRACE PRI".split(" ");

/** The first 64 bytes as a text, a symbol for each byte, so that offsets are the same in both. */
export function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, 64));
}

/** A length over the limit, read with its highest byte first; `undefined` if that is no length. */
export function readBigEndian({ kind, bytes, bytesMax }: Evidence): number | undefined {
  if (kind !== "over-limit") return undefined;
  const length = readLength(bytes.slice(0, LENGTH_BYTES).reverse());
  return length > 0 && length <= bytesMax ? length : undefined;
}

/** The length behind a NUL that belongs to the text before; `undefined` if there is none. */
export function lengthBehindNul({ kind, bytes, bytesMax }: Evidence): number | undefined {
  if (bytes.length < LENGTH_BYTES || bytes[0] !== NUL) return undefined;
  const length = readLength(bytes) >>> 8;
  const last = bytes[LENGTH_BYTES] ?? (kind === "over-limit" ? NUL : undefined);
  return last === NUL && length > 0 && length <= bytesMax ? length : undefined;
}

/** The bytes behind the length. */
export function payload({ bytes }: Evidence): Uint8Array {
  return bytes.subarray(LENGTH_BYTES);
}

/** Do the bytes begin as text? If fewer than 4 have arrived one of them must be a letter. */
export function isPrintableText(bytes: Uint8Array): boolean {
  const text = latin1(bytes.subarray(0, LENGTH_BYTES));
  const sure = text.length < LENGTH_BYTES ? /[A-Za-z]/ : /[A-Za-z0-9/@]/;
  return /^[\t\r\n\x20-\x7e]*$/.test(text) && sure.test(text);
}

/**
 * A length of 1 or 2 bytes instead of 4, in front of a text or a command: its size in bytes and its
 * value; `undefined` if there is none.
 */
export function readShortLength(seen: Evidence): { size: 1 | 2; length: number } | undefined {
  const [first = 0, second = 0] = seen.bytes;
  if (seen.kind !== "over-limit" || isPrintableText(seen.bytes)) return undefined;
  if (seen.command === undefined && hasCommandAtStart(seen, latin1(seen.bytes.subarray(1)))) {
    return { size: 1, length: first };
  }
  const text = seen.bytes.subarray(2);
  const begins = seen.command === undefined
    ? hasCommandAtStart(seen, latin1(text))
    : isPrintableText(text);
  return begins && (first === NUL || second === NUL)
    ? { size: 2, length: first | second }
    : undefined;
}

/** Had the argument before a length of 8 bytes, whose upper 4 were read as its payload? */
export function isEightByteArgument({ previous, bytes }: Evidence): boolean {
  if (previous === undefined || previous.length === 0) return false;
  const upper = previous.subarray(0, LENGTH_BYTES);
  const behind = bytes.subarray(0, LENGTH_BYTES - upper.length);
  return upper.length + behind.length === LENGTH_BYTES &&
    [...upper, ...behind].every((byte) => byte === NUL);
}

/**
 * The next length, if the length of the argument before is 1 too many, so that its payload holds
 * the first byte of the next length; else `undefined`. The bytes that follow must fit too.
 */
export function nextLength(seen: Evidence): number | undefined {
  const { previous, bytes, bytesMax } = seen;
  if (previous === undefined || previous.length < 2 || bytes.length < 3) return undefined;
  if (bytes[1] !== NUL || bytes[2] !== NUL) return undefined;
  const length = previous.at(-1)! | bytes[0]! << 8;
  const text = latin1(bytes.subarray(3, 3 + length));
  if (length === 0 || length > bytesMax || text.length === 0) return undefined;
  const fits = seen.command === undefined
    ? hasCommandAtStart(seen, text)
    : /^[^\p{Cc}]/u.test(text);
  return fits ? length : undefined;
}

/** Is the command's length 1 too many, so that its payload ends in a byte of the next length? */
export function hasSwallowedByte(seen: Evidence): boolean {
  const bytes = payload(seen);
  const last = bytes.at(-1) ?? NUL;
  return last > 0 && last <= 8 && seen.commands.includes(latin1(bytes.subarray(0, -1)));
}

/** The command in a frame that also holds its argument, behind a blank or as a frame. */
export function commandInFrame(seen: Evidence): string | undefined {
  const text = latin1(payload(seen));
  return seen.commands.find((command) => {
    if (!text.startsWith(command)) return false;
    if (text[command.length] === " ") return true;
    const more = payload(seen).subarray(command.length);
    return more.length > LENGTH_BYTES && readLength(more) === more.length - LENGTH_BYTES;
  });
}

/** Does the text begin with a known command, or a known command with the text? */
export function hasCommandAtStart(seen: Evidence, text: string): boolean {
  return text.length > 0 &&
    seen.commands.some((command) => command.startsWith(text) || text.startsWith(command));
}

/**
 * The whole text of the argument before, if its length counts symbols instead of bytes, so that its
 * last bytes were read as the next length; else `undefined`.
 */
export function wholeText({ kind, previous, bytes, bytesMax }: Evidence): string | undefined {
  if (previous === undefined || !previous.some((byte) => byte >= 0x80)) return undefined;
  const joined: Uint8Array = concat([previous, bytes]);
  const end = endOfSymbols(joined, previous.length);
  const next = joined.subarray(end);
  const plausible = next.length >= LENGTH_BYTES && readLength(next) <= bytesMax;
  const text = decodePrefix(joined.subarray(0, end));
  if (end <= previous.length || text === undefined || /(?![\t\n\r])\p{Cc}/u.test(text)) {
    return undefined;
  }
  if (joined.subarray(previous.length, end).some((byte) => byte >= 0x80)) {
    return plausible || next.length < LENGTH_BYTES ? text : undefined;
  }
  const isAll = next.length === 0 && [...text].length === previous.length;
  return plausible || (isAll && kind !== "over-limit") ? text : undefined;
}

/** The offset behind the first `symbols` symbols of UTF-8, at most the end. */
function endOfSymbols(bytes: Uint8Array, symbols: number): number {
  let end = 0;
  for (let i = 0; i < symbols && end < bytes.length; i++) {
    const first = bytes[end]!;
    end += first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  }
  return Math.min(end, bytes.length);
}

/** The text without an incomplete last symbol; `undefined` if it is not UTF-8. */
function decodePrefix(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { ignoreBOM: true, fatal: true }).decode(bytes, {
      stream: true,
    });
  } catch {
    return undefined;
  }
}

/** Do the bytes begin as the first message of TLS? */
export function isTls(bytes: Uint8Array): boolean {
  return bytes.length >= LENGTH_BYTES && bytes[0] === 0x16 && bytes[1] === 3 && bytes[2]! <= 4;
}

/** Do the bytes begin as an HTTP request? At least 4 bytes must have arrived. */
export function isHttp(bytes: Uint8Array): boolean {
  const text = latin1(bytes);
  return text.length >= LENGTH_BYTES &&
    HTTP_METHODS.some((method) => `${method} `.startsWith(text) || text.startsWith(`${method} `));
}

/** Do the bytes begin as a PROXY header? Its first 4 bytes, as a length, are over every limit. */
export function isProxyHeader(bytes: Uint8Array): boolean {
  return PROXY_SIGNATURE.subarray(0, LENGTH_BYTES).every((byte, at) => byte === bytes[at]);
}
