/** The random and mutated byte streams of `fuzz.ts`: what is thrown, not how. */
import { concat } from "@std/bytes";
import { encodeFrames, LENGTH_BYTES, readLength } from "../../../lib/protocol/frame.ts";
import { pick, wholeBelow } from "../../random.ts";

/** The name of the connection that behaves; the streams try to have it, too. */
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

/** A command and its arguments. */
export type Words = readonly string[];

/** Chance, from a seed. */
export type Random = () => number;

/**
 * A command as a client may send it. A strict server has one user for all the streams and closes
 * after a refusal, so it is mostly asked for what it does not refuse.
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

/** The offset of one of the lengths in a stream, as far as it is in step. */
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

/** What may be done to a stream. */
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
  function batchLength(random, bytes) {
    return withLength(random, bytes, bigEndian);
  },
  noise,
  function speakForeign(random) {
    return pick(random, FOREIGN);
  },
];

/** What is sent; `words` are the commands of a stream that was not mutated. */
export interface Stream {
  readonly bytes: Uint8Array;
  readonly words: readonly Words[] | undefined;
}

/** The next stream: a valid one, or one that was mutated. */
export function makeStream(random: Random, strict: boolean): Stream {
  const words = commands(random, strict);
  let bytes = encode(words);
  if (random() < 0.25) return { bytes, words };
  for (let mutations = 1 + wholeBelow(random, 3); mutations > 0; mutations--) {
    bytes = pick(random, MUTATIONS)(random, bytes);
  }
  return { bytes, words: undefined };
}
