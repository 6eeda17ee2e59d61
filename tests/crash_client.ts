/** A client of the crash test: comes back after every crash, and writes down all that it is told. */
import { Client, DisconnectedError } from "../lib/client.ts";
import type { Inbox } from "./crash_inbox.ts";
import type { Ledger } from "./crash_ledger.ts";
import { pick, wholeBelow } from "./random.ts";

/** So many messages are sent at once, without waiting for a reply. */
const BURSTS = [1, 1, 2, 5, 20] as const;
/** Of so many messages one goes to all. */
const SENDALL_EVERY = 4;
/** A client rests for so long at most between two bursts, in milliseconds. */
const REST_MS = 8;
/** A `wait` waits for so long at most, in seconds. */
const WAIT_S = 0.2;
/** Somebody new comes so long after the others at most, in milliseconds. */
const NEWCOMER_MS = 150;

/** One life of the server. */
export interface Round {
  readonly port: number;
  /** No limit of the server can be reached. */
  readonly isRoomy: boolean;
  /** The server is being killed or stopped. */
  isOver: boolean;
}

type Random = () => number;
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
    if (random() < 0.4) this.#way = pick(random, this.#ways);
    await this.#connect(round, async (client) => {
      const isIn = await this.#register(client).finally(onGoing);
      while (isIn && !round.isOver) {
        await this.#burst(client, round, random);
        await sleep(wholeBelow(random, REST_MS));
      }
    });
    onGoing();
  }

  /** Fetches all mail that is left. */
  async collect(round: Round): Promise<void> {
    await this.#connect(round, async (client) => {
      await this.#register(client);
      await this.#fetch(client, "wait", 0);
      await this.#fetch(client, "receive", 0);
    });
  }

  async #connect(round: Round, talk: (client: Client) => Promise<void>): Promise<void> {
    try {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port: round.port });
      conn.setNoDelay(true);
      await talk(new Client(conn));
    } catch (error) {
      // Whatever happens while the server dies is what this test is about.
      if (!round.isOver) this.#ledger.fail(`${this.#inbox.name}: ${error}`);
      else if (!isLoss(error)) throw error;
    }
    this.#inbox.disconnected();
  }

  async #register(client: Client): Promise<boolean> {
    const wasTried = !this.isNew;
    if (this.isNew) this.#inbox.registration = "begun";
    const result = await client.register(this.#inbox.name);
    this.#ledger.registered(this.#inbox, wasTried, result);
    return result.ok;
  }

  async #burst(client: Client, round: Round, random: Random): Promise<void> {
    const sends = Array.from(
      { length: pick(random, BURSTS) },
      () => this.#send(client, round, random),
    );
    if (random() < 0.5) await all(sends);
    await all([...sends, this.#fetch(client, this.#way, random() * WAIT_S)]);
  }

  async #send(client: Client, { isRoomy }: Round, random: Random): Promise<void> {
    const to = wholeBelow(random, SENDALL_EVERY) === 0 ? undefined : pick(random, this.#names);
    const message = this.#ledger.begin(this.#inbox.name, ++this.#sent, to, isRoomy);
    const result =
      await (to === undefined ? client.sendall(message.text) : client.send(to, message.text));
    this.#inbox.replied();
    this.#ledger.answered(message, result);
  }

  /** Nothing may be sent behind a `wait` before its reply: it would take what nobody has seen. */
  async #fetch(client: Client, way: Way, seconds: number): Promise<void> {
    if (way === "not") return;
    if (way === "receive") this.#inbox.receiving(this.#ledger.tick());
    const result = await (way === "receive" ? client.receive() : client.wait(seconds));
    this.#inbox.replied();
    if (result.ok) this.#ledger.came(this.#inbox, result.mail, way);
    else this.#ledger.fail(`${this.#inbox.name} got no mail: ${result.text}`);
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
