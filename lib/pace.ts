/** Lets the event loop turn, and everybody have a turn in it: who is busy waits for the others. */
import { turnNow } from "./deadline.ts";

/** The loop is late when a timer that was due at once has not fired after so long, in milliseconds. */
const LATE_MS = 5;
/**
 * More busy connections than this are served in rounds. The runtime takes about 128 of their reads
 * and writes in a turn of the loop, and those of the same connections over and over.
 */
const CROWD = 100;
/**
 * In a crowd nobody is served more often in a round. Who is served again is still in the processor's
 * cache: 3 serve 8 % more than 2, 4 15 %; but the slowest 0.1 % wait for 6 mean latencies, not 4, or 8.
 */
const SERVINGS = 3;
/** A round is over when no more than so few were served since a look was asked for. */
const FEW = 100;
/** Is the loop late? That is looked at once in so many servings: a look at the time costs 0.1 µs. */
const SERVINGS_A_LOOK = 4;

/** What is remembered of a connection: the round in which it was served last, and how often. */
export interface Ticket {
  round: number;
  servings: number;
}

/**
 * Says who has to wait before it goes on. Reads and writes that are ready at once do not let the
 * loop turn: one client with a long pipeline would keep everybody else waiting for seconds.
 */
export class Pace {
  readonly #connections: () => number;
  #round = 1;
  /** How many different connections were served in this round. */
  #crowd = 0;
  /** How often somebody was served since a look was asked for. */
  #servings = 0;
  /** How often something came from anybody, or was sent. */
  events = 0;
  /** The turn in which a look was asked for; it comes with another turn of the loop. */
  #lookAt: number | undefined;
  #isLate = false;
  /** Those who wait for the next round. */
  #queue: (() => void)[] = [];

  /** `connections` says how many there are now. */
  constructor(connections: () => number) {
    this.#connections = connections;
  }

  /** To be awaited by whoever was served. Few at a time, and the loop on time: nobody waits. */
  next(ticket: Ticket): Promise<void> | undefined {
    const mayBeCrowd = this.#connections() > CROWD;
    if (mayBeCrowd) this.#lookAt ??= this.#lookSoon(performance.now());
    const since = this.#lookAt ?? turnNow();
    if (ticket.round !== this.#round) {
      ticket.round = this.#round;
      ticket.servings = 0;
      this.#crowd++;
    }
    ticket.servings++;
    this.#servings++;
    this.events++;
    if (this.#servings % SERVINGS_A_LOOK === 0) {
      this.#isLate = performance.now() - since > LATE_MS;
    }
    if (this.#isLate) this.#lookAt ??= this.#lookSoon(since);
    const isCrowd = mayBeCrowd && this.#crowd > CROWD;
    const hasToWait = this.#isLate || isCrowd && ticket.servings >= SERVINGS;
    return hasToWait ? new Promise((resolve) => this.#queue.push(resolve)) : undefined;
  }

  /** Only where somebody may have to wait: a timer in every turn takes a fortieth of the time. */
  #lookSoon(since: number): number {
    this.#servings = 0;
    setTimeout(() => this.#look());
    return since;
  }

  #look(): void {
    this.#lookAt = undefined;
    this.#isLate = false;
    if (this.#servings <= FEW) {
      this.#round++;
      this.#crowd = 0;
      const queue = this.#queue;
      this.#queue = [];
      for (const goOn of queue) goOn();
    }
    if (this.#queue.length > 0) this.#lookAt = this.#lookSoon(performance.now());
  }
}
