import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Overlay } from "../../lib/chat/overlay.ts";
import { IntMap } from "../../lib/chat/persistent.ts";
import { pick, wholeBelow, withSeed } from "../random.ts";

const KEYS = [1, 2, 31, 32, 1500, 2 ** 32 + 1, 2 ** 53 - 1];

describe("an overlay", () => {
  it("is the map with its changes, and the map stays as it is", () => {
    withSeed((random) => {
      for (let round = 0; round < 200; round++) {
        const before = new Map<number, number>();
        let map = IntMap.empty<number>();
        const change = (set: (key: number, value: number | undefined) => void) => {
          const [key, value] = [pick(random, KEYS), wholeBelow(random, 9)];
          set(key, random() < 0.3 ? undefined : value);
        };
        const setIn = (all: Map<number, number>, key: number, value: number | undefined) => {
          if (value === undefined) all.delete(key);
          else all.set(key, value);
        };
        for (let i = wholeBelow(random, 6); i > 0; i--) {
          change((key, value) => {
            map = map.set(key, value);
            setIn(before, key, value);
          });
        }
        const overlay = new Overlay(map);
        const after = new Map(before);
        const touched = new Set<number>();
        for (let i = wholeBelow(random, 20); i > 0; i--) {
          change((key, value) => {
            assertEquals(overlay.set(key, value) === overlay, true);
            setIn(after, key, value);
            touched.add(key);
          });
          const sorted = [...after].sort(([one], [other]) => one - other);
          assertEquals(overlay.size, after.size);
          assertEquals(KEYS.map((key) => overlay.get(key)), KEYS.map((key) => after.get(key)));
          assertEquals([...overlay.settled()], sorted);
          assertEquals(overlay.settled().values(), sorted.map(([, value]) => value));
          assertEquals(overlay.settled().size, after.size);
        }
        assertEquals(new Set(overlay.keys()), touched);
        assertEquals(new Map(map), before);
      }
    });
  });
});
