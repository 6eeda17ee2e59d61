/**
 * The chat: its whole state, and `step`, which takes a state and an entry and returns the next state
 * and the reply. Pure: no clock, no chance, no I/O; a state never changes.
 */
import { type Command, type CommandName, helpText } from "./command.ts";
import * as mailbox from "./mailbox.ts";
import type { Mail, Reply, Shown } from "./reply.ts";
import * as runs from "./runs.ts";
import { isSame, type Settings } from "./settings.ts";
import * as users from "./users.ts";
import type { Actor, SessionId, User } from "./users.ts";

/**
 * The version of the rules by which this release decides. To be raised with every change of `step`
 * after which an entry may lead to another state than before, and with every new kind of entry or
 * command; the old decision stays, for states whose `rules` are older. Otherwise a journal of the
 * release before would be replayed to something that nobody was told.
 */
export const RULES = 2;

/** Of these rules is what was stored before the rules had a version. */
export const FIRST_RULES = 1;

export interface ChatState {
  /** The version of the rules by which entries are decided. */
  readonly rules: number;
  readonly settings: Settings;
  readonly users: users.Users;
  readonly mailboxes: mailbox.Mailboxes;
  /** The servers that share the chat, where more than one may. */
  readonly runs: runs.Runs;
}

/** What may happen to a chat; `at` is when, in milliseconds since 1970. */
export type Entry =
  | {
    readonly kind: "command";
    readonly at: number;
    readonly actor: Actor;
    readonly command: Command;
  }
  /** Mail that a `wait` showed was seen: it leaves the mailbox. */
  | { readonly kind: "take"; readonly shown: Shown }
  /** A session's stream has ended: it holds no name any more. */
  | { readonly kind: "end"; readonly at: number; readonly session: SessionId }
  /** Strict mode: the user of this address was here. */
  | { readonly kind: "seen"; readonly at: number; readonly address: string }
  /** A user was away for too long, or a person removed it by hand. */
  | {
    readonly kind: "forget";
    readonly user: string;
    readonly id: number;
    /** Not if somebody was here since then. */
    readonly freeSince?: number;
  }
  /** A server has started, with these settings: no session of the time before is left. */
  | {
    readonly kind: "start";
    readonly at: number;
    /** Not there: {@link FIRST_RULES}. */
    readonly rules?: number;
    readonly settings: Settings;
  }
  | SharedEntry;

/** What happens where several servers share a chat; `run` is a server process. */
export type SharedEntry =
  /** It begins to take part; the first one brings the settings and the rules. */
  | {
    readonly kind: "join";
    readonly at: number;
    readonly run: string;
    /** The newest rules that it knows. */
    readonly rules: number;
    readonly settings: Settings;
  }
  /** The first entry of a turn: which batch of the run the others are. */
  | {
    readonly kind: "batch";
    readonly at: number;
    readonly run: string;
    readonly batch: number;
  }
  /** It is over: none of its sessions is left. */
  | { readonly kind: "part"; readonly at: number; readonly run: string }
  /** From now on it is decided by these rules, if all runs know them. */
  | { readonly kind: "raise"; readonly rules: number }
  /** A message that a `receive` took, whose reply nobody got, goes back to the front. */
  | { readonly kind: "return"; readonly user: string; readonly id: number; readonly mail: Mail };

/** What an entry leads to. */
export interface Step {
  /** The next state: the same object where nothing changed. */
  readonly state: ChatState;
  /** The reply to a command; nobody waits for one to another entry. */
  readonly reply?: Reply;
}

/** The reply that is made most. */
const SENT: Reply = { code: "sent" };

/** A chat in which nobody has registered yet. */
export function emptyChat(settings: Settings): ChatState {
  return {
    rules: RULES,
    settings,
    users: users.emptyUsers(),
    mailboxes: mailbox.emptyMailboxes(settings.mailboxMessagesMax),
    runs: runs.NO_RUNS,
  };
}

/** What a turn leads to. */
export interface TurnStep {
  readonly state: ChatState;
  /** To each entry. */
  readonly replies: readonly (Reply | undefined)[];
}

/**
 * The state after a turn that several servers hear of; `undefined` where it does not count: it came
 * before, its run is over, or a batch before it is missing. All of it happens at one time, which
 * never goes back, whatever the clocks say.
 */
export function stepTurn(state: ChatState, turn: readonly Entry[]): TurnStep | undefined {
  const [first] = turn;
  if (first?.kind === "batch" && !runs.isNextBatch(state.runs, first.run, first.batch)) {
    return undefined;
  }
  const isShared = first?.kind === "batch" || first?.kind === "join" || first?.kind === "part";
  const at = isShared ? Math.max(state.runs.at, first.at) : undefined;
  let next = isShared ? { ...state, runs: { ...state.runs, at: at! } } : state;
  const replies = turn.map((entry) => {
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
      return obey(state, entry.actor, entry.at, entry.command);
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
      return { state: { ...state, runs: runs.countBatch(state.runs, entry.run, entry.batch) } };
    case "part":
      return { state: part(state, entry) };
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

/** The mail of a user that a `wait` waits for, or the refusal where that user is gone. */
export function mailFor(state: ChatState, { user: name, id }: Shown): Reply {
  const user = state.users.byName.get(name);
  return user?.id === id ? showMail(state, user) : { code: "not-registered" };
}

/**
 * What strict mode does after a reply, as the original does: the connection stays open, is closed
 * behind the reply, or is closed without one.
 */
export function strictEnding(command: CommandName, { code }: Reply): "open" | "close" | "silent" {
  if (code === "receiver-undecodable" || code === "text-undecodable") return "silent";
  const refusedRegister = command === "register" && code !== "welcome" && code !== "welcome-back";
  const refusedSend = command === "send" && code === "not-registered";
  return refusedRegister || refusedSend || code === "text-too-long" ? "close" : "open";
}

/** Who acts, and when. */
type ActorNow = Actor & { readonly at: number };

/** The same users and mail under other rules. What was decided before stays. */
function start(state: ChatState, { rules, settings, at }: Entry & { kind: "start" }): ChatState {
  return {
    rules: rules ?? FIRST_RULES,
    settings,
    runs: state.runs,
    users: users.endAllSessions(state.users, at),
    mailboxes: mailbox.resize(state.mailboxes, settings.mailboxMessagesMax),
  };
}

/** Where others take part, the settings are theirs; and nobody takes part without knowing the rules. */
function join(state: ChatState, { run, rules, settings }: Entry & { kind: "join" }): ChatState {
  const isAlone = state.runs.all.length === 0;
  const isFirst = state.runs.next === 1;
  const isThere = runs.findRun(state.runs, run) !== undefined;
  const isOld = !isFirst && rules < state.rules;
  if (isThere || isOld || (!isAlone && !isSame(state.settings, settings))) return state;
  return {
    ...state,
    rules: isFirst ? rules : state.rules,
    settings,
    mailboxes: isAlone
      ? mailbox.resize(state.mailboxes, settings.mailboxMessagesMax)
      : state.mailboxes,
    runs: runs.addRun(state.runs, run, rules),
  };
}

function part(state: ChatState, { run: id, at }: Entry & { kind: "part" }): ChatState {
  const run = runs.findRun(state.runs, id);
  if (run === undefined) return state;
  return {
    ...state,
    users: users.endRun(state.users, run.number, at),
    runs: runs.removeRun(state.runs, run),
  };
}

function raise(state: ChatState, rules: number): ChatState {
  const isKnown = state.runs.all.every((run) => run.rules >= rules);
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

function obey(state: ChatState, actor: Actor, at: number, command: Command): Step {
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

function register(state: ChatState, actor: ActorNow, name: string): Step {
  const { settings } = state;
  if (name === "") return refuse(state, { code: "name-empty" });
  if (isLonger(name, settings.nameSymbolsMax)) return refuse(state, { code: "name-too-long" });
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
    return refuse(state, { code: "name-taken", user: name, heldBy: session });
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
  const { user, heldBy } = identify(state, actor);
  const reply = { code: "logged-out", heldBy } as const;
  const removed = user === undefined ? state : removeUser(state, user);
  if (state.settings.strict) return { state: removed, reply };
  return { state: withUsers(removed, users.makeNobody(removed.users, actor.session)), reply };
}

function removeUser(state: ChatState, user: User): ChatState {
  return {
    ...state,
    users: users.removeUser(state.users, user),
    mailboxes: mailbox.closeMailbox(state.mailboxes, user.id),
  };
}

function send(state: ChatState, actor: Actor, to: string, text: string): Step {
  const { settings, mailboxes } = state;
  if (isLonger(text, settings.textSymbolsMax)) return tooLong(state);
  const { user, heldBy } = identify(state, actor);
  if (user === undefined) return refuse(state, { code: "not-registered", heldBy });
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
  if (isLonger(text, settings.textSymbolsMax)) return tooLong(state);
  const { user, heldBy } = identify(state, actor);
  if (user === undefined) return refuse(state, { code: "not-registered", heldBy });
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
  const { user, heldBy } = identify(state, actor);
  if (user === undefined) return refuse(state, { code: "not-registered", heldBy });
  const reply = showMail(state, user);
  return { state: takeShown(state, reply.shown), reply };
}

/** As `receive`, but the mail stays until a `take`. */
function wait(state: ChatState, actor: Actor): Step {
  const { user, heldBy } = identify(state, actor);
  if (user === undefined) return refuse(state, { code: "not-registered", heldBy });
  return { state, reply: showMail(state, user) };
}

function identify(state: ChatState, actor: Actor): users.Identity {
  return users.identify(state.users, actor);
}

function refuse(state: ChatState, reply: Reply): Step {
  return { state, reply };
}

function tooLong(state: ChatState): Step {
  return refuse(state, { code: "text-too-long", max: state.settings.textSymbolsMax });
}

/** Has the text more than so many symbols? */
export function isLonger(text: string, symbolsMax: number): boolean {
  if (text.length <= symbolsMax) return false;
  return text.length > 2 * symbolsMax || [...text].length > symbolsMax;
}

function withUsers(state: ChatState, next: users.Users): ChatState {
  return next === state.users ? state : { ...state, users: next };
}

function showMail({ mailboxes }: ChatState, { name, id }: User): Reply & { code: "mail" } {
  const count = mailbox.count(mailboxes, id);
  return {
    code: "mail",
    count,
    mail: count === 0 ? [] : mailbox.read(mailboxes, id),
    shown: { user: name, id, through: mailbox.taken(mailboxes, id) + count },
  };
}

function takeShown(state: ChatState, { user, id, through }: Shown): ChatState {
  if (state.users.byName.get(user)?.id !== id) return state;
  // No more than there is: a file that lost turns still opens, so that what is left can be read.
  const messages = Math.min(
    through - mailbox.taken(state.mailboxes, id),
    mailbox.count(state.mailboxes, id),
  );
  if (messages <= 0) return state;
  return { ...state, mailboxes: mailbox.take(state.mailboxes, id, messages) };
}
