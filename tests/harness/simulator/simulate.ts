/**
 * `deno task simulate [--seed N] [--rounds N]`: random rounds of the simulator, with one server and
 * with several, until one fails.
 */
import { parseArgs } from "node:util";
import { wholeBelow } from "../../random.ts";
import { simulateCluster } from "./cluster.ts";
import { type ClusterStep, formatClusterStep, parseClusterStep } from "./cluster_steps.ts";
import { randomClusterSteps, randomSteps } from "./random_steps.ts";
import type { ClusterFaults } from "./server.ts";
import { formatStep, parseStep, type Step } from "./steps.ts";
import { type Faults, simulate } from "./simulator.ts";

/** A shorter transcript is looked for with so many tries at most. */
const SHRINK_TRIES = 3_000;

/** A kind of simulation. */
export interface Simulation<Step, Faults> {
  /** The steps of the round that a seed means. */
  readonly stepsOf: (seed: number) => readonly Step[];
  /** Does the steps, and throws where something is wrong. */
  readonly simulate: (steps: readonly Step[], faults?: Faults) => void | Promise<void>;
  /** A step as a line. */
  readonly format: (step: Step) => string;
  /** A line as a step. */
  readonly parse: (line: string) => Step;
  /** The same step with less in it. */
  readonly simpler: (step: Step) => Step;
}

/** One server. */
export const SERVER: Simulation<Step, Faults> = {
  stepsOf: randomSteps,
  simulate,
  format: formatStep,
  parse: parseStep,
  simpler: (step) => step.kind === "say" ? { ...step, later: 0 } : step,
};

/** Several servers that share a chat. */
export const CLUSTER: Simulation<ClusterStep, ClusterFaults> = {
  stepsOf: randomClusterSteps,
  simulate: simulateCluster,
  format: formatClusterStep,
  parse: parseClusterStep,
  simpler: (step) => step.kind === "say" ? { ...step, more: false } : step,
};

/** A transcript: a line a step. */
export function formatSteps<Step>(
  { format }: Simulation<Step, never>,
  steps: readonly Step[],
): string {
  return steps.map((step) => `${format(step)}\n`).join("");
}

/** The steps of a transcript; a line that begins with a number sign is a remark. */
export function parseSteps<Step>({ parse }: Simulation<Step, never>, text: string): Step[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map(parse);
}

async function failureOf<Step, Faults>(
  simulation: Simulation<Step, Faults>,
  steps: readonly Step[],
  faults?: Faults,
): Promise<unknown> {
  try {
    await simulation.simulate(steps, faults);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Fewer steps that fail too: leaves out ever smaller runs of them for as long as that helps. */
async function shrink<Step, Faults>(
  simulation: Simulation<Step, Faults>,
  steps: readonly Step[],
  faults?: Faults,
): Promise<readonly Step[]> {
  let least = steps;
  let tries = 0;
  const attempt = async (other: readonly Step[]) => {
    if (tries++ >= SHRINK_TRIES) return false;
    if (await failureOf(simulation, other, faults) === undefined) return false;
    least = other;
    return true;
  };
  for (let run = least.length >> 1; run > 0;) {
    let helped = false;
    for (let at = 0; at < least.length;) {
      if (await attempt([...least.slice(0, at), ...least.slice(at + run)])) helped = true;
      else at += run;
    }
    if (run > 1 || !helped) run >>= 1;
  }
  for (const [at, step] of least.entries()) {
    const simpler = simulation.simpler(step);
    if (simpler !== step) await attempt(least.with(at, simpler));
  }
  return least;
}

/** Runs rounds, the first with this seed and each other with the next; returns how many steps. */
export async function simulateRounds<Step, Faults>(
  simulation: Simulation<Step, Faults>,
  seed: number,
  rounds: number,
  faults?: Faults,
): Promise<number> {
  let count = 0;
  for (let round = 0; round < rounds; round++) {
    const steps = simulation.stepsOf(seed + round);
    count += steps.length;
    if (await failureOf(simulation, steps, faults) === undefined) continue;
    const least = await shrink(simulation, steps, faults);
    throw new Error(
      `It fails with --seed ${seed + round} --rounds 1. The shortest transcript found:\n\n` +
        formatSteps(simulation, least),
      { cause: await failureOf(simulation, least, faults) },
    );
  }
  return count;
}

/** A seed by chance, which leaves room for many rounds behind it. */
export function someSeed(): number {
  return wholeBelow(Math.random, 2 ** 31);
}

async function main(): Promise<void> {
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
  const steps = await simulateRounds(SERVER, seed, rounds) +
    await simulateRounds(CLUSTER, seed, rounds);
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  console.log(`simulate: passed, ${rounds} rounds, ${steps} steps, seed ${seed}: ${seconds} s`);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    console.error("simulate: failed:", error);
    Deno.exit(1);
  }
}
