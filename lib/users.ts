/**
 * Who is registered, from which address, and which session holds which name. Pure.
 *
 * In strict mode a user is an address, and sessions play no part: nobody ever holds a name.
 */
import { IntMap, TextMap } from "./persistent.ts";

/** A number that names one connection for as long as it lives. */
export type SessionId = number;

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
  /** The user that a session holds; `null`: it held one, or logged out, and is nobody now. */
  readonly bySession: IntMap<User | null>;
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
    bySession: IntMap.empty(),
    nextId: 1,
  };
}

/** The users that have registered from an address. */
export function atAddress(users: Users, address: string): IntMap<User> {
  return users.byAddress.get(address) ?? NO_USERS;
}

/** Somebody's user; or, where only a session from the same address stands in the way, that one. */
export interface Identity {
  readonly user?: User;
  readonly heldBy?: SessionId;
}

const NOBODY: Identity = {};
const NO_USERS = IntMap.empty<User>();

/**
 * Who somebody is now: the name that the session holds; where it never had one, the one user of its
 * address, if there is exactly one and nobody holds it; else nobody.
 */
export function identify(users: Users, { session, address }: Actor): Identity {
  const held = users.bySession.get(session);
  if (held === null) return NOBODY;
  if (held !== undefined) return { user: held };
  const neighbours = atAddress(users, address);
  if (neighbours.size !== 1) return NOBODY;
  const user = neighbours.values()[0]!;
  const { session: heldBy } = users.presence.get(user.id)!;
  return heldBy === undefined ? { user } : { heldBy };
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
  if (users.bySession.get(session)?.id === user.id) return users;
  const free = endSession(users, session, at);
  const { freeSince } = free.presence.get(user.id)!;
  return {
    ...free,
    presence: free.presence.set(user.id, { session, freeSince }),
    bySession: free.bySession.set(session, user),
  };
}

/** The session, which holds no name, is nobody until it registers. */
export function makeNobody(users: Users, session: SessionId): Users {
  return users.bySession.get(session) === null
    ? users
    : { ...users, bySession: users.bySession.set(session, null) };
}

/** Forgets a session; the user that it held stays. */
export function endSession(users: Users, session: SessionId, at: number): Users {
  const held = users.bySession.get(session);
  if (held === undefined) return users;
  const ended = { ...users, bySession: users.bySession.set(session, undefined) };
  if (held === null) return ended;
  const presence = users.presence.set(held.id, { session: undefined, freeSince: at });
  return { ...ended, presence };
}

/** Forgets all sessions: the server has started anew. */
export function endAllSessions(users: Users, at: number): Users {
  return [...users.bySession].reduce((left, [session]) => endSession(left, session, at), users);
}

/** Somebody from this address was here: nobody there is forgotten before this counts as long ago. */
export function seeAddress(users: Users, address: string, at: number): Users {
  let { presence } = users;
  for (const { id } of atAddress(users, address).values()) {
    presence = presence.set(id, { ...presence.get(id)!, freeSince: at });
  }
  return { ...users, presence };
}
