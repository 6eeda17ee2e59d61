/** The state of the chat, and the steps that everything done to it is made of. Pure. */
import * as mailbox from "./mailboxes.ts";
import type { Reply, Shown } from "../protocol/reply.ts";
import { type Members, NO_MEMBERS } from "./members.ts";
import type { Settings } from "./settings.ts";
import * as users from "./users.ts";
import type { User } from "./users.ts";

/**
 * The version of the rules by which this release decides. To be raised with every change of `step`
 * after which an entry may lead to another state than before, and with every new kind of entry or
 * command; the old decision stays, for states whose `rules` are older. Otherwise a journal of the
 * release before would be replayed to something that nobody was told.
 */
export const RULES = 1;

export interface ChatState {
  /** The version of the rules by which entries are decided. */
  readonly rules: number;
  readonly settings: Settings;
  readonly users: users.Users;
  readonly mailboxes: mailbox.Mailboxes;
  /** The servers that share the chat, where more than one may. */
  readonly members: Members;
}

/** What an entry leads to. */
export interface Step {
  /** The next state: the same object where nothing changed. */
  readonly state: ChatState;
  /** The reply to a command; nobody waits for one to another entry. */
  readonly reply?: Reply;
  /**
   * A session from the same address that stands in the way of the command. It may be about to end,
   * so the same command may soon get another reply.
   */
  readonly blockedBy?: users.SessionId | undefined;
}

/** A chat in which nobody has registered yet. */
export function emptyChat(settings: Settings): ChatState {
  return {
    rules: RULES,
    settings,
    users: users.emptyUsers(),
    mailboxes: mailbox.emptyMailboxes(settings.mailboxMessagesMax),
    members: NO_MEMBERS,
  };
}

/** The same with other users; the same object where they are the same. */
export function withUsers(state: ChatState, next: users.Users): ChatState {
  return next === state.users ? state : { ...state, users: next };
}

/** The same without a user, and without the mail of it. */
export function removeUser(state: ChatState, user: User): ChatState {
  return {
    ...state,
    users: users.removeUser(state.users, user),
    mailboxes: mailbox.closeMailbox(state.mailboxes, user.id),
  };
}

/** How many users and messages there are: a snapshot costs as much. */
export function aliveIn({ users, mailboxes }: ChatState): number {
  return users.byId.size + mailboxes.waiting;
}

/** The mail of a user that a `wait` waits for, or the refusal where that user is gone. */
export function mailFor(state: ChatState, { user: name, id }: Shown): Reply {
  const user = state.users.byName.get(name);
  return user?.id === id ? showMail(state, user) : { code: "not-registered" };
}

/** Holds no state: the reply to a `wait` may be kept for a minute. */
const noMail = () => [];

/** The mail of a user, which stays. */
export function showMail({ mailboxes }: ChatState, { name, id }: User): Reply & { code: "mail" } {
  const count = mailbox.count(mailboxes, id);
  return {
    code: "mail",
    count,
    mail: count === 0 ? noMail : () => mailbox.read(mailboxes, id),
    shown: { user: name, id, through: mailbox.taken(mailboxes, id) + count },
  };
}

/** The same without mail that was shown. */
export function takeShown(state: ChatState, { user, id, through }: Shown): ChatState {
  if (state.users.byName.get(user)?.id !== id) return state;
  // No more than there is: a file that lost batches still opens, so that what is left can be read.
  const messages = Math.min(
    through - mailbox.taken(state.mailboxes, id),
    mailbox.count(state.mailboxes, id),
  );
  if (messages <= 0) return state;
  return { ...state, mailboxes: mailbox.take(state.mailboxes, id, messages) };
}
