import type { Changed } from "../chat/batch.ts";
import { type ChatState, mailFor } from "../chat/state.ts";
import type { Parked, Session } from "./session.ts";

interface Line {
  /** The sessions that wait for the mail of one user, in the order in which they began. */
  readonly sessions: Set<Session>;
  /** The number of the last message of the user that was shown to one of them, or was there before. */
  through: number;
}

/**
 * All sessions that wait for mail. A `wait` ends with the first mail, when its seconds are over, when
 * its user is removed, with the session's next command, with the end of its stream, and when the
 * server stops.
 */
export class Waiters {
  /** By the id of the user whose mail they wait for. */
  readonly #lines = new Map<number, Line>();

  /** Adds a session with a parked `wait`. */
  add(session: Session): void {
    const { id, through } = session.parked!.shown;
    const line = this.#lines.get(id) ?? { sessions: new Set(), through };
    line.sessions.add(session);
    this.#lines.set(id, line);
  }

  /** Removes a session, whose `wait` ends. Returns that. */
  remove(session: Session): Parked | undefined {
    const { parked } = session;
    if (parked === undefined) return undefined;
    clearTimeout(parked.timer);
    session.parked = undefined;
    const { id } = parked.shown;
    const { sessions } = this.#lines.get(id)!;
    sessions.delete(session);
    if (sessions.size === 0) this.#lines.delete(id);
    return parked;
  }

  /** Shows new mail in these mailboxes to the sessions that wait for it. */
  serve(state: ChatState, changed: Changed): void {
    if (this.#lines.size === 0) return;
    for (const id of changed === "all" ? [...this.#lines.keys()] : changed) {
      const line = this.#lines.get(id);
      if (line !== undefined) this.#serve(state, line);
    }
  }

  /** Shows a user's mail again: the session that was shown it has ended, and has not taken it. */
  serveAgain(state: ChatState, id: number): void {
    const line = this.#lines.get(id);
    if (line === undefined) return;
    line.through = 0;
    this.#serve(state, line);
  }

  /** The session that has waited longest gets the mail. If the user is gone, all are told. */
  #serve(state: ChatState, line: Line): void {
    for (const session of line.sessions) {
      const reply = mailFor(state, session.parked!.shown);
      if (reply.code === "mail") {
        if (reply.count === 0 || reply.shown.through <= line.through) return;
        line.through = reply.shown.through;
        session.shown = reply.shown;
      }
      this.remove(session)!.resolve(reply);
      if (reply.code === "mail") return;
    }
  }
}
