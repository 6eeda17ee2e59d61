import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Deadline } from "../../lib/server/deadline.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("Deadline", () => {
  it("passes in its batch among others, once", async () => {
    const passed: string[] = [];
    const late = new Deadline(() => passed.push("late"));
    const soon = new Deadline(() => passed.push("soon"));
    const never = new Deadline(() => passed.push("never"));
    late.set(60);
    soon.set(20);
    never.set(Infinity);
    await pause(40);
    assertEquals(passed, ["soon"]);
    await pause(80);
    assertEquals(passed, ["soon", "late"]);
    for (const deadline of [late, soon, never]) deadline.close();
  });

  it("is moved, batched off and set again, also while it passes", async () => {
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
    await pause(30);
    assertEquals(passed, 0);
    await pause(100);
    assertEquals(passed, 2);
    moved.set(10);
    moved.close();
    off.close();
    await pause(30);
    assertEquals(passed, 2);
  });

  it("asks for no timer in the past, of which the runtime would complain on stderr", () => {
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
