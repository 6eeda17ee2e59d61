/** `deno task dev:bench`: measures the server beside other programs, and prints the figures. */
import { type Flags, text, toggle } from "../lib/flags.ts";
import { runProgram } from "../tests/harness/command_line.ts";
import type { Figure } from "./figure.ts";
import { serverAt, startChat } from "./peers.ts";
import type { Effort } from "./race.ts";
import { brokenBound, chart, table } from "./report.ts";
import {
  big,
  cluster,
  core,
  durable,
  leftover,
  machine,
  memory,
  neighbour,
  speed,
} from "./scenarios.ts";

const SUMMARY = `Measure the server beside other programs: deno task dev:bench [flags]. Linux only

It takes 11 minutes. Redis and mosquitto are measured where redis-server and mosquitto are installed,
and servers that share a chat where nats-server is. The exit code is 1 when a figure is beyond the
bound that is kept for it`;

const FLAGS = {
  quick: toggle("one short run, in a minute; large mailboxes and memory are left out"),
  server: {
    value: "HOST:PORT",
    default: "",
    meaning: "measure a server that runs there, at an IPv4 address; without bounds",
    wrong: (given: string) =>
      /^\d+(\.\d+){3}:\d+$/.test(given)
        ? undefined
        : "is no IPv4 address and port, as in 127.0.0.1:31337",
  },
  json: text("FILE", "write the figures to this file"),
  svg: text("FILE", "draw the ratios as a chart in this file"),
} satisfies Flags;

const THOROUGH: Effort = { runs: 5, seconds: 3 };
const QUICK: Effort = { runs: 1, seconds: 1 };

await runProgram(SUMMARY, FLAGS, async ({ quick, server, json, svg }) => {
  const folder = await Deno.makeTempDir();
  try {
    const figures = await measure(quick, folder, server);
    console.log(`\n${machine()}\n\n${table(figures)}`);
    const report = { machine: machine(), figures };
    if (json !== "") await Deno.writeTextFile(json, `${JSON.stringify(report, null, 2)}\n`);
    if (svg !== "") await Deno.writeTextFile(svg, chart(figures, machine()));
    if (server !== "") return true;
    const broken = figures.map(brokenBound).filter((sentence) => sentence !== undefined);
    for (const sentence of broken) console.error(sentence);
    return broken.length === 0;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Measures all scenarios, or with `server` those that another server can be put through. */
async function measure(isQuick: boolean, folder: string, server: string): Promise<Figure[]> {
  const effort = isQuick ? QUICK : THOROUGH;
  const figures: Figure[] = [];
  const add = async (what: string, measuring: () => Promise<Figure[]> | Figure[]) => {
    const begun = performance.now();
    figures.push(...await measuring());
    console.error(`${what}: ${((performance.now() - begun) / 1000).toFixed(0)} s`);
  };
  const other = server === "" ? undefined : await serverAt(server);
  const start = () => other === undefined ? startChat() : Promise.resolve(other);
  await add("speed", () => speed(effort, start, folder));
  await add("neighbour", () => neighbour(effort, start));
  if (other !== undefined) return figures;
  await add("durable", () => durable(effort, folder));
  await add("cluster", () => cluster(effort, folder));
  await add("core", () => core(effort));
  if (isQuick) return figures;
  await add("big", () => big(effort));
  await add("memory", () => memory());
  await add("leftover", () => leftover());
  return figures;
}
