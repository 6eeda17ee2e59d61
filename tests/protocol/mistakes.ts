/** Examples of each mistake: the bytes of the client and the reply. */
import { concat } from "@std/bytes";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import type { Mistake, MistakeCode } from "../../lib/protocol/mistake.ts";
import { PROXY_SIGNATURE } from "../../lib/protocol/proxy_protocol.ts";
import { from } from "./proxy_headers.ts";

const encoder = new TextEncoder();

/** The text in UTF-8. */
export function ascii(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Bytes one behind the other: texts, lists of bytes, and frames. */
function bytesOf(...parts: readonly (string | Iterable<number>)[]): Uint8Array {
  return concat(
    parts.map((part) => typeof part === "string" ? ascii(part) : Uint8Array.from(part)),
  );
}

/** A length as it stands in front of a frame, of `size` bytes. */
function little(value: number, size = 4): number[] {
  return Array.from({ length: size }, (_, at) => at < 4 ? value >>> 8 * at & 0xff : 0);
}

/** A length with its highest byte first. */
function big(value: number, size = 4): number[] {
  return little(value, size).reverse();
}

function frames(...payloads: (string | Uint8Array)[]): Uint8Array {
  return encodeFrames(payloads);
}

/** The text in UTF-16, the lowest byte of each letter first. */
function utf16(text: string): Uint8Array {
  return Uint8Array.from([...text].flatMap((letter) => [letter.charCodeAt(0), 0]));
}

/** Bytes of a client that makes a mistake. */
export interface Example {
  readonly code: MistakeCode;
  readonly name: string;
  readonly bytes: Uint8Array;
  /** A part of the explanation. */
  readonly says: string;
  /** The offset of the mistake, 0 by default. */
  readonly at?: number;
  /** The number of replies before the explanation, 0 by default. */
  readonly before?: number;
  /** How the explanation is sent, as a frame by default. */
  readonly dialect?: Mistake["dialect"];
  /** The mistake is found only when the client ends its side or the time of a command is over. */
  readonly atEnd?: true;
  /** In strict mode the server refuses and closes with this code before it finds the mistake. */
  readonly strictRefusal?: "name-undecodable" | "name-empty" | "text-undecodable";
}

/** A correct command. */
export const REGISTER = frames("register", "Al");
/** Correct commands, and the beginning of a mail to oneself. */
const BOB = frames("register", "Bob");
const SEND = bytesOf(BOB, frames("send"));
const TO_BOB = bytesOf(BOB, frames("send", "Bob"));

type Options = Omit<Example, "code" | "name" | "bytes" | "says">;

function example(
  code: MistakeCode,
  name: string,
  bytes: Uint8Array,
  says: string,
  options: Options = {},
): Example {
  return { code, name, bytes, says, ...options };
}

const NAMED = { at: 12 } as const;
const BEHIND_BOB = { at: 19, before: 1 } as const;
const LINE = { dialect: "line" } as const;
const AT_END = { atEnd: true } as const;

/** Lengths in another encoding. */
const ENCODINGS: readonly Example[] = [
  example(
    "big-endian",
    "a big-endian length that counts a line end",
    bytesOf(big(6), "users\n"),
    "For 6 send",
    { dialect: "big-endian" },
  ),

  example(
    "big-endian",
    "big-endian lengths of a word that is no command",
    bytesOf(big(5), "login", big(3), "Bob"),
    "For 5 send",
    { dialect: "big-endian" },
  ),
  example(
    "other-format",
    "JSON behind a big-endian length",
    bytesOf(big(17), '{"cmd":"users"}  '),
    "JSON",
    { dialect: "big-endian" },
  ),
  example(
    "short-length",
    "a length of one byte of a name",
    bytesOf(frames("register"), [3], "Bob"),
    "yours is 1 byte",
    NAMED,
  ),

  example(
    "big-endian",
    "big-endian lengths",
    bytesOf(big(8), "register", big(3), "Bob"),
    "For 8 send 08 00 00 00",
    { dialect: "big-endian" },
  ),
  example("big-endian", "a big-endian length", bytesOf(big(5), "users"), "For 5 send 05 00 00 00", {
    dialect: "big-endian",
  }),
  example(
    "big-endian",
    "a big-endian length of an argument",
    bytesOf(frames("register"), big(3), "Bob"),
    "For 3 send 03 00 00 00",
    NAMED,
  ),
  example(
    "big-endian",
    "a big-endian length behind right frames",
    bytesOf(BOB, big(5), "users"),
    "For 5 send",
    BEHIND_BOB,
  ),
  example(
    "big-endian",
    "a big-endian length, of whose text a part has come",
    bytesOf(big(8), "regi"),
    "highest byte first",
    { dialect: "big-endian" },
  ),
  example(
    "eight-byte-length",
    "lengths of eight bytes",
    bytesOf(little(5, 8), "users"),
    "yours is 8 bytes. For 5 send",
  ),
  example(
    "eight-byte-length",
    "big-endian lengths of eight bytes",
    bytesOf(big(8, 8), "register", big(3, 8), "Bob"),
    "yours is 8 bytes, highest first",
  ),
  example(
    "eight-byte-length",
    "a length of eight bytes of an argument",
    bytesOf(frames("register"), little(3, 8), "Bob"),
    "For 3 send",
    { at: 19, before: 1 },
  ),
  example(
    "eight-byte-length",
    "a length of eight bytes of a receiver",
    bytesOf(SEND, little(3, 8), "Bob", little(2, 8), "hi"),
    "For 3 send",
    { at: 34, before: 1 },
  ),
  example(
    "short-length",
    "lengths of two bytes",
    bytesOf(little(8, 2), "register", little(3, 2), "Bob"),
    "yours is 2 bytes. For 8 send 08 00 00 00",
  ),
  example(
    "short-length",
    "big-endian lengths of two bytes",
    bytesOf(big(8, 2), "register", big(3, 2), "Bob"),
    "2 bytes, highest first",
  ),
  example(
    "short-length",
    "lengths of three bytes",
    bytesOf(little(5, 3), "users"),
    "yours is 3 bytes",
  ),
  example(
    "short-length",
    "lengths of one byte",
    bytesOf([8], "register", [3], "Bob"),
    "yours is 1 byte.",
  ),
  example(
    "short-length",
    "a length of two bytes of an argument",
    bytesOf(frames("register"), little(3, 2), "Bob"),
    "For 3 send 03 00 00 00",
    NAMED,
  ),
  example("length-as-text", "decimal lengths", bytesOf("8register3Bob"), "yours is decimal digits"),
  example(
    "length-as-text",
    "decimal lengths of four digits",
    bytesOf("0008register0003Bob"),
    "a text of digits",
  ),
  example(
    "length-as-text",
    "decimal lengths, padded to ten bytes",
    bytesOf("8         register3         Bob"),
    "padded with blanks",
  ),
  example(
    "length-as-text",
    "decimal lengths with blanks before them",
    bytesOf("       8register       3Bob"),
    "padded with blanks",
  ),
  example(
    "length-as-text",
    "decimal lengths, padded with NULs",
    bytesOf("8\0\0\0register3\0\0\0Bob"),
    "padded with NULs",
  ),
  example(
    "length-as-text",
    "decimal lengths on lines",
    bytesOf("8\nregister3\nBob"),
    "on a line of their own",
  ),
  example(
    "length-as-text",
    "decimal lengths with a colon",
    bytesOf("8:register3:Bob"),
    "and a colon.",
  ),
  example("length-as-text", "netstrings", bytesOf("8:register,3:Bob,"), "as in a netstring"),
  example(
    "length-as-text",
    "hex lengths",
    bytesOf("00000008register00000003Bob"),
    "(decimal or hex)",
  ),
  example("length-as-text", "hex lengths with 0x", bytesOf("0x08register0x03Bob"), "hex digits"),
  example(
    "length-as-text",
    "a hex length of a text",
    bytesOf(TO_BOB, "00000018", "x".repeat(24)),
    "hex digits. For 24 send 18 00 00 00",
    { at: 34, before: 1 },
  ),
  example(
    "length-as-text",
    "a decimal length of an argument",
    bytesOf(frames("register"), "3Bob"),
    "For 3 send",
    NAMED,
  ),
  example(
    "length-as-float",
    "a float",
    bytesOf([0, 0, 0, 0x41], "register"),
    "a float of 4 bytes. For 8 send",
  ),
  example(
    "length-as-float",
    "a big-endian float",
    bytesOf([0x41, 0, 0, 0], "register"),
    "a float of 4 bytes",
  ),
  example(
    "length-as-float",
    "a double",
    bytesOf([0, 0, 0, 0, 0, 0, 0x20, 0x40], "register"),
    "a double of 8 bytes",
  ),
  example(
    "negative-length",
    "the length -1",
    bytesOf([255, 255, 255, 255], "register"),
    "is -1 as an int",
  ),
  example(
    "negative-length",
    "the length -1 of an argument",
    bytesOf(frames("register"), [255, 255, 255, 255], "Bob"),
    "the name of 'register' is -1",
    NAMED,
  ),
  example(
    "wrong-length",
    "a length that was not set",
    bytesOf([0xf0, 0x3a, 0x5c, 0x7f], "register"),
    "The 4 bytes before 'register' are no length",
  ),
];

/** Lengths that count something else than the bytes of their text. */
const COUNTS: readonly Example[] = [
  example(
    "nul-counted",
    "a length that counts a NUL, before a length that is a tab",
    bytesOf(little(9), "register", little(9), "Вася"),
    "does it count a NUL that you do not send?",
  ),
  example(
    "length-counted",
    "lengths of a name and a command that count their own four bytes",
    bytesOf(frames("register"), little(7), "Bob", little(9), "users"),
    "Does it count its own 4 bytes? Send 03 00 00 00",
    { at: 23, before: 1 },
  ),
  example(
    "nul-counted",
    "lengths of a receiver and a text that count a NUL",
    bytesOf(frames("send"), little(4), "Bob", little(3), "hi"),
    "Send 03 00 00 00",
    { at: 16 },
  ),
  example(
    "length-too-great",
    "lengths that count a line end that is not sent",
    bytesOf(little(10), "register", little(5), "Bob"),
    "2 too great: does it count a line end?",
  ),

  example(
    "buffer-size",
    "the size of a buffer in place of the length of a text",
    bytesOf(TO_BOB, little(256), "hi", frames("receive")),
    "a right frame stands behind 2 bytes",
    { at: 34, before: 1, atEnd: true },
  ),
  example(
    "buffer-size",
    "the same, and nothing follows",
    bytesOf(TO_BOB, little(256), "hi"),
    "Then send strlen bytes as the length: 02 00 00 00",
    { at: 34, before: 1, atEnd: true },
  ),
  example(
    "buffer-size",
    "a length in bits",
    bytesOf(little(64), "register", little(24), "Bob"),
    "or counted in bits?",
  ),
  example(
    "length-too-great",
    "a length of a text that is too great by far",
    bytesOf(TO_BOB, little(27), "hi", frames("receive")),
    "Send 02 00 00 00",
    { at: 34, before: 1, atEnd: true },
  ),

  example(
    "symbols-counted",
    "a length that counts symbols",
    bytesOf(frames("register"), little(4), "Вася"),
    "counts symbols, not bytes: it said 4",
    { at: 20, before: 1 },
  ),
  example(
    "symbols-counted",
    "a length that counts symbols, cut in the middle of one",
    bytesOf(frames("register"), little(5), "Андре", frames("users")),
    'The text is "Андре"',
    { at: 21, before: 1, strictRefusal: "name-undecodable" },
  ),
  example(
    "symbols-counted",
    "a length that counts symbols, and one byte is left",
    bytesOf(frames("register"), little(5), "André"),
    "it said 5",
    { at: 21, before: 1, strictRefusal: "name-undecodable" },
  ),
  example(
    "symbols-counted",
    "a length that counts symbols, and a command follows",
    bytesOf(frames("register"), little(5), "André", frames("users")),
    "it said 5",
    { at: 21, before: 1, strictRefusal: "name-undecodable" },
  ),
  example(
    "symbols-counted",
    "a length that counts symbols of a text of two scripts",
    bytesOf(TO_BOB, little(12), "Привет, Bob!"),
    'The text is "Привет, Bob!"',
    { at: 50, before: 2 },
  ),
  example(
    "symbols-counted",
    "a length that counts units of UTF-16",
    bytesOf(BOB, frames("sendall"), little(5), "hi👍!", frames("users")),
    'The text is "hi👍!"',
    { at: 39, before: 2, strictRefusal: "text-undecodable" },
  ),
  example(
    "symbols-counted",
    "a length that counts symbols of a receiver",
    bytesOf(SEND, little(4), "Вася", frames("hi")),
    'The text is "Вася"',
    { at: 35, before: 1 },
  ),
  example(
    "nul-counted",
    "a length that counts a trailing NUL",
    frames("users\0"),
    "The command holds a NUL",
  ),
  example(
    "nul-counted",
    "a length that counts a NUL that is not sent",
    bytesOf(little(6), "users"),
    "does it count a NUL that you do not send?",
  ),
  example(
    "nul-counted",
    "lengths that count a NUL that is not sent",
    bytesOf(little(9), "register", little(4), "Bob"),
    "send 08 00 00 00",
  ),
  example(
    "nul-counted",
    "a length that counts a NUL that is not sent, in an argument",
    bytesOf(frames("register"), little(4), "Eve", frames("users")),
    "1 too great: it took 1 byte of the length of a command. Does it count a NUL",
    { at: 20, before: 1 },
  ),
  example(
    "nul-counted",
    "a length that counts a NUL that is not sent, before a text",
    bytesOf(frames("send"), little(4), "Bob", little(5), "Hello"),
    "Send 03 00 00 00",
    { at: 16 },
  ),
  example(
    "nul-counted",
    "an argument of which one byte is missing",
    bytesOf(frames("register"), little(4), "Bob"),
    "Or did a part of the bytes not leave?",
    { at: 12, atEnd: true },
  ),
  example(
    "length-counted",
    "a length that includes its own four bytes",
    bytesOf(little(12), "register", little(7), "Bob"),
    "send 08 00 00 00",
  ),
  example(
    "length-counted",
    "a length that includes its own four bytes, and nothing follows",
    bytesOf(little(9), "users"),
    "4 too great: does it count its own 4 bytes?",
  ),
  example(
    "length-counted",
    "a length of an argument that includes its own four bytes",
    bytesOf(frames("register"), little(7), "Bob", frames("users")),
    "Send 03 00 00 00",
    { at: 23, before: 1 },
  ),
  example(
    "length-counted",
    "such a length, and nothing follows",
    bytesOf(frames("register"), little(7), "Bob"),
    "Then send 03 00 00 00",
    { at: 12, atEnd: true },
  ),
  example(
    "whitespace-counted",
    "a length that counts a line end",
    frames("users\n"),
    "a blank or a line end",
  ),
  example(
    "whitespace-counted",
    "lengths that count blanks",
    frames(" users "),
    "Send 05 00 00 00 and 'users' alone",
  ),
  example(
    "length-too-great",
    "a length that is 2 too great",
    bytesOf(frames("register"), little(5), "Bob", frames("users")),
    "2 too great",
    { at: 21, before: 1 },
  ),
  example(
    "length-too-small",
    "a length of a command that is 1 too small",
    bytesOf(little(7), "register", little(3), "Bob"),
    "1 too small. The command 'register' has 8 bytes",
  ),
  example(
    "length-too-small",
    "a length of a name that is 1 too small",
    bytesOf(frames("register"), little(2), "Bob", frames("users")),
    'The rest is "b"',
    { at: 18, before: 1 },
  ),
  example(
    "length-too-small",
    "a length of a text that is 1 too small",
    bytesOf(TO_BOB, little(4), "hello", frames("receive")),
    "Send 05 00 00 00",
    { at: 42, before: 2 },
  ),
  example(
    "length-too-small",
    "the size of a pointer in place of a length",
    bytesOf(little(4), "register", little(4), "Bob"),
    "Is 4 the sizeof of a pointer?",
  ),
  example(
    "length-too-small",
    "the length 0",
    bytesOf(little(0), "register", little(0), "Bob"),
    "send 08 00 00 00",
  ),
  example(
    "buffer-size",
    "the size of a pointer and the memory behind a command",
    bytesOf(little(8), "users\0re"),
    "Is 8 the sizeof of a pointer?",
  ),
  example(
    "buffer-size",
    "the size of a buffer in place of a length",
    bytesOf(little(64), "register", little(64), "Bob"),
    "Is 64 the size of a buffer (sizeof)",
  ),
  example(
    "buffer-size",
    "the size of a buffer, and the whole buffer",
    bytesOf(little(1024), "register".padEnd(1024, "\0"), little(1024), "Bob".padEnd(1024, "\0")),
    "Is 1024 the size of a buffer (sizeof)?",
  ),
  example(
    "buffer-size",
    "the size of a buffer in place of the length of a name",
    bytesOf(frames("register"), little(256), "Bob"),
    "Is 256 the size of a buffer (sizeof)?",
    NAMED,
  ),
  example(
    "too-long",
    "a name that is longer than any, of which a part came",
    bytesOf(frames("register"), little(77), "Bob"),
    "a name has at most 8 symbols",
    NAMED,
  ),
];

/** Bytes that stand between frames, or before them. */
const BETWEEN: readonly Example[] = [
  example(
    "bytes-between",
    "a line end between a length and its text",
    bytesOf(little(8), "\nregister", little(3), "\nBob"),
    "1 byte stands between the length of 'register' and its text",
  ),
  example(
    "bytes-between",
    "a second length, as BinaryWriter writes one",
    bytesOf(little(8), [8], "register", little(3), [3], "Bob"),
    "BinaryWriter",
  ),

  example(
    "bytes-between",
    "a checksum behind a frame",
    bytesOf(BOB, [0x12, 0x34, 0x56, 0x78], frames("users")),
    "a checksum",
    BEHIND_BOB,
  ),
  example(
    "bytes-between",
    "a readable byte behind a frame",
    bytesOf(frames("users"), "Z"),
    "1 byte behind a frame belongs to no frame",
    { at: 9, before: 1 },
  ),

  example(
    "nul-between",
    "a NUL that the length does not count",
    bytesOf(frames("register"), "\0", frames("Bob"), "\0"),
    "A NUL stands behind a frame",
    NAMED,
  ),
  example(
    "nul-between",
    "a NUL that the length does not count, before a longer text",
    bytesOf(frames("sendall"), "\0", little(40), "x".repeat(40)),
    "A NUL stands behind a frame",
    { at: 11 },
  ),
  example(
    "nul-between",
    "a NUL behind the last frame",
    bytesOf(frames("users"), "\0"),
    "A NUL stands behind a frame",
    { at: 9, before: 1 },
  ),
  example(
    "nul-between",
    "whole structs",
    bytesOf(little(8), "register".padEnd(60, "\0"), little(3), "Bob".padEnd(60, "\0")),
    "52 NULs stand behind a frame: is a whole struct or buffer sent",
    { at: 16, before: 1, strictRefusal: "name-empty" },
  ),
  example(
    "nul-between",
    "a whole struct that is larger than what is looked at",
    bytesOf(little(5), "users".padEnd(1020, "\0")),
    "At least 512 NULs",
    { at: 9, before: 1 },
  ),
  example(
    "bytes-between",
    "line ends behind commands",
    bytesOf(BOB, "\r\n", frames("users"), "\r\n"),
    "2 bytes behind a frame belong to no frame. Is it a line end (CR LF)?",
    BEHIND_BOB,
  ),
  example(
    "bytes-between",
    "a line end behind the last command",
    bytesOf(frames("users"), "\n"),
    "Is it a line end (LF)?",
    { at: 9, before: 1 },
  ),
  example(
    "bytes-between",
    "a blank between frames",
    bytesOf(frames("register"), " ", frames("Bob")),
    "Is it a blank?",
    NAMED,
  ),
  example(
    "bytes-between",
    "a total length before the frames",
    bytesOf(little(11), frames("register", "Bob")),
    "Is it a total length, a checksum, or a field of a struct?",
  ),
  example(
    "bytes-between",
    "a byte for the type before each command",
    bytesOf([1], frames("users")),
    "1 byte before a command belongs to no frame",
  ),
  example(
    "bytes-between",
    "a byte order mark before the first frame",
    bytesOf([0xef, 0xbb, 0xbf], frames("users")),
    "a byte order mark",
  ),
  example(
    "two-threads",
    "two threads that write to one socket",
    bytesOf(BOB, little(4), little(5), "sendusers"),
    "2 lengths came one behind the other",
    BEHIND_BOB,
  ),
  example(
    "two-threads",
    "three threads, of which the last one is first",
    bytesOf(little(2), little(3), little(4), "sendBobhi"),
    "3 lengths came one behind the other",
  ),
];

/** Whole frames that hold something else than a command or a name. */
const CONTENTS: readonly Example[] = [
  example(
    "unknown-command",
    "a command in camel case",
    bytesOf(BOB, frames("sendAll", "hi")),
    "small letters: 'sendall'",
    BEHIND_BOB,
  ),
  example(
    "argument-in-command",
    "a short receiver and a text in one frame",
    bytesOf(SEND, frames("Bob hi")),
    "seems to hold both",
    { at: 37, before: 1, atEnd: true },
  ),

  example(
    "unknown-command",
    "login",
    frames("login", "Bob"),
    "Did you mean 'register'? It takes a name",
  ),
  example("other-format", "gzip", Uint8Array.of(0x1f, 0x8b, 8, 0, 1, 2, 3), "gzip"),
  example(
    "other-format",
    "a frame of a WebSocket",
    bytesOf([0x81, 5], "users"),
    "a frame of a WebSocket, without its handshake",
  ),
  example(
    "empty-command",
    "an empty argument of a command that takes none",
    frames("users", ""),
    "'users', takes no argument",
    { at: 9, before: 1 },
  ),
  example(
    "unknown-command",
    "a reply that is sent back",
    bytesOf(BOB, frames("Hello, Bob")),
    "It is a reply of the server",
    BEHIND_BOB,
  ),
  example(
    "unknown-command",
    "an argument before its command",
    frames("Bob", "register"),
    "A command comes before its arguments",
  ),

  example(
    "utf-16",
    "UTF-16",
    frames(utf16("register"), utf16("Bob")),
    "The command is encoded as UTF-16",
  ),
  example(
    "utf-16",
    "UTF-16 with a byte order mark",
    frames(bytesOf([0xff, 0xfe], utf16("users"))),
    "'users' has 5 bytes",
  ),
  example(
    "utf-16",
    "UTF-16 whose lengths count letters",
    bytesOf(little(8), utf16("register"), little(3), utf16("Bob")),
    "encoded as UTF-16",
  ),
  example(
    "frames-in-frame",
    "frames packed once more with a total length",
    frames(frames("register", "Bob")),
    "the command 'register' and 1 more",
  ),
  example(
    "frames-in-frame",
    "a receiver and a text packed into one frame",
    bytesOf(SEND, frames(frames("Bob", "Hello, Bob!"))),
    "the receiver and the text packed into one of 22 bytes",
    { at: 53, before: 1 },
  ),
  example(
    "argument-in-command",
    "a receiver and a text in one frame",
    bytesOf(SEND, frames("Bob hi there")),
    "seems to hold both",
    { at: 43, before: 1 },
  ),
  example(
    "argument-in-command",
    "an argument behind a blank",
    frames("register Eve"),
    "An argument is a frame of its own. Send 08 00 00 00",
  ),
  example(
    "argument-in-command",
    "an argument behind a NUL",
    frames("register\0Eve"),
    "which takes a name",
  ),
  example(
    "argument-in-command",
    "a length over command and argument",
    frames(bytesOf("register", frames("Eve"))),
    "it counts the command and the frames behind it",
  ),
  example(
    "argument-in-command",
    "a length of the whole message",
    bytesOf(little(19), "register", frames("Bob")),
    "nothing counts them all",
  ),
  example("other-format", "JSON in a frame", frames('{"command":"register","name":"Bob"}'), "JSON"),
  example("other-format", "lines of JSON", bytesOf('{"command":"users"}\n'), "JSON", LINE),
  example(
    "other-format",
    "bytes as Python shows them",
    frames("b'register'"),
    "how Python shows bytes",
  ),
  example(
    "other-format",
    "escapes",
    bytesOf("\\x05\\x00\\x00\\x00users"),
    "bytes written as escapes",
    LINE,
  ),
  example(
    "other-format",
    "hex",
    bytesOf("05 00 00 00 75 73 65 72 73\n"),
    "bytes written in hex",
    LINE,
  ),
  example("other-format", "base64", bytesOf("CAAAAHJlZ2lzdGVyAwAAAEJvYg=="), "base64", LINE),
  example(
    "other-format",
    "a pickle",
    bytesOf([0x80, 4, 0x95, 12, 0, 0, 0, 0, 0, 0, 0, 0x8c, 8], "register", [0x94, 0x2e]),
    "a pickle of Python",
  ),
  example(
    "other-format",
    "MessagePack",
    bytesOf([0x92, 0xa8], "register", [0xa3], "Bob"),
    "MessagePack",
  ),
  example("other-format", "a command in quotes", frames('"users"'), "quotes around it"),
  example("empty-command", "an empty command", bytesOf(little(0)), "0 bytes"),
  example(
    "unknown-command",
    "an unknown command",
    frames("regsiter", "Bob"),
    "Did you mean 'register'?",
  ),
  example(
    "unknown-command",
    "a command in capital letters",
    frames("USERS"),
    "Commands are in small letters: 'users'",
  ),
  example(
    "unknown-command",
    "a word of another protocol",
    frames("exit"),
    "Did you mean 'logout'?",
  ),
  example("unknown-command", "a command behind a slash", frames("/users"), "Did you mean 'users'?"),
  example("unknown-command", "a number", frames("1"), "A command is a word, not a number"),
  example(
    "unknown-command",
    "a byte order mark before a command",
    frames("\ufeffusers"),
    "A byte order mark",
  ),
  example(
    "unknown-command",
    "a frame too many",
    bytesOf(BOB, frames("sendall", "Bob", "hi")),
    "'sendall', takes a text and no receiver",
    { at: 37, before: 2 },
  ),
  example(
    "unknown-command",
    "a frame too few",
    frames("register", "send", "Bob", "hi"),
    "took 'send' for it: was a frame forgotten there?",
    { at: 20, before: 1 },
  ),
  example(
    "unknown-command",
    "a command that is not near any other",
    frames("\u202e<script>"),
    'It is "\\u202e<script>"',
  ),
];

/** Other protocols, and text without lengths. */
const OTHERS: readonly Example[] = [
  example(
    "plain-text",
    "a word with its NUL",
    bytesOf("users\0"),
    "Send its 4-byte little-endian length first",
    LINE,
  ),
  example(
    "plain-text",
    "a word without a length, and then a frame",
    bytesOf("users", frames("users")),
    "Send its 4-byte little-endian length first",
    LINE,
  ),
  example(
    "plain-text",
    "a name without a length, and then a command",
    bytesOf(frames("register"), "Bob", frames("users")),
    "Send its length first: 03 00 00 00",
    NAMED,
  ),

  example(
    "plain-text",
    "plain text, as nc sends it",
    bytesOf("users\n"),
    "Send its 4-byte little-endian length first",
    LINE,
  ),
  example(
    "plain-text",
    "plain text in another script",
    bytesOf("привет\n"),
    'It is "привет"',
    LINE,
  ),
  example(
    "plain-text",
    "a line that is shorter than a length",
    bytesOf("hi\n"),
    'It is "hi"',
    LINE,
  ),
  example("plain-text", "an empty line", bytesOf("\r\n"), "This is text", LINE),
  example(
    "plain-text",
    "an argument without its length",
    bytesOf(frames("register"), "Robert"),
    "the length of the name of 'register'",
    NAMED,
  ),
  example("http", "HTTP", bytesOf("GET / HTTP/1.1\r\n\r\n"), "This is an HTTP request", {
    dialect: "http",
  }),
  example("http", "HTTP POST", bytesOf("POST /send HTTP/1.1\r\n"), "This is an HTTP request", {
    dialect: "http",
  }),
  example(
    "http",
    "the handshake of a WebSocket",
    bytesOf("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
    "This is a WebSocket handshake",
    { dialect: "http" },
  ),
  example(
    "proxy-header",
    "a header of the PROXY protocol",
    from("192.0.2.7"),
    "your address is not in --proxy-protocol",
  ),
  example(
    "proxy-header",
    "the beginning of such a header",
    PROXY_SIGNATURE.subarray(0, 4),
    "So begins a header of the PROXY protocol",
  ),
  example(
    "over-limit",
    "bytes that only resemble such a header",
    Uint8Array.of(13, 10, 13, 11, 0, 13, 10),
    "over the limit of 4096",
  ),
  example(
    "tls",
    "a TLS hello",
    Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3),
    "Connect without TLS",
  ),
  example(
    "other-protocol",
    "the hello of SSH",
    bytesOf("SSH-2.0-OpenSSH_9.2\r\n"),
    "This is the beginning of SSH",
    LINE,
  ),
  example(
    "other-protocol",
    "MQTT",
    bytesOf([0x10, 0x10, 0, 4], "MQTT", [4, 2, 0, 60]),
    "This is the beginning of MQTT",
  ),
  example("over-limit", "a frame over the limit", bytesOf(little(5000), "x"), "The length is 5000"),
  example(
    "over-limit",
    "a text over the limit",
    bytesOf(frames("sendall"), little(4097)),
    "the text of 'sendall' is over the limit of 4096",
    { at: 11 },
  ),
];

/** Commands that were begun and not completed. */
const INCOMPLETE: readonly Example[] = [
  example(
    "incomplete-frame",
    "a part of a command, and then the next one",
    bytesOf(little(8), "regi", frames("users")),
    "Only 4 of 8 bytes of a command came",
  ),

  example(
    "incomplete-frame",
    "3 of 8 bytes of a frame",
    bytesOf(little(8), "reg"),
    "3 of 8 bytes of a command came",
    AT_END,
  ),
  example(
    "incomplete-frame",
    "a part of the bytes",
    bytesOf(little(8), "regi"),
    "did one send or write take only a part",
    AT_END,
  ),
  example(
    "incomplete-frame",
    "2 bytes of a length",
    bytesOf(REGISTER, [5, 0]),
    "2 bytes of the 4 bytes of the length of a command came",
    { at: 18, before: 1, atEnd: true },
  ),
  example(
    "argument-missing",
    "a command without its last argument",
    frames("send", "Bob"),
    "'send' takes a receiver and a text",
    { at: 15, atEnd: true },
  ),
  example(
    "argument-missing",
    "a text without its receiver",
    bytesOf(BOB, frames("send", "hello")),
    "If that frame is the text, the receiver is missing",
    { at: 36, before: 1, atEnd: true },
  ),
];

/** At least one example of each code. */
export const EXAMPLES: readonly Example[] = [
  ...ENCODINGS,
  ...COUNTS,
  ...BETWEEN,
  ...CONTENTS,
  ...OTHERS,
  ...INCOMPLETE,
];

/** Mistakes of clients that send a mail with the word SECRET. */
export const MAIL_IN_A_MISTAKE: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ["plain text", ascii("send Bob SECRET\r\n")],
  ["one frame", encodeFrames(["send Bob SECRET"])],
  [
    "a big-endian client",
    concat(["send", "Bob", "SECRET"].flatMap((word) => [
      Uint8Array.of(0, 0, 0, word.length),
      ascii(word),
    ])),
  ],
  ["UTF-16", encodeFrames(["s\0e\0n\0d\0", "SECRET"])],
  [
    "a mistake behind a mail and another command",
    concat([
      encodeFrames(["sendall", "SEC", "ping"]),
      ascii("SECRET"),
    ]),
  ],
  ["swapped arguments", encodeFrames(["send", "SECRET text", "Al"])],
  ["a POST", ascii("POST /send?text=SECRET HTTP/1.1\r\n")],
];
