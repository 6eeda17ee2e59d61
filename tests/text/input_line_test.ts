import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Action, parseLine, parseMessage } from "../../lib/text/input_line.ts";

const HOW = 'To one person: @Bob hi, or @"A b" hi for a name with blanks';

const LINES: readonly { readonly line: string; readonly means: Action }[] = [
  { line: "", means: { kind: "nothing" } },
  { line: "hello", means: { kind: "all", text: "hello" } },
  { line: " ", means: { kind: "all", text: " " } },
  { line: " /users", means: { kind: "all", text: " /users" } },
  { line: "a @Bob", means: { kind: "all", text: "a @Bob" } },
  { line: "//users", means: { kind: "all", text: "/users" } },
  { line: "//", means: { kind: "all", text: "/" } },
  { line: "@@Bob hi", means: { kind: "all", text: "@Bob hi" } },
  { line: "/users", means: { kind: "users" } },
  { line: "/help ", means: { kind: "help" } },
  { line: "/QUIT", means: { kind: "quit" } },
  { line: "/logout", means: { kind: "logout" } },
  {
    line: "/hlep",
    means: { kind: "wrong", why: "There is no /hlep: did you mean /help?" },
  },
  {
    line: "/etc/passwd",
    means: {
      kind: "wrong",
      why: "There is no /etc/passwd: /help lists what there is, and // begins a text with a slash",
    },
  },
  { line: "@Bob hi", means: { kind: "one", to: "Bob", text: "hi" } },
  { line: "@Bob  hi @you ", means: { kind: "one", to: "Bob", text: " hi @you " } },
  { line: "@Bob ", means: { kind: "one", to: "Bob", text: "" } },
  { line: "@Боб 👍", means: { kind: "one", to: "Боб", text: "👍" } },
  { line: '@a"b hi', means: { kind: "one", to: 'a"b', text: "hi" } },
  { line: '@"A b" hi', means: { kind: "one", to: "A b", text: "hi" } },
  { line: '@"" hi', means: { kind: "one", to: "", text: "hi" } },
  { line: '@"a\\"b\\\\" hi', means: { kind: "one", to: 'a"b\\', text: "hi" } },
  { line: '@"a\\u001b" hi', means: { kind: "one", to: "a\u001b", text: "hi" } },
  { line: "@Bob", means: { kind: "wrong", why: HOW } },
  { line: "@ hi", means: { kind: "wrong", why: HOW } },
  { line: '@"A b hi', means: { kind: "wrong", why: HOW } },
  {
    line: '@"a\\x" hi',
    means: { kind: "wrong", why: '"a\\x" is no name: between quotes, write \\" and \\\\' },
  },
];

describe("parseLine()", () => {
  for (const { line, means } of LINES) {
    it(`reads ${JSON.stringify(line)} as ${JSON.stringify(means)}`, () => {
      assertEquals(parseLine(line), means);
    });
  }
});

describe("parseMessage()", () => {
  for (const { line, means } of LINES.filter(({ line }) => line.startsWith("@"))) {
    it(`reads ${JSON.stringify(line)} as parseLine() does`, () => {
      assertEquals(parseMessage(line), means);
    });
  }

  it("reads a line that begins with a slash as a text", () => {
    for (const text of ["/users", "//", "/"]) {
      assertEquals(parseMessage(text), { kind: "all", text });
    }
  });
});
