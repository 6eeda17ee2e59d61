/** The clock of the event loop, jumps of the wall clock, and a time limit for promises. */

let now: number | undefined;

/** The time (ms, as `performance.now` counts) of the first call in this turn of the event loop. */
export function loopTime(): number {
  if (now === undefined) {
    now = performance.now();
    setImmediate(forgetLoopTime);
  }
  return now;
}

/** Makes the next {@link loopTime} read the clock. Call it after work that may take long. */
export function forgetLoopTime(): void {
  now = undefined;
}

/** The wall clock has jumped when it has gained this much on the monotonic clock (ms). */
const JUMP_MS = 600_000;

/** Compares the wall clock with the monotonic one, which no time server changes. */
export class ClockWatch {
  /** The wall clock was this much ahead of the monotonic one (ms) after the last jump. */
  #lead = Date.now() - performance.now();

  /** How far the wall clock has jumped ahead since the look before (ms); 0 if it has not. */
  look(): number {
    const lead = Date.now() - performance.now();
    const gain = lead - this.#lead;
    if (gain < 0 || gain > JUMP_MS) this.#lead = lead;
    return gain > JUMP_MS ? gain : 0;
  }
}

/** The value of a promise, or `undefined` after `ms` milliseconds. Throws the promise's error. */
export async function within<Value>(
  ms: number,
  promise: Promise<Value>,
): Promise<Value | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
