/** What the log says of one connection, and the counters of its replies. */
import { type Item, nameOf } from "../chat/batch.ts";
import { identify } from "../chat/users.ts";
import type { Engine } from "../engine/engine.ts";
import type { Session } from "../engine/session.ts";
import type { Fields, Log } from "../log.ts";
import type { Meter } from "../meter.ts";
import type { ServerOptions } from "../options.ts";
import { commandNames } from "../protocol/command.ts";
import { isRefusal, type Reply, replyText, type TextReply } from "../protocol/reply.ts";
import { likeNames, oddityBetween, oddityOf } from "../text/odd_name.ts";
import { hasMoreSymbols } from "../text/symbols.ts";

/** The parts of a server that the log of a connection needs. */
export interface ConnectionLogContext {
  readonly engine: Engine;
  readonly log: Log;
  readonly meter: Meter | undefined;
  readonly options: ServerOptions;
}

/** Logs the events of one connection, with the user as whom it acts. */
export class ConnectionLog {
  readonly #session: Session;
  readonly #context: ConnectionLogContext;
  /**
   * The name that the connection has registered; `null` since it lost that name or logged out, and
   * `undefined` where only the state tells as whom it acts.
   */
  #name: string | null | undefined;

  constructor(session: Session, context: ConnectionLogContext) {
    this.#session = session;
    this.#context = context;
  }

  connected(): void {
    this.#event("connected", () => ({}));
  }

  /** `sums` are the commands and bytes of the connection. */
  disconnected(reason: string, sums: Fields): void {
    this.#event("disconnected", () => ({ user: this.#user, reason, ...sums }));
  }

  /** Logs a refusal, a mistake or a new name, in its place among the replies, and counts the reply. */
  answered(item: Item, reply: Reply | undefined): void {
    const { meter, options } = this.#context;
    if (item.kind === "mistake") {
      const { mistake: { code }, explanation } = item;
      meter?.mistaken(code);
      return this.#refused(code, () => ({ explanation }));
    }
    const command = nameOf(item);
    if (command === undefined || reply === undefined) return;
    meter?.replied(command, reply.code);
    if (reply.code === "welcome" || reply.code === "welcome-back") this.#registered(reply);
    const isRefused = isRefusal(reply);
    if (isRefused) {
      this.#refused(reply.code, () => ({ command, ...this.#aboutRefusal(item, reply) }));
    } else if (options.logCommands) this.#command(item, command, reply);
    const hasLostName = reply.code === "not-registered" && this.#name !== undefined;
    // In strict mode another connection may register a user for the address, and this one acts as it.
    if (reply.code === "logged-out" || hasLostName) this.#name = options.strict ? undefined : null;
  }

  #registered({ code, user = "" }: TextReply): void {
    this.#name = user;
    const event = code === "welcome" ? "registered" : "came-back";
    this.#event(event, () => ({ user, odd: this.#oddityOf(user) }));
  }

  /** The name of the user as whom the connection acts. */
  get #user(): string | undefined {
    const { engine } = this.#context;
    if (this.#name !== undefined) return this.#name ?? undefined;
    return identify(engine.published.users, this.#session.actor).user?.name;
  }

  #oddityOf(name: string): string | undefined {
    return oddityOf(name, commandNames(this.#context.options.strict));
  }

  /** The fields of a refusal beside its reason. */
  #aboutRefusal(item: Item, reply: TextReply): Fields {
    const { engine, options } = this.#context;
    // A receiver that is too long for a name may be the text of a message, which is never logged.
    if (hasMoreSymbols(reply.user ?? "", options.nameSymbolsMax)) return {};
    const text = replyText(reply);
    // The rest of the chunk may have registered a user, so the state does not tell who it was.
    if (reply.code === "not-registered") return { user: undefined, reply: text };
    if (reply.code === "name-taken") return { reply: text, ...engine.holderOf(reply.user!) };
    if (reply.code === "no-such-user") {
      const { byName } = engine.published.users;
      const nearest = likeNames(reply.user!).find((name) => byName.get(name) !== undefined);
      const odd = oddityBetween(nearest ?? reply.user!, reply.user!, commandNames(options.strict));
      return { reply: text, nearest, odd };
    }
    const isRegister = item.kind === "command" && item.command.name === "register";
    return { reply: text, odd: isRegister ? this.#oddityOf(item.command.user) : undefined };
  }

  /** Logs a command that was carried out, without the text of a mail. */
  #command(item: Item, command: string, reply: Reply): void {
    const to = item.kind === "command" && item.command.name === "send"
      ? item.command.to
      : undefined;
    const count = reply.code === "mail"
      ? reply.count
      : reply.code === "users"
      ? reply.users.size
      : undefined;
    this.#context.log.command(() => ({
      ...this.#fields,
      user: reply.code === "logged-out" ? reply.user : this.#user,
      command,
      to,
      count,
    }));
  }

  get #fields(): Fields {
    const { session: { count: connection }, peer } = this.#session.actor;
    return { connection, peer };
  }

  /** `fields` is called if there is a line. */
  #event(name: string, fields: () => Fields): void {
    this.#context.log.clientEvent(this.#session.actor.address, name, this.#fields, fields);
  }

  #refused(reason: string, fields: () => Fields): void {
    const more = () => ({ user: this.#user, ...fields() });
    this.#context.log.refused(this.#session.actor.address, reason, this.#fields, more);
  }
}
