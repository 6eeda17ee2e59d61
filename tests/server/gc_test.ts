import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { HeapWatch } from "../../lib/server/gc.ts";

const MB = 2 ** 20;

describe("HeapWatch", () => {
  /** The checks at which it is time to collect; then `left` megabytes are in use. */
  function due(checks: readonly number[], left = 5): number[] {
    const watch = new HeapWatch();
    return checks.flatMap((used, at) => {
      if (!watch.isDue(used * MB)) return [];
      watch.collected(left * MB);
      return [at];
    });
  }

  it("waits until the heap is at rest", () => {
    assertEquals(due([5, 40, 80, 60, 70, 70]), [5]);
  });

  it("collects once after a busy time", () => {
    assertEquals(due([5, 80, 80, 5, 5, 5, 5]), [2]);
  });

  it("finds garbage in a heap that does not grow", () => {
    assertEquals(due([100, 100, 100, 130, 100, 100], 100), [1, 5]);
  });

  it("leaves a heap alone where little has changed, or a small share of it", () => {
    assertEquals(due([5, 8, 8, 11, 11]), []);
    assertEquals(due([400, 400, 430, 430, 430], 400), [1]);
  });
});
