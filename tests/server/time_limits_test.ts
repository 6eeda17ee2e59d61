import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { loopTime } from "../../lib/clock.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { type Passed, TimeLimits } from "../../lib/server/time_limits.ts";

/** Limits that differ by far, and what has passed. */
class Limits implements Disposable {
  readonly passed: Passed[] = [];
  readonly limits = new TimeLimits(
    parseServerOptions([
      ...["--idle-timeout-s", "0.05", "--command-timeout-s", "0.2", "--write-timeout-s", "30"],
    ]),
    (what) => this.passed.push(what),
  );

  /** What has passed after this time (ms). */
  async after(ms: number): Promise<Passed[]> {
    await sleep(ms);
    return this.passed;
  }

  [Symbol.dispose](): void {
    this.limits.close();
  }
}

describe("the time limits of a connection", () => {
  it("let a client be idle for a time, or without end while it waits for mail", async () => {
    using connection = new Limits();
    connection.limits.read(false, true);
    assertEquals(await connection.after(150), []);
    connection.limits.read(false, false);
    assertEquals(await connection.after(150), ["idle"]);
    assertEquals(await connection.after(100), ["idle"]);
  });

  it("give a command its time from its first byte, however often bytes come", async () => {
    using connection = new Limits();
    for (let reads = 0; connection.passed.length === 0; reads++, await sleep(20)) {
      connection.limits.read(true, false);
      assert(reads < 50);
    }
    assertEquals(connection.passed, ["stalled"]);
  });

  it("give the next command its own time", async () => {
    using connection = new Limits();
    for (let commands = 0; commands < 10; commands++, await sleep(40)) {
      connection.limits.read(true, false);
      connection.limits.complete();
    }
    assertEquals(connection.passed, []);
  });

  it("have no end for a client that takes its replies, or while the server works", async () => {
    using connection = new Limits();
    connection.limits.read(false, false);
    connection.limits.write();
    assertEquals(await connection.after(150), []);
    connection.limits.read(false, false);
    connection.limits.clear();
    assertEquals(await connection.after(150), []);
  });

  it("leave 1 s for a piece of a reply when the server stops", async () => {
    using writing = new Limits();
    using reading = new Limits();
    writing.limits.write();
    reading.limits.read(false, true);
    for (const { limits } of [writing, reading]) limits.shorten(limits === writing.limits);
    assertEquals(await writing.after(1_300), ["unwritten"]);
    assertEquals(reading.passed, []);
    reading.limits.write();
    assertEquals(await reading.after(1_300), ["unwritten"]);
  });

  it("leave 2 s to close the connection after the last reply", async () => {
    using connection = new Limits();
    connection.limits.linger();
    assertEquals(await connection.after(1_500), []);
    assertEquals(await connection.after(1_000), ["unclosed"]);
  });
});

describe("the timer of all time limits", () => {
  /** A connection whose limits are 50 ms for the next command and 10 ms for the rest of one. */
  function limits(passed: () => void, idleS = 0.05): TimeLimits {
    return new TimeLimits(
      parseServerOptions(["--idle-timeout-s", `${idleS}`, "--command-timeout-s", "0.01"]),
      passed,
    );
  }

  it("lets each pass once, and a sooner one first, whichever was set first", async () => {
    const passed: string[] = [];
    const late = limits(() => passed.push("late"), 0.06);
    const soon = limits(() => passed.push("soon"), 0.02);
    const last = limits(() => passed.push("last"), 0.08);
    const never = limits(() => passed.push("never"));
    never.read(false, true);
    for (const one of [late, soon, last]) one.read(false, false);
    await sleep(40);
    assertEquals(passed, ["soon"]);
    await sleep(80);
    assertEquals(passed, ["soon", "late", "last"]);
    for (const one of [late, soon, last, never]) one.close();
  });

  it("lets a limit be moved, cleared and set again, also while it passes", async () => {
    let passed = 0;
    const moved: TimeLimits = limits(() => {
      passed++;
      if (passed === 1) moved.read(true, false);
    });
    const off = limits(() => passed += 100);
    moved.read(true, false);
    moved.read(false, false);
    off.read(true, false);
    off.clear();
    await sleep(30);
    assertEquals(passed, 0);
    await sleep(100);
    assertEquals(passed, 2);
    moved.read(true, false);
    moved.close();
    off.close();
    await sleep(30);
    assertEquals(passed, 2);
  });

  it("is not set in the past: the runtime would complain on stderr", () => {
    const { setTimeout } = globalThis;
    const asked: number[] = [];
    const now = loopTime();
    while (performance.now() < now + 50);
    Object.assign(globalThis, { setTimeout: (_: () => void, ms: number) => asked.push(ms) });
    const connection = limits(() => {});
    try {
      connection.read(true, false);
    } finally {
      globalThis.setTimeout = setTimeout;
      connection.close();
    }
    assertEquals(asked, [0]);
  });
});
