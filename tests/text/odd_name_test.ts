import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { oddityOf } from "../../lib/text/odd_name.ts";

const COMMANDS = ["register", "users"];

describe("an odd name", () => {
  const said: readonly (readonly [name: string, says: string])[] = [
    ["Bob\n", "fgets"],
    ["Bob\r\n", "line break"],
    ["Bob\0", "NUL at the end of a C string"],
    ["Bob\0xyz", "bytes of the buffer"],
    ["B\0o\0b\0", "UTF-16"],
    ["\0B\0o\0b", "UTF-16"],
    ["\ufeffBob", "byte order mark"],
    ["Bob ", "a blank at an end"],
    [" Bob", "a blank at an end"],
    ["users", "is the name of a command"],
    ["b'Bob'", "how Python shows bytes"],
    ['"Bob"', "quotes around it"],
    ["Bp\x08ob", "backspace"],
    ["Bo\x1b[D", "escape sequence"],
    ["\x03Bo", "control symbol"],
    ["B\ufffdb", "not UTF-8"],
    ["None", "was the variable set"],
    ["\u00d0\u0091\u00d0\u00be", "encoded again"],
    ["caf\u00c3\u00a9", "encoded again"],
    ["Bob\\n", "an escape that is written out"],
    ["Al\\x00", "an escape that is written out"],
    ["%s", "has not filled it"],
    ["{name}", "has not filled it"],
    ["$NAME", "has not filled it"],
    ["Bob\u200b", "can't be seen"],
    ["\u202eBob", "can't be seen"],
  ];
  for (const [name, says] of said) {
    it(`${JSON.stringify(name)} is told: ${says}`, () => {
      assertStringIncludes(oddityOf(name, COMMANDS) ?? "", says);
    });
  }

  it("is not what people call themselves", () => {
    const names = [
      "Bob",
      "Вася",
      "O'Neil",
      "a b",
      "👩‍🚀",
      "1",
      "é",
      "e\u0301",
      "b'x",
      "Nina",
      "nullo",
      "$Bob",
      "a\\b",
      "Ñandú",
      "می\u200cرود",
      "100%",
    ];
    assertEquals(names.filter((name) => oddityOf(name, COMMANDS) !== undefined), []);
  });
});
