/** Finds a server: connects, learns what kind it is, and does not wait for ever. */
import { Client, DisconnectedError } from "./client.ts";
import { printable } from "../text/printable.js";

/** Where the server is. */
export interface Target {
  readonly hostname: string;
  readonly port: number;
}

/** A server that answers nothing for so long is as good as gone, in milliseconds. */
export const SILENCE_MS = 5_000;

/** Connects to one server, again and again. */
export class Dialer {
  readonly #target: Target;
  #conn: Deno.TcpConn | undefined;
  /** Does the server know `wait`? A strict one does not. */
  extended = false;
  /** The most symbols in a name and in a text, as far as the server tells. */
  limits = { name: 8, text: 60 };

  constructor(target: Target) {
    this.#target = target;
  }

  /** A new connection in the place of the old one, to a server that may be another by now. */
  async connect(): Promise<Client> {
    const client = await this.#dial();
    try {
      const help = await this.within(SILENCE_MS, client.help());
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

  /** The reply, unless the server is silent for too long. */
  async within<Value>(ms: number, reply: Promise<Value>): Promise<Value> {
    const late = Promise.withResolvers<never>();
    const error = new Error(`${addressOf(this.#target)} does not answer`);
    const timer = setTimeout(() => late.reject(error), ms);
    try {
      return await Promise.race([reply, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #closeConn(): void {
    try {
      this.#conn?.close();
    } catch {
      // It was closed already.
    }
  }
}

function addressOf({ hostname, port }: Target): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** Connects, or throws an error that says in one line why it can't be done. */
async function dial(target: Target): Promise<Deno.TcpConn> {
  try {
    const conn = await Deno.connect({ ...target, signal: AbortSignal.timeout(SILENCE_MS) });
    // Else a command behind a `wait` leaves only when that was acknowledged, 40 ms later.
    conn.setNoDelay(true);
    return conn;
  } catch (error) {
    const why = error instanceof Deno.errors.ConnectionRefused
      ? `No server answers at ${addressOf(target)} (deno task start starts one)`
      : `Cannot reach ${addressOf(target)}: ${explain(error)}`;
    throw new Error(why, { cause: error });
  }
}

/** An error in one line. */
export function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Ends the process with code 0 if a server answers `users` within 5 s, else with 1. */
export async function ping(target: Target): Promise<never> {
  const late = setTimeout(() => {
    console.error(`No answer from ${addressOf(target)} within 5 s`);
    Deno.exit(1);
  }, SILENCE_MS);
  try {
    const result = await new Client(await dial(target)).users();
    clearTimeout(late);
    if (!result.ok) throw new Error(printable(result.text));
    const { length } = result.users;
    console.log(`${addressOf(target)} answers: ${length} ${length === 1 ? "user" : "users"}`);
    Deno.exit(0);
  } catch (error) {
    console.error(explain(error));
    Deno.exit(1);
  }
}
