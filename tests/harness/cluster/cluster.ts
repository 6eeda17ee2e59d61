/**
 * Kills, stops and pauses servers that share a chat, and the nats-servers that store it, while clients
 * send and receive. Checks that no acknowledged message is lost, and that all servers agree on the state
 * of the chat: `deno task dev:cluster`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { whole } from "../../../lib/flags.ts";
import { runProgram, seedFlag } from "../command_line.ts";
import { CrashClient, type Round, type Way } from "../crash/client.ts";
import { type CrashReport, printReport, ROOMY } from "../crash/crash.ts";
import { Ledger } from "../crash/ledger.ts";
import { type Program, ServerProcess } from "../crash/process.ts";
import { Nats } from "../../journal/nats.ts";
import { pick, randomFrom, wholeBelow } from "../../random.ts";

const NAMES = ["Al", "Бо👍", "Cy", "Dee", "Eve", "Flo", "Gus"] as const;
const WAYS: readonly Way[] = ["receive", "receive", "wait", "wait", "not"];
const SERVERS = 3;
/** The number of nats-servers. */
const NODES = 3;
/** A snapshot is due after this many entries: one of the values for each server. */
const SNAPSHOT_ENTRIES = ["100", "1000", "100000"] as const;
/** `--journal-timeout-s`: one of the values for each server. */
const TIMEOUTS_S = ["0.5", "2", "5"] as const;
/** A client leaves a server that has not answered for this long (ms): one value for each round. */
const PATIENCES_MS = [500, 2_000, 10_000] as const;
/** Nothing fails for at most this long before a fault, and again after it (ms). */
const WELL_MS_MAX = 800;
/** A paused process goes on after this long (ms). */
const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 8_000;
/** A killed or stopped process starts again after at most this long (ms). */
const DOWN_MS_MAX = 2_000;
/** The same for a nats-server, which may stay away longer: the others go on without it (ms). */
const NODE_DOWN_MS_MAX = [DOWN_MS_MAX, DOWN_MS_MAX, 15_000] as const;
/** How likely a second server fails in the same round. */
const SECOND_FAULT_PROBABILITY = 0.4;
/** While NATS is disturbed a server may fail to start: then it is started again. */
const STARTS_MAX = 20;
const RESTART_MS = 500;
/** The states of all servers are compared this often (ms). */
const COMPARE_MS = 100;
/** The servers agree when this many comparisons in a row give one and the same state. */
const COMPARISONS_EQUAL = 10;
/** The servers disagree when they have not agreed by then. */
const COMPARISONS_MAX = 200;
/** A round takes at most this long (ms); a server that lives longer is killed. */
const ROUND_MS_MAX = 60_000;

const SERVER: Program["command"] = [new URL("server.ts", import.meta.url)];

/** How to treat a cluster. */
export interface ClusterOptions {
  /** In each round one or two processes fail. */
  readonly rounds: number;
  /** Decides every random choice; only the timing of the machine is left to chance. */
  readonly seed: number;
  /** By default the real server. */
  readonly command?: Program["command"];
}

type Random = () => number;

const SERVER_FAULTS = ["servers killed", "servers stopped", "servers paused"] as const;
const FAULTS = [...SERVER_FAULTS, "nodes killed", "nodes paused"] as const;
type Fault = typeof FAULTS[number];

/** A cluster, the clients that use it, and the ledger of their messages. */
class Cluster implements AsyncDisposable {
  readonly ledger = new Ledger(NAMES, true);
  readonly #faults = new Map<Fault, number>(FAULTS.map((fault) => [fault, 0]));
  readonly #nats: Nats;
  readonly #servers: ServerProcess[] = [];
  readonly #ports: number[] = [];
  readonly #program: Pick<Program, "command" | "lifeMsMax">;
  readonly #clients = NAMES.map((name) => new CrashClient(name, NAMES, WAYS, this.ledger));

  private constructor(nats: Nats, program: Pick<Program, "command" | "lifeMsMax">) {
    this.#nats = nats;
    this.#program = program;
  }

  /** Starts the nats-servers, and the servers that share a chat on them. */
  static async start(
    { rounds, command = SERVER }: ClusterOptions,
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

  /** Lets one or two processes fail and start again while the clients work. */
  async round(random: Random): Promise<void> {
    const round = this.#roundOf({ mayFail: true, patienceMs: pick(random, PATIENCES_MS) });
    this.ledger.work();
    const clients = this.#clients.map((client) =>
      client.talk(round, randomFrom(wholeBelow(random, 2 ** 31)), () => {})
    );
    const first = wholeBelow(random, SERVERS);
    const faults = [this.#fail(pick(random, FAULTS), first, random)];
    if (random() < SECOND_FAULT_PROBABILITY) {
      faults.push(this.#fail(pick(random, SERVER_FAULTS), (first + 1) % SERVERS, random));
    }
    await Promise.all(faults);
    await sleep(wholeBelow(random, WELL_MS_MAX));
    round.isOver = true;
    await Promise.all(clients);
    await this.#nats.ready();
  }

  /** To be called when nothing fails: fetches all mail, and compares the states of the servers. */
  async collect(): Promise<void> {
    const isSettled = await this.#agree();
    const round = this.#roundOf({ mayFail: false, patienceMs: ROUND_MS_MAX });
    await Promise.all(this.#clients.map((client) => client.collect(round)));
    const isAgreed = isSettled && await this.#agree();
    if (!isAgreed && this.ledger.failures.length === 0) {
      this.ledger.fail("The servers do not agree on the state of the chat");
    }
    for (const server of this.#servers) this.#expectSilence(await server.stop());
  }

  /** To be called at the end: checks the ledger, and returns all that was done, in words. */
  async summary(): Promise<string> {
    const messages = this.ledger.check();
    const { first, last } = await this.#nats.stream();
    const counts = Array.from(this.#faults, ([fault, count]) => `${count} ${fault}`);
    const { storageAway, nameTaken, longestSilenceMs } = this.ledger;
    return `${
      counts.join(", ")
    }; ${messages}; ${storageAway} times the storage was away, ${nameTaken} times ` +
      `a name was held; ${last} batches, ${first - 1} of them purged; at most ` +
      `${(longestSilenceMs / 1_000).toFixed(1)} s without an acknowledgement`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.kill()));
    await this.#nats[Symbol.asyncDispose]();
  }

  #roundOf(course: Pick<Round, "mayFail" | "patienceMs">): Round {
    return { ...course, ports: this.#ports, isRoomy: true, isOver: false };
  }

  async #fail(fault: Fault, index: number, random: Random): Promise<void> {
    const server = this.#servers[index]!;
    const node = this.#nats.nodes[index]!;
    await sleep(wholeBelow(random, WELL_MS_MAX));
    this.#faults.set(fault, this.#faults.get(fault)! + 1);
    switch (fault) {
      case "servers killed":
      case "servers stopped":
        this.#expectSilence(await (fault === "servers killed" ? server.kill() : server.stop()));
        await sleep(wholeBelow(random, DOWN_MS_MAX));
        return await this.#start(index, random);
      case "nodes killed":
        await node.end();
        await sleep(wholeBelow(random, pick(random, NODE_DOWN_MS_MAX)));
        return node.start();
      case "servers paused":
      case "nodes paused":
        return await pause(fault === "servers paused" ? server : node, random);
    }
  }

  /** Starts a server; while NATS is disturbed that may take some attempts. */
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
        await sleep(RESTART_MS);
      }
    }
  }

  /** Waits until all servers have one and the same state, which changes no more; false if they do not. */
  async #agree(): Promise<boolean> {
    let last = "";
    let equal = 0;
    const { failures } = this.ledger;
    for (let count = 0; count < COMPARISONS_MAX && failures.length === 0; count++) {
      const states = await Promise.all(this.#servers.map((server) => server.ask("state")));
      const [state = ""] = states;
      const isSame = states.every((other) => other === state);
      equal = isSame && state === last ? equal + 1 : 0;
      if (equal === COMPARISONS_EQUAL) return true;
      last = isSame ? state : "";
      await sleep(COMPARE_MS);
    }
    return false;
  }

  #expectSilence(stderr: string): void {
    if (stderr !== "") this.ledger.fail(`A server wrote: ${stderr}`);
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

/** Lets processes of a cluster fail in each round, and checks all that it promised. */
export async function cluster(options: ClusterOptions): Promise<CrashReport> {
  const { rounds, seed } = options;
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

const SUMMARY =
  `Kill, stop and pause servers that share a chat, and NATS, and look for lost messages:
deno task dev:cluster [flags]. It needs nats-server 2.10 or newer`;

const FLAGS = {
  rounds: whole(50, 1, 1_000_000, "how often one or two processes fail"),
  seed: seedFlag(),
};

if (import.meta.main) {
  await runProgram(SUMMARY, FLAGS, async (options) => printReport(await cluster(options)));
}
