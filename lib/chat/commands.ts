/** What every command does, in both modes. Pure. */
import {
  type Command,
  commandHelp,
  type CommandName,
  WAIT_SECONDS_MAX,
} from "../protocol/command.ts";
import type { Settings } from "./settings.ts";
import * as mailbox from "./mailboxes.ts";
import { hasMoreSymbols } from "../text/symbols.ts";
import type { Reply } from "../protocol/reply.ts";
import { type ChatState, removeUser, showMail, type Step, takeShown, withUsers } from "./state.ts";
import * as users from "./users.ts";
import type { Actor, User } from "./users.ts";

/** The reply that is made most. */
const SENT: Reply = { code: "sent" };

/** Who acts, and when. */
type ActorNow = Actor & { readonly at: number };

/** The state after a command, and the reply to it. */
export function applyCommand(state: ChatState, actor: Actor, at: number, command: Command): Step {
  switch (command.name) {
    case "register":
      return register(state, { ...actor, at }, command.user);
    case "users":
      return { state, reply: { code: "users", users: state.users.byId } };
    case "send":
      return send(state, actor, command.to, command.text);
    case "sendall":
      return sendAll(state, actor, command.text);
    case "receive":
      return receive(state, actor);
    case "wait":
      return wait(state, actor);
    case "ping":
      return { state, reply: { code: "pong" } };
    case "help":
      return { state, reply: { code: "help", text: helpText(state.settings) } };
    case "logout":
      return logout(state, actor);
  }
}

/**
 * What strict mode does after a reply, as the original does: the connection stays open, is closed
 * behind the reply, or is closed without one.
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

function register(state: ChatState, actor: ActorNow, name: string): Step {
  const { settings } = state;
  if (name === "") return refuse(state, { code: "name-empty" });
  if (hasMoreSymbols(name, settings.nameSymbolsMax)) {
    return refuse(state, { code: "name-too-long" });
  }
  const user = state.users.byName.get(name);
  if (user !== undefined) return comeBack(state, actor, user);
  const neighbours = users.atAddress(state.users, actor.address).size;
  if (settings.strict && neighbours > 0) {
    return refuse(state, { code: "address-used", peer: actor.peer });
  }
  if (state.users.byId.size >= settings.usersMax) return refuse(state, { code: "server-full" });
  if (!settings.strict && neighbours >= settings.usersPerAddressMax) {
    return refuse(state, { code: "address-full" });
  }
  const added = { name, id: state.users.nextId, address: actor.address };
  const grown = {
    ...state,
    users: users.addUser(state.users, added, actor.at),
    mailboxes: mailbox.openMailbox(state.mailboxes, added.id),
  };
  return { state: hold(grown, actor, added), reply: { code: "welcome", user: name } };
}

/** `register` of a name that there is. */
function comeBack(state: ChatState, actor: ActorNow, user: User): Step {
  const { name, id, address } = user;
  if (address !== actor.address) return refuse(state, { code: "name-taken", user: name });
  const { session } = state.users.presence.get(id)!;
  if (session !== undefined && session !== actor.session) {
    return refuse(state, { code: "name-taken", user: name }, session);
  }
  return { state: hold(state, actor, user), reply: { code: "welcome-back", user: name } };
}

/** In strict mode nobody holds a name. */
function hold(state: ChatState, { session, at }: ActorNow, user: User): ChatState {
  return state.settings.strict
    ? state
    : withUsers(state, users.hold(state.users, session, user, at));
}

function logout(state: ChatState, actor: Actor): Step {
  const { user, blockedBy } = identify(state, actor);
  const reply = { code: "logged-out" } as const;
  const removed = user === undefined ? state : removeUser(state, user);
  if (state.settings.strict) return { state: removed, reply, blockedBy };
  const next = withUsers(removed, users.makeNobody(removed.users, actor.session));
  return { state: next, reply, blockedBy };
}

function send(state: ChatState, actor: Actor, to: string, text: string): Step {
  const { settings, mailboxes } = state;
  if (hasMoreSymbols(text, settings.textSymbolsMax)) return tooLong(state);
  const { user, blockedBy } = identify(state, actor);
  if (user === undefined) return refuse(state, { code: "not-registered" }, blockedBy);
  const receiver = state.users.byName.get(to);
  if (receiver === undefined) return refuse(state, { code: "no-such-user", user: to });
  const { id } = receiver;
  if (mailbox.isFull(mailboxes, id)) return refuse(state, { code: "mailbox-full", user: to });
  if (mailboxes.waiting >= settings.messagesMax) return refuse(state, { code: "server-full" });
  return {
    state: { ...state, mailboxes: mailbox.deliver(mailboxes, id, { from: user.name, text }) },
    reply: SENT,
  };
}

function sendAll(state: ChatState, actor: Actor, text: string): Step {
  const { settings, mailboxes } = state;
  if (hasMoreSymbols(text, settings.textSymbolsMax)) return tooLong(state);
  const { user, blockedBy } = identify(state, actor);
  if (user === undefined) return refuse(state, { code: "not-registered" }, blockedBy);
  const { reached, full } = mailbox.reach(mailboxes, user.id);
  if (mailboxes.waiting + reached > settings.messagesMax) {
    return refuse(state, { code: "server-full" });
  }
  const reply: Reply = full === 0 ? SENT : { code: "sent-in-part", full };
  if (reached === 0) return { state, reply };
  return {
    state: {
      ...state,
      mailboxes: mailbox.broadcast(mailboxes, user.id, { from: user.name, text }),
    },
    reply,
  };
}

function receive(state: ChatState, actor: Actor): Step {
  const { user, blockedBy } = identify(state, actor);
  if (user === undefined) return refuse(state, { code: "not-registered" }, blockedBy);
  const reply = showMail(state, user);
  return { state: takeShown(state, reply.shown), reply };
}

/** As `receive`, but the mail stays until a `take`. */
function wait(state: ChatState, actor: Actor): Step {
  const { user, blockedBy } = identify(state, actor);
  if (user === undefined) return refuse(state, { code: "not-registered" }, blockedBy);
  return { state, reply: showMail(state, user) };
}

function identify(state: ChatState, actor: Actor): users.Identity {
  return users.identify(state.users, actor);
}

function refuse(state: ChatState, reply: Reply, blockedBy?: users.SessionId): Step {
  return { state, reply, blockedBy };
}

function tooLong(state: ChatState): Step {
  return refuse(state, { code: "text-too-long", max: state.settings.textSymbolsMax });
}

/** The text of `help`: every command, its arguments, and the limits. */
function helpText(settings: Settings): string {
  return [
    "Every string is a frame: a 4-byte little-endian length in bytes, then that many bytes of UTF-8.",
    "A command is a frame, followed by a frame for each argument.",
    ...commandHelp(settings.strict).map(({ call, does }) => call.padEnd(24) + does),
    `name: 1 to ${settings.nameSymbolsMax} symbols`,
    `text: 0 to ${settings.textSymbolsMax} symbols`,
    `seconds: 0 to ${WAIT_SECONDS_MAX}, a fraction is allowed`,
    `mailbox: ${settings.mailboxMessagesMax} messages`,
  ].join("\n");
}
