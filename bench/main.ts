/** `deno task bench`: measures the server beside its peers, and prints how it stands to its targets. */
import { parseArgs } from "node:util";
import { serverAt, startChat } from "./peers.ts";
import { chart, table } from "./report.ts";
import {
  big,
  cluster,
  core,
  durable,
  type Effort,
  type Figure,
  leftover,
  machine,
  memory,
  neighbour,
  speed,
  startUp,
} from "./scenarios.ts";

const HELP = `deno task bench [--quick] [--server HOST:PORT] [--json FILE] [--svg FILE]
--quick               less of everything, in under a minute; memory is left out
--server HOST:PORT    measures this server instead of one of this project
--json FILE           writes the figures
--svg FILE            writes them as a chart
Linux only. Redis is a peer where redis-server is installed, and servers share a chat where
nats-server is.`;

const OPTIONS = {
  quick: { type: "boolean", default: false },
  server: { type: "string" },
  json: { type: "string" },
  svg: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

async function main(): Promise<void> {
  const { values } = parseArgs({ args: Deno.args, options: OPTIONS });
  if (values.help) return console.log(HELP);
  const effort: Effort = values.quick
    ? { runs: 1, seconds: 1, isQuick: true }
    : { runs: 5, seconds: 3, isQuick: false };
  const folder = await Deno.makeTempDir();
  try {
    const figures = await measure(effort, folder, values.server);
    console.log(`\n${machine()}\n\n${table(figures)}`);
    if (values.json !== undefined) {
      await Deno.writeTextFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
    }
    if (values.svg !== undefined) await Deno.writeTextFile(values.svg, chart(figures, machine()));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** All scenarios, or those that a server of somebody else's can be put through. */
async function measure(effort: Effort, folder: string, server?: string): Promise<Figure[]> {
  const figures: Figure[] = [];
  const add = async (what: string, measuring: Promise<Figure[]> | Figure[]) => {
    const begun = performance.now();
    figures.push(...await measuring);
    console.error(`${what}: ${((performance.now() - begun) / 1000).toFixed(0)} s`);
  };
  const start = () => server === undefined ? startChat() : Promise.resolve(serverAt(server));
  await add("speed", speed(effort, start, folder));
  await add("neighbour", neighbour(effort, start));
  if (server !== undefined) return figures;
  await add("durable", durable(effort, folder));
  await add("cluster", cluster(effort, folder));
  await add("core", core(effort));
  await add("start", startUp(effort));
  if (effort.isQuick) return figures;
  await add("big", big(effort));
  await add("memory", memory());
  await add("leftover", leftover());
  return figures;
}

await main();
