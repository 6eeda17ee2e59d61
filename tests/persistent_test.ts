import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IntMap, Queue } from "../lib/persistent.ts";
import { wholeBelow, withSeed } from "./random.ts";

describe("IntMap", () => {
  it("does what a Map would do, for small and for large numbers", () => {
    withSeed((random) => {
      const model = new Map<number, string>();
      let map = IntMap.empty<string>();
      for (let round = 0; round < 20_000; round++) {
        const key = wholeBelow(random, [20, 300, 70_000, 2 ** 32][wholeBelow(random, 4)]!);
        assertEquals(map.get(key), model.get(key));
        if (random() < 0.4) {
          map = map.set(key, undefined);
          model.delete(key);
        } else {
          map = map.set(key, `${round}`);
          model.set(key, `${round}`);
        }
      }
      assertEquals([...map], [...model].sort(([a], [b]) => a - b));
      for (const key of model.keys()) map = map.set(key, undefined);
      assertEquals([...map], []);
    });
  });

  it("stays as it is when another is made of it", () => {
    const before = IntMap.empty<string>().set(1, "one").set(1000, "thousand");
    before.set(1, "other").set(1000, undefined).set(7, "seven");
    assertEquals([...before], [[1, "one"], [1000, "thousand"]]);
  });
});

describe("Queue", () => {
  it("does what arrays would do, whichever of its versions goes on", () => {
    withSeed((random) => {
      const versions = [{ queue: Queue.of<number>([]), model: [] as number[] }];
      for (let round = 0; round < 5_000; round++) {
        const { queue, model } = versions[wholeBelow(random, versions.length)]!;
        const count = wholeBelow(random, model.length + 1);
        versions.push(
          random() < 0.7
            ? { queue: queue.push(round), model: [...model, round] }
            : { queue: queue.drop(count), model: model.slice(count) },
        );
        if (versions.length > 10) versions.shift();
        for (const { queue, model } of versions) {
          assertEquals(queue.size, model.length);
          assertEquals(queue.toArray(), model);
        }
      }
    });
  });
});
