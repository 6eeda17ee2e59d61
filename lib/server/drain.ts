/** The drain of a stopping server: it answers commands that the runtime has not delivered yet. */
import { setTimeout as sleep } from "node:timers/promises";

/** Nothing has arrived on any connection during this many pauses: the drain is over. */
const QUIET_PAUSES = 2;
/** The length of a pause (ms). */
const PAUSE_MS = 100;
/** A drain takes at most this many pauses: 2.5 s, or more only while the server itself did not run. */
const PAUSES_MAX = 25;
/** In a pause that took this many times as long the loop was late: more may have arrived. */
const LATE_FACTOR = 1.2;

/**
 * Resolves when the drain is over, or `over` has resolved. `events` returns how much has arrived and
 * was sent so far, on all connections.
 */
export async function drain(events: () => number, over: Promise<unknown>): Promise<void> {
  let isOver = false;
  over.then(() => isOver = true);
  for (let pauses = 0, quiet = 0; quiet < QUIET_PAUSES && !isOver; pauses++) {
    if (pauses === PAUSES_MAX) return;
    const [before, from] = [events(), performance.now()];
    await Promise.race([sleep(PAUSE_MS), over]);
    const isLate = performance.now() - from > LATE_FACTOR * PAUSE_MS;
    quiet = events() === before && !isLate ? quiet + 1 : 0;
  }
}
