import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { hex, printable, quoted } from "../../lib/text/printable.ts";

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
