import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { likeNames, oddityBetween, oddityOf } from "../../lib/text/odd_name.ts";

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
      "JOÃO",
      "می\u200cرود",
      "100%",
    ];
    assertEquals(names.filter((name) => oddityOf(name, COMMANDS) !== undefined), []);
  });
});

describe("names that are like another", () => {
  const odd = [
    ...["Bob\n", "Bob\r\n", "Bob\0", "Bob\n\0", "Bob\0\0\0\0\0", "Bob   ", " Bob", "\tBob"],
    ...["\ufeffBob", "\ufeffBob\r\n", "B\0o\0b\0", "\0B\0o\0b", "'Bob'", "b'Bob'", "Bob\u200b"],
  ];
  for (const name of odd) {
    it(`have the plain one for ${JSON.stringify(name)}`, () => {
      assert(likeNames(name).includes("Bob"));
    });
    if (name === "\tBob") continue;
    it(`have ${JSON.stringify(name)} for the plain one`, () => {
      assert(likeNames("Bob").includes(name));
    });
  }

  it("have both ways to write a letter with a mark, and what encoding twice makes of it", () => {
    assert(likeNames("Zo\u00eb").includes("Zoe\u0308"));
    assert(likeNames("Zoe\u0308").includes("Zo\u00eb"));
    assert(likeNames("Zo\u00eb").includes("Zo\u00c3\u00ab"));
    assertStringIncludes(oddityBetween("Zo\u00eb", "Zoe\u0308", COMMANDS) ?? "", "normalize");
    assertEquals(oddityBetween("Bob", "bob", COMMANDS), undefined);
  });

  it("are few, never the name itself, and never empty", () => {
    for (const name of ["Bob", " ", "\0\0", "'", "", "👩‍🚀"]) {
      const names = likeNames(name);
      assert(names.length < 160, `${names.length} names`);
      assert(!names.includes(name) && !names.includes(""));
    }
  });
});
