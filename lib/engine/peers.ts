/** The other members of a shared chat: asks them to give up a name, and removes those that are gone. */
import type { Log } from "../log.ts";
import { findMember } from "../chat/members.ts";
import type { Commits } from "./commits.ts";
import { NO_SESSION, type SessionId } from "../chat/users.ts";

/** A member that has not answered this many checks, one after another, is ended. */
const SILENCES_MAX = 3;

/** Asks the other members. A server that shares its chat with no other has none. */
export class Peers {
  readonly #commits: Commits;
  readonly #log: Log;
  /** How many of the last checks each member has not answered. */
  readonly #silences = new Map<string, number>();

  constructor(commits: Commits, log: Log) {
    this.#commits = commits;
    this.#log = log;
  }

  /**
   * Asks another member to give up a name of this session. Resolves when the session has ended, or
   * has had its time to end. A member that does not answer is ended.
   */
  async ask(session: SessionId): Promise<void> {
    const { sharing, published } = this.#commits;
    const member = published.members.all.find(({ number }) => number === session.member);
    if (member === undefined || await sharing?.ask(member.id, session)) return;
    await this.#end(member.id);
  }

  /**
   * Asks all other members whether they are there, and ends those that are silent: a member that is
   * gone would hold the names of its users until another client wants them.
   */
  async checkAll(): Promise<void> {
    const { sharing, published } = this.#commits;
    if (sharing?.member === undefined) return;
    for (const { id } of published.members.all) {
      if (id === sharing.member) continue;
      const silences = await sharing.ask(id, NO_SESSION) ? 0 : (this.#silences.get(id) ?? 0) + 1;
      this.#silences.set(id, silences);
      if (silences >= SILENCES_MAX) this.#end(id);
    }
    const isThere = (id: string) => findMember(this.#commits.published.members, id) !== undefined;
    for (const id of this.#silences.keys()) if (!isThere(id)) this.#silences.delete(id);
  }

  /** Resolves when the end is stored, or could not be stored. */
  #end(member: string): Promise<void> {
    this.#log.event("server-silent", { member });
    return this.#commits.store({ kind: "leave", at: this.#commits.now(), member });
  }
}
