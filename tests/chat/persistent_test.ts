import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { hashOf, IntMap, TextMap } from "../../lib/chat/persistent.ts";
import { pick, wholeBelow, withSeed } from "../random.ts";

describe("IntMap", () => {
  it("does what a Map would do, for small and large keys", () => {
    withSeed((random) => {
      const model = new Map<number, string>();
      let map = IntMap.empty<string>();
      for (let round = 0; round < 20_000; round++) {
        const key = wholeBelow(random, pick(random, [20, 300, 70_000, 2 ** 32, 2 ** 53]));
        assertEquals(map.get(key), model.get(key));
        assertEquals(map.size, model.size);
        if (random() < 0.4) {
          map = map.set(key, undefined);
          model.delete(key);
        } else {
          map = map.set(key, `${round}`);
          model.set(key, `${round}`);
        }
      }
      const sorted = [...model].sort(([a], [b]) => a - b);
      assertEquals([...map], sorted);
      assertEquals(map.values(), sorted.map(([, value]) => value));
      for (const key of model.keys()) map = map.set(key, undefined);
      assertEquals([...map], []);
    });
  });

  it("tells all keys below 2^53 apart, and lists them in their order", () => {
    const bases = [0, 2 ** 30, 2 ** 31, 2 ** 32, 2 ** 33, 2 ** 35, 2 ** 50, 2 ** 52, 2 ** 53 - 40];
    const keys = bases.flatMap((base) => [0, 1, 31, 32, 39].map((more) => base + more));
    assertEquals(keys.at(-1), Number.MAX_SAFE_INTEGER);
    const inOrder = keys.map((key): [number, string] => [key, `${key}`]);
    const full = inOrder.toReversed().reduce(
      (map, [key, text]) => map.set(key, text),
      IntMap.empty<string>(),
    );
    assertEquals([...full], inOrder);
    assertEquals(full.values(), keys.map(String));
    for (const [at, key] of keys.entries()) {
      assertEquals(IntMap.empty<string>().set(key, "alone").get(key), "alone");
      const without = full.set(key, undefined);
      assertEquals([...without], inOrder.toSpliced(at, 1));
      assertEquals(keys.map((other) => without.get(other)), keys.map(String).with(at, undefined!));
    }
  });

  it("does not change when a later version does", () => {
    const before = IntMap.empty<string>().set(1, "one").set(1000, "thousand");
    before.set(1, "other").set(1000, undefined).set(7, "seven");
    assertEquals([...before], [[1, "one"], [1000, "thousand"]]);
    assertEquals(before.size, 2);
  });

  it("does not change when a later version sets the same key again and again", () => {
    const versions = [IntMap.empty<number>()];
    for (let i = 0; i < 5; i++) versions.push(versions.at(-1)!.set(7, i));
    versions.push(versions[3]!.set(7, undefined), versions[3]!.set(8, 8));
    assertEquals(versions.map((map) => [...map]), [
      [],
      ...[0, 1, 2, 3, 4].map((i) => [[7, i]]),
      [],
      [[7, 2], [8, 8]],
    ]);
    assertEquals(versions.map(({ size }) => size), [0, 1, 1, 1, 1, 1, 0, 2]);
  });
});

/** Two different ends that give this text the same hash. */
function collidingAfter(text: string): [string, string] {
  const ends = new Map<number, string>();
  for (let i = 0;; i++) {
    const end = `${i}`;
    const hash = hashOf(text + end);
    const other = ends.get(hash);
    if (other !== undefined) return [other, end];
    ends.set(hash, end);
  }
}

/** Four texts with the same hash. */
function collidingTexts(): string[] {
  const begins = collidingAfter("");
  const ends = collidingAfter(begins[0]);
  return begins.flatMap((begin) => ends.map((end) => begin + end));
}

describe("TextMap", () => {
  const COLLIDING = collidingTexts();

  it("does what a Map would do, also for texts with the same hash", () => {
    assertEquals(new Set(COLLIDING.map(hashOf)).size, 1);
    withSeed((random) => {
      const model = new Map<string, number>();
      let map = TextMap.empty<number>();
      for (let round = 0; round < 50_000; round++) {
        const text = random() < 0.1
          ? pick(random, COLLIDING)
          : `u${wholeBelow(random, pick(random, [20, 300, 70_000]))}`;
        assertEquals(map.get(text), model.get(text));
        if (random() < 0.4) {
          map = map.set(text, undefined);
          model.delete(text);
        } else {
          map = map.set(text, round);
          model.set(text, round);
        }
      }
      for (const [text, value] of model) assertEquals(map.get(text), value);
      for (const text of model.keys()) map = map.set(text, undefined);
      assertEquals(map, TextMap.empty());
    });
  });

  it("does not change when a later version does", () => {
    const texts = [...COLLIDING, ...Array.from({ length: 60 }, (_, i) => `u${i}`)];
    withSeed((random) => {
      const versions = [{ map: TextMap.empty<number>(), model: new Map<string, number>() }];
      for (let round = 0; round < 1_000; round++) {
        const { map, model } = pick(random, versions);
        const text = pick(random, texts);
        const others = [...model].filter(([other]) => other !== text);
        versions.push(
          random() < 0.6
            ? { map: map.set(text, round), model: new Map([...others, [text, round]]) }
            : { map: map.set(text, undefined), model: new Map(others) },
        );
        if (versions.length > 10) versions.shift();
        for (const { map, model } of versions) {
          assertEquals(texts.map((text) => map.get(text)), texts.map((text) => model.get(text)));
        }
      }
    });
  });
});
