/** The time limits of a connection, and which one applies. */
import type { ServerOptions } from "../options.ts";
import type { Suspicion } from "../protocol/request_reader.ts";
import { Deadline } from "./deadline.ts";

/** After the last reply the client has at most this long to close the connection (ms). */
const LINGER_MS = 2_000;
/** While the server stops, a client has at most this long to take a piece of a reply (ms). */
const STOP_WRITE_MS = 1_000;

/** Suspected bytes are judged when nothing has come behind them for this long (ms). */
const SUSPECT_QUIET_MS = 300;
/** Suspected bytes are judged this long after the first of them (ms), also when more are coming. */
const SUSPECT_MS_MAX = 1_000;
/** A command behind a whole receiver that is too long is judged after this much silence (ms). */
const LONG_WHOLE_QUIET_MS = 1_000;

/**
 * A client has not done this in its time: begin a command, complete one, send what makes suspected
 * bytes right, take a piece of a reply, or close the connection after the last reply.
 */
export type Passed = "idle" | "stalled" | "suspected" | "unwritten" | "unclosed";

/** The limits of one connection. One applies at a time; they move often, which is cheap. */
export class TimeLimits {
  readonly #options: ServerOptions;
  readonly #deadline: Deadline;
  #writeMs: number;
  #applies: Passed = "idle";
  /** When the present, incomplete command began (as `Deadline.now`). */
  #begunAt: number | undefined;
  /** When its bytes were first suspected (as `Deadline.now`). */
  #suspectedAt: number | undefined;

  /** `passed` is called when a limit has passed. None applies then. */
  constructor(options: ServerOptions, passed: (what: Passed) => void) {
    this.#options = options;
    this.#deadline = new Deadline(() => passed(this.#applies));
    this.#writeMs = 1_000 * options.writeTimeoutS;
  }

  /** The limit of a read. A client that waits for mail need not begin a command. */
  read(isBegun: boolean, isWaiting: boolean, suspicion?: Suspicion): void {
    if (!isBegun) {
      this.complete();
      return this.#apply("idle", isWaiting ? Infinity : 1_000 * this.#options.idleTimeoutS);
    }
    const now = Deadline.now();
    this.#begunAt ??= now;
    const stalledAt = this.#begunAt + 1_000 * this.#options.commandTimeoutS;
    const judgedAt = this.#judgedAt(now, suspicion);
    if (judgedAt < stalledAt) this.#apply("suspected", judgedAt - now, now);
    else this.#apply("stalled", stalledAt - now, now);
  }

  /** When bytes that are suspected are judged. The last of them has come by `now`. */
  #judgedAt(now: number, suspicion: Suspicion | undefined): number {
    this.#suspectedAt = suspicion && (this.#suspectedAt ?? now);
    if (this.#suspectedAt === undefined) return Infinity;
    return suspicion === "long-whole"
      ? now + LONG_WHOLE_QUIET_MS
      : Math.min(now + SUSPECT_QUIET_MS, this.#suspectedAt + SUSPECT_MS_MAX);
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
    this.#begunAt = this.#suspectedAt = undefined;
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
