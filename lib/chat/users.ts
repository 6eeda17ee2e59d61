/**
 * The registered users, their addresses, and which session holds which user's name: {@link identify}
 * says which user a session acts as, and `register` in `commands` who may take a name. In strict
 * mode a user is an address: sessions hold no names.
 */
import { IntMap, TextMap } from "./persistent.ts";
import type { Source } from "./shares.ts";

/** Names one connection while it is open. */
export interface SessionId {
  /** The number of its member. A server that does not share its chat is member 0. */
  readonly member: number;
  /** Counts the connections of one server process, from 1. */
  readonly count: number;
}

/** No session has this id. */
export const NO_SESSION: SessionId = { member: 0, count: 0 };

/** Do both ids name the same session, or neither any? */
export function isSameSession(one: SessionId | undefined, other: SessionId | undefined): boolean {
  return one?.member === other?.member && one?.count === other?.count;
}

/** The sender of a command. */
export interface Actor {
  readonly session: SessionId;
  /** Its IP address. */
  readonly address: string;
  /** `address:port`, for replies that name it. */
  readonly peer: string;
}

/** A registered user. It never changes: its {@link Presence} does. */
export interface User {
  readonly name: string;
  /** Tells this user from an earlier one of the same name; later users have higher ids. */
  readonly id: number;
  /** The IP address that registered the name. */
  readonly address: string;
  /** The network of that address, to which the user and the mail that it sends count. */
  readonly source: Source;
}

/** Whether a user has a connection. */
export interface Presence {
  /** The session that holds the name. */
  readonly session: SessionId | undefined;
  /** The time since which no session holds the name (ms since 1970). */
  readonly freeSince: number;
}

export interface Users {
  /** By id, which is the order of registration. */
  readonly byId: IntMap<User>;
  readonly byName: TextMap<User>;
  /** By address, then by id. An address without users is not in the map. */
  readonly byAddress: TextMap<IntMap<User>>;
  /** By the id of the user. */
  readonly presence: IntMap<Presence>;
  /** By member, then by the count of the session: see {@link userOf}. */
  readonly byMember: IntMap<IntMap<User | null>>;
  /** The id of the next user. */
  readonly nextId: number;
}

export function emptyUsers(): Users {
  return {
    byId: IntMap.empty(),
    byName: TextMap.empty(),
    byAddress: TextMap.empty(),
    presence: IntMap.empty(),
    byMember: IntMap.empty(),
    nextId: 1,
  };
}

/**
 * The user whose name a session holds; `null` for a session that has logged out, or whose user was
 * removed; `undefined` for one that has done neither.
 */
export function userOf(users: Users, { member, count }: SessionId): User | null | undefined {
  return users.byMember.get(member)?.get(count);
}

/** All sessions that hold a name or have logged out, each with its user. */
export function* sessions({ byMember }: Users): Generator<readonly [SessionId, User | null]> {
  for (const [member, held] of byMember) {
    for (const [count, user] of held) yield [{ member, count }, user];
  }
}

/** The user as whom a session acts, or the other session that prevents it. */
interface Identity {
  readonly user?: User;
  /** A session from the same address that holds the user's name. */
  readonly blockedBy?: SessionId;
}

const NO_USER: Identity = {};
const NO_USERS = IntMap.empty<User>();

/** The users that an address has registered. */
export function atAddress(users: Users, address: string): IntMap<User> {
  return users.byAddress.get(address) ?? NO_USERS;
}

/**
 * Finds the user as whom a session acts: the user whose name it holds. A session that never held a
 * name and has not logged out acts as the user of its address, if the address has exactly one user
 * and no other session holds that name.
 */
export function identify(users: Users, { session, address }: Actor): Identity {
  const held = userOf(users, session);
  if (held === null) return NO_USER;
  if (held !== undefined) return { user: held };
  const neighbours = atAddress(users, address);
  if (neighbours.size !== 1) return NO_USER;
  const user = neighbours.values()[0]!;
  const { session: holder } = users.presence.get(user.id)!;
  return holder === undefined ? { user } : { blockedBy: holder };
}

/** Adds a user with a new name and a new id. */
export function addUser(users: Users, user: User, presence: Presence): Users {
  const { name, id, address } = user;
  return {
    ...users,
    byId: users.byId.set(id, user),
    byName: users.byName.set(name, user),
    byAddress: users.byAddress.set(address, atAddress(users, address).set(id, user)),
    presence: users.presence.set(id, presence),
    nextId: Math.max(users.nextId, id + 1),
  };
}

/** Removes a user. The session that held the name counts as logged out. */
export function removeUser(users: Users, { name, id, address }: User): Users {
  const neighbours = atAddress(users, address).set(id, undefined);
  const { session } = users.presence.get(id)!;
  const without = {
    ...users,
    byId: users.byId.set(id, undefined),
    byName: users.byName.set(name, undefined),
    byAddress: users.byAddress.set(address, neighbours.size === 0 ? undefined : neighbours),
    presence: users.presence.set(id, undefined),
  };
  return session === undefined ? without : logOut(without, session);
}

/** Lets a session hold a user's name. It lets go of the name that it held before. */
export function holdName(users: Users, session: SessionId, user: User, at: number): Users {
  if (userOf(users, session)?.id === user.id) return users;
  const free = endSession(users, session, at);
  const { freeSince } = free.presence.get(user.id)!;
  const presence = free.presence.set(user.id, { session, freeSince });
  return setSession({ ...free, presence }, session, user);
}

/** A session that holds no name is logged out: it acts as no user until it registers again. */
export function logOut(users: Users, session: SessionId): Users {
  return userOf(users, session) === null ? users : setSession(users, session, null);
}

/** Sets what {@link userOf} returns for a session. */
export function setSession(
  users: Users,
  { member, count }: SessionId,
  user: User | null | undefined,
): Users {
  const held = (users.byMember.get(member) ?? IntMap.empty()).set(count, user);
  return { ...users, byMember: users.byMember.set(member, held.size === 0 ? undefined : held) };
}

/** Forgets a session. Its user stays registered. */
export function endSession(users: Users, session: SessionId, at: number): Users {
  const held = userOf(users, session);
  if (held === undefined) return users;
  const ended = setSession(users, session, undefined);
  if (held === null) return ended;
  return { ...ended, presence: users.presence.set(held.id, { session: undefined, freeSince: at }) };
}

/** Forgets all sessions, or those of one member. */
export function endSessions(users: Users, at: number, member?: number): Users {
  let left = users;
  for (const [id] of sessions(users)) {
    if (member === undefined || id.member === member) left = endSession(left, id, at);
  }
  return left;
}

/** Notes that a connection from this address was open at this time. */
export function seeAddress(users: Users, address: string, at: number): Users {
  let { presence } = users;
  for (const { id } of atAddress(users, address).values()) {
    presence = presence.set(id, { ...presence.get(id)!, freeSince: at });
  }
  return { ...users, presence };
}
