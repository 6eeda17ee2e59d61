/**
 * What each command does to the state, in both modes, with every check and its reply. The table of
 * names and arguments is in `protocol/command`.
 */
import { type Command, commandHelp, WAIT_SECONDS_MAX } from "../protocol/command.ts";
import { shareNetwork } from "../protocol/ip.ts";
import { mailShare, type Settings, usersShare } from "./settings.ts";
import { shareOf } from "./shares.ts";
import * as boxes from "./mailboxes.ts";
import { refusedName, refusedText } from "../protocol/refusals.ts";
import type { Reply } from "../protocol/reply.ts";
import {
  type ChatState,
  type CommandStep,
  removeUser,
  showMail,
  takeShown,
  withUsers,
} from "./state.ts";
import * as users from "./users.ts";
import type { Actor, User } from "./users.ts";

/** One object for all, as it is the most frequent reply. */
const SENT: Reply = { code: "sent" };

/** Steps a command of an actor at a time (ms since 1970). */
export function applyCommand(
  state: ChatState,
  actor: Actor,
  at: number,
  command: Command,
): CommandStep {
  switch (command.name) {
    case "register":
      return register(state, actor, at, command.user);
    case "users":
      return { state, reply: { code: "users", users: state.users.byId } };
    case "send":
      return send(state, actor, command.to, command.text);
    case "sendall":
      return sendAll(state, actor, command.text);
    case "receive":
      return showOwnMail(state, actor, true);
    case "wait":
      // The mail stays in the mailbox until a `take` entry.
      return showOwnMail(state, actor, false);
    case "ping":
      return { state, reply: { code: "pong" } };
    case "help": {
      const { settings } = state;
      return { state, reply: { code: "help", text: () => helpText(settings) } };
    }
    case "logout":
      return logout(state, actor);
  }
}

function register(state: ChatState, actor: Actor, at: number, name: string): CommandStep {
  const { settings } = state;
  const wrong = refusedName(name, settings);
  if (wrong !== undefined) return refuse(state, wrong);
  const user = state.users.byName.get(name);
  if (user !== undefined) return registerAgain(state, actor, at, user);
  const { address } = actor;
  if (settings.strict && users.atAddress(state.users, address).size > 0) {
    return refuse(state, { code: "address-used", peer: actor.peer });
  }
  if (state.users.byId.size >= settings.usersMax) return refuse(state, { code: "server-full" });
  const network = shareNetwork(address);
  const neighbours = shareOf(state.mailboxes.shares, network)?.users ?? 0;
  if (!settings.strict && neighbours >= usersShare(settings)) {
    return refuse(state, { code: "address-full" });
  }
  const { mailboxes, source } = boxes.withSource(state.mailboxes, network);
  const added = { name, id: state.users.nextId, address, source };
  const grown = {
    ...state,
    users: users.addUser(state.users, added, { session: undefined, freeSince: at }),
    mailboxes: boxes.openMailbox(mailboxes, added.id, source),
  };
  return { state: holdName(grown, actor, at, added), reply: { code: "welcome", user: name } };
}

/** `register` with the name of a user who is registered already. */
function registerAgain(state: ChatState, actor: Actor, at: number, user: User): CommandStep {
  const { name, id, address } = user;
  if (address !== actor.address) return refuse(state, { code: "name-taken", user: name });
  const { session } = state.users.presence.get(id)!;
  if (session !== undefined && !users.isSameSession(session, actor.session)) {
    return refuse(state, { code: "name-taken", user: name }, session);
  }
  return { state: holdName(state, actor, at, user), reply: { code: "welcome-back", user: name } };
}

/** In strict mode sessions hold no names. */
function holdName(state: ChatState, { session }: Actor, at: number, user: User): ChatState {
  if (state.settings.strict) return state;
  return withUsers(state, users.holdName(state.users, session, user, at));
}

function send(state: ChatState, actor: Actor, to: string, text: string): CommandStep {
  const { settings, mailboxes } = state;
  const wrong = refusedText(text, settings);
  if (wrong !== undefined) return refuse(state, wrong);
  const { user, blockedBy } = users.identify(state.users, actor);
  if (user === undefined) return notRegistered(state, blockedBy);
  const receiver = state.users.byName.get(to);
  if (receiver === undefined) return refuse(state, { code: "no-such-user", user: to });
  const { id } = receiver;
  if (boxes.isFull(mailboxes, id)) return refuse(state, { code: "mailbox-full", user: to });
  const refusal = checkMailLimits(state, user);
  if (refusal !== undefined) return refuse(state, refusal);
  const next = boxes.deliver(mailboxes, id, { from: user.name, text, source: user.source });
  return { state: { ...state, mailboxes: next }, reply: SENT };
}

function sendAll(state: ChatState, actor: Actor, text: string): CommandStep {
  const { settings, mailboxes } = state;
  const wrong = refusedText(text, settings);
  if (wrong !== undefined) return refuse(state, wrong);
  const { user, blockedBy } = users.identify(state.users, actor);
  if (user === undefined) return notRegistered(state, blockedBy);
  const { reached, missed } = boxes.reach(mailboxes, user.id);
  const reply: Reply = missed === 0 ? SENT : { code: "sent-in-part", full: missed };
  if (reached === 0) return { state, reply };
  const refusal = checkMailLimits(state, user);
  if (refusal !== undefined) return refuse(state, refusal);
  const { name: from, source } = user;
  const next = boxes.broadcast(mailboxes, user.id, { from, text, source });
  return { state: { ...state, mailboxes: next }, reply };
}

/** Why the chat has no room for one more message of this user; `undefined` if it has. */
function checkMailLimits({ settings, mailboxes }: ChatState, { source }: User): Reply | undefined {
  const { mail } = mailboxes.shares.byId.get(source.id)!;
  if (mail >= mailShare(settings)) return { code: "address-mail-full" };
  return mailboxes.waiting >= settings.messagesMax ? { code: "server-full" } : undefined;
}

function showOwnMail(state: ChatState, actor: Actor, takes: boolean): CommandStep {
  const { user, blockedBy } = users.identify(state.users, actor);
  if (user === undefined) return notRegistered(state, blockedBy);
  const reply = showMail(state, user);
  return { state: takes ? takeShown(state, reply.shown) : state, reply };
}

function logout(state: ChatState, actor: Actor): CommandStep {
  const { user, blockedBy } = users.identify(state.users, actor);
  // The log names the user, whom nothing else knows any more.
  const reply: Reply = { code: "logged-out", ...user && { user: user.name } };
  const removed = user === undefined ? state : removeUser(state, user);
  if (state.settings.strict) return { state: removed, reply, blockedBy };
  const next = withUsers(removed, users.logOut(removed.users, actor.session));
  return { state: next, reply, blockedBy };
}

function refuse(state: ChatState, reply: Reply, blockedBy?: users.SessionId): CommandStep {
  return { state, reply, blockedBy };
}

function notRegistered(state: ChatState, blockedBy: users.SessionId | undefined): CommandStep {
  return refuse(state, { code: "not-registered" }, blockedBy);
}

/** The reply to `help`: all commands with their arguments, and the limits. */
function helpText(settings: Settings): string {
  return [
    "Every string is a frame: a 4-byte little-endian length in bytes, then that many bytes of UTF-8.",
    "A command is a frame, followed by a frame for each argument.",
    ...commandHelp(settings.strict),
    `name: 1 to ${settings.nameSymbolsMax} symbols`,
    `text: 0 to ${settings.textSymbolsMax} symbols`,
    `seconds: 0 to ${WAIT_SECONDS_MAX}, a fraction is allowed`,
    `mailbox: ${settings.mailboxMessagesMax} messages`,
  ].join("\n");
}
