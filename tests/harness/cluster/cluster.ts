/**
 * Kills, stops and pauses servers and nats-servers that share one chat, while clients send and
 * receive, and checks that nothing is lost that was acknowledged, and that all servers know the same:
 * `deno task cluster [--rounds N] [--seed N]`.
 */
import { parseArgs } from "node:util";
import { type CrashReport, ROOMY, someSeed } from "../crash/crash.ts";
import { CrashClient, type Round, sleep, type Way } from "../crash/client.ts";
import { Ledger } from "../crash/ledger.ts";
import { type Program, ServerProcess } from "../crash/process.ts";
import { Nats } from "../../journal/nats.ts";
import { pick, randomFrom, wholeBelow } from "../../random.ts";

const NAMES = ["Al", "Бо👍", "Cy", "Dee", "Eve", "Flo", "Gus"] as const;
const WAYS: readonly Way[] = ["receive", "receive", "wait", "wait", "not"];
const SERVERS = 3;
const NODES = 3;
/** A snapshot is due after so many entries. */
const SNAPSHOT_ENTRIES = ["100", "1000", "100000"] as const;
/** A commit is given up after so long, in seconds. */
const TIMEOUTS_S = ["0.5", "2", "5"] as const;
const PATIENCES_MS = [500, 2_000, 10_000] as const;
/** All is well for so long at most before a fault, and again behind it, in milliseconds. */
const WELL_MS = 800;
const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 8_000;
/** What was killed is started again after so long at most, in milliseconds. */
const DOWN_MS = 2_000;
/** A NATS server may stay away for longer: the others go on without it. */
const NODE_DOWNS_MS = [DOWN_MS, DOWN_MS, 15_000] as const;
/** How likely a second fault comes in the round, of a server. */
const SECOND = 0.4;
/** A server that can't start, while NATS is not itself, is started again so often. */
const STARTS_MAX = 20;
const START_AGAIN_MS = 500;
/** All servers are looked at so often until they know the same for some looks, and that often at most. */
const LOOK_MS = 100;
const LOOKS_SAME = 10;
const LOOKS_MAX = 200;
/** A round takes no longer, in milliseconds: so every server ends. */
const ROUND_MS_MAX = 60_000;
const FAILURES_MAX = 20;

const HONEST: Program["command"] = [new URL("server.ts", import.meta.url)];

/** What to do to a cluster. */
export interface ClusterOptions {
  /** How often something fails. */
  readonly rounds: number;
  /** Decides all but the timing of the machine. */
  readonly seed: number;
  /** The servers; by default the real one. */
  readonly command?: Program["command"];
}

type Random = () => number;

const SERVER_FAULTS = ["servers killed", "servers stopped", "servers paused"] as const;
const FAULTS = [...SERVER_FAULTS, "nodes killed", "nodes paused"] as const;
type Fault = typeof FAULTS[number];

/** A cluster, the clients that use it, and the books. */
class Cluster implements AsyncDisposable {
  readonly ledger = new Ledger(NAMES, true);
  readonly #faults = new Map<Fault, number>(FAULTS.map((fault) => [fault, 0]));
  readonly #nats: Nats;
  readonly #servers: ServerProcess[] = [];
  /** Where they listen. */
  readonly #ports: number[] = [];
  readonly #program: Pick<Program, "command" | "lifeMsMax">;
  readonly #clients = NAMES.map((name) => new CrashClient(name, NAMES, WAYS, this.ledger));

  private constructor(nats: Nats, program: Pick<Program, "command" | "lifeMsMax">) {
    this.#nats = nats;
    this.#program = program;
  }

  /** Starts nats-servers, and servers that share a chat there. */
  static async start(
    { rounds, command = HONEST }: ClusterOptions,
    random: Random,
  ): Promise<Cluster> {
    const lifeMsMax = (rounds + 1) * ROUND_MS_MAX;
    const cluster = new Cluster(await Nats.start(NODES), { command, lifeMsMax });
    try {
      for (let index = 0; index < SERVERS; index++) await cluster.#start(index, random);
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Something fails, and is mended. */
  async round(random: Random): Promise<void> {
    const round = this.#roundOf({ mayFail: true, patienceMs: pick(random, PATIENCES_MS) });
    this.ledger.work();
    const clients = this.#clients.map((client) =>
      client.run(round, randomFrom(wholeBelow(random, 2 ** 31)), () => {})
    );
    const first = wholeBelow(random, SERVERS);
    const faults = [this.#fail(pick(random, FAULTS), first, random)];
    if (random() < SECOND) {
      faults.push(this.#fail(pick(random, SERVER_FAULTS), (first + 1) % SERVERS, random));
    }
    await Promise.all(faults);
    await sleep(wholeBelow(random, WELL_MS));
    round.isOver = true;
    await Promise.all(clients);
    await this.#nats.ready();
  }

  /** When all is well: fetches all mail, and compares what the servers know. */
  async collect(): Promise<void> {
    const isSettled = await this.#agree();
    const round = this.#roundOf({ mayFail: false, patienceMs: ROUND_MS_MAX });
    await Promise.all(this.#clients.map((client) => client.collect(round)));
    const isAgreed = isSettled && await this.#agree();
    if (!isAgreed && this.ledger.failures.length === 0) {
      this.ledger.fail("The servers do not come to know the same");
    }
    for (const server of this.#servers) this.#expectSilence(await server.stop());
  }

  /** At the end: checks the books; what was done, in words. */
  async summary(): Promise<string> {
    const messages = this.ledger.check();
    const { first, last } = await this.#nats.stream();
    const counts = Array.from(this.#faults, ([fault, count]) => `${count} ${fault}`);
    const { away, taken, longestSilenceMs } = this.ledger;
    return `${
      counts.join(", ")
    }; ${messages}; ${away} times the storage was away, ${taken} times ` +
      `a name was held; ${last} batches, ${first - 1} of them purged; at most ` +
      `${(longestSilenceMs / 1_000).toFixed(1)} s without an acknowledgement`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.kill()));
    await this.#nats[Symbol.asyncDispose]();
  }

  #roundOf(manner: Pick<Round, "mayFail" | "patienceMs">): Round {
    return { ...manner, ports: this.#ports, isRoomy: true, isOver: false };
  }

  async #fail(fault: Fault, index: number, random: Random): Promise<void> {
    const server = this.#servers[index]!;
    const node = this.#nats.nodes[index]!;
    await sleep(wholeBelow(random, WELL_MS));
    this.#faults.set(fault, this.#faults.get(fault)! + 1);
    switch (fault) {
      case "servers killed":
      case "servers stopped":
        this.#expectSilence(await (fault === "servers killed" ? server.kill() : server.stop()));
        await sleep(wholeBelow(random, DOWN_MS));
        return await this.#start(index, random);
      case "nodes killed":
        await node.end();
        await sleep(wholeBelow(random, pick(random, NODE_DOWNS_MS)));
        return node.start();
      case "servers paused":
      case "nodes paused":
        return await pause(fault === "servers paused" ? server : node, random);
    }
  }

  /** Starts a server; where NATS is not itself that may take some tries. */
  async #start(index: number, random: Random): Promise<void> {
    const flags = [
      ...ROOMY,
      ...["--journal", this.#nats.urls, "--replicas", `${NODES}`],
      ...["--journal-timeout-s", pick(random, TIMEOUTS_S)],
    ];
    const [module, ...args] = this.#program.command;
    const command = [module, ...args, pick(random, SNAPSHOT_ENTRIES)] as const;
    for (let starts = 1;; starts++) {
      try {
        const server = await ServerProcess.start({ ...this.#program, command, flags });
        this.#servers[index] = server;
        this.#ports[index] = server.port;
        return;
      } catch (error) {
        if (starts === STARTS_MAX) throw error;
        await sleep(START_AGAIN_MS);
      }
    }
  }

  /** Waits until all servers know the same, and nothing more comes. */
  async #agree(): Promise<boolean> {
    let last = "";
    let same = 0;
    const { failures } = this.ledger;
    for (let looks = 0; looks < LOOKS_MAX && failures.length === 0; looks++) {
      const states = await Promise.all(this.#servers.map((server) => server.ask("state")));
      const [state = ""] = states;
      const isSame = states.every((other) => other === state);
      same = isSame && state === last ? same + 1 : 0;
      if (same === LOOKS_SAME) return true;
      last = isSame ? state : "";
      await sleep(LOOK_MS);
    }
    return false;
  }

  #expectSilence(said: string): void {
    if (said !== "") this.ledger.fail(`A server: ${said}`);
  }
}

async function pause(
  process: { signal(signal: Deno.Signal): void },
  random: Random,
): Promise<void> {
  process.signal("SIGSTOP");
  await sleep(PAUSE_MS_MIN + wholeBelow(random, PAUSE_MS_MAX - PAUSE_MS_MIN));
  process.signal("SIGCONT");
}

/** Lets something of a cluster fail so often, and checks all that it promised. */
export async function cluster(options: ClusterOptions): Promise<CrashReport> {
  const { rounds, seed } = options;
  const areWhole = Number.isSafeInteger(rounds) && Number.isSafeInteger(seed);
  if (!areWhole || rounds < 1) throw new Error("--rounds and --seed take whole numbers");
  try {
    await using all = await Cluster.start(options, randomFrom(seed));
    let done = 0;
    for (; done < rounds && all.ledger.failures.length === 0; done++) {
      await all.round(randomFrom(seed + done));
    }
    await all.collect();
    const what = await all.summary();
    const { failures } = all.ledger;
    const verdict = failures.length === 0 ? "passed" : "FAILED";
    return { summary: `cluster: ${verdict}, ${done} rounds, seed ${seed}: ${what}`, failures };
  } catch (error) {
    throw new Error(`It fails with the seed ${seed}`, { cause: error });
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "50" },
      seed: { type: "string", default: String(someSeed()) },
    },
  });
  const { summary, failures } = await cluster({
    rounds: Number(values.rounds),
    seed: Number(values.seed),
  });
  console.log(summary);
  for (const failure of failures.slice(0, FAILURES_MAX)) console.error(failure);
  if (failures.length > 0) Deno.exit(1);
}
