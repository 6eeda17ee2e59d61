/**
 * The members: the server processes that share a chat, and how far each has come. A process that starts
 * anew is another member. Pure.
 */

/** A server process. */
export interface Member {
  /** Chosen by the process, by chance. */
  readonly id: string;
  /** Stands in the ids of its sessions. */
  readonly number: number;
  /** Its last batch of entries. */
  readonly batch: number;
  /** The newest rules that it knows. */
  readonly rules: number;
}

export interface Members {
  readonly all: readonly Member[];
  /** The number of the next member. */
  readonly next: number;
  /** The last that ended: who was paused meanwhile learns what became of its last batch. */
  readonly ended: readonly Pick<Member, "id" | "batch">[];
  /** The latest time that any of them told, in milliseconds since 1970. */
  readonly at: number;
}

/** So many that ended are remembered. */
const ENDED_MAX = 32;

/** Nobody shares the chat. */
export const NO_MEMBERS: Members = { all: [], next: 1, ended: [], at: 0 };

/** A member by its id. */
export function findMember({ all }: Members, id: string): Member | undefined {
  return all.find((member) => member.id === id);
}

/** The last batch of a member that has come; `undefined` for one that nobody remembers. */
export function lastBatch({ all, ended }: Members, id: string): number | undefined {
  return [...all, ...ended].find((member) => member.id === id)?.batch;
}

/**
 * Does the batch of this number come next? Not one that came before, is behind a gap, or of a member
 * that is over.
 */
export function isNextBatch(members: Members, id: string, batch: number): boolean {
  return findMember(members, id)?.batch === batch - 1;
}

/** The batch of this number has come. */
export function countBatch(members: Members, id: string, batch: number): Members {
  return {
    ...members,
    all: members.all.map((member) => member.id === id ? { ...member, batch } : member),
  };
}

/** One more member; there is none of its id. */
export function addMember(members: Members, id: string, rules: number): Members {
  const member = { id, number: members.next, batch: 0, rules };
  return { ...members, all: [...members.all, member], next: members.next + 1 };
}

/** The member is over. */
export function removeMember(members: Members, { id, batch }: Member): Members {
  const ended = [...members.ended, { id, batch }].slice(-ENDED_MAX);
  return { ...members, all: members.all.filter((member) => member.id !== id), ended };
}
