import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Pace, Ticket } from "../lib/pace.ts";
import { until } from "./support.ts";

/** As many are served together, each so often. */
const TOGETHER = 50;
const SERVINGS = 3;
const PEERS = 150;

/** Connections that are served; the clock stands where a test wants it. */
class Crowd implements Disposable {
  readonly pace: Pace;
  readonly tickets = Array.from({ length: PEERS }, () => new Ticket());
  clock = 1_000;
  /** Those who were let in, in their order. */
  readonly letIn: Ticket[] = [];
  readonly #now = performance.now;

  constructor(connections: number) {
    this.pace = new Pace(() => connections);
    performance.now = () => this.clock;
  }

  /** Serves some of them so often; returns how many wait. */
  serve(tickets: readonly Ticket[], times = 1): number {
    let waiting = 0;
    for (let time = 0; time < times; time++) {
      for (const ticket of tickets) {
        const turn = this.pace.next(ticket);
        if (turn === undefined) continue;
        waiting++;
        turn.then(() => this.letIn.push(ticket));
      }
    }
    return waiting;
  }

  [Symbol.dispose](): void {
    performance.now = this.#now;
  }
}

function loopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("Pace", () => {
  it("lets nobody wait where there is no crowd, and the loop is on time", () => {
    using few = new Crowd(64);
    assertEquals(few.serve(few.tickets.slice(0, 64), 50), 0);
  });

  it("serves some of a crowd together, and lets the others in as they have waited", async () => {
    using crowd = new Crowd(PEERS);
    assertEquals(crowd.serve(crowd.tickets, SERVINGS - 1), 0);
    assertEquals(crowd.serve(crowd.tickets), PEERS);
    for (let first = 0; first < 2 * PEERS; first += TOGETHER) {
      await Promise.resolve();
      const together = crowd.letIn.splice(0);
      const expected = crowd.tickets.slice(first % PEERS, first % PEERS + TOGETHER);
      assertEquals(
        together.map((ticket) => crowd.tickets.indexOf(ticket)),
        expected.map((ticket) => crowd.tickets.indexOf(ticket)),
      );
      assertEquals(crowd.serve(together, SERVINGS), TOGETHER);
    }
  });

  it("does not wait for those of a crowd who are silent", async () => {
    using crowd = new Crowd(10 * PEERS);
    crowd.serve(crowd.tickets, SERVINGS);
    await until(() => crowd.letIn.length === PEERS, "all are let in");
  });

  it("keeps nobody of a crowd waiting who asks seldom", async () => {
    using crowd = new Crowd(PEERS);
    const [seldom, ...others] = crowd.tickets as [Ticket, ...Ticket[]];
    crowd.serve(others, SERVINGS);
    for (let time = 0; time < 10; time++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      crowd.serve(crowd.letIn.splice(0), SERVINGS);
      assertEquals(crowd.serve([seldom]), 0);
    }
  });

  it("lets the loop turn when it is late, though few are served", async () => {
    using few = new Crowd(2);
    const busy = few.tickets.slice(0, 2);
    assertEquals(few.serve(busy, SERVINGS), 0);
    few.clock += 6;
    const waiting = few.serve(busy, 4);
    assertEquals(waiting > 0, true);
    await Promise.resolve();
    assertEquals(few.letIn.length, 0);
    await until(() => few.letIn.length === waiting, "the loop has turned");
  });

  it("lets everybody go on who had to wait for a late loop", async () => {
    using few = new Crowd(60);
    const busy = few.tickets.slice(0, 60);
    const seen = new Set<Ticket>();
    few.serve(busy);
    few.clock += 6;
    const waiting = few.serve(busy);
    assertEquals(waiting > TOGETHER, true);
    for (let turn = 0; turn < 1_000 && seen.size < waiting; turn++) {
      await loopTurn();
      const goOn = few.letIn.splice(0);
      for (const ticket of goOn) seen.add(ticket);
      few.serve(goOn);
    }
    assertEquals(seen.size, waiting);
  });
});
