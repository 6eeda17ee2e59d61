/** Gives memory back when a busy time is over: the runtime itself collects only while it allocates. */

/** The heap is looked at so often, in milliseconds. */
const LOOK_MS = 1_000;
/** A heap that changes less between two looks is at rest, in bytes. */
const REST_BYTES = 262_144;
/** For less garbage it is not worth to collect, in bytes. */
const WORTH_BYTES = 16 * 2 ** 20;
/** Nor for less than this part of the heap, as a collection takes the longer the more is in use. */
const WORTH_PART = 1 / 4;

/** Says when to collect: at rest, after the heap has gone up and down by much. */
export class HeapWatch {
  #used = 0;
  /** By how many bytes it went up and down since it was collected. */
  #churn = 0;

  /** Is it time to collect? To be asked at every look, with the bytes in use. */
  isDue(used: number): boolean {
    const change = Math.abs(used - this.#used);
    this.#used = used;
    this.#churn += change;
    return change < REST_BYTES && this.#churn > Math.max(WORTH_BYTES, WORTH_PART * used);
  }

  /** It was collected, and so many bytes are in use now. */
  collected(used: number): void {
    this.#used = used;
    this.#churn = 0;
  }
}

/** Watches the heap from now on. To look takes 10 µs; what collects is loaded when it is needed. */
export function collectAtRest(): void {
  const watch = new HeapWatch();
  setInterval(async () => {
    if (!watch.isDue(Deno.memoryUsage().heapUsed)) return;
    await collect();
    watch.collected(Deno.memoryUsage().heapUsed);
  }, LOOK_MS);
}

/** The way to V8's collector that a program has without a flag on its command line. */
async function collect(): Promise<void> {
  try {
    const { setFlagsFromString } = await import("node:v8");
    const { runInNewContext } = await import("node:vm");
    setFlagsFromString("--expose-gc");
    runInNewContext("gc")();
  } catch {
    // A runtime that does not allow it collects when it allocates again.
  }
}
