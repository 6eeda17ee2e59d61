/** The other servers that share the chat: which of them holds a name, and which are gone. */
import type { Log } from "../log.ts";
import { findRun } from "../chat/members.ts";
import type { GroupCommit } from "./group_commit.ts";
import { NO_SESSION, runOf, type SessionId } from "../chat/users.ts";

/** A run that has not answered so often, asked once in a while, is over. */
const SILENCES_MAX = 3;

/** Asks the runs of the other servers; where a server has its chat for itself there are none. */
export class Peers {
  readonly #turns: GroupCommit;
  readonly #log: Log;
  /** How often runs have not answered, one time after another. */
  readonly #silences = new Map<string, number>();

  constructor(turns: GroupCommit, log: Log) {
    this.#turns = turns;
    this.#log = log;
  }

  /** Another run's session stands in the way; a run that does not answer is over. */
  async ask(session: SessionId): Promise<void> {
    const { sharing, published } = this.#turns;
    const run = published.runs.all.find(({ number }) => number === runOf(session));
    if (run === undefined || await sharing?.ask(run.id, session)) return;
    this.#end(run.id);
    await this.#turns.settled();
  }

  /**
   * Asks all other runs whether they are there. One that is gone holds the names of its users for
   * ever where nobody else wants them.
   */
  async checkAll(): Promise<void> {
    const { sharing, published } = this.#turns;
    if (sharing?.run === undefined) return;
    for (const { id } of published.runs.all) {
      if (id === sharing.run) continue;
      const silences = await sharing.ask(id, NO_SESSION) ? 0 : (this.#silences.get(id) ?? 0) + 1;
      this.#silences.set(id, silences);
      if (silences >= SILENCES_MAX) this.#end(id);
    }
    const isThere = (id: string) => findRun(this.#turns.published.runs, id) !== undefined;
    for (const id of this.#silences.keys()) if (!isThere(id)) this.#silences.delete(id);
  }

  #end(run: string): void {
    this.#log.event("server-silent", { run });
    this.#turns.apply({ kind: "part", at: this.#turns.now(), run });
    this.#turns.add({});
  }
}
