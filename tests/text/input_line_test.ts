import { assertEquals, assertNotEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Action, parseLine } from "../../lib/text/input_line.ts";

const HOW = 'To one person: @Bob hi, or @"A b" hi for a name with blanks';

const LINES: readonly { readonly line: string; readonly means: Action }[] = [
  { line: "", means: { kind: "nothing" } },
  { line: "hello", means: { kind: "all", text: "hello" } },
  { line: " hello", means: { kind: "all", text: " hello" } },
  { line: " \t\u00a0\u200b", means: { kind: "nothing" } },
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
  { line: "/msg Bob hi", means: { kind: "one", to: "Bob", text: "hi" } },
  { line: '/MSG "A b" hi', means: { kind: "one", to: "A b", text: "hi" } },
  { line: "/msg Bob", means: { kind: "wrong", why: HOW } },
  { line: "/users now", means: { kind: "wrong", why: "Nothing may follow /users" } },
  { line: "@Bob one\ntwo", means: { kind: "one", to: "Bob", text: "one\ntwo" } },
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

describe("parseLine() never sends to all", () => {
  const orders = ["@Bob secret", "@Bob", "@", "/msg Bob secret", "/users", "/nonsense", "/"];
  // A blank, a tab, blanks of other scripts, marks of order and direction, joiners, what a UTF-16
  // file leaves, and line separators.
  const before = [
    " ",
    "\t",
    "\u00a0",
    "\u3000",
    "\u2800",
    "\ufeff",
    "\u200b",
    "\u200d",
    "\ufe0f",
    "\u202e",
    "\u2066",
    "\0",
    "\x1b",
    "\x7f",
    "\u2028",
    "\u2029",
    "\u3164",
    "\u{e0041}",
    "\u0301",
    "\ufff9",
    "\ufffd",
    " \ufeff ",
  ];
  for (const order of orders) {
    it(`what begins with ${JSON.stringify(order)}, whatever stands before it that shows nothing`, () => {
      for (const symbols of before) assertEquals(parseLine(symbols + order), parseLine(order));
      assertNotEquals(parseLine(order).kind, "all");
    });
  }

  for (
    const [wide, order] of [["＠Bob hi", "@Bob hi"], ["／users", "/users"], ["﹫Bob hi", "@Bob hi"]]
  ) {
    it(`${wide}, which an East Asian keyboard writes for ${order}`, () => {
      assertEquals(parseLine(wide!), parseLine(order!));
    });
  }
});
