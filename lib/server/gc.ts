/** Collects garbage after a busy time: the runtime itself collects only while it allocates. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * The heap is checked at this interval (ms). After a collection V8 has little room for new objects and
 * collects more often, so a pause of a second or two is not worth one.
 */
const CHECK_MS = 5_000;
/** A heap that changes by fewer bytes between two checks is at rest. */
const REST_BYTES = 262_144;
/** Less garbage than this is not worth a collection. */
const GARBAGE_BYTES_MIN = 16 * 2 ** 20;
/** Nor is a smaller share of the heap: a collection takes longer the more is in use. */
const GARBAGE_SHARE_MIN = 1 / 4;

/** Decides when to collect: at rest, after the size of the heap has changed by much. */
export class HeapWatch {
  #used = 0;
  /** All changes of the size since the last collection (bytes): a guess at the garbage. */
  #changed = 0;

  /** Is it time to collect? To be called at each check, with the bytes in use. */
  isDue(used: number): boolean {
    const change = Math.abs(used - this.#used);
    this.#used = used;
    this.#changed += change;
    return change < REST_BYTES &&
      this.#changed > Math.max(GARBAGE_BYTES_MIN, GARBAGE_SHARE_MIN * used);
  }

  /** To be called after a collection, with the bytes in use then. */
  collected(used: number): void {
    this.#used = used;
    this.#changed = 0;
  }
}

/** Collects garbage at rest from now on. */
export function collectAtRest(): void {
  const watch = new HeapWatch();
  setInterval(() => {
    if (!watch.isDue(Deno.memoryUsage().heapUsed)) return;
    try {
      // As a program can without a flag of V8 on its command line.
      setFlagsFromString("--expose-gc");
      runInNewContext("gc")();
    } catch {
      // This runtime does not allow it. It collects when it allocates again.
    }
    watch.collected(Deno.memoryUsage().heapUsed);
  }, CHECK_MS);
}
