import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { forgetLoopTime } from "../../lib/clock.ts";
import { Fairness, Ticket } from "../../lib/server/fairness.ts";
import { until } from "../support.ts";

/** When more than this many are busy, each queues after its first reply. */
const CROWD = 64;
/** This many of a crowd are served at a time. */
const TOGETHER = 50;
/** A connection of a crowd queues after this many commands. */
const COMMANDS = 6;
/** The connections of a test. */
const PEERS = 150;

/** Connections, and a clock that a test sets. */
class Crowd implements Disposable {
  readonly fairness: Fairness;
  readonly tickets = Array.from({ length: PEERS }, () => new Ticket());
  clock = 1_000;
  /** The connections that have left the queue, in this order. */
  readonly letIn: Ticket[] = [];
  readonly #now = performance.now;

  constructor(connections: number) {
    this.fairness = new Fairness(() => connections);
    performance.now = () => this.clock;
    forgetLoopTime();
  }

  /** Serves each connection `times` times, `commands` commands each; returns how many queue. */
  serve(tickets: readonly Ticket[], times = 1, commands = 1): number {
    let waiting = 0;
    for (let time = 0; time < times; time++) {
      for (const ticket of tickets) {
        const queued = this.fairness.next(ticket, ticket.commandCount + commands);
        if (queued === undefined) continue;
        waiting++;
        queued.then(() => this.letIn.push(ticket));
      }
    }
    return waiting;
  }

  /** Serves all of them once, and the ones that do not queue until they do. */
  gather(tickets: readonly Ticket[]): void {
    this.serve(tickets);
    this.serve(tickets.slice(0, CROWD), COMMANDS - 1);
  }

  [Symbol.dispose](): void {
    performance.now = this.#now;
    forgetLoopTime();
  }
}

function loopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("Fairness", () => {
  it("queues no connection where few are busy and the loop is on time", () => {
    using few = new Crowd(CROWD);
    assertEquals(few.serve(few.tickets.slice(0, CROWD), 50), 0);
  });

  it("serves 50 of a crowd at a time, and lets the longest waiting in first", async () => {
    using crowd = new Crowd(PEERS);
    crowd.gather(crowd.tickets);
    for (let from = CROWD; from < 3 * PEERS; from += TOGETHER) {
      await Promise.resolve();
      const together = crowd.letIn.splice(0);
      assertEquals(
        together.map((ticket) => crowd.tickets.indexOf(ticket)),
        Array.from({ length: TOGETHER }, (_, place) => (from + place) % PEERS),
      );
      assertEquals(crowd.serve(together, COMMANDS - 1), 0);
      assertEquals(crowd.serve(together), TOGETHER);
    }
  });

  it("queues each connection of a crowd after its first reply", () => {
    using crowd = new Crowd(PEERS);
    assertEquals(crowd.serve(crowd.tickets), PEERS - CROWD);
  });

  it("counts commands, so that a long pipeline gets no more of them than others", () => {
    using crowd = new Crowd(PEERS);
    crowd.serve(crowd.tickets);
    assertEquals(crowd.serve(crowd.tickets.slice(0, 1), 1, COMMANDS - 2), 0);
    assertEquals(crowd.serve(crowd.tickets.slice(1, 2), 1, COMMANDS - 1), 1);
  });

  it("does not wait for silent connections of a crowd", async () => {
    using crowd = new Crowd(10 * PEERS);
    crowd.gather(crowd.tickets);
    await until(() => crowd.letIn.length === PEERS, "all are let in");
  });

  it("does not queue a connection of a crowd that sends seldom", async () => {
    using crowd = new Crowd(PEERS);
    const [seldom, ...others] = crowd.tickets as [Ticket, ...Ticket[]];
    crowd.gather(others);
    for (let time = 0; time < 10; time++) {
      let isOver = false;
      setTimeout(() => isOver = true, 5);
      while (!isOver) {
        await loopTurn();
        crowd.serve(crowd.letIn.splice(0), COMMANDS);
      }
      assertEquals(crowd.serve([seldom]), 0);
    }
  });

  it("queues none of 30 busy connections, however long they are busy", async () => {
    using crowd = new Crowd(PEERS);
    for (let interval = 0; interval < 2 * COMMANDS; interval++) {
      assertEquals(crowd.serve(crowd.tickets.slice(0, 30)), 0);
      await sleep(2);
    }
  });

  it("keeps the places of connections that were served in the interval before", async () => {
    using crowd = new Crowd(PEERS);
    assertEquals(crowd.serve(crowd.tickets.slice(0, TOGETHER)), 0);
    await sleep(2);
    assertEquals(crowd.serve(crowd.tickets.slice(TOGETHER, TOGETHER + 1), COMMANDS), 1);
  });

  it("lets the loop turn when it is late, though few are served", async () => {
    using few = new Crowd(2);
    const busy = few.tickets.slice(0, 2);
    assertEquals(few.serve(busy, COMMANDS), 0);
    few.clock += 6;
    const waiting = few.serve(busy, 4);
    assertEquals(waiting > 0, true);
    await Promise.resolve();
    assertEquals(few.letIn.length, 0);
    await until(() => few.letIn.length === waiting, "the loop has turned");
    assertEquals(few.serve(busy), 0);
  });

  it("lets all connections go on that had to wait for a late loop", async () => {
    using few = new Crowd(60);
    const busy = few.tickets.slice(0, 60);
    const seen = new Set<Ticket>();
    few.serve(busy);
    few.clock += 6;
    const waiting = few.serve(busy);
    assertEquals(waiting > TOGETHER, true);
    await until(() => {
      const goOn = few.letIn.splice(0);
      for (const ticket of goOn) seen.add(ticket);
      few.serve(goOn);
      return seen.size === waiting;
    }, "all have gone on");
  });
});
