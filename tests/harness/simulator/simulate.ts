/**
 * `deno task dev:simulate [--seed N] [--rounds N]`: random rounds of the simulator, with one server and
 * with several, until one fails.
 */
import { whole } from "../../../lib/flags.ts";
import { runProgram, seedFlag } from "../command_line.ts";
import { simulateCluster } from "./cluster.ts";
import { type ClusterStep, formatClusterStep, parseClusterStep } from "./cluster_steps.ts";
import { randomClusterSteps, randomSteps } from "./random_steps.ts";
import type { ClusterFaults } from "./server.ts";
import { formatStep, parseStep, type Step } from "./steps.ts";
import { type Faults, simulate } from "./simulator.ts";

/** The most tries to find a shorter transcript. */
const SHRINK_TRIES = 3_000;

/** A kind of simulation. */
export interface Simulation<Step, Faults> {
  /** The random steps of a round. A seed always gives the same steps. */
  readonly stepsOf: (seed: number) => readonly Step[];
  /** Executes the steps. Throws if something is wrong. */
  readonly simulate: (steps: readonly Step[], faults?: Faults) => void | Promise<void>;
  /** A step as a line. */
  readonly format: (step: Step) => string;
  /** A line as a step. */
  readonly parse: (line: string) => Step;
  /** A simpler form of the step; the step itself if it has none. */
  readonly simpler: (step: Step) => Step;
}

/** One server with its own journal. */
export const SERVER: Simulation<Step, Faults> = {
  stepsOf: randomSteps,
  simulate,
  format: formatStep,
  parse: parseStep,
  simpler: (step) => step.kind === "command" ? { ...step, later: 0 } : step,
};

/** Several servers that share a chat. */
export const CLUSTER: Simulation<ClusterStep, ClusterFaults> = {
  stepsOf: randomClusterSteps,
  simulate: simulateCluster,
  format: formatClusterStep,
  parse: parseClusterStep,
  simpler: (step) => step.kind === "command" ? { ...step, more: false } : step,
};

/** The transcript of the steps, with a line for each. */
export function formatSteps<Step>(
  { format }: Simulation<Step, never>,
  steps: readonly Step[],
): string {
  return steps.map((step) => `${format(step)}\n`).join("");
}

/** The steps of a transcript. A line that begins with a number sign is a comment. */
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

/** Looks for fewer steps that fail too: leaves out ever shorter stretches of them. */
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
  for (let length = least.length >> 1; length > 0;) {
    let hasHelped = false;
    for (let at = 0; at < least.length;) {
      if (await attempt([...least.slice(0, at), ...least.slice(at + length)])) hasHelped = true;
      else at += length;
    }
    if (length > 1 || !hasHelped) length >>= 1;
  }
  for (const [at, step] of least.entries()) {
    const simpler = simulation.simpler(step);
    if (simpler !== step) await attempt(least.with(at, simpler));
  }
  return least;
}

/**
 * Runs rounds with consecutive seeds, and returns the number of all steps. Throws when a round
 * fails, with a short transcript that fails too.
 */
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

const FLAGS = {
  rounds: whole(10_000, 1, 1_000_000_000, "rounds of one server, and as many of several"),
  seed: seedFlag(),
};

if (import.meta.main) {
  const summary = "Compares the chat with a naive one, under faults that a seed decides.";
  await runProgram(summary, FLAGS, async ({ seed, rounds }) => {
    console.log(`simulate: ${rounds} rounds, seed ${seed}`);
    const started = performance.now();
    try {
      const steps = await simulateRounds(SERVER, seed, rounds) +
        await simulateRounds(CLUSTER, seed, rounds);
      const seconds = ((performance.now() - started) / 1_000).toFixed(1);
      console.log(`simulate: passed, ${rounds} rounds, ${steps} steps, seed ${seed}: ${seconds} s`);
      return true;
    } catch (error) {
      console.error("simulate: failed:", error);
      return false;
    }
  });
}
