/** Who waits for mail, for how long, and what is shown to whom. */
import type { Entry } from "../chat/entry.ts";
import type { Command } from "../protocol/command.ts";
import type { Reply, Shown } from "../protocol/reply.ts";
import type { Answer, Session, Waiter } from "./session.ts";
import { type ChatState, mailFor } from "../chat/state.ts";
import type { GroupCommit } from "./group_commit.ts";
import { type Actor, identify } from "../chat/users.ts";

/** All sessions that wait, by whose mail they wait for. */
export class Waiters {
  readonly #commits: GroupCommit;
  /** By the id of the user, the longest first. */
  readonly #waiting = new Map<number, Set<Session>>();

  constructor(commits: GroupCommit) {
    this.#commits = commits;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Waits for mail, so many seconds at most: the same answer, when it is known. */
  begin(session: Session, answer: Answer, shown: Shown, seconds: number): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const timer = setTimeout(() => this.endWait(session), seconds * 1000);
    session.waiter = { answer, shown, timer, resolve };
    const waiting = this.#waiting.get(shown.id) ?? new Set();
    this.#waiting.set(shown.id, waiting.add(session));
    return promise;
  }

  /** The `wait` of this session, if there is one, is answered at once. */
  endWait(session: Session): void {
    session.mayNotWait = true;
    if (session.waiter !== undefined) this.#finish(session, session.waiter);
  }

  /** The session is over: nobody hears what it has waited for. */
  end(session: Session): void {
    session.mayNotWait = true;
    const { waiter } = session;
    if (waiter === undefined) return;
    this.#answer(session, waiter, { code: "mail", count: 0, mail: () => [], shown: waiter.shown });
  }

  /** The batch in which the answer was read was dropped: this is the reply now. */
  answerAnew(session: Session, answer: Answer, reply: Reply, isWait: boolean): void {
    answer.reply = reply;
    const { waiter } = session;
    const waits = waiter?.answer === answer;
    if (waits && isNothingFor(waiter, reply)) return;
    answer.isAnew = true;
    if (waits) this.#answer(session, waiter, reply);
    else if (isWait) this.show(session, reply);
  }

  /** Ends a `wait` with the mail that is there. */
  #finish(session: Session, waiter: Waiter): void {
    const { answer, shown } = waiter;
    this.#answer(session, waiter, mailFor(this.#commits.candidate, shown));
    this.#commits.add({
      undo: () => {
        if (answer.isAnew) return;
        answer.reply = mailFor(this.#commits.published, shown);
        this.show(session, answer.reply);
      },
    });
  }

  #answer(session: Session, { answer, shown, timer, resolve }: Waiter, reply: Reply): void {
    clearTimeout(timer);
    session.waiter = undefined;
    const waiting = this.#waiting.get(shown.id)!;
    waiting.delete(session);
    if (waiting.size === 0) this.#waiting.delete(shown.id);
    answer.reply = reply;
    this.show(session, reply);
    resolve(answer);
  }

  /** A batch of the common order is in the state: answers those who wait for what it brought. */
  came(batch: readonly Entry[]): void {
    if (this.isEmpty) return;
    const mayBringMore = batch.some((entry) =>
      ["forget", "return"].includes(entry.kind) ||
      entry.kind === "command" && ["sendall", "logout"].includes(entry.command.name)
    );
    if (mayBringMore) return this.serveAll();
    for (const entry of batch) {
      if (entry.kind === "command" && entry.command.name === "send") {
        this.#serveName(entry.command.to);
      }
    }
  }

  /** After a command was stored: answers those who wait for what it brought. */
  deliver(command: Command, before: ChatState, actor: Actor): void {
    if (command.name === "send") this.#serveName(command.to);
    else if (command.name === "sendall") this.serveAll();
    else if (command.name === "logout") {
      const { user } = identify(before.users, actor);
      if (user !== undefined) this.serve(user.id);
    }
  }

  #serveName(name: string): void {
    const user = this.#commits.published.users.byName.get(name);
    if (user !== undefined) this.serve(user.id);
  }

  /** Whatever has come, everybody's mail is looked at. */
  serveAll(): void {
    for (const id of [...this.#waiting.keys()]) this.serve(id);
  }

  /** The oldest that waits for a user gets the mail; all of them hear that the user is gone. */
  serve(id: number): void {
    for (const session of this.#waiting.get(id) ?? []) {
      const waiter = session.waiter!;
      const reply = mailFor(this.#commits.candidate, waiter.shown);
      if (reply.code === "mail" && reply.count === 0) return;
      this.#finish(session, waiter);
      if (reply.code === "mail") return;
    }
  }

  /** The next command takes what is shown now; a refusal shows nothing, and hides nothing. */
  show(session: Session, reply: Reply): void {
    if (reply.code === "mail") this.setShown(session, reply.count > 0 ? reply.shown : undefined);
  }

  /** The same; nothing is shown where it is `undefined`. It is undone with its batch. */
  setShown(session: Session, shown: Shown | undefined): void {
    const before = session.shown;
    session.shown = shown;
    this.#commits.add({
      restore: () => {
        session.shown = before;
      },
    });
  }
}

/** Does the reply say that the user whose mail is waited for is there, and has none? */
function isNothingFor({ shown }: Waiter, reply: Reply): boolean {
  return reply.code === "mail" && reply.count === 0 && reply.shown.id === shown.id;
}
