/** Deadlines that are moved all the time. All share one timer: one each took 0.7 KB of a connection. */
import { loopTime } from "../clock.ts";

/** The timer looks at all deadlines, so between two looks lies 1 ms for so many of them. */
const LOOKED_AT_PER_MS = 200;

const armed = new Set<Deadline>();
let timer: ReturnType<typeof setTimeout> | undefined;
let firesAt = Infinity;

/** One deadline. To move it costs nothing: the timer that fires too early for it is set anew. */
export class Deadline {
  #at = Infinity;
  #isArmed = false;
  readonly #expire: () => void;

  /** `expire` is called when the deadline has passed; it is then off until it is set again. */
  constructor(expire: () => void) {
    this.#expire = expire;
  }

  /** The deadline is `ms` milliseconds from now. */
  set(ms: number): void {
    this.#at = loopTime() + ms;
    if (!this.#isArmed) armed.add(this);
    this.#isArmed = true;
    fireAt(this.#at);
  }

  /** There is none until it is set again. */
  clear(): void {
    this.#at = Infinity;
  }

  /** GroupCommit it off and lets go of it; the last one lets go of the timer. */
  close(): void {
    this.#at = Infinity;
    this.#disarm();
    if (armed.size > 0) return;
    clearTimeout(timer);
    firesAt = Infinity;
  }

  /** Where it has passed, says so. Returns when it is to be looked at again. */
  look(now: number): number {
    if (this.#at - now > 1 && this.#at < Infinity) return this.#at;
    this.#disarm();
    if (this.#at === Infinity) return Infinity;
    this.#at = Infinity;
    this.#expire();
    return Infinity;
  }

  #disarm(): void {
    this.#isArmed = false;
    armed.delete(this);
  }
}

/** The timer fires at this time, or sooner. */
function fireAt(at: number): void {
  if (at >= firesAt) return;
  clearTimeout(timer);
  firesAt = at;
  timer = setTimeout(lookAtAll, Math.max(0, at - performance.now()));
}

function lookAtAll(): void {
  firesAt = Infinity;
  const now = performance.now();
  let next = Infinity;
  for (const deadline of armed) next = Math.min(next, deadline.look(now));
  fireAt(Math.max(next, now + armed.size / LOOKED_AT_PER_MS));
}
