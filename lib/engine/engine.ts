/** The engine: runs the commands of all connections, each in its batch. Time enters the chat here. */
import { step } from "../chat/step.ts";
import type { CommandEntry, Entry } from "../chat/entry.ts";
import type { Command } from "../protocol/command.ts";
import type { Log } from "../log.ts";
import { Peers } from "./peers.ts";
import type { Reply } from "../protocol/reply.ts";
import { type Answer, Session } from "./session.ts";
import type { ChatState } from "../chat/state.ts";
import { type GroupCommit, STORAGE_AWAY } from "./group_commit.ts";
import { atAddress, memberOf, type SessionId, sessionOf } from "../chat/users.ts";
import { Waiters } from "./waiters.ts";

/** A session from the same address that stands in the way gets so long to end, in milliseconds. */
const GRACE_MS = 250;
/** In strict mode it is noted once in so long that an address was here, in milliseconds. */
const SEEN_MS = 3_600_000;

/** One chat. */
export class Engine {
  readonly #commits: GroupCommit;
  readonly #log: Log;
  #sessions = new Map<SessionId, Session>();
  #nextSession = 1;
  readonly #peers: Peers;
  readonly #waiters: Waiters;
  #stopping = false;
  #onEnded = () => {};

  constructor(commits: GroupCommit, log: Log) {
    this.#commits = commits;
    this.#log = log;
    this.#peers = new Peers(commits, log);
    this.#waiters = new Waiters(commits);
    commits.follow({
      came: (batch) => this.#waiters.came(batch),
      missed: () => this.#waiters.serveAll(),
      ended: () => this.#onEnded(),
      asked: (session) => this.#asked(session),
    });
  }

  /** To be called when all sessions are over, and their connections with them. */
  set onEnded(end: () => void) {
    this.#onEnded = end;
  }

  /** A new session for a connection from `address`; `peer` is `address:port`. */
  open(address: string, peer: string): Session {
    const id = sessionOf(this.#commits.member ?? 0, this.#nextSession++);
    const session = new Session({ session: id, address, peer });
    this.#sessions.set(session.actor.session, session);
    return session;
  }

  /**
   * Runs a command. The answer comes as a promise where it has to wait: for mail, or for another
   * session from the same address that may be about to end.
   */
  run(session: Session, command: Command): Answer | Promise<Answer> {
    this.acknowledge(session);
    session.mayNotWait = false;
    return this.#run(session, command, true);
  }

  /** The end of the batch, where one is open: before it no answer may leave. */
  settled(): Promise<void> | undefined {
    return this.#commits.settled();
  }

  /** A complete command has come, even if it was refused: what was shown before is taken. */
  acknowledge(session: Session): void {
    const { shown } = session;
    if (shown === undefined) return;
    this.#commits.apply({ kind: "take", shown });
    this.#waiters.setShown(session, undefined);
    this.#countPending(session);
  }

  /** The `wait` of this session, if there is one, is answered at once. */
  endWait(session: Session): void {
    this.#waiters.endWait(session);
  }

  /** The session's stream has ended: it holds no name, and what it was shown stays. */
  end(session: Session): void {
    const { actor } = session;
    if (!this.#sessions.delete(actor.session)) return;
    this.#waiters.end(session);
    const { shown } = session;
    session.shown = undefined;
    const at = this.#commits.now();
    const entries: Entry[] = [];
    if (this.#isKnown(session)) entries.push({ kind: "end", at, session: actor.session });
    if (this.#isLongUnseen(actor.address, at)) {
      entries.push({ kind: "seen", at, address: actor.address });
    }
    for (const entry of entries) this.#commits.apply(entry);
    this.#commits.add({
      // It was shown mail that it did not take: somebody else may wait for it.
      done: () => {
        if (shown !== undefined) this.#waiters.serve(shown.id);
      },
      undo: (isLate) => isLate || this.#commits.storeEventually(entries),
    });
    for (const notify of session.onEnd ?? []) notify();
  }

  /** Forgets users whom nobody has held for `ms` milliseconds; `at` is now, since 1970. */
  forgetAbsent(at: number, ms: number): void {
    const present = new Set(Array.from(this.#sessions.values(), ({ actor }) => actor.address));
    const { settings, users } = this.#commits.candidate;
    // Other servers do not see who is here.
    for (const address of settings.strict && this.#commits.isShared ? present : []) {
      if (!this.#isLongUnseen(address, at)) continue;
      this.#commits.apply({ kind: "seen", at, address });
      this.#commits.add({});
    }
    for (const { name: user, id, address } of users.byId.values()) {
      const { session, freeSince } = users.presence.get(id)!;
      if (session !== undefined || at - freeSince < ms) continue;
      if (settings.strict && present.has(address)) continue;
      const unseen = this.#commits.isShared ? { freeSince } : {};
      this.#commits.apply({ kind: "forget", user, id, ...unseen });
      this.#log.event("forgotten", { user });
      this.#commits.add({ done: () => this.#waiters.serve(id) });
    }
  }

  /** Where servers share the chat: ends the runs of those that are gone. */
  checkPeers(): void {
    this.#peers.checkAll();
  }

  /** Nobody waits any more, now or later. */
  stop(): void {
    this.#stopping = true;
    for (const session of this.#sessions.values()) this.endWait(session);
  }

  #run(session: Session, command: Command, mayWait: boolean): Answer | Promise<Answer> {
    const before = this.#commits.candidate;
    const { actor } = session;
    // Only with a name a time is remembered, and to look at the clock is a tenth of a `send`.
    const at = command.name === "register" ? this.#commits.now() : this.#commits.lastNow;
    const entry: CommandEntry = { kind: "command", at, actor, command };
    const { state, reply, blockedBy } = step(before, entry);
    if (reply === undefined) throw new Error(`'${command.name}' has no reply`);
    const isHeld = mayWait && blockedBy !== undefined && blockedBy !== session.waitedFor;
    const isEntry = state !== before || this.#commits.isShared && mayChange(command);
    if (session.pending > 0 && (isHeld || !isEntry)) return this.#runLater(session, command);
    if (isHeld) return this.#runAfter(blockedBy, session, command);
    if (!isEntry) return this.#look(session, entry, reply);
    if (!this.#isOpen(session)) return { name: command.name, reply: STORAGE_AWAY };
    if (this.#commits.isShared) return this.#submit(session, entry);
    const answer: Answer = { name: command.name, reply };
    this.#commits.take(entry, state, answer);
    // Who begins to wait later sees what the command did.
    if (!this.#waiters.isEmpty) this.#deliver(entry, before);
    return answer;
  }

  /** The answer to a command that changes nothing; it was read off a candidate. */
  #look(session: Session, entry: CommandEntry, reply: Reply): Answer | Promise<Answer> {
    const { command } = entry;
    const answer: Answer = { name: command.name, reply };
    const isWait = command.name === "wait";
    const shows = isWait && reply.code === "mail";
    if (shows) this.#waiters.show(session, reply);
    this.#commits.add({
      undo: () => this.#waiters.answerAnew(session, answer, this.#commits.replyAnew(entry), isWait),
    });
    const waits = shows && reply.count === 0 && command.seconds > 0 && !session.mayNotWait &&
      !this.#stopping;
    return waits ? this.#waiters.begin(session, answer, reply.shown, command.seconds) : answer;
  }

  /** Those who wait hear of a command when it is stored. */
  #deliver({ command, actor }: CommandEntry, before: ChatState): void {
    this.#commits.add({ done: () => this.#waiters.deliver(command, before, actor) });
  }

  /** Runs the command again when the other session has ended, or its time is over. */
  async #runAfter(other: SessionId, session: Session, command: Command): Promise<Answer> {
    if (!this.#stopping) {
      if (memberOf(other) === this.#commits.member) await this.#asked(other);
      else await this.#peers.ask(other);
    }
    session.waitedFor = other;
    return this.#run(session, command, false);
  }

  /** A session is in the way of another: gives it some time to end. */
  async #asked(id: SessionId): Promise<void> {
    const session = this.#sessions.get(id);
    if (session !== undefined) {
      const ended = Promise.withResolvers<void>();
      const timer = setTimeout(ended.resolve, GRACE_MS);
      session.onEnd ??= new Set();
      session.onEnd.add(ended.resolve);
      await ended.promise;
      clearTimeout(timer);
      session.onEnd.delete(ended.resolve);
    }
    // Who asks from another server has to find the end in the common order.
    if (this.#commits.isShared) await this.#commits.settledAll();
  }

  /** Runs the command when what the session did before is in the state. */
  async #runLater(session: Session, command: Command): Promise<Answer> {
    while (session.pending > 0) await this.#commits.settled();
    return this.#run(session, command, true);
  }

  /** The reply is what the common order makes of the command. */
  #submit(session: Session, entry: CommandEntry): Answer | Promise<Answer> {
    const answer: Answer = { name: entry.command.name, reply: STORAGE_AWAY };
    this.#commits.take(entry, this.#commits.candidate, answer);
    this.#countPending(session);
    // A reply may end the conversation.
    const isStrict = this.#commits.candidate.settings.strict;
    return isStrict ? this.#settledAnswer(answer) : answer;
  }

  async #settledAnswer(answer: Answer): Promise<Answer> {
    await this.#commits.settled();
    return answer;
  }

  /** Where the journal is shared: the state knows of an entry only when its batch has come. */
  #countPending(session: Session): void {
    if (!this.#commits.isShared) return;
    session.hasActed = true;
    session.pending++;
    const over = () => void session.pending--;
    this.#commits.add({ done: over, undo: over });
  }

  /** Else its connection is over, or is being closed: nobody would ever end what it did now. */
  #isOpen({ actor: { session } }: Session): boolean {
    return this.#sessions.has(session) && memberOf(session) === this.#commits.member;
  }

  /** May the state know of the session? */
  #isKnown(session: Session): boolean {
    if (!this.#commits.isShared) return true;
    return session.hasActed && memberOf(session.actor.session) === this.#commits.member;
  }

  /** In strict mode: has it been noted for long that the user of this address was here? */
  #isLongUnseen(address: string, at: number): boolean {
    const { settings, users } = this.#commits.candidate;
    if (!settings.strict) return false;
    const [user] = atAddress(users, address).values();
    return user !== undefined && at - users.presence.get(user.id)!.freeSince >= SEEN_MS;
  }
}

/** May the command change the state? Then its reply is made where the order is. */
function mayChange({ name }: Command): boolean {
  return ["register", "send", "sendall", "receive", "logout"].includes(name);
}
