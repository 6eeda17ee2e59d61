import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Pace, type Ticket } from "../lib/pace.ts";

const SERVINGS = 4;
const PEERS = 150;

/** Connections that are served; the clock stands where a test wants it. */
class Crowd implements Disposable {
  readonly pace: Pace;
  readonly tickets = Array.from({ length: PEERS }, (): Ticket => ({ round: 0, servings: 0 }));
  clock = 1_000;
  /** So many have gone on in their next round. */
  released = 0;
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
        turn.then(() => this.released++);
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

/** Some milliseconds, and so many turns of the loop. */
function aWhile(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

describe("Pace", () => {
  it("lets nobody wait where there is no crowd, and the loop is on time", () => {
    using few = new Crowd(100);
    assertEquals(few.serve(few.tickets.slice(0, 100), 50), 0);
  });

  it("lets who was served often in a crowd wait until all were", async () => {
    using crowd = new Crowd(PEERS);
    const [last] = crowd.tickets.slice(-1) as [Ticket];
    const others = crowd.tickets.slice(0, -1);
    assertEquals(crowd.serve(crowd.tickets, SERVINGS - 1), 0);
    assertEquals(crowd.serve(others), PEERS - 1);
    await Promise.resolve();
    assertEquals(crowd.released, 0);
    assertEquals(crowd.serve([last]), 1);
    await Promise.resolve();
    assertEquals(crowd.released, PEERS, "the next round begins at once");
    assertEquals(crowd.serve(crowd.tickets), 0);
  });

  it("begins a round without those of a crowd who are silent", async () => {
    using crowd = new Crowd(10 * PEERS);
    assertEquals(crowd.serve(crowd.tickets, SERVINGS), PEERS);
    await Promise.resolve();
    assertEquals(crowd.released, 0);
    await aWhile();
    assertEquals(crowd.released, PEERS);
  });

  it("waits for a crowd from which something comes in every other turn of the loop", async () => {
    using crowd = new Crowd(10 * PEERS);
    assertEquals(crowd.serve(crowd.tickets, SERVINGS), PEERS);
    for (let turn = 0; turn < 1_000; turn++) {
      await loopTurn();
      if (turn % 2 === 0) crowd.pace.events += PEERS;
    }
    assertEquals(crowd.released, 0);
    await aWhile();
    assertEquals(crowd.released, PEERS);
  });

  it("lets the loop turn when it is late, though few are served", async () => {
    using few = new Crowd(2);
    const busy = few.tickets.slice(0, 2);
    assertEquals(few.serve(busy, SERVINGS), 0);
    few.clock += 6;
    const waiting = few.serve(busy, SERVINGS);
    assertEquals(waiting > 0, true);
    await Promise.resolve();
    assertEquals(few.released, 0);
    await aWhile();
    assertEquals(few.released, waiting);
    assertEquals(few.serve(busy), 0);
  });
});
