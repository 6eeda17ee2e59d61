/** The time limits of connections: which one applies to each of them, and one timer for all. */
import { loopTime } from "../clock.ts";
import type { ServerOptions } from "../options.ts";

/** After the last reply the client has at most this long to close the connection (ms). */
const LINGER_MS = 2_000;
/** While the server stops, a client has at most this long to take a piece of a reply (ms). */
const STOP_WRITE_MS = 1_000;
/** Checks of all limits are at least 1 ms apart for each 200 connections. */
const CHECKED_PER_MS = 200;

/**
 * A client has not done this in its time: begin a command, complete one, take a piece of a reply,
 * or close the connection after the last reply.
 */
export type Passed = "idle" | "stalled" | "unwritten" | "unclosed";

/** The limits of all open connections. */
const open = new Set<TimeLimits>();
let timer: ReturnType<typeof setTimeout> | undefined;
/** When the timer fires (ms, as `loopTime`). */
let firesAt = Infinity;

/**
 * The limits of one connection. One applies at a time. They move often, which is cheap: a timer that
 * fires too early is set again.
 */
export class TimeLimits {
  readonly #options: ServerOptions;
  readonly #passed: (what: Passed) => void;
  #writeMs: number;
  #applies: Passed = "idle";
  /** When the limit that applies passes (ms, as `loopTime`). */
  #passesAt = Infinity;
  /** When the present, incomplete command began (ms, as `loopTime`). */
  #begunAt: number | undefined;

  /** `passed` is called when a limit has passed. None applies then. */
  constructor(options: ServerOptions, passed: (what: Passed) => void) {
    this.#options = options;
    this.#passed = passed;
    this.#writeMs = 1_000 * options.writeTimeoutS;
    open.add(this);
  }

  /** The limit of a read. A client that waits for mail need not begin a command. */
  read(isBegun: boolean, isWaiting: boolean): void {
    if (isBegun) {
      this.#begunAt ??= loopTime();
      this.#apply("stalled", this.#begunAt + 1_000 * this.#options.commandTimeoutS);
    } else {
      this.#begunAt = undefined;
      this.#apply("idle", loopTime() + (isWaiting ? Infinity : 1_000 * this.#options.idleTimeoutS));
    }
  }

  /** The limit of a write, for one piece of a reply. */
  write(): void {
    this.#apply("unwritten", loopTime() + this.#writeMs);
  }

  /** The limit after the last reply. */
  linger(): void {
    this.#apply("unclosed", loopTime() + LINGER_MS);
  }

  /** A command is complete: the next one has its own time. */
  complete(): void {
    this.#begunAt = undefined;
  }

  /** No limit applies. */
  clear(): void {
    this.#passesAt = Infinity;
  }

  /** Gives the client less time for writes from now on: the server stops. */
  shorten(isWriting: boolean): void {
    this.#writeMs = Math.min(this.#writeMs, STOP_WRITE_MS);
    if (isWriting) this.write();
  }

  /** No limit applies any more. The last connection stops the timer. */
  close(): void {
    this.clear();
    open.delete(this);
    if (open.size > 0) return;
    clearTimeout(timer);
    firesAt = Infinity;
  }

  /** Looks whether the limit has passed. Returns the time of the next check. */
  check(now: number): number {
    if (this.#passesAt - now <= 1) {
      this.clear();
      this.#passed(this.#applies);
    }
    return this.#passesAt;
  }

  #apply(what: Passed, passesAt: number): void {
    this.#applies = what;
    this.#passesAt = passesAt;
    fireAt(passesAt);
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
  for (const limits of open) next = Math.min(next, limits.check(now));
  fireAt(Math.max(next, now + open.size / CHECKED_PER_MS));
}
