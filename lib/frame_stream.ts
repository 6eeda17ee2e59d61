/** The stream of frames over a connection's bytes. */
import { type Split, splitFrames } from "./frame.ts";

const NOTHING = new Uint8Array(0);

/** What a stream's reader does, and a connection can do with less. */
export type ByteReader = Pick<ReadableStreamDefaultReader<Uint8Array>, "read">;

/**
 * Splits a stream of bytes into frames, a whole chunk's frames at a time.
 *
 * Nothing is read ahead: a chunk is read when the consumer asks for the next split, so a consumer
 * that is busy writing stops the reading (back-pressure), and the views in a split stay valid until
 * the next is asked for. Behind a length over `frameBytesMax` everything is read and thrown away.
 *
 * One stream with a `pull` of its own instead of `pipeThrough(new TransformStream(…))`: that
 * serves less than half the requests a second (`docs/decisions.md`).
 */
export function frameStream(reader: ByteReader, frameBytesMax: number): ReadableStream<Split> {
  let rest: Uint8Array = NOTHING;
  let overLimit = false;
  return new ReadableStream<Split>({
    async pull(controller) {
      let next = await reader.read();
      while (overLimit && !next.done) next = await reader.read();
      if (next.done) return controller.close();
      const split = splitFrames(rest, next.value, frameBytesMax);
      ({ rest, overLimit } = split);
      controller.enqueue(split);
    },
  }, { highWaterMark: 0 });
}
