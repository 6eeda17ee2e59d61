/** What bytes that are no protocol prove: the tests behind the table of `mistake.ts`. Pure. */
import { LENGTH_BYTES, readLength } from "./frame.ts";
import { PROXY_SIGNATURE } from "./proxy_protocol.ts";

/** What the server saw when the bytes stopped being the protocol. */
export interface Evidence {
  /**
   * `over-limit`: a length over the limit. `unknown-command`: a whole frame that names no command.
   * `stalled`: a command was begun and its time is over. `cut-off`: the stream ended inside one.
   */
  readonly kind: "over-limit" | "unknown-command" | "stalled" | "cut-off";
  /** From the first byte of the frame's length on: all that has come. */
  readonly bytes: Uint8Array;
  /** What the frame should be: `"command"`, or the name of an argument. */
  readonly expected: string;
  /** The command that was begun, where an argument was expected. */
  readonly command: string | undefined;
  /** The payload of the frame just before, where that is an argument. */
  readonly previous: Uint8Array | undefined;
  /** The commands that the server knows. */
  readonly commands: readonly string[];
  /** The limit of a frame's payload, in bytes. */
  readonly bytesMax: number;
  /** How long the server waited for the rest of the command, in seconds. */
  readonly seconds: number;
}

export const NUL = 0;
const HTTP_METHODS = "GET HEAD POST PUT DELETE OPTIONS PATCH CONNECT TRACE PRI".split(" ");

/** The bytes as text, one symbol a byte, so that an offset in one is an offset in the other. */
export function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, 64));
}

export function bigEndian(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES).getUint32(0, false);
}

export function hasLength({ bytes }: Evidence): boolean {
  return bytes.length >= LENGTH_BYTES;
}

export function content({ bytes }: Evidence): Uint8Array {
  return bytes.subarray(LENGTH_BYTES);
}

/** How many bytes of the frame have not come; the length itself must be there. */
function missing(seen: Evidence): number {
  return readLength(seen.bytes) - content(seen).length;
}

/** Is this the content of a frame that is cut short by exactly so many bytes? */
export function isShortBy(seen: Evidence, bytes: number): boolean {
  const cutShort = seen.kind === "stalled" || seen.kind === "cut-off";
  return cutShort && hasLength(seen) && content(seen).length > 0 && missing(seen) === bytes;
}

/** Do the bytes begin as text does? Less than a length must hold a letter to be sure. */
export function isPrintableText(bytes: Uint8Array): boolean {
  const text = latin1(bytes.subarray(0, LENGTH_BYTES));
  const sure = text.length < LENGTH_BYTES ? /[A-Za-z]/ : /[A-Za-z0-9/@]/;
  return /^[\t\r\n\x20-\x7e]*$/.test(text) && sure.test(text);
}

/**
 * How many bytes a length seems to have that is too short: text, or the command, begins behind 1 or 2
 * bytes; `undefined` where it does not.
 */
export function shortLength(seen: Evidence): { size: 1 | 2; length: number } | undefined {
  const [first = 0, second = 0] = seen.bytes;
  if (seen.kind !== "over-limit" || isPrintableText(seen.bytes)) return undefined;
  if (seen.command === undefined && commandAtStart(seen, latin1(seen.bytes.subarray(1)))) {
    return { size: 1, length: first };
  }
  const text = seen.bytes.subarray(2);
  const begins = seen.command === undefined
    ? commandAtStart(seen, latin1(text))
    : isPrintableText(text);
  return begins && (first === NUL || second === NUL)
    ? { size: 2, length: first | second }
    : undefined;
}

/** A length of 8 bytes before an argument: its upper half was taken for the argument's text. */
export function isEightByteArgument({ previous, bytes }: Evidence): boolean {
  if (previous === undefined || previous.length === 0) return false;
  const upper = previous.subarray(0, LENGTH_BYTES);
  const behind = bytes.subarray(0, LENGTH_BYTES - upper.length);
  return upper.length + behind.length === LENGTH_BYTES &&
    [...upper, ...behind].every((byte) => byte === NUL);
}

/**
 * The next length, where the argument before took its first byte: that one's length is 1 too many.
 * What follows must fit, as far as it has come.
 */
export function swallowedLength(seen: Evidence): number | undefined {
  const { previous, bytes, bytesMax } = seen;
  if (previous === undefined || previous.length < 2 || bytes.length < 3) return undefined;
  if (bytes[1] !== NUL || bytes[2] !== NUL) return undefined;
  const length = previous.at(-1)! | bytes[0]! << 8;
  const text = latin1(bytes.subarray(3, 3 + length));
  if (length === 0 || length > bytesMax || text.length === 0) return undefined;
  const fits = seen.command === undefined ? commandAtStart(seen, text) : /^[^\p{Cc}]/u.test(text);
  return fits ? length : undefined;
}

/** Does the command's length count one byte too many, the first of the length of its argument? */
export function swallowsByte(seen: Evidence): boolean {
  const bytes = content(seen);
  const last = bytes.at(-1) ?? NUL;
  return seen.kind === "unknown-command" && last > 0 && last <= 8 &&
    seen.commands.includes(latin1(bytes.subarray(0, -1)));
}

/** A known command with its argument in the same frame: behind a blank, or a length and its bytes. */
export function commandWithMore(seen: Evidence): string | undefined {
  const text = latin1(content(seen));
  return seen.commands.find((command) => {
    if (!text.startsWith(command)) return false;
    if (text[command.length] === " ") return true;
    const more = content(seen).subarray(command.length);
    return more.length > LENGTH_BYTES && readLength(more) === more.length - LENGTH_BYTES;
  });
}

export function commandAtStart(seen: Evidence, text: string): boolean {
  return text.length > 0 &&
    seen.commands.some((command) => command.startsWith(text) || text.startsWith(command));
}

/**
 * The argument before, prolonged by the bytes that were taken for the next length, where they prove
 * to be the rest of its text: its length counted symbols, each of which may take up to 4 bytes.
 */
export function prolonged({ kind, previous, bytes, bytesMax }: Evidence): string | undefined {
  if (previous === undefined || !previous.some((byte) => byte >= 0x80)) return undefined;
  const joined = new Uint8Array(previous.length + bytes.length);
  joined.set(previous);
  joined.set(bytes, previous.length);
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

/** The offset behind so many symbols of UTF-8, or the end. */
function endOfSymbols(bytes: Uint8Array, symbols: number): number {
  let end = 0;
  for (let i = 0; i < symbols && end < bytes.length; i++) {
    const first = bytes[end]!;
    end += first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  }
  return Math.min(end, bytes.length);
}

/** The text, without a last symbol that is cut off; `undefined` where it is not UTF-8. */
function decodePrefix(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { ignoreBOM: true, fatal: true }).decode(bytes, {
      stream: true,
    });
  } catch {
    return undefined;
  }
}

/** Is this, as far as it came, the first line of an HTTP request? */
export function isHttp(bytes: Uint8Array): boolean {
  const text = latin1(bytes);
  return text.length >= LENGTH_BYTES &&
    HTTP_METHODS.some((method) => `${method} `.startsWith(text) || text.startsWith(`${method} `));
}

/** Does a header of the PROXY protocol begin so? As a length it is over every limit: no more is needed. */
export function isProxyHeader(bytes: Uint8Array): boolean {
  return PROXY_SIGNATURE.subarray(0, LENGTH_BYTES).every((byte, at) => byte === bytes[at]);
}
