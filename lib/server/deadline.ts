/** Deadlines that move often. All of them share one timer. */
import { loopTime } from "../clock.ts";

/** Checks of all deadlines are at least 1 ms apart for each 200 deadlines. */
const CHECKED_PER_MS = 200;

const deadlines = new Set<Deadline>();
let timer: ReturnType<typeof setTimeout> | undefined;
/** When the timer fires (ms, as `loopTime`). */
let firesAt = Infinity;

/** One deadline. Moving it is cheap: a timer that fires too early for it is set again. */
export class Deadline {
  #at = Infinity;
  readonly #expire: () => void;

  /** `expire` is called when the deadline has passed. The deadline is then off until it is set. */
  constructor(expire: () => void) {
    this.#expire = expire;
    deadlines.add(this);
  }

  /** Sets the deadline to `ms` milliseconds from now. */
  set(ms: number): void {
    this.#at = loopTime() + ms;
    fireAt(this.#at);
  }

  /** Turns the deadline off until it is set again. */
  clear(): void {
    this.#at = Infinity;
  }

  /** Turns the deadline off for good. The last one stops the timer. */
  close(): void {
    this.#at = Infinity;
    deadlines.delete(this);
    if (deadlines.size > 0) return;
    clearTimeout(timer);
    firesAt = Infinity;
  }

  /** Calls `expire` if the deadline has passed. Returns the time of the next check. */
  check(now: number): number {
    if (this.#at - now > 1) return this.#at;
    this.#at = Infinity;
    this.#expire();
    return this.#at;
  }
}

/** Makes the timer fire at this time, or sooner. */
function fireAt(at: number): void {
  if (at >= firesAt) return;
  clearTimeout(timer);
  firesAt = at;
  timer = setTimeout(checkAll, Math.max(0, at - performance.now()));
}

function checkAll(): void {
  firesAt = Infinity;
  const now = performance.now();
  let next = Infinity;
  for (const deadline of deadlines) next = Math.min(next, deadline.check(now));
  fireAt(Math.max(next, now + deadlines.size / CHECKED_PER_MS));
}
