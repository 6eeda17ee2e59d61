import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Fairness, Ticket } from "../../lib/server/fairness.ts";
import { until } from "../support.ts";

/** More are a crowd; as many go on when all come at once. */
const CROWD = 64;
/** As many of it are served together, so many commands of each. */
const TOGETHER = 50;
const COMMANDS = 6;
const PEERS = 150;

/** Connections that are served; the clock stands where a test wants it. */
class Crowd implements Disposable {
  readonly fairness: Fairness;
  readonly tickets = Array.from({ length: PEERS }, () => new Ticket());
  clock = 1_000;
  /** Those who were let in, in their order. */
  readonly letIn: Ticket[] = [];
  readonly #now = performance.now;

  constructor(connections: number) {
    this.fairness = new Fairness(() => connections);
    performance.now = () => this.clock;
  }

  /** Serves some of them so often, so many commands each time; returns how many wait. */
  serve(tickets: readonly Ticket[], times = 1, commands = 1): number {
    let waiting = 0;
    for (let time = 0; time < times; time++) {
      for (const ticket of tickets) {
        const turn = this.fairness.next(ticket, ticket.commandCount + commands);
        if (turn === undefined) continue;
        waiting++;
        turn.then(() => this.letIn.push(ticket));
      }
    }
    return waiting;
  }

  /** All of them come at once, and those who go on are served until they wait too. */
  gather(tickets: readonly Ticket[]): void {
    this.serve(tickets);
    this.serve(tickets.slice(0, CROWD), COMMANDS - 1);
  }

  [Symbol.dispose](): void {
    performance.now = this.#now;
  }
}

function loopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("Fairness", () => {
  it("lets nobody wait where there is no crowd, and the loop is on time", () => {
    using few = new Crowd(CROWD);
    assertEquals(few.serve(few.tickets.slice(0, CROWD), 50), 0);
  });

  it("serves some of a crowd together, and lets the others in as they have waited", async () => {
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

  it("lets each of a crowd that comes at once wait as soon as it was served", () => {
    using crowd = new Crowd(PEERS);
    assertEquals(crowd.serve(crowd.tickets), PEERS - CROWD);
  });

  it("counts the commands, so that a long pipeline has no more of them than others", () => {
    using crowd = new Crowd(PEERS);
    crowd.serve(crowd.tickets);
    assertEquals(crowd.serve(crowd.tickets.slice(0, 1), 1, COMMANDS - 2), 0);
    assertEquals(crowd.serve(crowd.tickets.slice(1, 2), 1, COMMANDS - 1), 1);
  });

  it("does not wait for those of a crowd who are silent", async () => {
    using crowd = new Crowd(10 * PEERS);
    crowd.gather(crowd.tickets);
    await until(() => crowd.letIn.length === PEERS, "all are let in");
  });

  it("keeps nobody of a crowd waiting who asks seldom", async () => {
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
  });

  it("lets everybody go on who had to wait for a late loop", async () => {
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
