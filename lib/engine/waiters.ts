/**
 * The sessions that wait for mail, and the mail that is shown to each session.
 *
 * A `wait` ends with the first mail, when its seconds are over, when its user is removed, and through
 * {@link Waiters.endWait}: the connection calls that for the next command and for the end of the
 * stream, the engine at a stop.
 */
import type { Entry } from "../chat/entry.ts";
import type { Command } from "../protocol/command.ts";
import type { Reply, Shown } from "../protocol/reply.ts";
import type { Answer, Session, Waiter } from "./session.ts";
import { type ChatState, mailFor } from "../chat/state.ts";
import type { GroupCommit } from "./group_commit.ts";
import { type Actor, identify } from "../chat/users.ts";

/** All sessions that wait for mail. */
export class Waiters {
  readonly #commits: GroupCommit;
  /** By the id of the user whose mail they wait for; the longest waiting session is first. */
  readonly #waiting = new Map<number, Set<Session>>();

  constructor(commits: GroupCommit) {
    this.#commits = commits;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Waits for mail, at most `seconds` seconds. Resolves to `answer` when its reply is known. */
  begin(session: Session, answer: Answer, shown: Shown, seconds: number): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const timer = setTimeout(() => this.endWait(session), seconds * 1000);
    session.waiter = { answer, shown, timer, resolve };
    const waiting = this.#waiting.get(shown.id) ?? new Set();
    this.#waiting.set(shown.id, waiting.add(session));
    return promise;
  }

  /** Answers the `wait` of this session at once, or as soon as it begins. */
  endWait(session: Session): void {
    session.mayNotWait = true;
    if (session.waiter !== undefined) this.#finish(session, session.waiter);
  }

  /** Ends the session. Its `wait` is answered without mail, as the client can't take any. */
  end(session: Session): void {
    session.mayNotWait = true;
    const { waiter } = session;
    if (waiter === undefined) return;
    this.#answer(session, waiter, { code: "mail", count: 0, mail: () => [], shown: waiter.shown });
  }

  /**
   * Gives an answer the reply that holds after its batch was dropped. A `wait` that finds no mail
   * even now goes on waiting.
   */
  revise(session: Session, answer: Answer, reply: Reply, isWait: boolean): void {
    answer.reply = reply;
    const { waiter } = session;
    const isWaiting = waiter?.answer === answer;
    if (isWaiting && isWithoutMail(waiter, reply)) return;
    answer.isRevised = true;
    if (isWaiting) this.#answer(session, waiter, reply);
    else if (isWait) this.show(session, reply);
  }

  /** Ends a `wait` with the mail of the candidate state. */
  #finish(session: Session, waiter: Waiter): void {
    const { answer, shown } = waiter;
    this.#answer(session, waiter, mailFor(this.#commits.candidate, shown));
    this.#commits.add({
      undo: () => {
        if (answer.isRevised) return;
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

  /** Serves the sessions that wait for the mail of a batch from a shared journal. */
  deliverBatch(batch: readonly Entry[]): void {
    if (this.isEmpty) return;
    const concernsAll = batch.some((entry) =>
      ["forget", "return"].includes(entry.kind) ||
      entry.kind === "command" && ["sendall", "logout"].includes(entry.command.name)
    );
    if (concernsAll) return this.serveAll();
    for (const entry of batch) {
      if (entry.kind === "command" && entry.command.name === "send") {
        this.#serveName(entry.command.to);
      }
    }
  }

  /**
   * Serves the sessions that wait for the mail of this command, or whose user it has logged out.
   * `before` is the state before the command.
   */
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

  /** Serves the sessions that wait, whichever user it is for. */
  serveAll(): void {
    for (const id of [...this.#waiting.keys()]) this.serve(id);
  }

  /**
   * Serves the sessions that wait for the mail of this user: the one that has waited longest gets
   * the mail. If the user is gone, all of them are told so.
   */
  serve(id: number): void {
    for (const session of this.#waiting.get(id) ?? []) {
      const waiter = session.waiter!;
      const reply = mailFor(this.#commits.candidate, waiter.shown);
      if (reply.code === "mail" && reply.count === 0) return;
      this.#finish(session, waiter);
      if (reply.code === "mail") return;
    }
  }

  /** Notes the mail that this reply shows to the session. A refusal changes nothing. */
  show(session: Session, reply: Reply): void {
    if (reply.code === "mail") this.setShown(session, reply.count > 0 ? reply.shown : undefined);
  }

  /** Notes the mail that is shown to the session, if any. It is undone if the batch is dropped. */
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

/** Is the user of the `wait` still there, and without mail? */
function isWithoutMail({ shown }: Waiter, reply: Reply): boolean {
  return reply.code === "mail" && reply.count === 0 && reply.shown.id === shown.id;
}
