import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  hex,
  parsePrintableName,
  printable,
  printableName,
  quoted,
} from "../../lib/text/printable.ts";

describe("printable()", () => {
  it("escapes controls and marks that change the direction of writing", () => {
    assertEquals(
      printable("a\x1b[2Jb\u202ec\u2066\x7f\u0085"),
      "a\\u001b[2Jb\\u202ec\\u2066\\u007f\\u0085",
    );
  });

  it("escapes invisible symbols", () => {
    assertEquals(
      printable("A\u00adl\u200b\u3164\u{1d173}"),
      "A\\u00adl\\u200b\\u3164\\ud834\\udd73",
    );
  });

  it("keeps every other symbol", () => {
    for (const text of ["Привет", "👩‍👩‍👧", "❤️", "é", "\\", '"', "العربية"]) {
      assertEquals(printable(text), text);
    }
  });
});

describe("printableName()", () => {
  it("keeps letters of any script, emoji of one symbol, and single blanks", () => {
    for (const name of ["Bob", "Привет", "👍", "é", "العربية", "A b", "'\""]) {
      assertEquals(printableName(name), name);
    }
  });

  it("shows names that differ in what can't be seen as different", () => {
    const hidden = [
      "",
      "\u200d",
      "\u200c",
      "\ufe0f",
      "\u{e0041}",
      "\ufff9",
      "\u00ad",
      "\u2060",
      "\ufeff",
      "\u00a0",
      "\u2003",
      "\u3000",
      "\u2800",
      "\u3164",
      "\uffa0",
      "\u115f",
      "\u180e",
      "\u034f",
      "\u061c",
      "\ufffc",
      " ",
      "  ",
      "\t",
      "\n",
      "\0",
    ];
    const names = hidden.flatMap((symbols) =>
      symbols === "" ? ["Bob"] : [`Bob${symbols}`, `${symbols}Bob`, `Bo${symbols}${symbols}b`]
    );
    const shown = names.map(printableName);
    assertEquals(new Set(shown).size, names.length, shown.join(" "));
    for (const name of shown.slice(1)) assertMatch(name, /\\u[0-9a-f]{4}/);
  });

  it("shows a name that spells an escape as another than the name that is escaped so", () => {
    assertEquals(printableName("B\\u200d"), "B\\\\u200d");
  });

  it("is undone by parsePrintableName()", () => {
    for (
      const name of ["Bob", "a\nb", "-x", "\\u200d", "\\", "A  b ", "e\u0301", "👩‍👩‍👧", "\u{e0041}"]
    ) {
      assertEquals(parsePrintableName(printableName(name)), name);
    }
  });

  it("shows two spellings of one letter as different", () => {
    assertEquals(printableName("e\u0301"), "e\\u0301");
    assertEquals(printableName("\u212a"), "\\u212a");
    assertEquals(printableName("\u1112\u1161"), "\\u1112\\u1161");
  });
});

describe("quoted()", () => {
  it("gives valid JSON of printable ASCII for a text of unsafe symbols", () => {
    const text = 'a"\\\n\u202e\u2028\u0000\ufeff';
    assertEquals(JSON.parse(quoted(text)), text);
    assertEquals(/^[\x20-\x7e]*$/.test(quoted(text)), true);
  });
});

describe("hex()", () => {
  it("shows the first bytes, and marks that there are more", () => {
    assertEquals(hex(Uint8Array.of(0, 10, 255), 2), "00 0a ...");
    assertEquals(hex(Uint8Array.of(0, 10), 2), "00 0a");
  });
});
