import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { clip, countSymbols, hasMoreSymbols, tooLong } from "../../lib/text/symbols.ts";

/** Symbols of one and of two UTF-16 units. */
const SYMBOLS = ["a", "\0", "é", "Б", "\ufeff", "👍", "\ud83d"];

describe("countSymbols()", () => {
  it("counts code points, not UTF-16 units or what is seen as one", () => {
    assertEquals(countSymbols(""), 0);
    assertEquals(countSymbols("Привет 👍"), 8);
    assertEquals(countSymbols("👩‍👩‍👧"), 5);
  });
});

describe("hasMoreSymbols()", () => {
  for (const symbol of SYMBOLS) {
    it(`compares the number of symbols with the limit: ${JSON.stringify(symbol)}`, () => {
      for (const count of [0, 1, 2, 7, 8, 9, 16, 17, 40]) {
        assertEquals([count, hasMoreSymbols(symbol.repeat(count), 8)], [count, count > 8]);
      }
    });
  }
});

describe("clip()", () => {
  it("keeps a text of at most as many symbols as the limit", () => {
    assertEquals(clip("👍".repeat(3), 3), "👍👍👍");
  });

  it("cuts a longer text between symbols, and marks the cut", () => {
    assertEquals(clip("👍".repeat(4), 3), "👍👍👍...");
  });
});

describe("tooLong()", () => {
  it("accepts a name of as many symbols as the limit, however many bytes they take", () => {
    assertEquals(tooLong("name", "👍".repeat(8), 8), undefined);
  });

  it("tells the length of a longer name and the limit", () => {
    assertEquals(
      tooLong("name", "👍".repeat(9), 8),
      "The name is too long: 9 symbols, at most 8 are allowed",
    );
  });
});
