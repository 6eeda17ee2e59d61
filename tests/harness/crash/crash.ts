/**
 * Kills a server again and again while clients send and receive, starts it again on the same file, and
 * checks that no acknowledged message is lost: `deno task dev:crash`.
 */
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { whole } from "../../../lib/flags.ts";
import { runProgram, seedFlag } from "../command_line.ts";
import { CrashClient, type Round, type Way } from "./client.ts";
import { Ledger } from "./ledger.ts";
import { type Program, ServerProcess } from "./process.ts";
import { pick, randomFrom, wholeBelow } from "../../random.ts";

const NAMES = ["Al", "Бо👍", "Cy", "Dee", "Eve", "Flo", "Gus"] as const;
/** This many users are there from the first round on; in each round some of the others join. */
const FIRST_USERS = 4;
/** The first client never fetches its mail, so snapshots get long; the others change their way. */
const HOARD: readonly Way[] = ["not"];
const WAYS: readonly Way[] = ["receive", "receive", "wait", "wait", "not"];
/** The server lives for this long after the users of earlier rounds have come back (ms). */
const LIFE_MS_MIN = 50;
const LIFE_MS_MAX = 400;
/** A server that is stopped and then killed is killed after at most this long (ms). */
const STOP_MS_MAX = 50;
/** A server that has not answered for this long hangs (ms). */
const PATIENCE_MS = 30_000;
/** Limits that no client reaches. */
export const ROOMY = ["--mailbox-messages-max", "1000000", "--messages-max", "1000000000"]
  .concat(["--mailbox-broadcasts-max", "1000000", "--messages-per-address-max", "1000000000"])
  .concat(["--users-per-address-max", "1000000"]);

const MAIN: Program["command"] = [new URL("../../../main.ts", import.meta.url)];
const FREQUENT_SNAPSHOTS: Program["command"] = [new URL("server.ts", import.meta.url)];
const COMMANDS = [MAIN, FREQUENT_SNAPSHOTS];
/** At most this many failures are printed. */
const FAILURES_MAX = 20;

/** How to treat a server. */
export interface CrashOptions {
  /** How often the server is ended. */
  readonly rounds: number;
  /** Decides every random choice; only the timing of the machine is left to chance. */
  readonly seed: number;
  /** Each round starts one of these; by default the real server, and one with frequent snapshots. */
  readonly commands?: readonly Program["command"][];
}

/** The result of a harness. */
export interface CrashReport {
  /** All that was done, in one line. */
  readonly summary: string;
  /** The broken promises. */
  readonly failures: readonly string[];
}

type Random = () => number;

/** The course of a round. */
interface Plan {
  readonly isRoomy: boolean;
  readonly flags: readonly string[];
  readonly end: "kill" | "stop" | "stop and kill";
  /** The server may be ended before the users of earlier rounds have come back. */
  readonly isEarly: boolean;
  readonly lifeMs: number;
}

function plan(random: Random): Plan {
  const isRoomy = random() < 0.75;
  const tight = [
    ...["--mailbox-messages-max", String(5 + wholeBelow(random, 50))],
    ...["--messages-max", pick(random, ["100", "5000", "1000000"])],
    ...["--users-max", pick(random, [String(FIRST_USERS), "1000"])],
    // All clients have one address.
    ...["--users-per-address-max", "1000"],
    ...["--messages-per-address-max", pick(random, ["0", "1000000"])],
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

/** A chat in a file, the clients that use it, and the ledger of their messages. */
class Crash {
  readonly ledger = new Ledger(NAMES, false);
  readonly counts = { kills: 0, stops: 0, "stops cut short": 0, "ends amid a snapshot": 0 };
  readonly #commands: readonly Program["command"][];
  readonly #file: string;
  readonly #clients = NAMES.map((name, index) =>
    new CrashClient(name, NAMES, index === 0 ? HOARD : WAYS, this.ledger)
  );

  /** The number of snapshots that were begun before this round. */
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
      isNew && (index < FIRST_USERS || random() < 0.2)
    );
    const clients = [...others, ...newcomers].map((client) => {
      const going = Promise.withResolvers<void>();
      const own = randomFrom(wholeBelow(random, 2 ** 31));
      return { going: going.promise, done: client.talk(round, own, going.resolve) };
    });
    if (!isEarly) await Promise.all(clients.slice(0, others.length).map(({ going }) => going));
    await sleep(lifeMs);
    round.isOver = true;
    this.#expectSilence(await this.#end(server, end, wholeBelow(random, STOP_MS_MAX)));
    await Promise.all(clients.map(({ done }) => done));
    const { begun, isAmid } = this.#snapshots();
    if (begun > this.#begun && isAmid) this.counts["ends amid a snapshot"]++;
    this.#begun = begun;
  }

  /** Starts the server once more, and fetches all mail from it. */
  async collect(): Promise<void> {
    await using server = await this.#start(ROOMY, this.#commands[0]!);
    const round = roundOn(server, true);
    await Promise.all(this.#clients.map((client) => client.collect(round)));
    this.#expectSilence(await server.stop());
  }

  /** To be called at the end: checks the ledger, and returns all that was done, in words. */
  summary(): string {
    const messages = this.ledger.check();
    const counts = Object.entries(this.counts).map(([name, count]) => `${count} ${name}`);
    return `${[...counts, `${this.#begun} snapshots begun`].join(", ")}; ${messages}`;
  }

  /** How many snapshots were begun, and whether the file holds rows of another than the last one. */
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

  #expectSilence(stderr: string): void {
    if (stderr !== "") this.ledger.fail(`The server wrote: ${stderr}`);
  }
}

/** Ends a server in each round, and checks all that it promised. */
export async function crash(
  { rounds, seed, commands = COMMANDS }: CrashOptions,
): Promise<CrashReport> {
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

/** Prints the result of a harness; true if no promise is broken. */
export function printReport({ summary, failures }: CrashReport): boolean {
  console.log(summary);
  for (const failure of failures.slice(0, FAILURES_MAX)) console.error(failure);
  return failures.length === 0;
}

const SUMMARY = `Kill a server with its chat in a file again and again, and look for lost messages:
deno task dev:crash [flags]`;

const FLAGS = {
  rounds: whole(100, 1, 1_000_000, "how often the server is ended and started again"),
  seed: seedFlag(),
};

if (import.meta.main) {
  await runProgram(SUMMARY, FLAGS, async (options) => printReport(await crash(options)));
}
