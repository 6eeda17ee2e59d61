/**
 * Who is registered, from which address, and which session holds which name. Pure.
 *
 * In strict mode a user is an address, and sessions play no part: nobody ever holds a name.
 */
import { IntMap, TextMap } from "./persistent.ts";

/**
 * A number that names one connection for as long as it lives: the number of its member, and how many
 * connections that member has had, see {@link sessionOf}.
 */
export type SessionId = number;

/** A member has fewer sessions. */
const SESSIONS_PER_MEMBER = 2 ** 32;

/** The id of a member's session. A server that shares its chat with nobody is member 0. */
export function sessionOf(member: number, count: number): SessionId {
  return SESSIONS_PER_MEMBER * member + count;
}

/** No session has this id. */
export const NO_SESSION: SessionId = 0;

/** The number of the member that a session is of. */
export function memberOf(session: SessionId): number {
  return Math.floor(session / SESSIONS_PER_MEMBER);
}

/** Who acts: a session, its IP address, and `address:port` for replies that name it. */
export interface Actor {
  readonly session: SessionId;
  readonly address: string;
  readonly peer: string;
}

/** Who is registered. A user never changes; what changes is its {@link Presence}. */
export interface User {
  readonly name: string;
  /** Tells this user from an earlier one of the same name; later users have higher ones. */
  readonly id: number;
  /** The IP address that registered the name. */
  readonly address: string;
}

/** Is a user here? */
export interface Presence {
  /** The session that holds the name. */
  readonly session: SessionId | undefined;
  /** Where nobody holds the name: since when, in milliseconds since 1970. */
  readonly freeSince: number;
}

export interface Users {
  /** By their ids, and so in the order of registration. */
  readonly byId: IntMap<User>;
  readonly byName: TextMap<User>;
  /** By the address that registered them, those of one address by id; no address has none. */
  readonly byAddress: TextMap<IntMap<User>>;
  /** By the id of the user. */
  readonly presence: IntMap<Presence>;
  /** By member, and by the session of the member: the user that it holds, see {@link userOf}. */
  readonly byMember: IntMap<IntMap<User | null>>;
  /** The id of the next user. */
  readonly nextId: number;
}

/** Nobody is registered yet. */
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

/** The user that a session holds; `null`: it held one, or logged out, and is nobody now. */
export function userOf(users: Users, session: SessionId): User | null | undefined {
  return users.byMember.get(memberOf(session))?.get(session >>> 0);
}

/** All sessions that hold a user, or are nobody. */
export function* sessions({ byMember }: Users): Generator<readonly [SessionId, User | null]> {
  for (const [member, held] of byMember) {
    for (const [count, user] of held) yield [sessionOf(member, count), user];
  }
}

/** The users that have registered from an address. */
export function atAddress(users: Users, address: string): IntMap<User> {
  return users.byAddress.get(address) ?? NO_USERS;
}

/** Somebody's user; or, where only a session from the same address stands in the way, that one. */
export interface Identity {
  readonly user?: User;
  readonly blockedBy?: SessionId;
}

const NOBODY: Identity = {};
const NO_USERS = IntMap.empty<User>();

/**
 * Who somebody is now: the name that the session holds; where it never had one, the one user of its
 * address, if there is exactly one and nobody holds it; else nobody.
 */
export function identify(users: Users, { session, address }: Actor): Identity {
  const held = userOf(users, session);
  if (held === null) return NOBODY;
  if (held !== undefined) return { user: held };
  const neighbours = atAddress(users, address);
  if (neighbours.size !== 1) return NOBODY;
  const user = neighbours.values()[0]!;
  const { session: holder } = users.presence.get(user.id)!;
  return holder === undefined ? { user } : { blockedBy: holder };
}

/** Adds a user of a new name and the next id, whom nobody holds. */
export function addUser(users: Users, user: User, at: number): Users {
  const added = restoreUser(users, user, { session: undefined, freeSince: at });
  return { ...added, nextId: user.id + 1 };
}

/** Adds a user that was stored. */
export function restoreUser(users: Users, user: User, presence: Presence): Users {
  const { name, id, address } = user;
  return {
    ...users,
    byId: users.byId.set(id, user),
    byName: users.byName.set(name, user),
    byAddress: users.byAddress.set(address, atAddress(users, address).set(id, user)),
    presence: users.presence.set(id, presence),
  };
}

/** Removes a user; the session that held it is nobody from now on. */
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
  return session === undefined ? without : makeNobody(without, session);
}

/** The session holds this user, and none that it held before. */
export function hold(users: Users, session: SessionId, user: User, at: number): Users {
  if (userOf(users, session)?.id === user.id) return users;
  const free = endSession(users, session, at);
  const { freeSince } = free.presence.get(user.id)!;
  return {
    ...free,
    presence: free.presence.set(user.id, { session, freeSince }),
    byMember: withSession(free, session, user),
  };
}

/** The session, which holds no name, is nobody until it registers. */
export function makeNobody(users: Users, session: SessionId): Users {
  return userOf(users, session) === null
    ? users
    : { ...users, byMember: withSession(users, session, null) };
}

/** A session that was stored, and whom it holds. */
export function restoreSession(users: Users, session: SessionId, user: User | null): Users {
  return { ...users, byMember: withSession(users, session, user) };
}

function withSession(
  { byMember }: Users,
  session: SessionId,
  user: User | null | undefined,
): Users["byMember"] {
  const member = memberOf(session);
  const held = (byMember.get(member) ?? IntMap.empty()).set(session >>> 0, user);
  return byMember.set(member, held.size === 0 ? undefined : held);
}

/** Forgets a session; the user that it held stays. */
export function endSession(users: Users, session: SessionId, at: number): Users {
  const held = userOf(users, session);
  if (held === undefined) return users;
  const ended = { ...users, byMember: withSession(users, session, undefined) };
  if (held === null) return ended;
  const presence = users.presence.set(held.id, { session: undefined, freeSince: at });
  return { ...ended, presence };
}

/** Forgets all sessions: the server has started anew. */
export function endAllSessions(users: Users, at: number): Users {
  return Array.from(sessions(users)).reduce((left, [id]) => endSession(left, id, at), users);
}

/** Forgets all sessions of a member. */
export function endMember(users: Users, member: number, at: number): Users {
  let left = users;
  for (const [count] of users.byMember.get(member) ?? []) {
    left = endSession(left, sessionOf(member, count), at);
  }
  return left;
}

/** Somebody from this address was here: nobody there is forgotten before this counts as long ago. */
export function seeAddress(users: Users, address: string, at: number): Users {
  let { presence } = users;
  for (const { id } of atAddress(users, address).values()) {
    presence = presence.set(id, { ...presence.get(id)!, freeSince: at });
  }
  return { ...users, presence };
}
