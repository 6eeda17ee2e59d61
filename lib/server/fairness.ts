/**
 * Fairness among connections: a busy connection queues for the others, and the event loop turns.
 *
 * The runtime serves reads and writes that are ready before it turns the event loop, so a client
 * with a long pipeline would hold up all others. Of more than 128 reads and writes it serves the same
 * ones over and over.
 */
import { loopTime } from "../clock.ts";

/** The event loop is late when a timer that was due at once has not fired after this time (ms). */
const LATE_MS = 5;
/**
 * When more than this many connections are busy, each one queues after its first reply. A request
 * needs two of the 128 reads and writes.
 */
const CROWD_CONNECTIONS = 64;
/**
 * At most this many connections of a crowd are served at a time. With more, their memory has left
 * the processor's cache when their next request comes; with fewer, a commit holds too few commands.
 */
const SERVED_CONNECTIONS_MAX = 50;
/** A connection of a crowd queues after this many commands. */
const COMMANDS_MAX = 6;

/** The record of one connection. */
export class Ticket {
  /** The interval in which the connection was served last; NaN while it is queued. */
  interval = NaN;
  /** Commands answered since it left the queue or was idle. A piece of a long reply counts too. */
  served = 0;
  /** The commands of the connection when it was served last. */
  commandCount = 0;
}

/** Decides which connections have to queue before they go on. */
export class Fairness {
  /** Chunks received and pieces sent, on all connections. */
  events = 0;
  readonly #connections: () => number;
  /** The number of the present interval. A timer ends it in a later turn of the event loop. */
  #interval = 0;
  /** Connections that were served in this interval, without those in the queue. */
  #active = 0;
  /** Connections that were served in the interval before, and not yet in this one. */
  #activeBefore = 0;
  /** When the timer that ends the interval was set (ms); `undefined` where none is set. */
  #timerSetAt: number | undefined;
  #isLate = false;
  /** The oldest is first. */
  readonly #queue: { readonly ticket: Ticket; readonly goOn: () => void }[] = [];

  /** `connections` returns the number of open connections. */
  constructor(connections: () => number) {
    this.#connections = connections;
  }

  /**
   * To be called for each piece that a connection has written. The promise resolves when the
   * connection may go on; `undefined` means at once. `commandCount` is the number of its commands.
   */
  next(ticket: Ticket, commandCount: number): Promise<void> | undefined {
    const mayBeCrowd = this.#connections() > CROWD_CONNECTIONS;
    if (mayBeCrowd) this.#timerSetAt ??= this.#setTimer(performance.now());
    const since = this.#timerSetAt ?? loopTime();
    if (ticket.interval !== this.#interval) this.#count(ticket);
    ticket.served += Math.max(1, commandCount - ticket.commandCount);
    ticket.commandCount = commandCount;
    this.events++;
    this.#isLate = performance.now() - since > LATE_MS;
    if (this.#isLate) this.#timerSetAt ??= this.#setTimer(since);
    const isCrowd = this.#queue.length > 0 || mayBeCrowd && !this.#hasRoom;
    const isServed = ticket.served >= COMMANDS_MAX || this.#active > CROWD_CONNECTIONS;
    const hasToWait = this.#isLate || isCrowd && isServed;
    return hasToWait ? this.#wait(ticket) : undefined;
  }

  get #hasRoom(): boolean {
    return this.#active + this.#activeBefore < SERVED_CONNECTIONS_MAX;
  }

  /** Counts the connection as active in this interval. */
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

  /**
   * Sets the timer that ends the interval, and returns `since`. A timer in each turn of the loop
   * would cost a fortieth of the time.
   */
  #setTimer(since: number): number {
    setTimeout(() => this.#endInterval());
    return since;
  }

  #endInterval(): void {
    this.#timerSetAt = undefined;
    this.#isLate = false;
    this.#interval++;
    this.#activeBefore = this.#active;
    this.#active = 0;
    this.#letIn();
    if (this.#queue.length > 0) this.#timerSetAt = this.#setTimer(performance.now());
  }
}
