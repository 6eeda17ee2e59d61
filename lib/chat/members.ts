import type { Entry } from "./entry.ts";

type BatchEntry = Entry & { kind: "batch" };

/** A server process that shares a chat. A process that starts again is a new member. */
export interface Member {
  /** Chosen by the process at random. */
  readonly id: string;
  /** The part of the ids of its sessions that no other member has. */
  readonly number: number;
  /** The number of its last batch; 0 before the first. */
  readonly batch: number;
  /** The newest rules that it knows. */
  readonly rules: number;
}

export interface Members {
  /** The members that share the chat now. */
  readonly all: readonly Member[];
  /** The number of the next member. */
  readonly next: number;
  /** The last that left. One that was paused meanwhile sees here whether its last batch counts. */
  readonly ended: readonly Pick<Member, "id" | "batch">[];
  /** The latest time in any batch so far (ms since 1970). */
  readonly at: number;
}

/** This many members that left are remembered. */
const ENDED_MAX = 32;

/** The members of a chat that is not shared, or not yet. */
export const NO_MEMBERS: Members = { all: [], next: 1, ended: [], at: 0 };

/** The member with this id; `undefined` if it never joined or has left. */
export function findMember({ all }: Members, id: string): Member | undefined {
  return all.find((member) => member.id === id);
}

/** The number of a member's last batch; `undefined` if it never joined or left long ago. */
export function lastBatch({ all, ended }: Members, id: string): number | undefined {
  return [...all, ...ended].find((member) => member.id === id)?.batch;
}

/** Is this the next batch of its member? `false` also if the member has left. */
export function isNextBatch(members: Members, { member, batch }: BatchEntry): boolean {
  return findMember(members, member)?.batch === batch - 1;
}

/** Counts a member's next batch. */
export function countBatch(members: Members, { member: id, batch }: BatchEntry): Members {
  const all = members.all.map((member) => member.id === id ? { ...member, batch } : member);
  return { ...members, all };
}

/** Adds a member with an id that no other member has. */
export function addMember(members: Members, id: string, rules: number): Members {
  const member = { id, number: members.next, batch: 0, rules };
  return { ...members, all: [...members.all, member], next: members.next + 1 };
}

/** Removes a member that leaves. */
export function removeMember(members: Members, { id, batch }: Member): Members {
  const ended = [...members.ended, { id, batch }].slice(-ENDED_MAX);
  return { ...members, all: members.all.filter((member) => member.id !== id), ended };
}
