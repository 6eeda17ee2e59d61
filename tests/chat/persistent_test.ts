import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IntMap, TextMap } from "../../lib/chat/persistent.ts";
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

  it("shares with a version that it was made from each part that has not changed", () => {
    const keys = Array.from({ length: 3_000 }, (_, at) => at);
    const before = keys.reduce((map, key) => map.set(key, key), IntMap.empty<number>());
    const after = before.set(1_000, undefined);
    const [old, made] = [[...before.parts()], [...after.parts()]];
    assertEquals(made.flat().filter((value) => value !== undefined), after.values());
    for (const [at, part] of made.entries()) {
      assert(part.length <= 32);
      if (part.includes(1_001)) assertEquals(part.indexOf(1_001), old[at]!.indexOf(1_001));
      else assertStrictEquals(part, old[at]);
    }
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

/** The most levels of an AVL tree: one of 1, 2, 3, 4, 5 levels has at least 1, 2, 4, 7, 12 texts. */
function heightMax(texts: number): number {
  let height = 0;
  for (let [least, next] = [1, 2]; least <= texts; [least, next] = [next, 1 + least + next]) {
    height++;
  }
  return height;
}

/** Texts with little between them. */
const NEAR = ["", "\0", "\0\0", "u", "u\0", "\ud83d", "\ud83d\udc4d", "\udc4d", "\uffff"];

/** Different texts in an order that makes a tree deep which is not balanced. */
const ORDERS: Readonly<Record<string, (at: number, count: number) => string>> = {
  rising: (at) => digits(at),
  falling: (at, count) => digits(count - at),
  "from both ends to the middle": (at, count) => digits(at % 2 === 0 ? at : 2 * count - at),
  "with a long common beginning": (at) => "x".repeat(990) + digits(at),
  "one letter, ever longer": (at) => "x".repeat(at % 1_000) + digits(Math.floor(at / 1_000)),
};

function digits(value: number): string {
  return `${value}`.padStart(6, "0");
}

describe("TextMap", () => {
  it("does what a Map would do", () => {
    withSeed((random) => {
      const model = new Map<string, number>();
      let map = TextMap.empty<number>();
      for (let round = 0; round < 50_000; round++) {
        const text = random() < 0.1
          ? pick(random, NEAR)
          : `u${wholeBelow(random, pick(random, [20, 300, 70_000]))}`;
        assertEquals(map.get(text), model.get(text));
        if (random() < 0.4) {
          map = map.set(text, undefined);
          model.delete(text);
        } else {
          map = map.set(text, round);
          model.set(text, round);
        }
        assert(map.height <= heightMax(model.size), `${map.height} levels`);
      }
      for (const [text, value] of model) assertEquals(map.get(text), value);
      for (const text of model.keys()) map = map.set(text, undefined);
      assertEquals(map, TextMap.empty());
    });
  });

  for (const [order, textAt] of Object.entries(ORDERS)) {
    it(`stays balanced, whatever is chosen to make it deep: texts ${order}`, () => {
      const count = 5_000;
      const texts = Array.from({ length: count }, (_, at) => textAt(at, count));
      assertEquals(new Set(texts).size, count);
      let map = TextMap.empty<number>();
      for (const [at, text] of texts.entries()) map = map.set(text, at);
      assert(map.height <= heightMax(count), `${map.height} levels`);
      // Only every eighth stays, and then only the last hundred.
      for (const [at, text] of texts.entries()) if (at % 8 > 0) map = map.set(text, undefined);
      assert(map.height <= heightMax(count / 8), `${map.height} levels`);
      for (const text of texts.slice(0, -800)) map = map.set(text, undefined);
      assert(map.height <= heightMax(100), `${map.height} levels`);
      for (const [at, text] of texts.entries()) {
        assertEquals(map.get(text), at % 8 === 0 && at >= count - 800 ? at : undefined);
      }
    });
  }

  it("does not change when a later version does", () => {
    const texts = [...NEAR, ...Array.from({ length: 60 }, (_, i) => `u${i}`)];
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
