/** A client of the crash tests: comes back after every crash, and writes down all that it is told. */
import { Client, DisconnectedError } from "../../../lib/client/client.ts";
import type { Inbox } from "./inbox.ts";
import type { Ledger } from "./ledger.ts";
import { pick, wholeBelow } from "../../random.ts";

/** So many messages are sent at once, without waiting for a reply. */
const BURSTS = [1, 1, 2, 5, 20] as const;
/** Of so many messages one goes to all. */
const SENDALL_EVERY = 4;
/** A client rests for so long at most between two bursts, in milliseconds. */
const REST_MS = 8;
/** A `wait` waits for so long at most, in seconds. */
const WAIT_S = 0.2;
/** Who was told nothing comes back after so long at most, in milliseconds. */
const COME_BACK_MS = 50;
/** How likely a client leaves one of many servers after a burst. */
const LEAVE = 0.02;
/** Somebody new comes so long after the others at most, in milliseconds. */
const NEWCOMER_MS = 150;

/** One life of the server, or a time in which some of many servers fail. */
export interface Round {
  /** Where a server listens. */
  readonly ports: readonly number[];
  /** No limit of the server can be reached. */
  readonly isRoomy: boolean;
  /** Any server, or its storage, may fail at any time: the client goes on with another one. */
  readonly mayFail: boolean;
  /** Who has not answered for so long is left, in milliseconds. */
  readonly patienceMs: number;
  /** The server is being killed or stopped, or it is time to rest. */
  isOver: boolean;
}

type Random = () => number;
/** Waits for answers as long as the patience lasts. */
type Within = <Value>(answers: Promise<Value>) => Promise<Value>;
/** How a client gets its mail for some rounds; `"not"`: it leaves it where it is. */
export type Way = "receive" | "wait" | "not";

/** Waits, in milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** One user, over all its connections. */
export class CrashClient {
  readonly #names: readonly string[];
  readonly #ways: readonly Way[];
  readonly #ledger: Ledger;
  readonly #inbox: Inbox;
  #sent = 0;
  #way: Way;

  constructor(name: string, names: readonly string[], ways: readonly Way[], ledger: Ledger) {
    this.#names = names;
    this.#ways = ways;
    this.#way = ways[0]!;
    this.#ledger = ledger;
    this.#inbox = ledger.inbox(name);
  }

  /** Nobody has tried to register the name yet. */
  get isNew(): boolean {
    return this.#inbox.registration === "none";
  }

  /** Sends and receives until the round is over or the connection lost; never rejects for that. */
  async run(round: Round, random: Random, onGoing: () => void): Promise<void> {
    if (this.isNew) await sleep(wholeBelow(random, NEWCOMER_MS));
    do {
      if (random() < 0.4) this.#way = pick(random, this.#ways);
      await this.#connect(round, random, async (client, within) => {
        const isIn = await within(this.#register(client, round)).finally(onGoing);
        // Where there are many servers it goes to another one now and then.
        while (isIn && !round.isOver && !(round.mayFail && random() < LEAVE)) {
          await within(this.#burst(client, round, random));
          await sleep(wholeBelow(random, REST_MS));
        }
      });
    } while (round.mayFail && !round.isOver);
    onGoing();
  }

  /** Fetches all mail that is left. */
  async collect(round: Round): Promise<void> {
    await this.#connect(round, Math.random, async (client, within) => {
      await within(this.#register(client, round));
      await within(this.#fetch(client, round, "wait", 0));
      await within(this.#fetch(client, round, "receive", 0));
    });
  }

  async #connect(
    round: Round,
    random: Random,
    talk: (client: Client, within: Within) => Promise<void>,
  ): Promise<void> {
    try {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port: pick(random, round.ports) });
      conn.setNoDelay(true);
      await talk(new Client(conn), async (answers) => {
        const timer = setTimeout(() => conn.close(), round.patienceMs);
        return await answers.finally(() => clearTimeout(timer));
      });
    } catch (error) {
      // Whatever happens while the server dies is what this test is about.
      if (!round.isOver && !round.mayFail) this.#ledger.fail(`${this.#inbox.name}: ${error}`);
      else if (!isLoss(error)) throw error;
      else await sleep(wholeBelow(random, COME_BACK_MS));
    }
    this.#inbox.disconnected();
  }

  async #register(client: Client, { mayFail }: Round): Promise<boolean> {
    const wasTried = !this.isNew;
    if (this.isNew) this.#inbox.registration = "begun";
    const result = await client.register(this.#inbox.name);
    const isExcused = mayFail && !result.ok && this.#ledger.excuses(result);
    if (!isExcused) this.#ledger.registered(this.#inbox, wasTried, result);
    return result.ok;
  }

  async #burst(client: Client, round: Round, random: Random): Promise<void> {
    const sends = Array.from(
      { length: pick(random, BURSTS) },
      () => this.#send(client, round, random),
    );
    if (random() < 0.5) await all(sends);
    await all([...sends, this.#fetch(client, round, this.#way, random() * WAIT_S)]);
  }

  async #send(client: Client, { isRoomy, mayFail }: Round, random: Random): Promise<void> {
    const to = wholeBelow(random, SENDALL_EVERY) === 0 ? undefined : pick(random, this.#names);
    const message = this.#ledger.begin(this.#inbox.name, ++this.#sent, to, isRoomy);
    const result =
      await (to === undefined ? client.sendall(message.text) : client.send(to, message.text));
    if (mayFail && !result.ok && this.#ledger.excuses(result)) return;
    this.#inbox.replied();
    this.#ledger.answered(message, result);
  }

  /** Nothing may be sent behind a `wait` before its reply: it would take what nobody has seen. */
  async #fetch(client: Client, { mayFail }: Round, way: Way, seconds: number): Promise<void> {
    if (way === "not") return;
    if (way === "receive") this.#inbox.receiving(this.#ledger.tick());
    const result = await (way === "receive" ? client.receive() : client.wait(seconds));
    if (mayFail && !result.ok && this.#ledger.excuses(result)) return this.#inbox.cut();
    // A `wait` reads: its reply does not say that what was shown before could be taken.
    if (way === "receive" || !mayFail) this.#inbox.replied();
    this.#ledger.came(this.#inbox, result.ok ? result.mail : [], way);
    if (!result.ok) this.#ledger.fail(`${this.#inbox.name} got no mail: ${result.text}`);
  }
}

/** Waits for every one of them to end, then throws what the first threw. */
async function all(promises: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(promises);
  await Promise.all(promises);
}

function isLoss(error: unknown): boolean {
  return error instanceof DisconnectedError || error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.NotConnected;
}
