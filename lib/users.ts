/**
 * Who is registered, from which address, and which session holds which name. Pure.
 *
 * In strict mode a user is an address, and sessions play no part: nobody ever holds a name.
 */
import { IntMap, Map, OrderedSet } from "./persistent.ts";

/** A number that names one connection for as long as it lives. */
export type SessionId = number;

/** Who acts: a session, its IP address, and `address:port` for replies that name it. */
export interface Actor {
  readonly session: SessionId;
  readonly address: string;
  readonly peer: string;
}

export interface User {
  readonly name: string;
  /** Tells this user from an earlier one of the same name. */
  readonly id: number;
  /** The IP address that registered the name. */
  readonly address: string;
  /** The session that holds the name. */
  readonly session: SessionId | undefined;
  /** Where nobody holds the name: since when, in milliseconds since 1970. */
  readonly freeSince: number;
}

export interface Users {
  readonly byName: Map<string, User>;
  /** The names in the order of registration. */
  readonly names: OrderedSet<string>;
  /** The names by the address that registered them. */
  readonly byAddress: Map<string, OrderedSet<string>>;
  /** The user that a session holds; `null`: it held one, or logged out, and is nobody now. */
  readonly bySession: IntMap<User | null>;
  /** The id of the next user. */
  readonly nextId: number;
}

/** Nobody is registered yet. */
export function emptyUsers(): Users {
  return {
    byName: Map(),
    names: OrderedSet(),
    byAddress: Map(),
    bySession: IntMap.empty(),
    nextId: 1,
  };
}

/** How many users have registered from an address. */
export function countAtAddress(users: Users, address: string): number {
  return users.byAddress.get(address)?.size ?? 0;
}

/** Somebody's user; or, where only a session from the same address stands in the way, that one. */
export interface Identity {
  readonly user?: User;
  readonly heldBy?: SessionId;
}

const NOBODY: Identity = {};

/**
 * Who somebody is now: the name that the session holds; where it never had one, the one user of its
 * address, if there is exactly one and nobody holds it; else nobody.
 */
export function identify(users: Users, { session, address }: Actor): Identity {
  const held = users.bySession.get(session);
  if (held === null) return NOBODY;
  if (held !== undefined) return { user: held };
  const names = users.byAddress.get(address);
  if (names?.size !== 1) return NOBODY;
  const user = users.byName.get(names.first()!)!;
  return user.session === undefined ? { user } : { heldBy: user.session };
}

/** Adds a user of a new name, whom nobody holds. */
export function addUser(users: Users, name: string, address: string, at: number): Users {
  const neighbours = users.byAddress.get(address) ?? OrderedSet<string>();
  const user = { name, id: users.nextId, address, session: undefined, freeSince: at };
  return {
    ...users,
    byName: users.byName.set(name, user),
    names: users.names.add(name),
    byAddress: users.byAddress.set(address, neighbours.add(name)),
    nextId: users.nextId + 1,
  };
}

/** Removes a user; the session that held it is nobody from now on. */
export function removeUser(users: Users, { name, address, session }: User): Users {
  const neighbours = users.byAddress.get(address)!.delete(name);
  const without = {
    ...users,
    byName: users.byName.delete(name),
    names: users.names.delete(name),
    byAddress: neighbours.size === 0
      ? users.byAddress.delete(address)
      : users.byAddress.set(address, neighbours),
  };
  return session === undefined ? without : makeNobody(without, session);
}

/** The session holds this name, and none that it held before. */
export function hold(users: Users, session: SessionId, name: string, at: number): Users {
  if (users.bySession.get(session)?.name === name) return users;
  const free = endSession(users, session, at);
  const user = { ...free.byName.get(name)!, session };
  return {
    ...free,
    byName: free.byName.set(name, user),
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
  const user = { ...held, session: undefined, freeSince: at };
  return { ...ended, byName: users.byName.set(held.name, user) };
}

/** Forgets all sessions: the server has started anew. */
export function endAllSessions(users: Users, at: number): Users {
  return [...users.bySession].reduce((left, [session]) => endSession(left, session, at), users);
}

/** Somebody from this address was here: nobody there is forgotten before this counts as long ago. */
export function seeAddress(users: Users, address: string, at: number): Users {
  const byName = (users.byAddress.get(address) ?? OrderedSet<string>()).reduce(
    (all, name) => all.set(name, { ...all.get(name)!, freeSince: at }),
    users.byName,
  );
  return { ...users, byName };
}
