import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { HeapWatch } from "../../lib/server/gc.ts";

const MB = 2 ** 20;

describe("HeapWatch", () => {
  /** At which looks it is time to collect; then `left` megabytes are in use. */
  function due(looks: readonly number[], left = 5): number[] {
    const watch = new HeapWatch();
    return looks.flatMap((used, at) => {
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

  it("leaves a heap alone where little has changed, or little of much", () => {
    assertEquals(due([5, 8, 8, 11, 11]), []);
    assertEquals(due([400, 400, 430, 430, 430], 400), [1]);
  });
});
