/** `deno task simulate [--seed N] [--rounds N]`: random rounds of the simulator, until one fails. */
import { parseArgs } from "node:util";
import type { ModelSettings } from "./model.ts";
import { pick, randomFrom, wholeBelow } from "./random.ts";
import { BAD_BYTE, type Words } from "./simulations/model_turns.ts";
import { formatSteps, type Step } from "./simulations/steps.ts";
import { type Faults, simulate } from "./simulator.ts";

const NAMES = ["Al", "Bob", "Cy", "Dan", "👍👍👍"];
const ODD_NAMES = ["too long", "", BAD_BYTE, "x".repeat(80)];
const TEXTS = ["", "hi", "1", "22", "333", "👍👍👍👍"];
const ODD_TEXTS = ["a text that is too long", BAD_BYTE, "x".repeat(80)];
/** A shorter transcript is looked for with so many tries at most. */
const SHRINK_TRIES = 3_000;

type Random = () => number;

function randomSettings(random: Random): ModelSettings {
  return {
    strict: random() < 0.3,
    nameSymbolsMax: 3 + wholeBelow(random, 3),
    textSymbolsMax: 4 + wholeBelow(random, 3),
    usersMax: 1 + wholeBelow(random, pick(random, [6, 14])),
    usersPerAddressMax: 1 + wholeBelow(random, pick(random, [3, 10])),
    mailboxMessagesMax: 1 + wholeBelow(random, 4),
    messagesMax: 1 + wholeBelow(random, pick(random, [14, 60])),
  };
}

function randomWords(random: Random, session: number): Words {
  const known = [...NAMES, `S${session}`, `S${session}`];
  const name = () => pick(random, random() < 0.05 ? ODD_NAMES : known);
  const text = () => pick(random, random() < 0.05 ? ODD_TEXTS : TEXTS);
  return pick<() => Words>(random, [
    () => ["register", name()],
    () => ["register", name()],
    () => ["register", name()],
    () => ["send", name(), text()],
    () => ["send", name(), text()],
    () => ["send", name(), text()],
    () => ["send", name(), text()],
    () => ["sendall", text()],
    () => ["sendall", text()],
    () => ["sendall", text()],
    () => ["receive"],
    () => ["wait", "0"],
    () => ["wait", "9"],
    () => ["wait", "9"],
    () => [pick(random, ["users", "users", "ping", "help"])],
    () => pick<Words>(random, [["logout"], ["logout"], ["Users"], ["wait", "soon"]]),
  ])();
}

function randomStep(random: Random, sessions: number, addresses: number): Step {
  const session = 1 + wholeBelow(random, sessions);
  const say = (): Step => ({
    kind: "say",
    session,
    address: `10.0.0.${session % addresses + 1}`,
    words: randomWords(random, session),
    later: random() < 0.3 ? wholeBelow(random, 40) : 0,
  });
  const kind = random();
  if (kind < 0.6) return say();
  if (kind < 0.72) return { kind: "commit" };
  if (kind < 0.78) return { kind: pick(random, ["ends", "breaks", "is late"]), session };
  return pick<() => Step>(random, [
    () => ({ kind: "commit" }),
    () => ({ kind: "turn ends" }),
    () => ({ kind: "turn ends" }),
    () => ({ kind: "turn ends" }),
    () => ({ kind: "commit fails" }),
    () => ({ kind: "commit fails" }),
    () => ({ kind: "crash" }),
    () => ({ kind: "crash after the commit" }),
    () => ({ kind: "snapshot" }),
    () => ({ kind: "snapshot begins" }),
    () => ({ kind: "snapshot goes on" }),
    () => ({ kind: "snapshot goes on" }),
    () => ({ kind: "snapshot goes on" }),
    () => ({ kind: "time passes", ms: pick(random, [1, 10, 3_600_000]) }),
    () => ({ kind: "forget after", ms: pick(random, [1, 10, 3_600_000]) }),
    () => ({ kind: "start", settings: randomSettings(random) }),
  ])();
}

/** The steps of the round that a seed means. */
export function randomSteps(seed: number): Step[] {
  const random = randomFrom(seed);
  const sessions = pick(random, [2, 4, 6, 12]);
  const addresses = 1 + wholeBelow(random, 3);
  const start: Step = { kind: "start", settings: randomSettings(random) };
  const length = 20 + wholeBelow(random, 41);
  return [start, ...Array.from({ length }, () => randomStep(random, sessions, addresses))];
}

/** What goes wrong in these steps, if anything does. */
export function failureOf(steps: readonly Step[], faults?: Faults): unknown {
  try {
    simulate(steps, faults);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Fewer steps that fail too: leaves out ever smaller runs of them for as long as that helps. */
export function shrink(steps: readonly Step[], faults?: Faults): readonly Step[] {
  let least = steps;
  let tries = 0;
  const attempt = (shorter: readonly Step[]) => {
    if (tries++ >= SHRINK_TRIES || failureOf(shorter, faults) === undefined) return false;
    least = shorter;
    return true;
  };
  for (let run = least.length >> 1; run > 0;) {
    let helped = false;
    for (let at = 0; at < least.length;) {
      if (attempt([...least.slice(0, at), ...least.slice(at + run)])) helped = true;
      else at += run;
    }
    if (run > 1 || !helped) run >>= 1;
  }
  for (const [at, step] of least.entries()) {
    if (step.kind === "say") attempt(least.with(at, { ...step, later: 0 }));
  }
  return least;
}

/** Runs rounds, the first with this seed and each other with the next; returns how many steps. */
export function simulateRounds(seed: number, rounds: number, faults?: Faults): number {
  let count = 0;
  for (let round = 0; round < rounds; round++) {
    const steps = randomSteps(seed + round);
    count += steps.length;
    if (failureOf(steps, faults) === undefined) continue;
    const least = shrink(steps, faults);
    throw new Error(
      `It fails with --seed ${seed + round} --rounds 1. The shortest transcript found:\n\n` +
        formatSteps(least),
      { cause: failureOf(least, faults) },
    );
  }
  return count;
}

/** A seed by chance, which leaves room for many rounds behind it. */
export function someSeed(): number {
  return wholeBelow(Math.random, 2 ** 31);
}

function main(): void {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: String(someSeed()) },
      rounds: { type: "string", default: "10000" },
    },
  });
  const [seed, rounds] = [Number(values.seed), Number(values.rounds)];
  if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(rounds)) {
    throw new Error("--seed and --rounds take whole numbers");
  }
  console.log(`simulate: ${rounds} rounds, seed ${seed}`);
  const started = performance.now();
  const steps = simulateRounds(seed, rounds);
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  console.log(`simulate: passed, ${rounds} rounds, ${steps} steps, seed ${seed}: ${seconds} s`);
}

if (import.meta.main) {
  try {
    main();
  } catch (error) {
    console.error("simulate: failed:", error);
    Deno.exit(1);
  }
}
