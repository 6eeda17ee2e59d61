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
 * cache: 4 serve a tenth more than 3 among 1,000, but the slowest 0.1 % wait for 7.5 mean latencies,
 * not 6.5.
 */
const SERVINGS = 4;
/** A round is over when no more than so few reads and writes came between two looks. */
const FEW = 100;
/**
 * And nor in so many turns of the loop behind: the runtime lets one pass without a read now and then,
 * though hundreds are ready.
 */
const EMPTY_TURNS = 2;
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
    return hasToWait ? this.#nextRound() : undefined;
  }

  /** When all wait, and the loop is on time, nobody is left to be waited for. */
  #nextRound(): Promise<void> {
    return new Promise((resolve) => {
      this.#queue.push(resolve);
      if (!this.#isLate && this.#queue.length >= this.#connections()) this.#begin();
    });
  }

  /** Only where somebody may have to wait: a timer in every turn takes a fortieth of the time. */
  #lookSoon(since: number): number {
    const { events } = this;
    setTimeout(() => this.#look(events, EMPTY_TURNS));
    return since;
  }

  /** So often something had come or was sent before. Is nobody left of the round for some turns? */
  #look(events: number, turns: number): void {
    const isOver = this.events - events <= FEW;
    if (isOver && turns > 0) {
      const { events } = this;
      setImmediate(() => this.#look(events, turns - 1));
      return;
    }
    this.#lookAt = undefined;
    this.#isLate = false;
    if (isOver) this.#begin();
    if (this.#queue.length > 0) this.#lookAt = this.#lookSoon(performance.now());
  }

  #begin(): void {
    this.#round++;
    this.#crowd = 0;
    const queue = this.#queue;
    this.#queue = [];
    for (const goOn of queue) goOn();
  }
}
