import { assertEquals, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { encodeFrame, encodeFrames, splitFrames, writeFrames } from "../../lib/protocol/frame.ts";
import { FrameStream, readerOf } from "../../lib/protocol/frame_stream.ts";
import { decodeUtf8 } from "../../lib/protocol/utf8.ts";
import { fastDecoder } from "../../lib/server/fast_utf8.ts";
import { wholeBelow, withSeed } from "../random.ts";

const LIMIT = 300;
const decoder = new TextDecoder();

interface Vector {
  readonly name: string;
  readonly hex: string;
  readonly frames: readonly string[];
  /** The bytes that are left over, in hex. */
  readonly rest: string;
  readonly overLimit?: boolean;
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
    overLimit: true,
  },
  {
    name: "a good frame before a length over the limit",
    hex: "01000000 61 00000005",
    frames: ["a"],
    rest: "00000005",
    overLimit: true,
  },
  { name: "the highest length", hex: "ffffffff", frames: [], rest: "ffffffff", overLimit: true },
  {
    name: "a length with its highest bit",
    hex: "00000080",
    frames: [],
    rest: "00000080",
    overLimit: true,
  },
];

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.replaceAll(" ", "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Splits chunk after chunk, as a connection does. */
function splitAll(chunks: readonly Uint8Array[]) {
  const frames: string[] = [];
  let rest: Uint8Array = new Uint8Array(0);
  for (const chunk of chunks) {
    const split = splitFrames(rest, chunk, LIMIT);
    frames.push(...Array.from(split.frames, (frame) => decoder.decode(frame)));
    if (split.isOverLimit) return { frames, rest: split.rest.subarray(0, 4), overLimit: true };
    rest = split.rest;
  }
  return { frames, rest, overLimit: false };
}

function expected({ frames, rest, overLimit = false }: Omit<Vector, "hex">) {
  return { frames, rest: bytesOf(rest), overLimit };
}

describe("splitFrames()", () => {
  for (const vector of VECTORS) {
    const bytes = bytesOf(vector.hex);

    it(`reads ${vector.name} whole`, () => {
      assertEquals(splitAll([bytes]), expected(vector));
    });

    it(`reads ${vector.name} byte by byte`, () => {
      assertEquals(splitAll(Array.from(bytes, (byte) => Uint8Array.of(byte))), expected(vector));
    });

    it(`reads ${vector.name} split at every position`, () => {
      for (let at = 0; at <= bytes.length; at++) {
        assertEquals(splitAll([bytes.subarray(0, at), bytes.subarray(at)]), expected(vector));
      }
    });

    it(`reads ${vector.name} with a frame before it`, () => {
      const { frames } = vector;
      const before = expected({ ...vector, frames: ["first", ...frames] });
      assertEquals(splitAll([concat([encodeFrame("first"), bytes])]), before);
    });

    if (vector.rest === "") {
      it(`reads ${vector.name} with bytes trailing`, () => {
        const trailing = bytesOf("0300000061");
        assertEquals(splitAll([concat([bytes, trailing])]), {
          frames: vector.frames,
          rest: trailing,
          overLimit: false,
        });
      });
    }
  }

  it("keeps a rest that a later use of the chunk's memory does not change", () => {
    const chunk = bytesOf("02000000 61");
    const { rest } = splitFrames(new Uint8Array(0), chunk, LIMIT);
    chunk.fill(0xff);
    assertEquals(rest, bytesOf("02000000 61"));
  });

  it("is the inverse of encodeFrames() for random frames, split anywhere", () => {
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
          overLimit: false,
        });
      }
    });
  });
});

/** The plain decoder, which splits nothing and remembers nothing, says what is right. */
function read(bytes: Uint8Array): string | undefined {
  return decodeUtf8(bytes, 0, bytes.length);
}

describe("decodeUtf8()", () => {
  it("reads UTF-8 as Python does", () => {
    for (
      const [digits, text] of [
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
    ) assertEquals([digits, read(bytesOf(digits))], [digits, text]);
  });
});

describe("Frames.text() with the server's decoder", () => {
  const decode = fastDecoder();

  it("reads what a strict decoder reads, whatever came before in the same place", () => {
    withSeed((random) => {
      // Few bytes, so that many texts lead to each place of what is remembered.
      const bytes = () => [0x61, 0x62, 0x7f, 0x80, 0xc3, 0xa9, 0xff, 0][wholeBelow(random, 8)]!;
      for (let i = 0; i < 50_000; i++) {
        const payload = Uint8Array.from({ length: wholeBelow(random, 18) }, bytes);
        const { frames } = splitFrames(new Uint8Array(0), encodeFrame(payload), LIMIT, decode);
        assertEquals(frames.text(0), read(payload));
      }
    });
  });

  it("reads the same of frames side by side, in any order", () => {
    withSeed((random) => {
      const letters = [[0x61], [0x7f], [0], [0xd0, 0x91], [0xf0, 0x9f, 0x91, 0x8d], [0xff]];
      for (let round = 0; round < 2_000; round++) {
        const kinds = 1 + wholeBelow(random, letters.length);
        const payloads = Array.from({ length: 1 + wholeBelow(random, 12) }, () => {
          const bytes = () => letters[wholeBelow(random, kinds)]!;
          return Uint8Array.from(Array.from({ length: wholeBelow(random, 100) }, bytes).flat());
        });
        const { frames } = splitFrames(new Uint8Array(0), encodeFrames(payloads), 1_000, decode);
        const isForward = random() < 0.5;
        for (let i = 0; i < payloads.length; i++) {
          const at = isForward ? i : wholeBelow(random, payloads.length);
          assertEquals(frames.text(at), read(payloads[at]!));
        }
      }
    });
  });
});

describe("encodeFrame()", () => {
  it("counts bytes, not symbols", () => {
    assertEquals(encodeFrame("Б"), bytesOf("02000000 d091"));
  });

  it("writes the lowest byte of the length first", () => {
    assertEquals(encodeFrame("a".repeat(258)).subarray(0, 4), bytesOf("02010000"));
  });
});

describe("writeFrames()", () => {
  const letters = ["a", "\0", "Б", "€", "👍", "\ud83d", "\udc4d"];

  function randomTexts(random: () => number): string[] {
    const kinds = 1 + wholeBelow(random, letters.length);
    const letter = () => letters[wholeBelow(random, kinds)]!;
    const text = () => Array.from({ length: wholeBelow(random, 300) }, letter).join("");
    return Array.from({ length: wholeBelow(random, 5) }, text);
  }

  it("writes what encodeFrame() gives for each text, whatever letters it has", () => {
    withSeed((random) => {
      for (let round = 0; round < 2_000; round++) {
        const texts = randomTexts(random);
        const expected = encodeFrames(texts);
        const target = new Uint8Array(5_000);
        const offset = wholeBelow(random, 10);
        const end = writeFrames(target, offset, texts);
        assertEquals(end, offset + expected.length);
        assertEquals(target.subarray(offset, end), expected);
      }
    });
  });

  it("needs as much room as the frames take, and no more", () => {
    withSeed((random) => {
      for (let round = 0; round < 500; round++) {
        const texts = ["a", ...randomTexts(random)];
        const { length } = encodeFrames(texts);
        assertEquals(writeFrames(new Uint8Array(length), 0, texts), length);
        assertEquals(writeFrames(new Uint8Array(length - 1), 0, texts), undefined);
      }
    });
  });
});

describe("FrameStream", () => {
  async function framesOf(chunks: readonly Uint8Array[]): Promise<string[]> {
    const frames: string[] = [];
    for await (const split of new FrameStream(readerOf(ReadableStream.from(chunks)), LIMIT)) {
      frames.push(...Array.from(split.frames, (frame) => decoder.decode(frame)));
    }
    return frames;
  }

  async function askAndGiveUp(stream: FrameStream): Promise<void> {
    const given = stream.read().catch(() => "gave up");
    await new Promise(setImmediate);
    stream.giveUp();
    assertEquals(await given, "gave up");
  }

  it("gives all frames of a chunk at once", async () => {
    const source = readerOf(ReadableStream.from([encodeFrames(["a", "b"])]));
    const { value } = await new FrameStream(source, LIMIT).read();
    assertEquals(value?.frames.length, 2);
  });

  it("joins a frame over chunks", async () => {
    const bytes = encodeFrames(["send", "Bob", "Hello"]);
    assertEquals(await framesOf(Array.from(bytes, (byte) => Uint8Array.of(byte))), [
      "send",
      "Bob",
      "Hello",
    ]);
  });

  it("throws away what comes behind a length over the limit", async () => {
    const chunks = [bytesOf("01000000 61 ffffffff"), encodeFrame("b"), encodeFrame("c")];
    assertEquals(await framesOf(chunks), ["a"]);
  });

  it("reads nothing before it is asked", async () => {
    let pulls = 0;
    const source = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        pulls++;
        controller.enqueue(encodeFrame("a"));
      },
    }, { highWaterMark: 0 });
    const stream = new FrameStream(readerOf(source), LIMIT);
    await new Promise(setImmediate);
    assertEquals(pulls, 0);
    await stream.read();
    await new Promise(setImmediate);
    assertEquals(pulls, 1);
  });

  it("gives what is being read to who asks next when the first gave up waiting", async () => {
    const reads: ((length: number) => void)[] = [];
    const frames = [encodeFrame("first"), encodeFrame("second")];
    const read = (p: Uint8Array) => {
      p.set(frames[reads.length]!);
      const { promise, resolve } = Promise.withResolvers<number>();
      reads.push(resolve);
      return promise;
    };
    const stream = new FrameStream({ read }, LIMIT);
    await askAndGiveUp(stream);
    const next = stream.read();
    await new Promise(setImmediate);
    assertEquals(reads.length, 1, "one read at a time");
    reads[0]!(frames[0]!.length);
    assertEquals([(await next).value!.frames.text(0)], ["first"]);
    const last = stream.read();
    await new Promise(setImmediate);
    reads[1]!(frames[1]!.length);
    assertEquals([(await last).value!.frames.text(0)], ["second"]);
  });

  it("keeps what came after its reader gave up until the next is asked for", async () => {
    const frames = [encodeFrame("first"), encodeFrame("other")];
    const { promise: late, resolve: arrive } = Promise.withResolvers<void>();
    let reads = 0;
    const read = async (p: Uint8Array) => {
      const frame = frames[reads++]!;
      if (reads === 1) await late;
      p.set(frame);
      return frame.length;
    };
    const stream = new FrameStream({ read }, LIMIT);
    await askAndGiveUp(stream);
    arrive();
    await new Promise(setImmediate);
    const { value } = await stream.read();
    await new Promise(setImmediate);
    assertEquals(reads, 1, "nothing is read into the memory of what was given");
    assertEquals(Array.from(value!.frames, (frame) => decoder.decode(frame)), ["first"]);
    assertEquals((await stream.read()).value!.frames.text(0), "other");
  });

  it("hands on the error of a connection", async () => {
    const source = new ReadableStream<Uint8Array>({
      pull: () => Promise.reject(new Error("reset")),
    });
    const stream = new FrameStream(readerOf(source), LIMIT);
    const error = await stream.read().then(() => undefined, (error: Error) => error);
    assertThrows(
      () => {
        throw error;
      },
      Error,
      "reset",
    );
  });
});
