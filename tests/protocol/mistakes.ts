/** Examples of each mistake: the bytes of the client and the reply. */
import { concat } from "@std/bytes";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import type { MistakeCode } from "../../lib/protocol/mistake.ts";
import { PROXY_SIGNATURE } from "../../lib/protocol/proxy_protocol.ts";
import { from } from "./proxy_headers.ts";

const encoder = new TextEncoder();

/** The text in UTF-8. */
export function ascii(text: string): Uint8Array {
  return encoder.encode(text);
}

/** A length as it stands in front of a frame, of `size` bytes. */
function length(bytes: number, size = 4): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => at < 4 ? bytes >>> 8 * at : 0);
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
  /** The mistake is found only when the client ends its side or the time of a command is over. */
  readonly atEnd?: true;
  /** In strict mode the server refuses and closes with this code before it finds the mistake. */
  readonly strictRefusal?: "name-undecodable";
}

/** A correct command. */
export const REGISTER = encodeFrames(["register", "Al"]);

/** At least one example of each code. */
export const EXAMPLES: readonly Example[] = [
  {
    code: "big-endian",
    name: "a big-endian length",
    bytes: concat([Uint8Array.of(0, 0, 0, 5), ascii("users")]),
    says: "Send 05 00 00 00",
  },
  {
    code: "big-endian",
    name: "a big-endian length of an argument",
    at: 12,
    bytes: concat([encodeFrames(["register"]), Uint8Array.of(0, 0, 0, 3), ascii("Bob")]),
    says: "only in big-endian order 3",
  },
  {
    code: "nul-counted",
    name: "a length that counts a trailing NUL",
    bytes: encodeFrames(["users\0"]),
    says: "no NUL at the end",
  },
  {
    code: "nul-counted",
    name: "a command in UTF-16",
    bytes: encodeFrames(["u\0s\0e\0r\0s\0"]),
    says: "holds 5 NUL",
  },
  {
    code: "nul-counted",
    name: "a length that counts a NUL that is not sent",
    bytes: concat([length(6), ascii("users")]),
    says: "1 byte of a command is missing",
    atEnd: true,
  },
  {
    code: "nul-between",
    name: "a NUL that the length does not count",
    at: 12,
    bytes: concat([encodeFrames(["register"]), ascii("\0"), length(3), ascii("Bob")]),
    says: "Without its first 00 it is 3".toLowerCase(),
    atEnd: true,
  },
  {
    code: "nul-between",
    name: "a NUL that the length does not count, before a longer text",
    at: 11,
    bytes: concat([encodeFrames(["sendall"]), ascii("\0"), length(40), ascii("x".repeat(40))]),
    says: "first 00 it is 40",
  },
  {
    code: "symbols-counted",
    name: "a length that counts symbols",
    at: 20,
    bytes: concat([encodeFrames(["register"]), length(4), ascii("Вася")]),
    says: 'the text went on: "Вася"',
    before: 1,
  },
  {
    code: "symbols-counted",
    name: "a length that counts symbols, cut in the middle of one",
    at: 21,
    bytes: concat([encodeFrames(["register"]), length(5), ascii("Андре"), encodeFrames(["users"])]),
    says: 'the text went on: "Андре"',
    before: 1,
    strictRefusal: "name-undecodable",
  },
  {
    code: "symbols-counted",
    name: "a length that counts symbols, and one byte is left",
    at: 21,
    bytes: concat([encodeFrames(["register"]), length(5), ascii("André")]),
    says: "counts symbols, not bytes: it said 5",
    before: 1,
    strictRefusal: "name-undecodable",
    atEnd: true,
  },
  {
    code: "symbols-counted",
    name: "a length that counts symbols, and a command follows",
    at: 21,
    bytes: concat([encodeFrames(["register"]), length(5), ascii("André"), encodeFrames(["users"])]),
    says: "counts symbols, not bytes: it said 5",
    before: 1,
    strictRefusal: "name-undecodable",
    atEnd: true,
  },
  {
    code: "length-counted",
    name: "a length that includes its own four bytes",
    bytes: concat([length(12), ascii("register"), length(7), ascii("Bob")]),
    says: "Send 8",
  },
  {
    code: "length-counted",
    name: "a length that includes its own four bytes, and nothing follows",
    bytes: concat([length(9), ascii("users")]),
    says: "it says 9, 5 came",
    atEnd: true,
  },
  {
    code: "plain-text",
    name: "plain text, as nc sends it",
    bytes: ascii("users\n"),
    says: "Send a 4-byte little-endian length first",
  },
  {
    code: "plain-text",
    name: "a line that is shorter than a length",
    bytes: ascii("hi\n"),
    says: '"hi\\n"',
    atEnd: true,
  },
  {
    code: "plain-text",
    name: "an argument without its length",
    at: 12,
    bytes: concat([encodeFrames(["register"]), ascii("Robert")]),
    says: "the length of the name of 'register'",
  },
  { code: "http", name: "HTTP", bytes: ascii("GET / HTTP/1.1\r\n\r\n"), says: "HTTP request" },
  {
    code: "http",
    name: "HTTP POST",
    bytes: ascii("POST /send HTTP/1.1\r\n"),
    says: "HTTP request",
  },
  {
    code: "proxy-header",
    name: "a header of the PROXY protocol",
    bytes: from("192.0.2.7"),
    says: "your address is not in --proxy-protocol",
  },
  {
    code: "proxy-header",
    name: "the beginning of such a header",
    bytes: PROXY_SIGNATURE.subarray(0, 4),
    says: "So begins a header of the PROXY protocol",
  },
  {
    code: "over-limit",
    name: "bytes that only resemble such a header",
    bytes: Uint8Array.of(13, 10, 13, 11, 0, 13, 10),
    says: "over the limit of 4096",
  },
  {
    code: "tls",
    name: "a TLS hello",
    bytes: Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3),
    says: "Connect without TLS",
  },
  {
    code: "over-limit",
    name: "a frame over the limit",
    bytes: concat([length(5000), ascii("x")]),
    says: "is 5000 bytes, over the limit of 4096",
  },
  {
    code: "over-limit",
    name: "a text over the limit",
    at: 11,
    bytes: concat([encodeFrames(["sendall"]), length(4097)]),
    says: "the text of 'sendall' is 4097 bytes",
  },
  {
    code: "short-length",
    name: "a length of two bytes",
    bytes: concat([length(5, 2), ascii("users")]),
    says: "Send 05 00 00 00",
  },
  {
    code: "short-length",
    name: "a length of two bytes in big-endian order",
    bytes: concat([Uint8Array.of(0, 8), ascii("register")]),
    says: "Send 08 00 00 00",
  },
  {
    code: "short-length",
    name: "a length of one byte",
    bytes: concat([Uint8Array.of(8), ascii("register")]),
    says: "the text begins behind 1. Send 08 00 00 00",
  },
  {
    code: "short-length",
    name: "a length of two bytes of an argument",
    at: 12,
    bytes: concat([encodeFrames(["register"]), length(3, 2), ascii("Bob")]),
    says: "Send 03 00 00 00",
  },
  {
    code: "eight-byte-length",
    name: "a length of eight bytes of a short argument",
    at: 19,
    bytes: concat([encodeFrames(["register"]), length(3, 8), ascii("Bob")]),
    says: "has 4 bytes, not 8",
    before: 1,
  },
  {
    code: "nul-counted",
    name: "a length that counts a NUL that is not sent, in an argument",
    at: 20,
    bytes: concat([encodeFrames(["register"]), length(4), ascii("Eve"), encodeFrames(["users"])]),
    says:
      "took the first byte of the next length, 5. Does it count a NUL that you do not send? Send 3",
    before: 1,
  },
  {
    code: "nul-counted",
    name: "a length that counts a NUL that is not sent, before a text",
    at: 16,
    bytes: concat([encodeFrames(["send"]), length(4), ascii("Bob"), length(5), ascii("Hello")]),
    says: "Send 3",
  },
  {
    code: "nul-counted",
    name: "a length that counts a NUL that is not sent, in the command",
    bytes: concat([length(9), ascii("register"), length(3), ascii("Eve")]),
    says: "Does it count a NUL that you do not send? Send 8",
  },
  {
    code: "argument-in-command",
    name: "an argument behind a blank",
    bytes: encodeFrames(["register Eve"]),
    says: "An argument is a frame of its own. Send 08 00 00 00",
  },
  {
    code: "argument-in-command",
    name: "a length over command and argument",
    bytes: encodeFrames([concat([ascii("register"), encodeFrames(["Eve"])])]),
    says: "more than the command 'register'",
  },
  {
    code: "plain-text",
    name: "a length in digits",
    bytes: ascii("0008register"),
    says: '"0008register"',
  },
  {
    code: "eight-byte-length",
    name: "a length of eight bytes",
    bytes: concat([length(5, 8), ascii("users")]),
    says: "has 4 bytes, not 8",
  },
  { code: "empty-command", name: "an empty command", bytes: length(0), says: "0 bytes" },
  {
    code: "unknown-command",
    name: "an unknown command",
    bytes: encodeFrames(["regsiter", "Bob"]),
    says: "Did you mean 'register'?",
  },
  {
    code: "unknown-command",
    name: "a command that is not near any other",
    bytes: encodeFrames(["\u202e<script>"]),
    says: 'Unknown command "\\u202e<script>". The commands are register, users',
  },
  {
    code: "incomplete-frame",
    name: "3 of 8 bytes of a frame",
    bytes: concat([length(8), ascii("reg")]),
    says: "3 of 8 bytes of a command came",
    atEnd: true,
  },
  {
    code: "incomplete-frame",
    name: "2 bytes of a length",
    at: 18,
    bytes: concat([REGISTER, Uint8Array.of(5, 0)]),
    says: "2 of the 4 bytes of the length of a command came",
    before: 1,
    atEnd: true,
  },
  {
    code: "argument-missing",
    name: "a command without its last argument",
    at: 15,
    bytes: encodeFrames(["send", "Bob"]),
    says: "'send' was begun",
    atEnd: true,
  },
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
