/**
 * The chat: `step` takes a state and an entry, which is whatever may happen, and returns the next
 * state and the reply. Pure: no clock, no chance, no I/O; a state never changes.
 */
import * as mailbox from "./mailboxes.ts";
import { applyCommand } from "./commands.ts";
import type { Reply } from "../protocol/reply.ts";
import * as members from "./members.ts";
import type { Entry } from "./entry.ts";
import { differences } from "./settings.ts";
import type { Settings } from "./settings.ts";
import { type ChatState, removeUser, type Step, takeShown, withUsers } from "./state.ts";
import * as users from "./users.ts";

/** What a batch leads to. */
export interface BatchStep {
  readonly state: ChatState;
  /** To each entry. */
  readonly replies: readonly (Reply | undefined)[];
}

/**
 * The state after a batch that several servers hear of; `undefined` where it does not count: it came
 * before, its member is over, or a batch before it is missing. All of it happens at one time, which
 * never goes back, whatever the clocks say.
 */
export function stepBatch(state: ChatState, batch: readonly Entry[]): BatchStep | undefined {
  const [first] = batch;
  if (first?.kind === "batch" && !members.isNextBatch(state.members, first.member, first.batch)) {
    return undefined;
  }
  const isShared = first?.kind === "batch" || first?.kind === "join" || first?.kind === "leave";
  const at = isShared ? Math.max(state.members.at, first.at) : undefined;
  let next = isShared ? { ...state, members: { ...state.members, at: at! } } : state;
  const replies = batch.map((entry) => {
    const stepped = step(next, at !== undefined && "at" in entry ? { ...entry, at } : entry);
    next = stepped.state;
    return stepped.reply;
  });
  return { state: next, replies };
}

/** The state after an entry, and the reply to it. */
export function step(state: ChatState, entry: Entry): Step {
  switch (entry.kind) {
    case "command":
      return applyCommand(state, entry.actor, entry.at, entry.command);
    case "take":
      return { state: takeShown(state, entry.shown) };
    case "end":
      return { state: withUsers(state, users.endSession(state.users, entry.session, entry.at)) };
    case "seen":
      return { state: withUsers(state, users.seeAddress(state.users, entry.address, entry.at)) };
    case "forget":
      return { state: forget(state, entry) };
    case "start":
      return { state: start(state, entry) };
    case "join":
      return { state: join(state, entry) };
    case "batch":
      return {
        state: { ...state, members: members.countBatch(state.members, entry.member, entry.batch) },
      };
    case "leave":
      return { state: leave(state, entry) };
    case "raise":
      return { state: raise(state, entry.rules) };
    case "return":
      return { state: putBack(state, entry) };
  }
}

/** Why the chat can't go on under these settings; `undefined` where it can. */
export function conflict(state: ChatState, settings: Settings): string | undefined {
  if (!settings.strict || state.settings.strict) return undefined;
  for (const { address } of state.users.byId.values()) {
    const crowd = users.atAddress(state.users, address);
    if (crowd.size === 1) continue;
    const names = crowd.values().map(({ name }) => name);
    return `with --strict an address has one user, and ${address} has ${crowd.size}: ` +
      names.join(", ");
  }
  return undefined;
}

/** The same users and mail under other rules. What was decided before stays. */
function start(state: ChatState, { rules, settings, at }: Entry & { kind: "start" }): ChatState {
  return {
    rules,
    settings,
    members: state.members,
    users: users.endAllSessions(state.users, at),
    mailboxes: mailbox.resize(state.mailboxes, settings.mailboxMessagesMax),
  };
}

/** Where others take part, the settings are theirs; and nobody takes part without knowing the rules. */
function join(state: ChatState, { member, rules, settings }: Entry & { kind: "join" }): ChatState {
  const isAlone = state.members.all.length === 0;
  const isFirst = state.members.next === 1;
  const isThere = members.findMember(state.members, member) !== undefined;
  const isOld = !isFirst && rules < state.rules;
  if (isThere || isOld || (!isAlone && differences(state.settings, settings).length > 0)) {
    return state;
  }
  return {
    ...state,
    rules: isFirst ? rules : state.rules,
    settings,
    mailboxes: isAlone
      ? mailbox.resize(state.mailboxes, settings.mailboxMessagesMax)
      : state.mailboxes,
    members: members.addMember(state.members, member, rules),
  };
}

function leave(state: ChatState, { member: id, at }: Entry & { kind: "leave" }): ChatState {
  const member = members.findMember(state.members, id);
  if (member === undefined) return state;
  return {
    ...state,
    users: users.endMember(state.users, member.number, at),
    members: members.removeMember(state.members, member),
  };
}

function raise(state: ChatState, rules: number): ChatState {
  const isKnown = state.members.all.every((member) => member.rules >= rules);
  return isKnown && rules > state.rules ? { ...state, rules } : state;
}

/** What is being shown to somebody at this moment comes again: its place is another. */
function putBack(state: ChatState, { user, id, mail }: Entry & { kind: "return" }): ChatState {
  if (state.users.byName.get(user)?.id !== id) return state;
  const { mailboxes } = state;
  const all = [mail, ...mailbox.read(mailboxes, id)];
  const taken = mailbox.taken(mailboxes, id) + mailbox.count(mailboxes, id);
  return { ...state, mailboxes: mailbox.restoreMailbox(mailboxes, id, all, taken) };
}

function forget(
  state: ChatState,
  { user: name, id, freeSince }: Entry & { kind: "forget" },
): ChatState {
  const user = state.users.byName.get(name);
  if (user?.id !== id) return state;
  const presence = state.users.presence.get(id)!;
  const isAway = presence.session === undefined && presence.freeSince === freeSince;
  return freeSince === undefined || isAway ? removeUser(state, user) : state;
}
