/** The terminal chat: type a line and it goes to everybody. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, DisconnectedError, type Result } from "../client/client.ts";
import { messageOf, UsageError } from "../errors.ts";
import { parseFlags, parseHostPort } from "../flags.ts";
import { CLIENT_FLAGS } from "../options.ts";
import { Dialer, SILENCE_MS } from "../client/dialer.ts";
import type { SocketAddress } from "../protocol/ip.ts";
import { printable } from "../text/printable.ts";
import type { Mail } from "../protocol/reply.ts";
import { CLIENT_HELP, print } from "./help.ts";
import { Screen } from "./screen.ts";
import { type Action, parseLine } from "../text/input_line.ts";
import { sentence } from "../text/phrases.ts";
import { tooLong } from "../text/symbols.ts";

const HELP = `Type a line and it goes to everybody.
@Bob hi      to one person; @"A b" hi for a name with blanks
//hi         a line that begins with a slash (@@ with an at sign)
/users       who is there
/logout      leave for good: your name and mail are removed
/quit        leave; your name stays, and mail waits for you
/help        this text`;

/** A `wait` of the client; the next one follows at once. */
const WAIT_S = 30;
/** Without `wait` (strict mode) the mailbox is asked so often, in milliseconds. */
const POLL_MS = 1_000;
const RECONNECT_MS = 250;
const RECONNECT_MS_MAX = 5_000;
/** With nobody at the terminal to stop it, a lost server is sought for so long. */
const SCRIPT_RECONNECT_MS = 30_000;

/** The server is there, and doesn't want us under this name. */
class RefusedError extends Error {}

/** Actions that the server carries out. */
type ServerAction = Extract<Action, { kind: "all" | "one" | "users" | "logout" }>;

/** Somebody's chat in the terminal. */
class Terminal {
  readonly #dialer: Dialer;
  /** The exit code, when the chat is over. */
  readonly #end = Promise.withResolvers<number>();
  readonly #screen = new Screen(() => this.#end.resolve(0));
  #name: string | undefined;
  /** Connected and registered; `undefined` while a lost connection is being replaced. */
  #client: Client | undefined;
  /** The next client that is registered. */
  #ready = Promise.withResolvers<Client>();
  /** What ends now ends by our own will. */
  #leaving = false;

  constructor(target: SocketAddress, name: string | undefined) {
    this.#dialer = new Dialer(target);
    this.#name = name;
  }

  /** Chats until the person leaves. The exit code: 0, or 1 where the server can't be had. */
  async run(): Promise<number> {
    this.#converse().then(this.#end.resolve, this.#end.reject);
    try {
      const code = await this.#end.promise;
      this.#screen.close();
      return code;
    } catch (error) {
      this.#screen.close();
      console.error(printable(messageOf(error)));
      return 1;
    }
  }

  async #converse(): Promise<number> {
    const client = await this.#begin();
    this.#listen(client).catch(this.#end.reject);
    for (;;) {
      const line = await this.#screen.line();
      if (line === undefined) break;
      const action = parseLine(line);
      if (action.kind === "quit") return 0;
      const done = this.#perform(action, line);
      // Somebody at a terminal may go on, and leave, while the server says nothing.
      if (!this.#screen.isTerminal || action.kind === "logout") await done;
      if (this.#leaving) return 0;
    }
    if (!this.#screen.isTerminal) await this.#lastMail();
    return 0;
  }

  /** Connects under a name, and asks for another as long as it is refused. */
  async #begin(): Promise<Client> {
    for (;;) {
      this.#name ??= await this.#askName();
      try {
        return await this.#enter(this.#name);
      } catch (error) {
        if (!(error instanceof RefusedError && this.#screen.isTerminal)) throw error;
        this.#complain(error.message);
        this.#name = undefined;
      }
    }
  }

  async #askName(): Promise<string> {
    if (!this.#screen.isTerminal) throw new Error("Say who you are: client NAME");
    // Without a server there is no use in asking.
    await this.#dialer.connect();
    for (;;) {
      this.#screen.print("Your name?");
      const line = await this.#screen.line();
      if (line === undefined || parseLine(line).kind === "quit") throw new Error("No name given");
      if (line.trim() !== "") return line.trim();
    }
  }

  /** Connects and registers. Throws {@link RefusedError} where the name is refused. */
  async #enter(name: string): Promise<Client> {
    const client = await this.#dialer.connect();
    const long = tooLong("name", name, this.#dialer.limits.name);
    if (long !== undefined) throw new RefusedError(long);
    const result = await this.#dialer.replyWithin(SILENCE_MS, client.register(name));
    if (!result.ok) {
      // The server's text would show the port of this connection, another with every try.
      const isStrict = result.code === "address-used";
      throw new RefusedError(
        isStrict ? "The server knows your address under another name: use that one" : result.text,
      );
    }
    this.#screen.note(`${printable(result.text)}. /help tells what you can type.`);
    this.#client = client;
    this.#ready.resolve(client);
    return client;
  }

  /** Shows mail as it comes, and comes back after a loss. */
  async #listen(client: Client): Promise<void> {
    while (!this.#leaving) {
      try {
        await this.#showNext(client);
      } catch (error) {
        if (this.#leaving) return;
        this.#lose(client);
        this.#complain(`${sentence(messageOf(error))} Connecting again ...`);
        client = await this.#comeBack();
      }
    }
  }

  async #showNext(client: Client): Promise<void> {
    const result = this.#dialer.hasWait
      ? await this.#dialer.replyWithin(1000 * WAIT_S + SILENCE_MS, client.wait(WAIT_S))
      : await this.#dialer.replyWithin(SILENCE_MS, client.receive());
    if (!result.ok && result.code === "not-registered") throw new Error("Your name was removed");
    if (!result.ok) throw new Error(result.text);
    this.#show(result.mail);
    if (!this.#dialer.hasWait) await sleep(POLL_MS);
  }

  /** Tries until it is registered again; gives up only where nobody can stop it. */
  async #comeBack(): Promise<Client> {
    const started = performance.now();
    let said = "";
    for (let ms = RECONNECT_MS;; ms = Math.min(2 * ms, RECONNECT_MS_MAX)) {
      await sleep(ms);
      try {
        return await this.#enter(this.#name!);
      } catch (error) {
        const isOver = performance.now() - started > SCRIPT_RECONNECT_MS;
        if (isOver && !this.#screen.isTerminal) throw error;
        const why = messageOf(error);
        if (why !== said) this.#complain(`${sentence(why)} Trying again ...`);
        said = why;
      }
    }
  }

  /** The client was lost, and a new one is to come. */
  #lose(client: Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#ready = Promise.withResolvers();
  }

  /** Does what a line says. */
  async #perform(action: Exclude<Action, { kind: "quit" }>, line: string): Promise<void> {
    if (action.kind === "nothing") return;
    if (action.kind === "help") return this.#screen.print(HELP);
    if (action.kind === "wrong") return this.#complain(action.why);
    const long = this.#tooLong(action);
    if (long !== undefined) return this.#complain(long);
    // A script waits for the connection to come back. A person is told, and decides.
    const client = this.#screen.isTerminal ? this.#client : await this.#ready.promise;
    if (client === undefined) return this.#complain(`Not connected, so this was not sent: ${line}`);
    try {
      await this.#carryOut(action, client);
    } catch (error) {
      if (!(error instanceof DisconnectedError)) throw error;
      this.#lose(client);
      this.#complain(`The connection was lost: this may not have arrived: ${line}`);
    }
  }

  #tooLong(action: ServerAction): string | undefined {
    return ("to" in action ? tooLong("name", action.to, this.#dialer.limits.name) : undefined) ??
      ("text" in action ? tooLong("text", action.text, this.#dialer.limits.text) : undefined);
  }

  async #carryOut(action: ServerAction, client: Client): Promise<void> {
    switch (action.kind) {
      case "users": {
        const result = await client.users();
        if (!result.ok) return this.#complain(result.text);
        const names = result.users.map((name) => this.#screen.name(name)).join(", ");
        return this.#screen.print(`${result.users.length} here: ${names}`);
      }
      case "all": {
        const result = await client.sendall(action.text);
        if (result.ok && result.full > 0) this.#complain(result.text);
        return this.#complainOf(result);
      }
      case "one":
        return this.#complainOf(await client.send(action.to, action.text));
      case "logout":
        this.#leaving = true;
        return this.#complainOf(await client.logout());
    }
  }

  /** A script has no more lines: what has come for it by now is shown. */
  async #lastMail(): Promise<void> {
    const client = await this.#ready.promise;
    this.#leaving = true;
    const result = await this.#dialer.replyWithin(SILENCE_MS, client.receive());
    if (result.ok) this.#show(result.mail);
  }

  #show(mail: readonly Mail[]): void {
    for (const { from, text } of mail) {
      this.#screen.print(`${this.#screen.name(from)}: ${printable(text)}`);
    }
  }

  #complainOf(result: Result<object>): void {
    if (!result.ok) this.#complain(result.text);
  }

  #complain(text: string): void {
    this.#screen.note(`! ${printable(text)}`);
  }
}

/** Chats in the terminal until the person leaves. The exit code. */
export async function client(args: string[]): Promise<number> {
  const { options, positionals: [name, ...more] } = parseFlags(CLIENT_FLAGS, args);
  if (options.help) return print(CLIENT_HELP);
  if (more.length > 0) throw new UsageError(`Unexpected "${more[0]}": client takes one name`);
  return await new Terminal(parseHostPort(options.connect), name).run();
}
