/** The state of the chat, and the changes from which commands and other entries are made. */
import * as boxes from "./mailboxes.ts";
import type { Reply, Shown } from "../protocol/reply.ts";
import { type Members, NO_MEMBERS } from "./members.ts";
import { mailboxLimits, type Settings } from "./settings.ts";
import * as users from "./users.ts";
import type { User } from "./users.ts";

/**
 * The version of the rules: how this release decides what an entry does. Raise it with every change
 * of `step` after which some entry leads to another state, and with every new kind of entry or
 * command. Keep the old decision for states whose `rules` are older: otherwise a replay of an older
 * journal gives another chat than the one that its users saw.
 */
export const RULES = 1;

export interface ChatState {
  /** The version of the rules by which the next entries are decided. */
  readonly rules: number;
  readonly settings: Settings;
  readonly users: users.Users;
  readonly mailboxes: boxes.Mailboxes;
  /** Empty where the chat is not shared. */
  readonly members: Members;
}

/** The result of one entry. */
export interface Step {
  /** The next state; the same object if nothing changed. */
  readonly state: ChatState;
  /** The reply to a command; other entries have none. */
  readonly reply?: Reply;
  /**
   * A session from the same address that holds the name which the command needs. If it ends, the
   * same command gets another reply.
   */
  readonly blockedBy?: users.SessionId | undefined;
}

/** The result of a command. */
export type CommandStep = Step & { readonly reply: Reply };

export function emptyChat(settings: Settings): ChatState {
  return {
    rules: RULES,
    settings,
    users: users.emptyUsers(),
    mailboxes: boxes.emptyMailboxes(mailboxLimits(settings)),
    members: NO_MEMBERS,
  };
}

/** The state with these users; the same object if they did not change. */
export function withUsers(state: ChatState, next: users.Users): ChatState {
  return next === state.users ? state : { ...state, users: next };
}

/** Removes a user and its mail. */
export function removeUser(state: ChatState, user: User): ChatState {
  return {
    ...state,
    users: users.removeUser(state.users, user),
    mailboxes: boxes.closeMailbox(state.mailboxes, user.id, user.source),
  };
}

/** In strict mode the presence of an address is noted at most once in this time (ms). */
const SEEN_MS = 3_600_000;

/** In strict mode: has the presence of this address to be noted at this time (ms since 1970)? */
export function isLongUnseen({ settings, users: all }: ChatState, address: string, at: number) {
  const [user] = settings.strict ? users.atAddress(all, address).values() : [];
  return user !== undefined && at - all.presence.get(user.id)!.freeSince >= SEEN_MS;
}

/** The number of users and waiting messages. The cost of a snapshot grows with it. */
export function countUsersAndMail({ users, mailboxes }: ChatState): number {
  return users.byId.size + mailboxes.waiting;
}

/** The reply to a `wait` that has waited for this user's mail. */
export function mailFor(state: ChatState, { user: name, id }: Shown): Reply {
  const user = state.users.byName.get(name);
  return user?.id === id ? showMail(state, user) : { code: "not-registered" };
}

/** The reply that shows a user's mail. The mail stays in the mailbox. */
export function showMail({ mailboxes }: ChatState, { name, id }: User): Reply & { code: "mail" } {
  return {
    code: "mail",
    count: boxes.count(mailboxes, id),
    mail: boxes.reader(mailboxes, id),
    shown: { user: name, id, through: boxes.through(mailboxes, id) },
  };
}

/** Takes mail that was shown to a user out of the mailbox, unless it was taken before. */
export function takeShown(state: ChatState, { id, through }: Shown): ChatState {
  // At most all of it: a file that lost batches still opens, so that the rest of it can be read.
  const messages = Math.min(
    through - boxes.taken(state.mailboxes, id),
    boxes.count(state.mailboxes, id),
  );
  if (messages <= 0) return state;
  return { ...state, mailboxes: boxes.take(state.mailboxes, id, messages) };
}
