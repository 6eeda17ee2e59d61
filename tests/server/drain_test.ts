import { assert } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { drain } from "../../lib/server/drain.ts";

const NEVER = new Promise<void>(() => {});

/** How long it takes (ms). */
async function timed(work: Promise<void>): Promise<number> {
  const from = performance.now();
  await work;
  return performance.now() - from;
}

describe("drain()", () => {
  it("waits for two pauses in which nothing happens", async () => {
    assert(await timed(drain(() => 7, NEVER)) > 190);
  });

  it("goes on while something arrives", async () => {
    const from = performance.now();
    const events = () => Math.min(performance.now() - from, 400);
    assert(await timed(drain(events, NEVER)) > 590);
  });

  it("ends after 2.5 s, whatever arrives", async () => {
    let events = 0;
    const ms = await timed(drain(() => ++events, NEVER));
    assert(ms > 2_490 && ms < 5_000, `${ms} ms`);
  });

  it("ends at once when all connections are closed", async () => {
    let events = 0;
    const ms = await timed(drain(() => ++events, sleep(20)));
    assert(ms < 1_500, `${ms} ms`);
  });
});
