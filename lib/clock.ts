/** The clock of the event loop, and a time limit for promises. */

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
