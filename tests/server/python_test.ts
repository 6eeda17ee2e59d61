import { assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { itNeeds } from "../needs.ts";
import { serve } from "../support.ts";

const PYTHON = { permissions: ["net", "run"], programs: ["python3"] } as const;
const STUDENT = `${import.meta.dirname}/student.py`;

/**
 * The replies to the commands of `student.py` but the last one, whose reply depends on the mode.
 */
const REPLIES = [
  "0",
  "Hello, Боб",
  "Nice to see you, Боб",
  "1 | Боб",
  "Message added to storage!",
  "Message added to storage!",
  "Message added to storage!",
  "Message added to storage!",
  "Message added to storage!",
  "User 'Eve' doesn't exist!",
  `4 | Боб | Hello | Боб | Привет 👍 | Боб |  | Боб | ${"ы".repeat(60)}`,
  "0",
  "U've been successfully logouted",
  "U aren't registered!",
  "0",
  "Login is too long!",
];

const STYLES = [
  { style: "one", name: "with one connection" },
  { style: "many", name: "with a new connection for each command" },
  { style: "bytes", name: "that reads and writes byte by byte" },
];

/** Runs the student's client to its end and returns the lines that it printed. */
async function talk(port: number, style: string): Promise<string[]> {
  const student = new Deno.Command("python3", { args: [STUDENT, String(port), style] });
  const { code, stdout, stderr } = await student.output();
  assertEquals({ code, stderr: new TextDecoder().decode(stderr) }, { code: 0, stderr: "" });
  return new TextDecoder().decode(stdout).trimEnd().split("\n");
}

describe("a student's client in Python", () => {
  for (const { style, name } of STYLES) {
    itNeeds(
      PYTHON,
      `${name} gets every reply in default mode, and goes on after a refusal`,
      async () => {
        await using server = serve();
        assertEquals(await talk(server.port, style), [...REPLIES, "0"]);
      },
    );

    itNeeds(
      PYTHON,
      `${name} gets every reply in strict mode, which closes after a refusal`,
      async () => {
        await using server = serve("--strict");
        const last = style === "many" ? "0" : "(closed)";
        assertEquals(await talk(server.port, style), [...REPLIES, last]);
      },
    );
  }
});
