/**
 * The engine: owns the one mutable variable, the current state of the chat. Time enters the chat
 * here: who waits for mail, and for how long.
 */
import { type ChatState, emptyChat, type Entry, mailFor, step } from "./chat.ts";
import type { Command } from "./command.ts";
import type { Reply, Shown } from "./reply.ts";
import type { Settings } from "./settings.ts";
import { type Actor, identify, type SessionId } from "./users.ts";

/** A session from the same address that stands in the way gets so long to end, in milliseconds. */
const GRACE_MS = 250;

/** A command that waits for mail. */
interface Waiter {
  /** Whose mail, and what had been taken of it before. */
  readonly shown: Shown;
  readonly timer: ReturnType<typeof setTimeout>;
  readonly resolve: (reply: Reply) => void;
}

/** What the engine knows of a connection. */
export class Session implements Actor {
  readonly session: SessionId;
  readonly address: string;
  readonly peer: string;
  /** Mail that the next command takes out of its mailbox. */
  shown: Shown | undefined;
  waiter: Waiter | undefined;
  /** Something came behind a `wait`: it ends now, or as soon as it begins. */
  hurried = false;
  /** The session that this one has waited for; the commands behind do not wait for it again. */
  patientWith: SessionId | undefined;
  /** To be called when this session has ended. */
  readonly onEnd = new Set<() => void>();

  constructor(session: SessionId, address: string, peer: string) {
    this.session = session;
    this.address = address;
    this.peer = peer;
  }
}

/** One chat. */
export class Engine {
  #state: ChatState;
  #sessions = new Map<SessionId, Session>();
  #nextSession = 1;
  /** By the id of the user: who waits for mail, the longest first. */
  #waiting = new Map<number, Set<Session>>();
  #stopping = false;

  constructor(settings: Settings) {
    this.#state = emptyChat(settings);
  }

  /** A new session for a connection from `address`; `peer` is `address:port`. */
  open(address: string, peer: string): Session {
    const session = new Session(this.#nextSession++, address, peer);
    this.#sessions.set(session.session, session);
    return session;
  }

  /**
   * Runs a command. The reply comes as a promise where it has to wait: for mail, or for another
   * session from the same address that may be about to end.
   */
  run(session: Session, command: Command): Reply | Promise<Reply> {
    this.acknowledge(session);
    session.hurried = false;
    return this.#run(session, command, true);
  }

  /** A complete command has come, even if it was refused: what was shown before is taken. */
  acknowledge(session: Session): void {
    const { shown } = session;
    session.shown = undefined;
    if (shown !== undefined) this.#step({ kind: "take", shown });
  }

  /** The `wait` of this session, if there is one, is answered at once. */
  hurry(session: Session): void {
    session.hurried = true;
    const { waiter } = session;
    if (waiter !== undefined) this.#finish(session, mailFor(this.#state, waiter.shown));
  }

  /** The session's stream has ended: it holds no name, and what it was shown stays. */
  end(session: Session): void {
    const { waiter } = session;
    session.hurried = true;
    if (waiter !== undefined) {
      this.#finish(session, { code: "mail", count: 0, mail: [], shown: waiter.shown });
    }
    const { shown } = session;
    session.shown = undefined;
    this.#sessions.delete(session.session);
    this.#step({ kind: "end", session: session.session });
    // It was shown mail that it did not take: somebody else may wait for it.
    if (shown !== undefined) this.#serve(shown.id);
    for (const notify of session.onEnd) notify();
  }

  /** Nobody waits any more, now or later. */
  stop(): void {
    this.#stopping = true;
    for (const session of this.#sessions.values()) this.hurry(session);
  }

  #step(entry: Entry): Reply | undefined {
    const { state, reply } = step(this.#state, entry);
    this.#state = state;
    return reply;
  }

  #run(session: Session, command: Command, mayWait: boolean): Reply | Promise<Reply> {
    const before = this.#state;
    const { state, reply } = step(before, { kind: "command", actor: session, command });
    if (reply === undefined) throw new Error(`'${command.name}' has no reply`);
    const heldBy = "heldBy" in reply ? reply.heldBy : undefined;
    if (mayWait && heldBy !== undefined && heldBy !== session.patientWith) {
      return this.#runAfter(heldBy, session, command);
    }
    this.#state = state;
    if (this.#waiting.size > 0 && state !== before) this.#deliver(command, before, session);
    if (command.name !== "wait" || reply.code !== "mail") return reply;
    if (reply.count === 0) return this.#wait(session, reply, command.seconds);
    session.shown = reply.shown;
    return reply;
  }

  /** Runs the command again when the other session has ended, or its time is over. */
  async #runAfter(heldBy: SessionId, session: Session, command: Command): Promise<Reply> {
    const other = this.#sessions.get(heldBy);
    if (other !== undefined && !this.#stopping) {
      const ended = Promise.withResolvers<void>();
      const timer = setTimeout(ended.resolve, GRACE_MS);
      other.onEnd.add(ended.resolve);
      await ended.promise;
      clearTimeout(timer);
      other.onEnd.delete(ended.resolve);
    }
    session.patientWith = heldBy;
    return this.#run(session, command, false);
  }

  #wait(
    session: Session,
    reply: Reply & { code: "mail" },
    seconds: number,
  ): Reply | Promise<Reply> {
    if (seconds === 0 || session.hurried || this.#stopping) return reply;
    const { promise, resolve } = Promise.withResolvers<Reply>();
    const timer = setTimeout(() => this.hurry(session), seconds * 1000);
    session.waiter = { shown: reply.shown, timer, resolve };
    const waiting = this.#waiting.get(reply.shown.id) ?? new Set();
    this.#waiting.set(reply.shown.id, waiting.add(session));
    return promise;
  }

  #finish(session: Session, reply: Reply): void {
    const { shown, timer, resolve } = session.waiter!;
    clearTimeout(timer);
    session.waiter = undefined;
    const waiting = this.#waiting.get(shown.id)!;
    waiting.delete(session);
    if (waiting.size === 0) this.#waiting.delete(shown.id);
    if (reply.code === "mail" && reply.count > 0) session.shown = reply.shown;
    resolve(reply);
  }

  /** After a command changed the state: answers those who wait for what it brought. */
  #deliver(command: Command, before: ChatState, actor: Actor): void {
    if (command.name === "send") {
      this.#serve(this.#state.users.byName.get(command.to)!.id);
    } else if (command.name === "sendall") {
      for (const id of [...this.#waiting.keys()]) this.#serve(id);
    } else if (command.name === "logout") {
      const { user } = identify(before.users, actor);
      if (user !== undefined) this.#serve(user.id);
    }
  }

  /** The oldest that waits for a user gets the mail; all of them hear that the user is gone. */
  #serve(id: number): void {
    for (const session of this.#waiting.get(id) ?? []) {
      const reply = mailFor(this.#state, session.waiter!.shown);
      if (reply.code === "mail" && reply.count === 0) return;
      this.#finish(session, reply);
      if (reply.code === "mail") return;
    }
  }
}
