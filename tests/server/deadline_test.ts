import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { Deadline } from "../../lib/server/deadline.ts";

describe("Deadline", () => {
  it("passes once, and a sooner one passes first, whichever was set first", async () => {
    const passed: string[] = [];
    const late = new Deadline(() => passed.push("late"));
    const soon = new Deadline(() => passed.push("soon"));
    const last = new Deadline(() => passed.push("last"));
    const never = new Deadline(() => passed.push("never"));
    never.set(Infinity);
    late.set(60);
    soon.set(20);
    last.set(80);
    await sleep(40);
    assertEquals(passed, ["soon"]);
    await sleep(80);
    assertEquals(passed, ["soon", "late", "last"]);
    for (const deadline of [late, soon, last, never]) deadline.close();
  });

  it("can be moved, cleared and set again, also while it passes", async () => {
    let passed = 0;
    const moved: Deadline = new Deadline(() => {
      passed++;
      if (passed === 1) moved.set(10);
    });
    const off = new Deadline(() => passed += 100);
    moved.set(10);
    moved.set(50);
    off.set(10);
    off.clear();
    await sleep(30);
    assertEquals(passed, 0);
    await sleep(100);
    assertEquals(passed, 2);
    moved.set(10);
    moved.close();
    off.close();
    await sleep(30);
    assertEquals(passed, 2);
  });

  it("sets no timer in the past: the runtime would complain on stderr", () => {
    const { setTimeout } = globalThis;
    const asked: number[] = [];
    Object.assign(globalThis, { setTimeout: (_: () => void, ms: number) => asked.push(ms) });
    const deadline = new Deadline(() => {});
    try {
      deadline.set(-40);
    } finally {
      globalThis.setTimeout = setTimeout;
      deadline.close();
    }
    assertEquals(asked, [0]);
  });
});
