/** Time: a cheap look at the clock, and a limit for what takes too long. */

let now: number | undefined;

/**
 * The time as `performance.now` has it (ms), looked at once in a turn of the event loop: a look costs
 * 0.1 µs, and each request needs three. It is as old as the turn.
 */
export function loopTime(): number {
  if (now === undefined) {
    now = performance.now();
    setImmediate(forgetLoopTime);
  }
  return now;
}

/** To be called when something may have taken long: the next {@link loopTime} looks at the clock. */
export function forgetLoopTime(): void {
  now = undefined;
}

/** What the promise resolves to; `undefined` where that takes more than `ms` milliseconds. */
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
