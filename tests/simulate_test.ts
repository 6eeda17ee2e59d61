import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Command } from "../lib/command.ts";
import { randomSteps, simulateRounds, someSeed } from "./simulate.ts";
import { formatSteps, parseSteps } from "./simulations/steps.ts";
import { type Faults, simulate } from "./simulator.ts";
import { itNeeds, missing } from "./support.ts";

const READ = { permissions: ["read"] } as const;
const ROUNDS = 300;
const folder = new URL("./simulations/", import.meta.url);

function names(): string[] {
  if (missing(READ) !== undefined) return ["..."];
  return Array.from(Deno.readDirSync(folder), ({ name }) => name)
    .filter((name) => name.endsWith(".txt")).sort();
}

/** The transcript that is printed when a fault is found. */
function foundIn(faults: Faults): string[] {
  const { message } = assertThrows(() => simulateRounds(1, ROUNDS, faults), Error);
  assertMatch(message, /^It fails with --seed \d+ --rounds 1\./);
  const transcript = message.slice(message.indexOf("\n\n") + 2);
  assertThrows(() => simulate(parseSteps(transcript), faults));
  simulate(parseSteps(transcript));
  return transcript.trimEnd().split("\n");
}

describe("simulate()", () => {
  for (const name of names()) {
    itNeeds(READ, `${name} goes as a naive server says`, () => {
      simulate(parseSteps(Deno.readTextFileSync(new URL(name, folder))));
    });
  }

  it("finds nothing wrong, whatever happens", () => {
    simulateRounds(someSeed(), ROUNDS);
  });

  it("finds a message that is lost, and how", () => {
    const hear = (command: Command): Command =>
      command.name === "send" && command.text === "22" ? { name: "ping" } : command;
    const lines = foundIn({ hear });
    assert(lines.length <= 3, lines.join("\n"));
    assertMatch(lines.at(-1)!, /^session \d+ of 10\.0\.0\.\d: send \S+ 22$/);
  });

  it("finds one of fifty messages that is lost", () => {
    let sent = 0;
    const hear = (command: Command): Command =>
      command.name === "sendall" && ++sent % 50 === 0 ? { name: "users" } : command;
    assertThrows(() => simulateRounds(1, ROUNDS, { hear }), Error, "It fails with --seed");
  });

  it("finds a turn that a replay leaves out, and how", () => {
    const lines = foundIn({
      read: ({ rows, turns }) => ({ rows, turns: [...turns].slice(0, -1) }),
    });
    assert(lines.length <= 4, lines.join("\n"));
  });

  it("finds a snapshot that lacks its last row, and how", () => {
    const lines = foundIn({
      read: ({ rows, turns }) => ({ rows: [...rows].slice(0, -1), turns }),
    });
    assert(lines.length <= 6, lines.join("\n"));
    assert(lines.some((line) => line.startsWith("snapshot") || line.startsWith("start")));
  });
});

describe("a transcript of steps", () => {
  it("says all of them", () => {
    for (let seed = 0; seed < 50; seed++) {
      const steps = randomSteps(seed);
      assertEquals(parseSteps(formatSteps(steps)), steps);
    }
  });
});
