/**
 * The ways in which clients write a length, other than 4 bytes with the lowest first, and the search for
 * the one that explains the bytes of a client. Pure.
 */
import { LENGTH_BYTES, readBegunLength } from "../frame.ts";
import {
  bytesFrom,
  type Evidence,
  framesFit,
  hexLength,
  isCommand,
  isFirst,
  isReadable,
  latin1,
  type Role,
  wordAt,
} from "./evidence.ts";
import type { Finding } from "./finding.ts";

/** A length that was read: its value, and the bytes that it takes. */
interface ReadLength {
  readonly value: number;
  readonly size: number;
}

/** A way to write a length. */
interface Encoding {
  readonly code:
    | "big-endian"
    | "eight-byte-length"
    | "short-length"
    | "length-as-text"
    | "length-as-float";
  /** The length of a text, in words: `8 bytes, highest first`. */
  readonly is: string;
  /** Reads a length at an offset; `undefined` where there is none of this kind. */
  readonly read: (bytes: Uint8Array, offset: number) => ReadLength | undefined;
  /** The number of bytes behind each payload that belong to it too, as the comma of a netstring. */
  readonly trailer?: number;
}

/** Reads a number by `get` from `size` bytes. */
function binary(
  code: Encoding["code"],
  is: string,
  size: number,
  get: (view: DataView) => number | bigint,
): Encoding {
  return {
    code,
    is,
    read: (bytes, offset) => {
      if (bytes.length - offset < size) return undefined;
      const value = Number(get(new DataView(bytes.slice(offset, offset + size).buffer)));
      return Number.isSafeInteger(value) && value > 0 ? { value, size } : undefined;
    },
  };
}

/** Reads digits that `pattern` finds at the start of a text. Its first group is the number. */
function digits(is: string, pattern: RegExp, base: number, trailer = 0): Encoding {
  return {
    code: "length-as-text",
    is,
    trailer,
    read: (bytes, offset) => {
      const found = pattern.exec(latin1(bytes.subarray(offset), 80));
      const value = parseInt(found?.[1] ?? "0", base);
      return found !== null && value > 0 ? { value, size: found[0].length } : undefined;
    },
  };
}

/** In the order in which they are tried. */
const ENCODINGS: readonly Encoding[] = [
  binary("big-endian", "4 bytes, highest first (big-endian)", 4, (view) => view.getUint32(0)),
  binary(
    "eight-byte-length",
    "8 bytes, highest first (big-endian)",
    8,
    (view) => view.getBigUint64(0),
  ),
  binary("eight-byte-length", "8 bytes", 8, (view) => view.getBigUint64(0, true)),
  binary("short-length", "2 bytes", 2, (view) => view.getUint16(0, true)),
  binary("short-length", "2 bytes, highest first (big-endian)", 2, (view) => view.getUint16(0)),
  binary("short-length", "1 byte", 1, (view) => view.getUint8(0)),
  binary(
    "short-length",
    "3 bytes",
    3,
    (view) => view.getUint16(0, true) | view.getUint8(2) << 16,
  ),
  binary(
    "short-length",
    "3 bytes, highest first (big-endian)",
    3,
    (view) => view.getUint16(0) << 8 | view.getUint8(2),
  ),
  binary("length-as-float", "a float of 4 bytes", 4, (view) => view.getFloat32(0, true)),
  binary("length-as-float", "a float of 4 bytes", 4, (view) => view.getFloat32(0)),
  binary("length-as-float", "a double of 8 bytes", 8, (view) => view.getFloat64(0, true)),
  binary("length-as-float", "a double of 8 bytes", 8, (view) => view.getFloat64(0)),
  digits("decimal digits and a colon, as in a netstring", /^(\d{1,6}):(?=[^,]*,)/, 10, 1),
  digits("decimal digits and a colon", /^(\d{1,6}):/, 10),
  digits("a text of digits (decimal or hex)", /^(0\d+)(?!\d)/, 10),
  digits("a text of hex digits", /^(?:0x)?([0-9a-f]{2}|[0-9a-f]{4}|[0-9a-f]{8})(?![0-9a-f])/i, 16),
  digits("a text of hex digits", /^0x([0-9a-f]{1,8}) */i, 16),
  digits("a text of hex digits", /^([0-9a-f]{8})/i, 16),
  digits("decimal digits, padded with blanks", /^ *(\d{1,6}) +/, 10),
  digits("decimal digits, padded with blanks", /^ +(\d{1,6})(?!\d)/, 10),
  digits("decimal digits, padded with NULs", /^(\d{1,6})\0+/, 10),
  digits("decimal digits on a line of their own", /^(\d{1,6})\r?\n/, 10),
  digits("decimal digits and a separator", /^(\d{1,6})[,;|/-]/, 10),
  digits("decimal digits", /^(\d{1,6})(?!\d)/, 10),
];

/** The frames of a client in another encoding. */
interface Explained {
  readonly encoding: Encoding;
  /** The value of the first length. */
  readonly value: number;
}

/**
 * The encoding whose frames the bytes are, from the faulty frame on, or from one of those before it: an
 * 8-byte length is read as a frame, and the next one is the fault.
 */
function findEncoding(seen: Evidence): Explained | undefined {
  for (let index = seen.past.length; index >= Math.max(0, seen.past.length - 4); index--) {
    const bytes = bytesFrom(seen, index);
    const role = index === 0 ? roleOfFirst(seen) : seen.past[index - 1]!.next;
    // A length that may be a right one of an argument is no float and no digits.
    const isFair = role !== "command" && readBegunLength(bytes) <= seen.bytesMax;
    for (const encoding of ENCODINGS) {
      const isRewound = index < seen.past.length;
      if (isRewound && !isLong(encoding, bytes)) continue;
      if (isFair && isGuess(encoding)) continue;
      const value = valueOf(seen, encoding, bytes, role);
      if (value !== undefined) return { encoding, value };
    }
  }
  return undefined;
}

function isGuess({ code }: Encoding): boolean {
  return code === "length-as-float" || code === "length-as-text";
}

/** A length of 8 bytes begins as a right one of 4, or as an empty frame. */
function isLong(encoding: Encoding, bytes: Uint8Array): boolean {
  return encoding.read(bytes, 0)?.size === 2 * LENGTH_BYTES && encoding.code !== "length-as-text";
}

function roleOfFirst({ past, expected, commands }: Evidence): Role {
  const [first] = past;
  if (first === undefined) return expected;
  return (commands as readonly string[]).includes(latin1(first.payload)) ? "command" : "text";
}

/** The first length, if the bytes are frames of this encoding: the first one has to be whole. */
function valueOf(
  seen: Evidence,
  encoding: Encoding,
  bytes: Uint8Array,
  role: Role,
): number | undefined {
  const first = encoding.read(bytes, 0);
  if (first === undefined || first.value > seen.bytesMax) return undefined;
  const payload = bytes.subarray(first.size, first.size + first.value);
  if (payload.length < first.value) return undefined;
  if (role === "command") return isCommand(seen, payload) ? first.value : undefined;
  if (!isReadable(payload) || !isPlausible(encoding, bytes, payload)) return undefined;
  const end = first.size + first.value + (encoding.trailer ?? 0);
  const follows = end >= bytes.length || encoding.read(bytes, end) !== undefined ||
    framesFit(seen, bytes, end, "command");
  return follows ? first.value : undefined;
}

/** A length of 1 byte that is a letter would explain any text, and digits a text that begins with them. */
function isPlausible({ code, is }: Encoding, bytes: Uint8Array, payload: Uint8Array): boolean {
  if (is === "1 byte") return /^\p{Cc}/u.test(latin1(bytes, 1));
  return code !== "length-as-text" || payload.length > 1;
}

/** A length in another encoding than 4 bytes, lowest first. */
export function otherEncoding(seen: Evidence): Finding | undefined {
  const found = findEncoding(seen);
  if (found === undefined) return undefined;
  const { encoding: { code, is }, value } = found;
  if (code === "big-endian") return bigEndian(value);
  const rule =
    `A length has 4 bytes, lowest first (little-endian); yours is ${is}. For ${value} send ` +
    `${hexLength(value)}` + (code === "length-as-text" ? ", not its digits" : "");
  return { code, rule, dialect: "frame" };
}

/**
 * A length over the limit that would be a fair one with its highest byte first, where too little has
 * come to know more.
 */
export function swappedLength(seen: Evidence): Finding | undefined {
  const { bytes, bytesMax } = seen;
  // Behind 3 zeros a command has begun: a byte of its length is missing.
  if (wordAt(seen, bytes.subarray(LENGTH_BYTES - 1)) !== undefined) return undefined;
  if (bytes[0] !== 0 || bytes[1] !== 0) return undefined;
  const value = ENCODINGS[0]!.read(bytes, 0)?.value ?? Infinity;
  // Behind right frames a text that is shorter says that these bytes are something else.
  const came = bytes.length - LENGTH_BYTES;
  const isProved = isFirst(seen) || came === 0 || came >= value;
  return value <= bytesMax && isProved ? bigEndian(value) : undefined;
}

function bigEndian(value: number): Finding {
  const rule = "A length comes lowest byte first (little-endian); yours comes highest byte first " +
    `(big-endian). For ${value} send ${hexLength(value)} (C: no htonl; Python: '<I'; Java: ` +
    "ByteOrder.LITTLE_ENDIAN)";
  return { code: "big-endian", rule };
}

/** Does the connection begin with a length of 4 bytes whose highest byte comes first? */
export function isBigEndian(seen: Evidence): boolean {
  const { bytes, bytesMax } = seen;
  const first = ENCODINGS[0]!.read(bytes, 0);
  return isFirst(seen) && first !== undefined && first.value <= bytesMax && bytes[0] === 0 &&
    bytes[1] === 0 && wordAt(seen, bytes.subarray(LENGTH_BYTES - 1)) === undefined;
}
