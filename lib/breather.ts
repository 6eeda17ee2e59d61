/** Lets the event loop turn: who always has something to do must not keep the others waiting. */

/** The loop is late when a timer that was due at once has not fired after so long, in milliseconds. */
const LATE_MS = 5;

/**
 * Knows when the event loop has not turned for a while. Reads and writes that are ready at once do
 * not let it turn: one client with a long pipeline would keep everybody else waiting for seconds.
 */
export class Breather {
  #turn: Promise<void> | undefined;
  #askedAt = 0;

  /** To be awaited where the loop is late: its next turn. Cheap enough to be asked for each command. */
  due(): Promise<void> | undefined {
    const now = performance.now();
    if (this.#turn !== undefined) return now - this.#askedAt > LATE_MS ? this.#turn : undefined;
    this.#askedAt = now;
    this.#turn = new Promise((resolve) =>
      setTimeout(() => {
        this.#turn = undefined;
        resolve();
      })
    );
    return undefined;
  }
}
