/** The random and mutated streams of bytes that `fuzz.ts` sends. */
import { concat } from "@std/bytes";
import { encodeFrames, LENGTH_BYTES, readLength } from "../../../lib/protocol/frame.ts";
import { pick, wholeBelow } from "../../random.ts";

/** The name of the control client; the streams try to register it too. */
export const CONTROL = "control";
const NAMES = Array.from({ length: 40 }, (_, number) => `user${number}`).concat(
  ["", "Бо", "👍👍", "12345678", "123456789", CONTROL, "\ufeff"],
);
const TEXTS = [
  "",
  "Hello",
  "Привет 👍",
  "x".repeat(60),
  "x".repeat(61),
  "ы".repeat(2_000),
  "users",
];
const SECONDS = ["0", "0.01", "1", "60", "-1", "soon"];
const LENGTHS = [0, 1, 61, 4_096, 4_097, 1_048_577, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const FOREIGN = [
  "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  "users\r\n",
  "\x00".repeat(100),
].map((text) => Uint8Array.from(text, (symbol) => symbol.charCodeAt(0)));

/** A command, as its name and its arguments. */
export type Words = readonly string[];

/** A generator of numbers from 0 up to 1. */
export type Random = () => number;

/**
 * A command as a client may send it. A strict server sees one user in all streams, and closes a
 * connection after a refusal, so most of the commands for it are such that it does not refuse.
 */
function command(random: Random, strict: boolean): Words {
  const name = () => strict && random() < 0.8 ? NAMES[0]! : pick(random, NAMES);
  const text = () => pick(random, TEXTS);
  const original: (() => Words)[] = [
    () => ["register", name()],
    () => ["register", name()],
    () => ["send", name(), text()],
    () => ["send", name(), text()],
    () => ["sendall", text()],
    () => ["receive"],
    () => ["users"],
    () => ["logout"],
  ];
  const extensions: (() => Words)[] = [
    () => ["wait", pick(random, SECONDS)],
    () => ["ping"],
    () => ["help"],
  ];
  return pick(random, strict && random() < 0.95 ? original : [...original, ...extensions])();
}

function commands(random: Random, strict: boolean): Words[] {
  return Array.from({ length: 1 + wholeBelow(random, 12) }, () => command(random, strict));
}

function encode(words: readonly Words[]): Uint8Array {
  return encodeFrames(words.flat());
}

function noise(random: Random): Uint8Array {
  return Uint8Array.from(
    { length: 1 + wholeBelow(random, 600) },
    () => wholeBelow(random, 256),
  );
}

/** The offset of one of the lengths in a stream. */
function someLength(random: Random, bytes: Uint8Array): number {
  const offsets: number[] = [];
  for (let at = 0; at + LENGTH_BYTES <= bytes.length; at += LENGTH_BYTES + readLength(bytes, at)) {
    offsets.push(at);
  }
  return offsets.length === 0 ? 0 : pick(random, offsets);
}

function withLength(random: Random, bytes: Uint8Array, change: (old: number) => number) {
  if (bytes.length < LENGTH_BYTES) return bytes;
  const at = someLength(random, bytes);
  const changed = bytes.slice();
  new DataView(changed.buffer).setUint32(at, change(readLength(bytes, at)), true);
  return changed;
}

function bigEndian(length: number): number {
  const view = new DataView(new ArrayBuffer(LENGTH_BYTES));
  view.setUint32(0, length, true);
  return view.getUint32(0, false);
}

/** The ways to mutate a stream. */
const MUTATIONS: readonly ((random: Random, bytes: Uint8Array) => Uint8Array)[] = [
  function flipBits(random, bytes) {
    const flipped = bytes.slice();
    for (let flips = 1 + wholeBelow(random, 8); flips > 0; flips--) {
      const at = wholeBelow(random, bytes.length);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << wholeBelow(random, 8));
    }
    return flipped;
  },
  function cutOff(random, bytes) {
    return bytes.subarray(0, wholeBelow(random, bytes.length));
  },
  function splice(random, bytes) {
    const other = encode(commands(random, false));
    const head = bytes.subarray(0, wholeBelow(random, bytes.length));
    return concat([head, other.subarray(wholeBelow(random, other.length))]);
  },
  function insertNoise(random, bytes) {
    const at = wholeBelow(random, bytes.length);
    return concat([bytes.subarray(0, at), noise(random), bytes.subarray(at)]);
  },
  function nudgeLength(random, bytes) {
    return withLength(random, bytes, (old) => old + wholeBelow(random, 9) - 4);
  },
  function setLength(random, bytes) {
    return withLength(random, bytes, () => pick(random, LENGTHS));
  },
  function reverseLengthBytes(random, bytes) {
    return withLength(random, bytes, bigEndian);
  },
  noise,
  function speakForeign(random) {
    return pick(random, FOREIGN);
  },
];

/** A stream of bytes; `words` are its commands if it was not mutated. */
export interface Stream {
  readonly bytes: Uint8Array;
  readonly words: readonly Words[] | undefined;
}

/** Makes a stream: one in four is valid, the others are mutated. */
export function makeStream(random: Random, strict: boolean): Stream {
  const words = commands(random, strict);
  let bytes = encode(words);
  if (random() < 0.25) return { bytes, words };
  for (let mutations = 1 + wholeBelow(random, 3); mutations > 0; mutations--) {
    bytes = pick(random, MUTATIONS)(random, bytes);
  }
  return { bytes, words: undefined };
}
