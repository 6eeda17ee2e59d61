/**
 * The share of each network of addresses: its registered users, and their mail that waits. An
 * attacker has many addresses of one network, see `shareNetwork`, so the limits for one address count
 * here. Mail counts to its sender's network also when that user was removed.
 */
import { Overlay } from "./overlay.ts";
import { IntMap, TextMap } from "./persistent.ts";

/** A network with users or mail. Each user and each message names the one that it counts to. */
export interface Source {
  readonly id: number;
  /** As `shareNetwork` writes it. */
  readonly network: string;
}

/** The users and the mail of a network. */
export interface Share {
  readonly source: Source;
  /** Registered users. */
  readonly users: number;
  /** Messages that wait in mailboxes. A broadcast counts once. */
  readonly mail: number;
}

export interface Shares {
  /** By the id of the source. A network without users and mail is not in the maps. */
  readonly byId: IntMap<Share> | Overlay<Share>;
  readonly byNetwork: TextMap<Source>;
  /** The id of the next source. */
  readonly nextId: number;
}

/** No shares. */
export function emptyShares(): Shares {
  return { byId: IntMap.empty(), byNetwork: TextMap.empty(), nextId: 1 };
}

/** What counts to a network; `undefined` if nothing does. */
export function shareOf({ byId, byNetwork }: Shares, network: string): Share | undefined {
  const source = byNetwork.get(network);
  return source && byId.get(source.id);
}

/** The shares in which the network has a source, to which nothing may count yet. */
export function addSource(
  shares: Shares,
  network: string,
): { readonly shares: Shares; readonly source: Source } {
  const known = shares.byNetwork.get(network);
  if (known !== undefined) return { shares, source: known };
  const source = { id: shares.nextId, network };
  return {
    source,
    shares: {
      byId: shares.byId.set(source.id, { source, users: 0, mail: 0 }),
      byNetwork: shares.byNetwork.set(network, source),
      nextId: source.id + 1,
    },
  };
}

/** Counts this many users more to a source, or less. */
export function countUsers(shares: Shares, { id }: Source, users: number): Shares {
  const share = shares.byId.get(id)!;
  return setShare(shares, { ...share, users: share.users + users });
}

/** Counts this many messages more to a source, or less. */
export function countMail(shares: Shares, { id }: Source, messages: number): Shares {
  const { source, users, mail } = shares.byId.get(id)!;
  return setShare(shares, { source, users, mail: mail + messages });
}

function setShare({ byId, byNetwork, nextId }: Shares, share: Share): Shares {
  const { source: { id, network }, users, mail } = share;
  if (users > 0 || mail > 0) return { byId: byId.set(id, share), byNetwork, nextId };
  return { byId: byId.set(id, undefined), byNetwork: byNetwork.set(network, undefined), nextId };
}
