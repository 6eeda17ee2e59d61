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
  let controller: ReadableStreamDefaultController<Split>;
  // Not an async function: each costs a tenth of what the stream costs.
  const take = (next: ReadableStreamReadResult<Uint8Array>): Promise<void> | void => {
    if (next.done) return controller.close();
    if (overLimit) return pull();
    const split = splitFrames(rest, next.value, frameBytesMax);
    ({ rest, overLimit } = split);
    controller.enqueue(split);
  };
  const pull = () => reader.read().then(take);
  const start = (its: ReadableStreamDefaultController<Split>) => void (controller = its);
  return new ReadableStream({ start, pull }, { highWaterMark: 0 });
}
