/** Finds a server: connects, learns what kind it is, and does not wait for ever. */
import { within } from "../clock.ts";
import { messageOf } from "../errors.ts";
import { Client, DisconnectedError } from "./client.ts";
import { formatHostPort, type SocketAddress } from "../protocol/ip.ts";

/** A server that answers nothing for so long is as good as gone, in milliseconds. */
export const SILENCE_MS = 5_000;

/** Connects to one server, again and again. */
export class Dialer {
  readonly #target: SocketAddress;
  #conn: Deno.TcpConn | undefined;
  /** Does the server know `wait`? A strict one does not. */
  extended = false;
  /** The most symbols in a name and in a text, as far as the server tells. */
  limits = { name: 8, text: 60 };

  constructor(target: SocketAddress) {
    this.#target = target;
  }

  /** A new connection in the place of the old one, to a server that may be another by now. */
  async connect(): Promise<Client> {
    const client = await this.#dial();
    try {
      const help = await this.replyWithin(SILENCE_MS, client.help());
      if (!help.ok) throw new Error(help.text);
      this.extended = /^wait /m.test(help.text);
      this.#readLimits(help.text);
      return client;
    } catch (error) {
      if (!(error instanceof DisconnectedError)) throw error;
      // A strict server answers nothing to a command that it does not know, and closes.
      this.extended = false;
      return await this.#dial();
    }
  }

  async #dial(): Promise<Client> {
    this.#closeConn();
    this.#conn = await dial(this.#target);
    return new Client(this.#conn);
  }

  #readLimits(help: string): void {
    const limit = (what: string) =>
      Number(new RegExp(`^${what}: \\d+ to (\\d+)`, "m").exec(help)?.[1]);
    this.limits = {
      name: limit("name") || this.limits.name,
      text: limit("text") || this.limits.text,
    };
  }

  /** The reply. Throws where the server is silent for more than `ms` milliseconds. */
  async replyWithin<Value>(ms: number, reply: Promise<Value>): Promise<Value> {
    const value = await within(ms, reply);
    if (value === undefined) throw new Error(`${formatHostPort(this.#target)} does not answer`);
    return value;
  }

  #closeConn(): void {
    try {
      this.#conn?.close();
    } catch {
      // It was closed already.
    }
  }
}

/** Connects. Throws an error that says in one line why it can't be done. */
export async function dial(target: SocketAddress): Promise<Deno.TcpConn> {
  try {
    const conn = await Deno.connect({ ...target, signal: AbortSignal.timeout(SILENCE_MS) });
    // Else a command behind a `wait` leaves only when that was acknowledged, 40 ms later.
    conn.setNoDelay(true);
    return conn;
  } catch (error) {
    const why = error instanceof Deno.errors.ConnectionRefused
      ? `No server answers at ${formatHostPort(target)} (deno task start starts one)`
      : `Cannot reach ${formatHostPort(target)}: ${messageOf(error)}`;
    throw new Error(why, { cause: error });
  }
}
