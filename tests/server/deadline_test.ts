import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { Deadline } from "../../lib/server/deadline.ts";
import { ServerProcess } from "../cli/program.ts";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { until } from "../support.ts";

/** Holds up the event loop (ms). */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** A deadline, and how often it has passed. */
class Counted implements Disposable {
  passed = 0;
  readonly deadline = new Deadline(() => this.passed++);

  [Symbol.dispose](): void {
    this.deadline.close();
  }
}

describe("Deadline", () => {
  it("passes once, and sooner than one that was set before it", async () => {
    using late = new Counted();
    using soon = new Counted();
    late.deadline.set(10_000);
    soon.deadline.set(20);
    await until(() => soon.passed === 1, "it passes");
    await sleep(30);
    assertEquals([soon.passed, late.passed], [1, 0]);
  });

  it("does not pass when it is moved in the first turns after a pause", async () => {
    using one = new Counted();
    one.deadline.set(20);
    await sleep(1);
    block(100);
    await new Promise((resolve) => setImmediate(resolve));
    one.deadline.set(10_000);
    await sleep(50);
    assertEquals(one.passed, 0);
  });

  it("counts at most 250 ms of a pause", async () => {
    using one = new Counted();
    one.deadline.set(600);
    await sleep(1);
    block(1_000);
    await sleep(100);
    assertEquals(one.passed, 0);
    await until(() => one.passed === 1, "it passes");
  });

  it("counts at most 250 ms of each pause of many", async () => {
    using one = new Counted();
    one.deadline.set(1_500);
    for (let pauses = 0; pauses < 4; pauses++) {
      block(500);
      await sleep(10);
    }
    assertEquals(one.passed, 0);
  });

  it("passes in a loop that is late in every turn", async () => {
    using one = new Counted();
    one.deadline.set(10);
    let turns = 0;
    for (; one.passed === 0 && turns < 30; turns++) {
      block(300);
      await sleep(0);
    }
    assert(one.passed === 1, `not after ${turns} turns`);
  });

  it("may be set by one that passes", async () => {
    using next = new Counted();
    let passed = false;
    const first = new Deadline(() => {
      passed = true;
      next.deadline.set(20);
    });
    first.set(10);
    await until(() => next.passed === 1, "the next one passes");
    assert(passed);
    first.close();
  });
});

describe("a server that did not run for a time", () => {
  itNeeds(
    { permissions: ["net", "read", "run"] },
    "reads from all connections before it blames one",
    async () => {
      const flags = ["--idle-timeout-s", "1", "--connections-per-address-max", "20000"];
      await using server = await ServerProcess.start(...flags);
      const peers: Peer[] = [];
      for (let i = 0; i < 500; i++) peers.push(await Peer.connect(server.port));
      for (let pauses = 0; pauses < 2; pauses++) {
        await Promise.all(peers.map((peer) => peer.ask("ping")));
        server.child.kill("SIGSTOP");
        await Promise.all(peers.map((peer) => peer.send("ping")));
        await sleep(1_500);
        server.child.kill("SIGCONT");
        const replies = await Promise.all(peers.map((peer) => peer.frame()));
        assertEquals(new Set(replies), new Set(["pong"]));
      }
      for (const peer of peers) peer.close();
    },
  );
});
