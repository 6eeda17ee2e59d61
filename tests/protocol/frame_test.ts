import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { encodeFrame, encodeFrames, splitFrames } from "../../lib/protocol/frame.ts";
import { wholeBelow, withSeed } from "../random.ts";

const LIMIT = 300;
const decoder = new TextDecoder();

interface Vector {
  readonly name: string;
  readonly hex: string;
  readonly frames: readonly string[];
  /** The bytes behind the last complete frame, in hex. */
  readonly rest: string;
  readonly isOverLimit?: boolean;
}

const VECTORS: readonly Vector[] = [
  { name: "nothing", hex: "", frames: [], rest: "" },
  { name: "users", hex: "05000000 7573657273", frames: ["users"], rest: "" },
  { name: "an empty frame", hex: "00000000", frames: [""], rest: "" },
  {
    name: "a command with an argument",
    hex: "08000000 7265676973746572 03000000 426f62",
    frames: ["register", "Bob"],
    rest: "",
  },
  { name: "symbols of 2 bytes", hex: "04000000 d091d0be", frames: ["Бо"], rest: "" },
  { name: "a symbol of 4 bytes", hex: "04000000 f09f918d", frames: ["👍"], rest: "" },
  { name: "a length without its last byte", hex: "050000", frames: [], rest: "050000" },
  { name: "a payload without its last byte", hex: "02000000 68", frames: [], rest: "02000000 68" },
  {
    name: "a frame, then the beginning of one",
    hex: "01000000 61 02000000 62",
    frames: ["a"],
    rest: "02000000 62",
  },
  {
    name: "a length just at the limit",
    hex: "2c010000" + "61".repeat(300),
    frames: ["a".repeat(300)],
    rest: "",
  },
  {
    name: "a length over the limit",
    hex: "2d010000",
    frames: [],
    rest: "2d010000",
    isOverLimit: true,
  },
  {
    name: "a good frame before a length over the limit",
    hex: "01000000 61 00000005",
    frames: ["a"],
    rest: "00000005",
    isOverLimit: true,
  },
  { name: "the highest length", hex: "ffffffff", frames: [], rest: "ffffffff", isOverLimit: true },
  {
    name: "a length with its highest bit",
    hex: "00000080",
    frames: [],
    rest: "00000080",
    isOverLimit: true,
  },
];

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex.replaceAll(" ", ""));
}

/** Splits one chunk after the other, as a connection does. */
function splitAll(chunks: readonly Uint8Array[]) {
  const frames: string[] = [];
  let rest: Uint8Array = new Uint8Array(0);
  for (const chunk of chunks) {
    const split = splitFrames(rest, chunk, LIMIT);
    frames.push(...Array.from(split.frames, (frame) => decoder.decode(frame)));
    if (split.isOverLimit) return { frames, rest: split.rest.subarray(0, 4), isOverLimit: true };
    rest = split.rest;
  }
  return { frames, rest, isOverLimit: false };
}

function expected({ frames, rest, isOverLimit = false }: Omit<Vector, "hex">) {
  return { frames, rest: bytesOf(rest), isOverLimit };
}

describe("splitFrames()", () => {
  for (const vector of VECTORS) {
    const bytes = bytesOf(vector.hex);

    it(`reads ${vector.name} in one chunk`, () => {
      assertEquals(splitAll([bytes]), expected(vector));
    });

    it(`reads ${vector.name} byte by byte`, () => {
      assertEquals(splitAll(Array.from(bytes, (byte) => Uint8Array.of(byte))), expected(vector));
    });

    it(`reads ${vector.name} in two chunks, cut at every position`, () => {
      for (let at = 0; at <= bytes.length; at++) {
        assertEquals(splitAll([bytes.subarray(0, at), bytes.subarray(at)]), expected(vector));
      }
    });

    it(`reads ${vector.name} behind another frame`, () => {
      const { frames } = vector;
      const before = expected({ ...vector, frames: ["first", ...frames] });
      assertEquals(splitAll([concat([encodeFrame("first"), bytes])]), before);
    });

    if (vector.rest === "") {
      it(`reads ${vector.name} in front of an incomplete frame`, () => {
        const trailing = bytesOf("0300000061");
        assertEquals(splitAll([concat([bytes, trailing])]), {
          frames: vector.frames,
          rest: trailing,
          isOverLimit: false,
        });
      });
    }
  }

  it("returns a rest that does not change when the memory of the chunk is reused", () => {
    const chunk = bytesOf("02000000 61");
    const { rest } = splitFrames(new Uint8Array(0), chunk, LIMIT);
    chunk.fill(0xff);
    assertEquals(rest, bytesOf("02000000 61"));
  });

  it("is the inverse of encodeFrames() for random frames in random chunks", () => {
    withSeed((random) => {
      for (let round = 0; round < 300; round++) {
        const payloads = Array.from(
          { length: wholeBelow(random, 6) },
          () =>
            Uint8Array.from({ length: wholeBelow(random, LIMIT + 1) }, () => 32 + 90 * random()),
        );
        const bytes = encodeFrames(payloads);
        const chunks: Uint8Array[] = [];
        for (let at = 0; at < bytes.length;) {
          const size = 1 + wholeBelow(random, 200);
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        assertEquals(splitAll(chunks), {
          frames: payloads.map((payload) => decoder.decode(payload)),
          rest: new Uint8Array(0),
          isOverLimit: false,
        });
      }
    });
  });
});

describe("encodeFrame()", () => {
  it("writes the length in bytes, not in symbols", () => {
    assertEquals(encodeFrame("Б"), bytesOf("02000000 d091"));
  });

  it("writes the lowest byte of the length first", () => {
    assertEquals(encodeFrame("a".repeat(258)).subarray(0, 4), bytesOf("02010000"));
  });
});
