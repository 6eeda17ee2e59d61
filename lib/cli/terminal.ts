/** `client`: the chat in the terminal, for a person or a script. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, DisconnectedError, type Result } from "../client/client.ts";
import { Dialer, SILENCE_MS } from "../client/dialer.ts";
import { ExitError, messageOf, UsageError } from "../errors.ts";
import { HELP_FLAG, parseFlags, parseHostPort, printHelp, text } from "../flags.ts";
import type { Mail } from "../protocol/reply.ts";
import { type Action, parseLine } from "../text/input_line.ts";
import { counted, sentence } from "../text/phrases.ts";
import { printable, printableName } from "../text/printable.ts";
import { tooLong } from "../text/symbols.ts";
import { Screen } from "./screen.ts";

const FLAGS = { connect: text("HOST:PORT", "the server", "127.0.0.1:31337"), ...HELP_FLAG };
const ABOUT = "Chat in the terminal: main.ts client [name] [flags]";

/** The answer to `/help`. */
const HELP = `Type a line and it goes to all users.
@Bob hi      to one user; @"A b" hi for a name with blanks
//hi         a line that begins with a slash (@@ with an at sign)
/users       the registered users
/logout      leave for good: your name and mail are removed
/quit        leave; your name stays, and mail waits for you
/help        this text`;

/** A `wait` takes at most this long (s); the next one follows at once. */
const WAIT_S = 30;
/** A strict server has no `wait`: the client asks for mail at this interval (ms). */
const POLL_MS = 1_000;
/** The first pause before a new try to connect (ms). Each further pause is twice as long. */
const BACK_OFF_MS = 250;
const BACK_OFF_MS_MAX = 5_000;
/** A script gives up this long after it lost the server (ms); a person may wait longer. */
const SCRIPT_RECONNECT_MS_MAX = 30_000;

/** The server refuses the name. */
class RefusedError extends Error {}

/** An action that sends a command. */
type ServerAction = Extract<Action, { kind: "all" | "one" | "users" | "logout" }>;

/** The chat of one user. */
class Terminal {
  readonly #dialer: Dialer;
  /** Resolves when the chat is over. */
  readonly #end = Promise.withResolvers<void>();
  readonly #screen = new Screen(this.#end.resolve);
  #name: string | undefined;
  /** The registered client; `undefined` while it has no connection. */
  #client: Client | undefined;
  /** Resolves to the registered client, when there is one. */
  #ready = Promise.withResolvers<Client>();
  #lineCount = 0;
  #refusedCount = 0;
  /** The user leaves: the end of the connection is no loss. */
  #isLeaving = false;

  constructor(dialer: Dialer, name: string | undefined) {
    this.#dialer = dialer;
    this.#name = name;
  }

  /** Chats until the user leaves. Throws {@link ExitError}. */
  async chat(): Promise<void> {
    this.#performLines().then(this.#end.resolve, this.#end.reject);
    try {
      await this.#end.promise;
    } catch (error) {
      throw new ExitError(printable(messageOf(error)));
    } finally {
      this.#screen.close();
    }
  }

  async #performLines(): Promise<void> {
    const client = await this.#join();
    // The commands of a script would take the mail that waited before it is printed.
    if (!this.#screen.isTerminal) await this.#showFirst(client);
    this.#showMail(client).catch(this.#end.reject);
    while (!this.#isLeaving) {
      const line = await this.#screen.readLine();
      if (line === undefined) break;
      this.#lineCount++;
      const { text, wrong } = line;
      const action: Action = wrong === undefined
        ? parseLine(text)
        : { kind: "wrong", why: `${wrong}. It was not sent` };
      const done = this.#perform(action, text);
      // A person may type the next line, or leave, while the server does not answer.
      if (!this.#screen.isTerminal || action.kind === "logout") await done;
    }
    if (this.#screen.isTerminal) return;
    if (!this.#isLeaving) await this.#showLastMail();
    if (this.#refusedCount > 0) throw new Error(`${counted(this.#refusedCount, "line")} refused`);
  }

  /** Connects and registers. Where the server refuses the name, asks the user for another one. */
  async #join(): Promise<Client> {
    for (;;) {
      this.#name ??= await this.#askName();
      try {
        return await this.#connect(this.#name);
      } catch (error) {
        if (!(error instanceof RefusedError && this.#screen.isTerminal)) throw error;
        this.#warn(error.message);
        this.#name = undefined;
      }
    }
  }

  async #askName(): Promise<string> {
    if (!this.#screen.isTerminal) throw new Error("Say who you are: client NAME");
    // Throws where there is no server: then the name is not asked for.
    await this.#dialer.connect();
    for (;;) {
      this.#screen.print("Your name?");
      const line = await this.#screen.readLine();
      const action = parseLine(line?.text ?? "/quit");
      if (action.kind === "quit") throw new Error("No name given");
      if (action.kind !== "nothing") return line!.text.trim();
    }
  }

  /** Connects and registers. Throws {@link RefusedError} where the server refuses the name. */
  async #connect(name: string): Promise<Client> {
    const client = await this.#dialer.connect();
    const long = tooLong("name", name, this.#dialer.limits.name);
    if (long !== undefined) throw new RefusedError(long);
    const result = await this.#dialer.replyWithin(SILENCE_MS, client.register(name));
    if (!result.ok) {
      // Then the server's text names the port of this connection, which is another one at each try.
      if (result.code !== "address-used") throw new RefusedError(result.text);
      throw new RefusedError("The server knows your address under another name: use that one");
    }
    this.#screen.printNote(`${printableName(result.text)}. /help tells what you can type.`);
    this.#client = client;
    this.#ready.resolve(client);
    return client;
  }

  /** Shows the mail that waited. Where the connection is lost, {@link #showMail} connects again. */
  async #showFirst(client: Client): Promise<void> {
    try {
      await this.#showNext(client, 0);
    } catch (error) {
      if (error instanceof ExitError) throw error;
    }
  }

  /** Shows mail as it arrives, and reconnects when the connection is lost. */
  async #showMail(client: Client): Promise<void> {
    while (!this.#isLeaving) {
      try {
        await this.#showNext(client);
        if (!this.#dialer.hasWait) await sleep(POLL_MS);
      } catch (error) {
        if (error instanceof ExitError) throw error;
        if (this.#isLeaving) return;
        this.#forgetClient(client);
        this.#warn(`${sentence(messageOf(error))} Connecting again ...`);
        client = await this.#reconnect();
      }
    }
  }

  async #showNext(client: Client, seconds = WAIT_S): Promise<void> {
    const { hasWait } = this.#dialer;
    const result = hasWait
      ? await this.#dialer.replyWithin(1000 * seconds + SILENCE_MS, client.wait(seconds))
      : await this.#dialer.replyWithin(SILENCE_MS, client.receive());
    if (!result.ok && result.code === "not-registered") throw new Error("Your name was removed");
    if (!result.ok) throw new Error(result.text);
    this.#printMail(result.mail);
  }

  /** Tries until the user is registered again. Only a script gives up, and throws. */
  async #reconnect(): Promise<Client> {
    const started = performance.now();
    let printed = "";
    for (let ms = BACK_OFF_MS;; ms = Math.min(2 * ms, BACK_OFF_MS_MAX)) {
      await sleep(ms);
      try {
        return await this.#connect(this.#name!);
      } catch (error) {
        const isLate = performance.now() - started > SCRIPT_RECONNECT_MS_MAX;
        if (isLate && !this.#screen.isTerminal) throw error;
        const why = messageOf(error);
        if (why !== printed) this.#warn(`${sentence(why)} Trying again ...`);
        printed = why;
      }
    }
  }

  /** Forgets a client whose connection is lost. */
  #forgetClient(client: Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#ready = Promise.withResolvers();
  }

  async #perform(action: Action, line: string): Promise<void> {
    if (action.kind === "nothing") return;
    if (action.kind === "quit") {
      this.#isLeaving = true;
      return;
    }
    if (action.kind === "help") return this.#screen.print(HELP);
    if (action.kind === "wrong") return this.#refuse(action.why);
    const { limits } = this.#dialer;
    const long = ("to" in action ? tooLong("name", action.to, limits.name) : undefined) ??
      ("text" in action ? tooLong("text", action.text, limits.text) : undefined);
    if (long !== undefined) return this.#refuse(long);
    // A script waits until the client is connected again. A person is told that it is not.
    const client = this.#screen.isTerminal ? this.#client : await this.#ready.promise;
    if (client === undefined) return this.#warn(`Not connected, so this was not sent: ${line}`);
    try {
      const result = await this.#request(action, client);
      if (!result.ok) this.#refuse(printableName(result.text));
    } catch (error) {
      if (!(error instanceof DisconnectedError)) throw error;
      this.#forgetClient(client);
      this.#warn(`The connection was lost: this may not have arrived: ${line}`);
    }
  }

  /** Sends the command of an action. Resolves to its result, of which a success is shown already. */
  async #request(action: ServerAction, client: Client): Promise<Result<object>> {
    switch (action.kind) {
      case "users": {
        const result = await client.users();
        if (!result.ok) return result;
        const names = result.users.map((name) => this.#screen.colouredName(name)).join(", ");
        this.#screen.print(`${result.users.length} here: ${names}`);
        return result;
      }
      case "all": {
        const result = await client.sendall(action.text);
        if (result.ok && result.full > 0) this.#warn(result.text);
        return result;
      }
      case "one":
        return await client.send(action.to, action.text);
      case "logout":
        this.#isLeaving = true;
        return await client.logout();
    }
  }

  /** Shows the mail that is there at the end of a script. It is taken when it is printed. */
  async #showLastMail(): Promise<void> {
    const client = await this.#ready.promise;
    const { hasWait } = this.#dialer;
    this.#isLeaving = true;
    const mail = hasWait ? client.wait(0) : client.receive();
    const result = await this.#dialer.replyWithin(SILENCE_MS, mail);
    if (result.ok) this.#printMail(result.mail);
    if (hasWait) await this.#dialer.replyWithin(SILENCE_MS, client.ping());
  }

  #printMail(mail: readonly Mail[]): void {
    for (const { from, text } of mail) {
      this.#screen.print(`${this.#screen.colouredName(from)}: ${printable(text)}`);
    }
  }

  /** Says that a line was not sent, or its command was refused. A script ends with an error then. */
  #refuse(why: string): void {
    this.#refusedCount++;
    this.#warn(this.#screen.isTerminal ? why : `Line ${this.#lineCount}: ${why}`);
  }

  #warn(text: string): void {
    this.#screen.printNote(`! ${printable(text)}`);
  }
}

/** Chats in the terminal until the user leaves. Throws {@link ExitError}. */
export async function client(args: string[]): Promise<void> {
  const { options, positionals: [name, ...more] } = parseFlags(FLAGS, args);
  if (options.help) return printHelp(ABOUT, FLAGS);
  if (more.length > 0) throw new UsageError(`Unexpected "${more[0]}": client takes one name`);
  await new Terminal(new Dialer(parseHostPort(options.connect)), name).chat();
}
