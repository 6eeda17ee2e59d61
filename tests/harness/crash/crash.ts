/**
 * Kills a server again and again while clients send and receive, starts it anew on the same file, and
 * checks that nothing is lost that was acknowledged: `deno task crash [--rounds N] [--seed N]`.
 */
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { CrashClient, type Round, sleep, type Way } from "./client.ts";
import { Ledger } from "./ledger.ts";
import { type Program, ServerProcess } from "./process.ts";
import { pick, randomFrom, wholeBelow } from "../../random.ts";

const NAMES = ["Al", "Бо👍", "Cy", "Dee", "Eve", "Flo", "Gus"] as const;
/** So many are there from the first round on; of the others some come in every round. */
const FIRST = 4;
/** How clients get their mail; the first one hoards its own, which makes snapshots long. */
const HOARD: readonly Way[] = ["not"];
const WAYS: readonly Way[] = ["receive", "receive", "wait", "wait", "not"];
/** The server lives for so long after the clients got going, in milliseconds. */
const LIFE_MS_MIN = 50;
const LIFE_MS_MAX = 400;
/** Who is impatient kills a server that stops after so long at most, in milliseconds. */
const IMPATIENCE_MS = 50;
/** A server that has not answered for so long hangs, in milliseconds. */
const PATIENCE_MS = 30_000;
/** Limits that nobody reaches. */
export const ROOMY = ["--mailbox-messages-max", "1000000", "--messages-max", "100000000"];

const MAIN: Program["command"] = [new URL("../../../main.ts", import.meta.url)];
const BUSY: Program["command"] = [new URL("server.ts", import.meta.url)];
const COMMANDS = [MAIN, BUSY];
/** So many failures are printed. */
const FAILURES_MAX = 20;

/** What to do to a server. */
export interface CrashOptions {
  /** How often it is ended. */
  readonly rounds: number;
  /** Decides all but the timing of the machine. */
  readonly seed: number;
  /** The servers, each for some rounds; by default the real one, and one with many snapshots. */
  readonly commands?: readonly Program["command"][];
}

/** How it went. */
export interface CrashReport {
  /** What was done, in one line. */
  readonly summary: string;
  /** What is not as it was promised; none: all is well. */
  readonly failures: readonly string[];
}

type Random = () => number;

/** How a round goes. */
interface Plan {
  readonly isRoomy: boolean;
  readonly flags: readonly string[];
  readonly end: "kill" | "stop" | "stop and kill";
  /** The server dies even if the clients are not all there yet. */
  readonly isEarly: boolean;
  readonly lifeMs: number;
}

function plan(random: Random): Plan {
  const isRoomy = random() < 0.75;
  const tight = [
    ...["--mailbox-messages-max", String(5 + wholeBelow(random, 50))],
    ...["--messages-max", pick(random, ["100", "5000", "1000000"])],
    ...["--users-max", pick(random, [String(FIRST), "1000"])],
  ];
  return {
    isRoomy,
    flags: isRoomy ? ROOMY : tight,
    end: pick(random, ["kill", "kill", "kill", "kill", "kill", "kill", "stop", "stop and kill"]),
    isEarly: random() < 0.1,
    lifeMs: LIFE_MS_MIN + wholeBelow(random, LIFE_MS_MAX - LIFE_MS_MIN),
  };
}

function roundOn({ port }: ServerProcess, isRoomy: boolean): Round {
  return { ports: [port], isRoomy, mayFail: false, patienceMs: PATIENCE_MS, isOver: false };
}

/** A chat on a file, the clients that use it, and the books. */
class Crash {
  readonly ledger = new Ledger(NAMES, false);
  readonly counts = { kills: 0, stops: 0, "stops cut short": 0, "ends amid a snapshot": 0 };
  readonly #commands: readonly Program["command"][];
  readonly #file: string;
  readonly #clients = NAMES.map((name, index) =>
    new CrashClient(name, NAMES, index === 0 ? HOARD : WAYS, this.ledger)
  );

  /** Snapshots that were begun before this round. */
  #begun = 0;

  constructor(commands: readonly Program["command"][], file: string) {
    this.#commands = commands;
    this.#file = file;
  }

  /** One life of the server. */
  async round(random: Random): Promise<void> {
    const { flags, isRoomy, isEarly, lifeMs, end } = plan(random);
    await using server = await this.#start(flags, pick(random, this.#commands));
    const round = roundOn(server, isRoomy);
    const others = this.#clients.filter((client) => !client.isNew);
    const newcomers = this.#clients.filter(({ isNew }, index) =>
      isNew && (index < FIRST || random() < 0.2)
    );
    const runs = [...others, ...newcomers].map((client) => {
      const going = Promise.withResolvers<void>();
      const own = randomFrom(wholeBelow(random, 2 ** 31));
      return { going: going.promise, done: client.run(round, own, going.resolve) };
    });
    if (!isEarly) await Promise.all(runs.slice(0, others.length).map(({ going }) => going));
    await sleep(lifeMs);
    round.isOver = true;
    this.#expectSilence(await this.#end(server, end, wholeBelow(random, IMPATIENCE_MS)));
    await Promise.all(runs.map(({ done }) => done));
    const { begun, isAmid } = this.#snapshots();
    if (begun > this.#begun && isAmid) this.counts["ends amid a snapshot"]++;
    this.#begun = begun;
  }

  /** A last server, from which all mail is fetched. */
  async collect(): Promise<void> {
    await using server = await this.#start(ROOMY, this.#commands[0]!);
    const round = roundOn(server, true);
    await Promise.all(this.#clients.map((client) => client.collect(round)));
    this.#expectSilence(await server.stop());
  }

  /** At the end: checks the books; what was done, in words. */
  summary(): string {
    const messages = this.ledger.check();
    const counts = Object.entries(this.counts).map(([name, count]) => `${count} ${name}`);
    return `${[...counts, `${this.#begun} snapshots begun`].join(", ")}; ${messages}`;
  }

  /** How many snapshots were begun; are there rows of another than the last? */
  #snapshots(): { begun: number; isAmid: boolean } {
    const database = new DatabaseSync(this.#file, { readOnly: true });
    const row = database.prepare(
      `SELECT max(generation, ifnull((SELECT max(generation) FROM snapshot), 0)) AS begun,
         EXISTS (SELECT 1 FROM snapshot WHERE snapshot.generation <> current.generation) AS amid
       FROM current`,
    ).get();
    database.close();
    return { begun: Number(row?.begun), isAmid: row?.amid === 1 };
  }

  #start(flags: readonly string[], command: Program["command"]): Promise<ServerProcess> {
    return ServerProcess.start({
      command,
      permissions: [`--allow-read=${this.#file}`, `--allow-write=${this.#file}`],
      flags: ["--data", this.#file, ...flags],
    });
  }

  async #end(server: ServerProcess, end: Plan["end"], patienceMs: number): Promise<string> {
    switch (end) {
      case "kill":
        this.counts.kills++;
        return await server.kill();
      case "stop":
        this.counts.stops++;
        return await server.stop();
      case "stop and kill":
        this.counts["stops cut short"]++;
        return await server.stopAndKill(patienceMs);
    }
  }

  #expectSilence(said: string): void {
    if (said !== "") this.ledger.fail(`The server: ${said}`);
  }
}

/** Ends a server so often, and checks all that it promised. */
export async function crash(
  { rounds, seed, commands = COMMANDS }: CrashOptions,
): Promise<CrashReport> {
  const areWhole = Number.isSafeInteger(rounds) && Number.isSafeInteger(seed);
  if (!areWhole || rounds < 1) throw new Error("--rounds and --seed take whole numbers");
  const folder = await Deno.makeTempDir();
  try {
    const chat = new Crash(commands, `${folder}/chat.db`);
    let done = 0;
    for (; done < rounds && chat.ledger.failures.length === 0; done++) {
      await chat.round(randomFrom(seed + done));
    }
    await chat.collect();
    const what = chat.summary();
    const { failures } = chat.ledger;
    const verdict = failures.length === 0 ? "passed" : "FAILED";
    return {
      summary: `crash: ${verdict}, ${done} rounds, seed ${seed}: ${what}`,
      failures,
    };
  } catch (error) {
    throw new Error(`It fails with the seed ${seed}`, { cause: error });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A seed by chance. */
export function someSeed(): number {
  return wholeBelow(Math.random, 2 ** 31);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "100" },
      seed: { type: "string", default: String(someSeed()) },
    },
  });
  const { summary, failures } = await crash({
    rounds: Number(values.rounds),
    seed: Number(values.seed),
  });
  console.log(summary);
  for (const failure of failures.slice(0, FAILURES_MAX)) console.error(failure);
  if (failures.length > 0) Deno.exit(1);
}
