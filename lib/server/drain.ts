/**
 * The drain of a stopping server: commands that have arrived are still answered, those too that the
 * runtime has not delivered yet.
 */
import { setTimeout as sleep } from "node:timers/promises";

/**
 * A stopping server reads on until nothing has arrived on any connection for two pauses of this
 * length (ms).
 */
const PAUSE_MS = 100;
const QUIET_PAUSES = 2;
/** A stopping server reads on for at most this long (ms). */
const DRAIN_MS = 2_500;
/** After a pause that took this many times as long, the loop was late: more may have arrived. */
const LATE_FACTOR = 1.2;

/**
 * Resolves when no more commands are to be answered, or `over` has resolved. `events` returns how much
 * has arrived and was sent so far, on all connections.
 */
export async function drain(events: () => number, over: Promise<unknown>): Promise<void> {
  let isOver = false;
  over.then(() => isOver = true);
  const end = performance.now() + DRAIN_MS;
  for (let quiet = 0; quiet < QUIET_PAUSES && !isOver && performance.now() < end;) {
    const [before, from] = [events(), performance.now()];
    await Promise.race([sleep(PAUSE_MS), over]);
    const isLate = performance.now() - from > LATE_FACTOR * PAUSE_MS;
    quiet = events() === before && !isLate ? quiet + 1 : 0;
  }
}
