/** Servers side by side: loads them alternately, and compares this project's with each other one. */
import { type Figure, median, summarize } from "./figure.ts";
import type { LoadPlan, LoadResult, Target } from "./load.ts";
import type { Peer } from "./peers.ts";

/** How much is measured. */
export interface Effort {
  /** How often each measurement is made, as a rule with fresh processes. */
  readonly runs: number;
  /** The length of a measurement, without its warm-up. */
  readonly seconds: number;
}

/** The name of this project's server among the rivals. */
export const OURS = "asvt-chat";

/** A measurement is this many times as long as its warm-up. */
const WARM_UPS = 3;
/** A generator that used more of its processor than this may have been the bottleneck. */
const SATURATED_CPU_SHARE = 0.97;

/** How a server is loaded. */
export interface Shape extends Pick<LoadPlan, "connections" | "depth" | "sliceS"> {
  /** The warm-up takes this long at least (s). */
  readonly warmUpS?: number;
}

/** Runs the generator in a process of its own; returns a result for each target. */
export async function load(
  targets: readonly Target[],
  { warmUpS = 0, ...shape }: Shape,
  seconds: number,
): Promise<LoadResult[]> {
  const slices = Math.ceil(seconds / shape.sliceS);
  const warmUpSlices = Math.ceil(Math.max(warmUpS, seconds / WARM_UPS) / shape.sliceS);
  const plan: LoadPlan = { targets, ...shape, slices, warmUpSlices };
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", "bench/load.ts", JSON.stringify(plan)],
    cwd: new URL("..", import.meta.url),
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** The target that these servers of one chat are. */
export function target(dialect: Target["dialect"], ...peers: Peer[]): Target {
  return { dialect, hostname: peers[0]!.hostname, ports: peers.map(({ port }) => port) };
}

/** A target, under its name in the table. */
export interface Rival extends Target {
  readonly name: string;
}

export function rival(name: string, dialect: Target["dialect"], ...peers: Peer[]): Rival {
  return { name, ...target(dialect, ...peers) };
}

/** Starts the rivals of a run; what is put on the stack ends with the run. */
export type Start = (run: AsyncDisposableStack) => Promise<readonly Rival[]>;

/**
 * Loads the rivals alternately, run by run; returns the results of each rival by its name. Processes of
 * the same code differ by up to a fifth, by how they were compiled and lie in memory, so `start` may
 * start fresh ones for each run.
 */
export async function race(
  start: Start,
  shape: Shape,
  { runs, seconds }: Effort,
): Promise<ReadonlyMap<string, LoadResult[]>> {
  const results = new Map<string, LoadResult[]>();
  for (let run = 0; run < runs; run++) {
    await using stack = new AsyncDisposableStack();
    const rivals = await start(stack);
    const loaded = await load(rivals, shape, seconds);
    rivals.forEach(({ name }, i) => {
      results.set(name, [...results.get(name) ?? [], loaded[i]!]);
    });
  }
  return results;
}

const thousands = (value: number) => `${(value / 1000).toFixed(0)} k`;

/**
 * This project's requests a second divided by those of the server `beside`: slice by slice, then the
 * median of a run, then the median of the runs.
 */
export function ratio(
  results: ReadonlyMap<string, LoadResult[]>,
  beside: string,
  name: string,
  atLeast?: number,
): Figure {
  const ours = results.get(OURS)!;
  const theirs = results.get(beside);
  const unknown = (note: string): Figure => ({ name, value: NaN, unit: "", beside, note });
  if (theirs === undefined) return unknown("not installed");
  if (ours.some(({ refused }) => refused > 0)) return unknown("messages were refused");
  if (theirs.some(({ undelivered }) => undelivered > 0)) return unknown("messages were lost");
  const values = ours.map(({ perS }, run) =>
    median(perS.map((value, slice) => value / theirs[run]!.perS[slice]!))
  );
  const speed = (all: LoadResult[]) => thousands(median(all.map(({ perS }) => median(perS))));
  const busiest = Math.max(...[...ours, ...theirs].map(({ cpuShare }) => cpuShare));
  const note = `${speed(ours)} and ${speed(theirs)} requests/s` +
    (busiest > SATURATED_CPU_SHARE ? "; the generator was busy, so they may differ more" : "");
  return { name, unit: "", beside, ...summarize(values), note, ...atLeast && { atLeast } };
}
