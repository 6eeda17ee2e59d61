/** Steps: an entry and a state make the next state. A state never changes. */
import * as boxes from "./mailboxes.ts";
import { applyCommand } from "./commands.ts";
import * as members from "./members.ts";
import type { Entry } from "./entry.ts";
import { differences, mailboxLimits, type Settings } from "./settings.ts";
import {
  type ChatState,
  isLongUnseen,
  removeUser,
  type Step,
  takeShown,
  withUsers,
} from "./state.ts";
import * as users from "./users.ts";

/** Steps one entry: the state after it, and the reply if it is a command. */
export function step(state: ChatState, entry: Entry): Step {
  switch (entry.kind) {
    case "command":
      return applyCommand(state, entry.actor, entry.at, entry.command);
    case "take":
      return { state: take(state, entry) };
    case "end":
      return { state: end(state, entry) };
    case "seen":
      return { state: withUsers(state, users.seeAddress(state.users, entry.address, entry.at)) };
    case "forget":
      return { state: forget(state, entry) };
    case "start":
      return { state: start(state, entry) };
    case "join":
      return { state: join(state, entry) };
    case "batch":
      return { state: { ...state, members: members.countBatch(state.members, entry) } };
    case "leave":
      return { state: leave(state, entry) };
    case "raise":
      return { state: raise(state, entry.rules) };
    case "return":
      return { state: putBack(state, entry) };
  }
}

/** Why the chat can't go on under these settings; `undefined` if it can. */
export function conflict(state: ChatState, settings: Settings): string | undefined {
  if (!settings.strict || state.settings.strict) return undefined;
  for (const { address } of state.users.byId.values()) {
    const neighbours = users.atAddress(state.users, address);
    if (neighbours.size === 1) continue;
    const names = neighbours.values().map(({ name }) => name);
    return `with --strict an address has one user, and ${address} has ${neighbours.size}: ` +
      names.join(", ");
  }
  return undefined;
}

function take(state: ChatState, { actor, shown }: Entry & { kind: "take" }): ChatState {
  const { user } = users.identify(state.users, actor);
  return user?.id === shown.id ? takeShown(state, shown) : state;
}

function end(state: ChatState, { session, address, at }: Entry & { kind: "end" }): ChatState {
  const ended = withUsers(state, users.endSession(state.users, session, at));
  if (!isLongUnseen(ended, address, at)) return ended;
  return withUsers(ended, users.seeAddress(ended.users, address, at));
}

function forget(state: ChatState, entry: Entry & { kind: "forget" }): ChatState {
  const { id, freeSince } = entry;
  const user = state.users.byName.get(entry.user);
  if (user?.id !== id) return state;
  const presence = state.users.presence.get(id)!;
  const isAway = presence.session === undefined && presence.freeSince === freeSince;
  return freeSince === undefined || isAway ? removeUser(state, user) : state;
}

/** Users and mail stay, even if they are more than the new limits allow. */
function start(state: ChatState, { rules, settings, at }: Entry & { kind: "start" }): ChatState {
  return {
    rules,
    settings,
    members: state.members,
    users: users.endSessions(state.users, at),
    mailboxes: boxes.resize(state.mailboxes, mailboxLimits(settings)),
  };
}

/** A process that may not join, by its rules or its settings, changes nothing. */
function join(state: ChatState, { member, rules, settings }: Entry & { kind: "join" }): ChatState {
  const isAlone = state.members.all.length === 0;
  const isFirstEver = state.members.next === 1;
  const isMember = members.findMember(state.members, member) !== undefined;
  const isTooOld = !isFirstEver && rules < state.rules;
  const hasOtherSettings = !isAlone && differences(state.settings, settings).length > 0;
  if (isMember || isTooOld || hasOtherSettings) return state;
  return {
    ...state,
    rules: isFirstEver ? rules : state.rules,
    settings,
    mailboxes: boxes.resize(state.mailboxes, mailboxLimits(settings)),
    members: members.addMember(state.members, member, rules),
  };
}

function leave(state: ChatState, { member: id, at }: Entry & { kind: "leave" }): ChatState {
  const member = members.findMember(state.members, id);
  if (member === undefined) return state;
  return {
    ...state,
    users: users.endSessions(state.users, at, member.number),
    members: members.removeMember(state.members, member),
  };
}

function raise(state: ChatState, rules: number): ChatState {
  const allKnowThem = state.members.all.every((member) => member.rules >= rules);
  return allKnowThem && rules > state.rules ? { ...state, rules } : state;
}

/**
 * Mail that a `wait` is showing now counts as new afterwards: the returned message stands before it,
 * so a `take` by its place would take the wrong messages.
 */
function putBack(state: ChatState, { user, id, mail }: Entry & { kind: "return" }): ChatState {
  if (state.users.byName.get(user)?.id !== id) return state;
  const { from, text, network } = mail;
  const { mailboxes, source } = boxes.withSource(state.mailboxes, network);
  return { ...state, mailboxes: boxes.putBack(mailboxes, id, { from, text, source }) };
}
