/** A client of the harnesses: comes back after every crash, and records all that the server says. */
import { setTimeout as sleep } from "node:timers/promises";
import { Client, DisconnectedError } from "../../../lib/client/client.ts";
import type { Inbox } from "./inbox.ts";
import type { Ledger } from "./ledger.ts";
import { pick, wholeBelow } from "../../random.ts";

/** How many messages are sent at once, without waiting for a reply. */
const BURSTS = [1, 1, 2, 5, 20] as const;
/** One of this many messages goes to all users. */
const SENDALL_EVERY = 4;
/** A client rests at most this long between two bursts (ms). */
const REST_MS_MAX = 8;
/** A `wait` waits at most this long (s). */
const WAIT_S_MAX = 0.2;
/** A client whose connection was lost connects again after at most this long (ms). */
const RECONNECT_MS_MAX = 50;
/** How likely a client goes to another server after a burst, where there are several. */
const LEAVE_PROBABILITY = 0.02;
/** A new user comes at most this long after the others (ms). */
const NEWCOMER_MS_MAX = 150;

/** One life of a server, or a time in which some of several servers fail. */
export interface Round {
  /** The ports of the servers, on loopback. */
  readonly ports: readonly number[];
  /** No client can reach a limit of the server. */
  readonly isRoomy: boolean;
  /** Any server, or its storage, may fail at any time; then the client goes on with another server. */
  readonly mayFail: boolean;
  /** A client leaves a server that has not answered for this long (ms). */
  readonly patienceMs: number;
  /** True from the moment at which the server is killed or stopped, or the clients are to rest. */
  isOver: boolean;
}

type Random = () => number;
/** Waits for answers, and closes the connection when they take longer than `patienceMs`. */
type Within = <Value>(answers: Promise<Value>) => Promise<Value>;
/** How a client gets its mail for some rounds; with `"not"` the mail stays in its mailbox. */
export type Way = "receive" | "wait" | "not";

/** One user, on one connection after the other. */
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

  /** True until the first `register` of the name is sent. */
  get isNew(): boolean {
    return this.#inbox.registration === "none";
  }

  /**
   * Sends and receives until the round is over or the connection is lost; neither is an error. Calls
   * `onGoing` when the user is registered, or has failed to be.
   */
  async talk(round: Round, random: Random, onGoing: () => void): Promise<void> {
    if (this.isNew) await sleep(wholeBelow(random, NEWCOMER_MS_MAX));
    do {
      if (random() < 0.4) this.#way = pick(random, this.#ways);
      await this.#connect(round, random, async (client, within) => {
        const isIn = await within(this.#register(client, round)).finally(onGoing);
        while (isIn && !round.isOver && !(round.mayFail && random() < LEAVE_PROBABILITY)) {
          await within(this.#burst(client, round, random));
          await sleep(wholeBelow(random, REST_MS_MAX));
        }
      });
    } while (round.mayFail && !round.isOver);
    onGoing();
  }

  /** Fetches all mail that is left in the mailbox. */
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
    converse: (client: Client, within: Within) => Promise<void>,
  ): Promise<void> {
    try {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port: pick(random, round.ports) });
      conn.setNoDelay(true);
      await converse(new Client(conn), async (answers) => {
        const timer = setTimeout(() => conn.close(), round.patienceMs);
        return await answers.finally(() => clearTimeout(timer));
      });
    } catch (error) {
      // Only a server that is being ended, or may fail, may break a connection.
      if (!round.isOver && !round.mayFail) this.#ledger.fail(`${this.#inbox.name}: ${error}`);
      else if (!isLoss(error)) throw error;
      else await sleep(wholeBelow(random, RECONNECT_MS_MAX));
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
    await all([...sends, this.#fetch(client, round, this.#way, random() * WAIT_S_MAX)]);
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

  /** Nothing may be sent behind a `wait` before its reply: it would take mail that was not shown. */
  async #fetch(client: Client, { mayFail }: Round, way: Way, seconds: number): Promise<void> {
    if (way === "not") return;
    if (way === "receive") this.#inbox.receiving(this.#ledger.tick());
    const result = await (way === "receive" ? client.receive() : client.wait(seconds));
    if (mayFail && !result.ok && this.#ledger.excuses(result)) return this.#inbox.cut();
    // A `wait` only reads: its reply does not prove that mail shown before was taken.
    if (way === "receive" || !mayFail) this.#inbox.replied();
    this.#ledger.came(this.#inbox, result.ok ? result.mail : [], way);
    if (!result.ok) this.#ledger.fail(`${this.#inbox.name} got no mail: ${result.text}`);
  }
}

/** Waits until all promises are settled, then throws the first error, if there was one. */
async function all(promises: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(promises);
  await Promise.all(promises);
}

function isLoss(error: unknown): boolean {
  return error instanceof DisconnectedError || error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.NotConnected;
}
