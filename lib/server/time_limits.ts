/** The time limits of a connection, and which one applies. */
import type { ServerOptions } from "../options.ts";
import { Deadline } from "./deadline.ts";

/** After the last reply the client has at most this long to close the connection (ms). */
const LINGER_MS = 2_000;
/** While the server stops, a client has at most this long to take a piece of a reply (ms). */
const STOP_WRITE_MS = 1_000;

/**
 * A client has not done this in its time: begin a command, complete one, take a piece of a reply,
 * or close the connection after the last reply.
 */
export type Passed = "idle" | "stalled" | "unwritten" | "unclosed";

/** The limits of one connection. One applies at a time; they move often, which is cheap. */
export class TimeLimits {
  readonly #options: ServerOptions;
  readonly #deadline: Deadline;
  #writeMs: number;
  #applies: Passed = "idle";
  /** When the present, incomplete command began (as `Deadline.now`). */
  #begunAt: number | undefined;

  /** `passed` is called when a limit has passed. None applies then. */
  constructor(options: ServerOptions, passed: (what: Passed) => void) {
    this.#options = options;
    this.#deadline = new Deadline(() => passed(this.#applies));
    this.#writeMs = 1_000 * options.writeTimeoutS;
  }

  /** The limit of a read. A client that waits for mail need not begin a command. */
  read(isBegun: boolean, isWaiting: boolean): void {
    if (isBegun) {
      this.#begunAt ??= Deadline.now();
      this.#apply("stalled", 1_000 * this.#options.commandTimeoutS, this.#begunAt);
    } else {
      this.#begunAt = undefined;
      this.#apply("idle", isWaiting ? Infinity : 1_000 * this.#options.idleTimeoutS);
    }
  }

  /** The limit of a write, for one piece of a reply. */
  write(): void {
    this.#apply("unwritten", this.#writeMs);
  }

  /** The limit after the last reply. */
  linger(): void {
    this.#apply("unclosed", LINGER_MS);
  }

  /** A command is complete: the next one has its own time. */
  complete(): void {
    this.#begunAt = undefined;
  }

  /** No limit applies. */
  clear(): void {
    this.#deadline.clear();
  }

  /** Gives the client less time for writes from now on: the server stops. */
  shorten(isWriting: boolean): void {
    this.#writeMs = Math.min(this.#writeMs, STOP_WRITE_MS);
    if (isWriting) this.write();
  }

  /** No limit applies any more. */
  close(): void {
    this.#deadline.close();
  }

  #apply(what: Passed, ms: number, since?: number): void {
    this.#applies = what;
    this.#deadline.set(ms, since);
  }
}
