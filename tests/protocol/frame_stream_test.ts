import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { encodeFrame, encodeFrames, type Split } from "../../lib/protocol/frame.ts";
import { FrameStream, readerOf } from "../../lib/protocol/frame_stream.ts";

const LIMIT = 300;
const decoder = new TextDecoder();

function textsOf(split: Split | undefined): string[] {
  return Array.from(split!.frames, (frame) => decoder.decode(frame));
}

describe("FrameStream", () => {
  async function framesOf(chunks: readonly Uint8Array[]): Promise<string[]> {
    const frames: string[] = [];
    for await (const split of new FrameStream(readerOf(ReadableStream.from(chunks)), LIMIT)) {
      frames.push(...textsOf(split));
    }
    return frames;
  }

  async function askAndGiveUp(stream: FrameStream): Promise<void> {
    const given = stream.read().catch(() => "gave up");
    await new Promise(setImmediate);
    stream.giveUp();
    assertEquals(await given, "gave up");
  }

  it("gives all frames of a chunk in one split", async () => {
    const source = readerOf(ReadableStream.from([encodeFrames(["a", "b"])]));
    const { value } = await new FrameStream(source, LIMIT).read();
    assertEquals(value?.frames.length, 2);
  });

  it("joins frames that arrive byte by byte", async () => {
    const bytes = encodeFrames(["send", "Bob", "Hello"]);
    assertEquals(await framesOf(Array.from(bytes, (byte) => Uint8Array.of(byte))), [
      "send",
      "Bob",
      "Hello",
    ]);
  });

  it("drops all bytes behind a length over the limit", async () => {
    const chunks = [Uint8Array.fromHex("0100000061ffffffff"), encodeFrame("b"), encodeFrame("c")];
    assertEquals(await framesOf(chunks), ["a"]);
  });

  it("reads from its source once per call of read()", async () => {
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

  it("gives the split of a read that was given up to the next read", async () => {
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
    assertEquals(textsOf((await next).value), ["first"]);
    const last = stream.read();
    await new Promise(setImmediate);
    reads[1]!(frames[1]!.length);
    assertEquals(textsOf((await last).value), ["second"]);
  });

  it("keeps a split that arrives after giveUp() until the next read", async () => {
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
    assertEquals(reads, 1, "nothing is read into the memory of the split");
    assertEquals(textsOf(value), ["first"]);
    assertEquals(textsOf((await stream.read()).value), ["other"]);
  });

  it("rejects a read with the error of its source", async () => {
    const source = new ReadableStream<Uint8Array>({
      pull: () => Promise.reject(new Error("reset")),
    });
    const stream = new FrameStream(readerOf(source), LIMIT);
    await assertRejects(() => stream.read(), Error, "reset");
  });
});
