import { assertEquals, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { commandNames } from "../../lib/protocol/command.ts";
import { nameFinder } from "../../lib/protocol/name_finder.ts";
import { decodeUtf8 } from "../../lib/protocol/utf8.ts";
import { wholeBelow, withSeed } from "../random.ts";

describe("nameFinder()", () => {
  const names = commandNames(false);
  const find = nameFinder(names);
  const encoder = new TextEncoder();

  it("finds what a decoded text finds, in names with and without a changed byte", () => {
    withSeed((random) => {
      for (let round = 0; round < 20_000; round++) {
        const name = names[wholeBelow(random, names.length)]!;
        const bytes = encoder.encode(name + "\xe9".repeat(wholeBelow(random, 2)));
        const payload = bytes.subarray(wholeBelow(random, 2));
        if (random() < 0.5) payload[wholeBelow(random, payload.length)] = wholeBelow(random, 256);
        const expected = names.find((each) => each === decodeUtf8(payload, 0, payload.length));
        const behind = concat([Uint8Array.of(115), payload, Uint8Array.of(115)]);
        assertEquals(find(behind, 1, 1 + payload.length), expected);
      }
    });
  });

  it("finds no name in an empty frame", () => {
    assertEquals(find(new Uint8Array(0), 0, 0), undefined);
  });

  it("refuses names that it would confuse", () => {
    assertThrows(() => nameFinder(["send", "sync"]), Error, "same hash");
  });
});
