/** Lets the event loop turn, and everybody have a turn in it: who is busy waits for the others. */
import { loopTime } from "../clock.ts";

/** The loop is late when a timer that was due at once has not fired after so long, in milliseconds. */
const LATE_MS = 5;
/**
 * Of more connections than this only some are served at a time. The runtime does 128 reads and writes
 * in a turn of the loop, two for a request; of more that are ready it does the same over and over, and
 * looks at all others in every turn, for nothing.
 */
const CROWD = 64;
/**
 * So many of a crowd are served together, while the others wait in a queue. Few are still in the
 * processor's cache when their next request comes; of fewer than 50 a commit to a file has too few.
 */
const TOGETHER = 50;
/**
 * So many commands of each are answered, then the next is let in. Among 1,000 with one at a time, 6
 * make p99.9 seven to nine mean latencies, 8 up to ten.
 */
const COMMANDS = 6;
/** Is the loop late? That is looked at once in so many servings: a look at the time costs 0.1 µs. */
const SERVINGS_A_LOOK = 4;

/** What is remembered of a connection. */
export class Ticket {
  /** The interval between two looks in which it was served last; none while it waits. */
  interval = NaN;
  /** How many commands were answered since it was let in, or was idle; a piece of a reply is one too. */
  served = 0;
  /** How many commands had come when it was served last. */
  commandCount = 0;
}

/** One that is in the queue. */
interface Waiting {
  readonly ticket: Ticket;
  readonly goOn: () => void;
}

/**
 * Says who has to wait before it goes on. Reads and writes that are ready at once do not let the
 * loop turn: one client with a long pipeline would keep everybody else waiting for seconds.
 */
export class Fairness {
  readonly #connections: () => number;
  /** Counts the looks. */
  #interval = 0;
  /** How many different connections were served or let in since the last look, and do not wait. */
  #active = 0;
  /** How many were between the last two looks, and not since: who was in neither is idle. */
  #activeBefore = 0;
  /** How often anybody was served. */
  #servings = 0;
  /** How often something came from anybody, or was sent. */
  events = 0;
  /** The turn in which a look was asked for; it comes with another turn of the loop. */
  #lookAt: number | undefined;
  #isLate = false;
  /** Those who wait, the longest first. */
  readonly #queue: Waiting[] = [];

  /** `connections` says how many there are now. */
  constructor(connections: () => number) {
    this.#connections = connections;
  }

  /**
   * To be awaited by whoever was served, after so many commands in all. Few at a time, and the loop
   * on time: nobody waits.
   */
  next(ticket: Ticket, commandCount: number): Promise<void> | undefined {
    const mayBeCrowd = this.#connections() > CROWD;
    if (mayBeCrowd) this.#lookAt ??= this.#lookSoon(performance.now());
    const since = this.#lookAt ?? loopTime();
    if (ticket.interval !== this.#interval) this.#count(ticket);
    ticket.served += Math.max(1, commandCount - ticket.commandCount);
    ticket.commandCount = commandCount;
    this.#servings++;
    this.events++;
    if (this.#servings % SERVINGS_A_LOOK === 0) {
      this.#isLate = performance.now() - since > LATE_MS;
    }
    if (this.#isLate) this.#lookAt ??= this.#lookSoon(since);
    const isCrowd = this.#queue.length > 0 || mayBeCrowd && !this.#hasRoom;
    // Of a crowd that comes at once each waits as soon as it was served.
    const isEnough = ticket.served >= COMMANDS || this.#active > CROWD;
    const hasToWait = this.#isLate || isCrowd && isEnough;
    return hasToWait ? this.#wait(ticket) : undefined;
  }

  get #hasRoom(): boolean {
    return this.#active + this.#activeBefore < TOGETHER;
  }

  /** It is active in this interval. */
  #count(ticket: Ticket): void {
    if (ticket.interval === this.#interval - 1) this.#activeBefore--;
    else ticket.served = 0;
    ticket.interval = this.#interval;
    this.#active++;
  }

  #wait(ticket: Ticket): Promise<void> {
    ticket.interval = NaN;
    this.#active--;
    return new Promise((goOn) => {
      this.#queue.push({ ticket, goOn });
      if (!this.#isLate) this.#letIn();
    });
  }

  #letIn(): void {
    while (this.#hasRoom) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#count(next.ticket);
      next.goOn();
    }
  }

  /** Only where somebody may have to wait: a timer in every turn takes a fortieth of the time. */
  #lookSoon(since: number): number {
    setTimeout(() => this.#look());
    return since;
  }

  #look(): void {
    this.#lookAt = undefined;
    this.#isLate = false;
    this.#interval++;
    this.#activeBefore = this.#active;
    this.#active = 0;
    this.#letIn();
    if (this.#queue.length > 0) this.#lookAt = this.#lookSoon(performance.now());
  }
}
