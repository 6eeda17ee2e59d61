import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { encodeFrame, LENGTH_BYTES } from "../../lib/protocol/frame.ts";
import { decodeUtf8 } from "../../lib/protocol/utf8.ts";
import { decodeFast } from "../../lib/server/fast_utf8.ts";
import { wholeBelow, withSeed } from "../random.ts";

describe("decodeUtf8()", () => {
  for (
    const [hex, text] of [
      ["", ""],
      ["616263", "abc"],
      ["d0b1f09f918d", "б👍"],
      ["efbbbf61", "\ufeffa"],
      ["efbfbd", "\ufffd"],
      ["00", "\0"],
      ["ff", undefined],
      ["c3", undefined],
      ["c080", undefined],
      ["eda080", undefined],
      ["f4908080", undefined],
    ] as const
  ) {
    const result = text === undefined ? "refuses" : "decodes";
    it(`${result} the bytes "${hex}" as Python does`, () => {
      const bytes = Uint8Array.fromHex(hex);
      assertEquals(decodeUtf8(bytes, 0, bytes.length), text);
    });
  }
});

describe("decodeFast()", () => {
  it("decodes short texts as decodeUtf8() does", () => {
    withSeed((random) => {
      const byte = () => [0x61, 0x62, 0x7f, 0x80, 0xc3, 0xa9, 0xff, 0][wholeBelow(random, 8)]!;
      for (let i = 0; i < 50_000; i++) {
        const frame = encodeFrame(Uint8Array.from({ length: wholeBelow(random, 18) }, byte));
        const expected = decodeUtf8(frame, LENGTH_BYTES, frame.length);
        assertEquals(decodeFast(frame, LENGTH_BYTES, frame.length), expected);
      }
    });
  });
});
