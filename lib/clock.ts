/** The clock of the event loop, and a time limit for promises. */

let now: number | undefined;

/**
 * The time (ms, on the scale of `performance.now`) of the first call in this turn of the event
 * loop. A request needs the time three times, and each reading of the clock costs 0.1 µs.
 */
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

/**
 * Waits for a promise, but at most `ms` milliseconds. Resolves to its value, or to `undefined`
 * after that time. Throws the error of a promise that rejects within it.
 */
export async function within<Value>(
  ms: number,
  promise: Promise<Value>,
): Promise<Value | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
