/** Connects to a server, and finds out its mode and limits. */
import { within } from "../clock.ts";
import { messageOf } from "../errors.ts";
import { START } from "../program.ts";
import { formatHostPort, type SocketAddress } from "../protocol/ip.ts";
import { Client, DisconnectedError } from "./client.ts";

/** A server that does not answer for this long is taken for gone (ms). */
export const SILENCE_MS = 5_000;

/** Connects to one server, and again whenever the connection is lost. */
export class Dialer {
  readonly #target: SocketAddress;
  #conn: Deno.TcpConn | undefined;
  /** The server knows `wait`; in strict mode it does not. Set by {@link Dialer.connect}. */
  hasWait = false;
  /** The limits of a name and of a text in symbols: the server's, if it has told them. */
  limits = { name: 8, text: 60 };

  constructor(target: SocketAddress) {
    this.#target = target;
  }

  /**
   * Closes the old connection and opens a new one. Finds out the server's mode and limits again,
   * since it may have been restarted with others.
   *
   * @throws {Error} If the server cannot be reached, does not answer or refuses.
   */
  async connect(): Promise<Client> {
    const client = await this.#dial();
    try {
      const help = await this.replyWithin(SILENCE_MS, client.help());
      if (!help.ok) throw new Error(help.text);
      this.hasWait = /^wait /m.test(help.text);
      this.#readLimits(help.text);
      return client;
    } catch (error) {
      if (!(error instanceof DisconnectedError)) throw error;
      // A strict server does not know `help`, and closes the connection without a reply.
      this.hasWait = false;
      return await this.#dial();
    }
  }

  async #dial(): Promise<Client> {
    try {
      this.#conn?.close();
    } catch {
      // It is closed already.
    }
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

  /**
   * Resolves to a reply.
   *
   * @throws {Error} If it does not arrive within `ms` milliseconds.
   */
  async replyWithin<Value>(ms: number, reply: Promise<Value>): Promise<Value> {
    const value = await within(ms, reply);
    if (value === undefined) throw new Error(`${formatHostPort(this.#target)} does not answer`);
    return value;
  }
}

/**
 * Opens a TCP connection, within {@link SILENCE_MS}.
 *
 * @throws {Error} If that fails. Its message is a line for the user.
 */
export async function dial(target: SocketAddress): Promise<Deno.TcpConn> {
  try {
    const conn = await Deno.connect({ ...target, signal: AbortSignal.timeout(SILENCE_MS) });
    // Else a command behind a `wait` is sent only when TCP has acknowledged that, 40 ms later.
    conn.setNoDelay(true);
    return conn;
  } catch (error) {
    const why = error instanceof Deno.errors.ConnectionRefused
      ? `No server answers at ${formatHostPort(target)} (${START} starts one)`
      : `Cannot reach ${formatHostPort(target)}: ${messageOf(error)}`;
    throw new Error(why, { cause: error });
  }
}
