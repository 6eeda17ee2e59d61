/**
 * What can be said of a command by its arguments and the limits alone: which reply refuses it, and
 * whether strict mode ends the connection then. Pure.
 */
import { hasMoreSymbols } from "../text/symbols.ts";
import type { Command, CommandName } from "./command.ts";
import type { Reply, TextReply } from "./reply.ts";

/** The limits of names and texts, in symbols. */
export interface SymbolLimits {
  readonly nameSymbolsMax: number;
  readonly textSymbolsMax: number;
}

/** The refusal of a name; `undefined` if it may be registered. */
export function refusedName(name: string, { nameSymbolsMax }: SymbolLimits): TextReply | undefined {
  if (name === "") return { code: "name-empty" };
  return hasMoreSymbols(name, nameSymbolsMax) ? { code: "name-too-long" } : undefined;
}

/** The refusal of the text of a mail; `undefined` if it may be sent. */
export function refusedText(text: string, { textSymbolsMax }: SymbolLimits): TextReply | undefined {
  return hasMoreSymbols(text, textSymbolsMax)
    ? { code: "text-too-long", max: textSymbolsMax }
    : undefined;
}

/** The refusal of a command; `undefined` if its arguments are within the limits. */
export function refusedByLimits(command: Command, limits: SymbolLimits): TextReply | undefined {
  if (command.name === "register") return refusedName(command.user, limits);
  return "text" in command ? refusedText(command.text, limits) : undefined;
}

/** The commands that only a registered user may give. */
const NEEDS_USER: ReadonlySet<CommandName> = new Set(["send", "sendall", "receive", "wait"]);

/**
 * The refusal of a command to a connection that has logged out and not registered again; `undefined` if
 * it needs no user. In strict mode another connection may have registered for this one.
 */
export function refusedToNobody({ name }: Command): TextReply | undefined {
  return NEEDS_USER.has(name) ? { code: "not-registered" } : undefined;
}

/**
 * What strict mode does after a command, as the original server does: `open` sends the reply and
 * keeps the connection, `close` sends the reply and closes it, `silent` closes it without a reply.
 */
export function strictEnding(
  command: CommandName | undefined,
  { code }: Reply,
): "open" | "close" | "silent" {
  if (code === "receiver-undecodable" || code === "text-undecodable") return "silent";
  const refusedRegister = command === "register" && code !== "welcome" && code !== "welcome-back";
  const refusedSend = command === "send" && code === "not-registered";
  return refusedRegister || refusedSend || code === "text-too-long" ? "close" : "open";
}
