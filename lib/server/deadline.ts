/**
 * Deadlines that blame no client for a time in which the server did not run: it was paused, or a disk
 * or a long computation held up the event loop. One timer serves all deadlines.
 */
import { loopTime } from "../clock.ts";

/** While a deadline is set the clock is looked at this often (ms). */
const TICK_MS = 100;
/** Of the time between two looks at most this much counts (ms): the rest is a pause. */
const COUNTED_MS_MAX = 250;
/**
 * The runtime serves at most 128 reads and writes before it turns the event loop, and a request needs
 * two of them: one turn lets at least this many connections go on.
 */
const SERVED_PER_TURN = 64;
/** Pauses that follow each other defer a passed deadline by at most this much counted time (ms). */
const DEFERRED_MS_MAX = 2_000;

/** All deadlines that are not closed. */
const open = new Set<Deadline>();
let timer: ReturnType<typeof setTimeout> | undefined;
/** When the timer fires (ms, as {@link countedTime}). */
let firesAt = Infinity;
/** When the next deadline passes (ms, as {@link countedTime}), or a time before. */
let nextAt = Infinity;
/** The last look at the clock (ms, as `performance.now`). */
let lookedAt = 0;
/** The length of all pauses (ms). */
let pausedMs = 0;
/** Turns of the event loop until a passed deadline counts; 0 where none has passed. */
let turnsLeft = 0;
/** When a deadline passed that does not count yet (ms, as {@link countedTime}). */
let passedAt = 0;

/** The time (ms), which stands still while the event loop does not turn. */
function countedTime(now = loopTime()): number {
  const pauseMs = timer === undefined ? 0 : now - lookedAt - COUNTED_MS_MAX;
  lookedAt = Math.max(now, lookedAt);
  if (pauseMs > 0) {
    pausedMs += pauseMs;
    if (turnsLeft > 0) turnsLeft = turnsForAll();
  }
  return now - pausedMs;
}

/**
 * One deadline, which can be moved often and cheaply. When it has passed the event loop first turns
 * until each connection could read and write what was ready; a deadline that is moved meanwhile has
 * not passed.
 */
export class Deadline {
  readonly #passed: () => void;
  #at = Infinity;

  /** `passed` is called when the deadline has passed. It is not set any more then. */
  constructor(passed: () => void) {
    this.#passed = passed;
    open.add(this);
  }

  /** Sets it to `ms` milliseconds after `since`, which is a time of {@link Deadline.now}. */
  set(ms: number, since = countedTime()): void {
    this.#at = since + ms;
    nextAt = Math.min(nextAt, this.#at);
    if (nextAt < firesAt) tickAt(nextAt);
  }

  /** The time from which a deadline can be set later. */
  static now(): number {
    return countedTime();
  }

  /** It does not pass until it is set again. */
  clear(): void {
    this.#at = Infinity;
  }

  /** It is not set again. The last one stops the timer. */
  close(): void {
    this.clear();
    open.delete(this);
    if (open.size === 0) stopTimer();
  }

  /** When it passes (ms, as {@link countedTime}). */
  get at(): number {
    return this.#at;
  }

  /** Acts if the deadline was before this time. */
  check(time: number): void {
    // A timer may fire up to 1 ms early.
    if (this.#at - time > 1) return;
    this.clear();
    this.#passed();
  }
}

function turnsForAll(): number {
  return 1 + Math.ceil(open.size / SERVED_PER_TURN);
}

function stopTimer(): void {
  clearTimeout(timer);
  timer = undefined;
  firesAt = nextAt = Infinity;
  turnsLeft = 0;
}

/** Makes the timer fire at this time (ms, as {@link countedTime}), but after TICK_MS at the latest. */
function tickAt(time: number): void {
  clearTimeout(timer);
  if (timer === undefined) lookedAt = performance.now();
  const now = performance.now() - pausedMs;
  firesAt = Math.min(Math.max(time, now), now + TICK_MS);
  timer = setTimeout(tick, firesAt - now);
}

function tick(): void {
  const now = countedTime(performance.now());
  if (turnsLeft > 0) {
    turnsLeft = now - passedAt > DEFERRED_MS_MAX ? 0 : turnsLeft - 1;
    if (turnsLeft === 0) judge();
  } else if (nextAt - now <= 1) {
    // A deadline that was moved or cleared has left an earlier time behind.
    nextAt = Infinity;
    for (const { at } of open) nextAt = Math.min(nextAt, at);
    if (nextAt - now <= 1) [passedAt, turnsLeft] = [now, turnsForAll()];
  }
  if (nextAt === Infinity) stopTimer();
  else tickAt(turnsLeft > 0 ? now : nextAt);
}

function judge(): void {
  nextAt = Infinity;
  for (const deadline of open) {
    deadline.check(passedAt);
    nextAt = Math.min(nextAt, deadline.at);
  }
}
