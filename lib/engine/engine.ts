/** The engine: runs the commands of all sessions on the chat. Time enters the chat here. */
import { step } from "../chat/step.ts";
import type { CommandEntry, Entry } from "../chat/entry.ts";
import type { Command } from "../protocol/command.ts";
import type { Log } from "../log.ts";
import { Peers } from "./peers.ts";
import type { Reply } from "../protocol/reply.ts";
import { type Answer, Session } from "./session.ts";
import type { ChatState } from "../chat/state.ts";
import { type GroupCommit, STORAGE_AWAY } from "./group_commit.ts";
import { atAddress, isSameSession, type SessionId } from "../chat/users.ts";
import { Waiters } from "./waiters.ts";

/** A session that blocks a command from the same address has this long to end (ms). */
const GRACE_MS = 250;
/** In strict mode the presence of an address is noted at most once in this time (ms). */
const SEEN_MS = 3_600_000;

/** The engine of one chat. */
export class Engine {
  readonly #commits: GroupCommit;
  readonly #log: Log;
  /** By the count of the session. */
  #sessions = new Map<number, Session>();
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
      came: (batch) => this.#waiters.deliverBatch(batch),
      reset: () => this.#waiters.serveAll(),
      ended: () => this.#onEnded(),
      asked: (session) => this.#asked(session),
    });
  }

  /** Sets the function that closes all connections: it is called when this member has ended. */
  set onEnded(end: () => void) {
    this.#onEnded = end;
  }

  /** Opens a session for a connection from `address`; `peer` is its `address:port`. */
  open(address: string, peer: string): Session {
    const id = { member: this.#commits.member ?? 0, count: this.#nextSession++ };
    const session = new Session({ session: id, address, peer });
    this.#sessions.set(id.count, session);
    return session;
  }

  /**
   * Runs a command. Returns a promise where the answer has to wait: for mail, for earlier entries
   * of the session, or for another session from the same address that may be about to end. The
   * reply may leave when {@link Engine.settled} has resolved.
   */
  run(session: Session, command: Command): Answer | Promise<Answer> {
    this.acknowledge(session);
    session.mayNotWait = false;
    return this.#run(session, command, true);
  }

  /** Resolves when the batches of now are over; `undefined` if there are none. No reply leaves before. */
  settled(): Promise<void> | undefined {
    return this.#commits.settled();
  }

  /**
   * To be called for each whole command, even a refused one: its client has read the mail that was
   * shown before, so that leaves the mailbox.
   */
  acknowledge(session: Session): void {
    const { shown } = session;
    if (shown === undefined) return;
    this.#commits.apply({ kind: "take", shown });
    this.#waiters.setShown(session, undefined);
    this.#countPending(session);
  }

  /** Answers the `wait` of this session at once, or as soon as it begins. */
  endWait(session: Session): void {
    this.#waiters.endWait(session);
  }

  /** Ends the session: it holds no name any more, and mail that was shown to it stays. */
  end(session: Session): void {
    const { actor } = session;
    if (!this.#sessions.delete(actor.session.count)) return;
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
      // Another session may wait for the mail that this one has not taken.
      done: () => {
        if (shown !== undefined) this.#waiters.serve(shown.id);
      },
      undo: (isLate) => isLate || this.#commits.storeEventually(entries),
    });
    for (const notify of session.onEnd ?? []) notify();
  }

  /** Forgets users who were absent for `ms` milliseconds; `at` is the time (ms since 1970). */
  forgetAbsent(at: number, ms: number): void {
    const present = new Set(Array.from(this.#sessions.values(), ({ actor }) => actor.address));
    const { settings, users } = this.#commits.candidate;
    // Other members do not see which addresses are here, so the journal has to say it.
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

  /** Where servers share the chat: ends the members that are gone. */
  checkPeers(): void {
    this.#peers.checkAll();
  }

  /** Ends all waiting: for mail, and from now on for other sessions. */
  stop(): void {
    this.#stopping = true;
    for (const session of this.#sessions.values()) this.endWait(session);
  }

  /** Runs a command; with `mayBlock` it waits for a session that blocks it. */
  #run(session: Session, command: Command, mayBlock: boolean): Answer | Promise<Answer> {
    const before = this.#commits.candidate;
    const { actor } = session;
    // Only `register` stores its time, and reading the clock costs a tenth of a `send`.
    const at = command.name === "register" ? this.#commits.now() : this.#commits.lastNow;
    const entry: CommandEntry = { kind: "command", at, actor, command };
    const { state, reply, blockedBy } = step(before, entry);
    if (reply === undefined) throw new Error(`'${command.name}' has no reply`);
    const isBlocked = mayBlock && blockedBy !== undefined &&
      !isSameSession(blockedBy, session.waitedFor);
    const isEntry = state !== before || this.#commits.isShared && mayChange(command);
    if (session.pending > 0 && (isBlocked || !isEntry)) return this.#runLater(session, command);
    if (isBlocked) return this.#runAfter(blockedBy, session, command);
    if (!isEntry) return this.#answerRead(session, entry, reply);
    if (!this.#isOpen(session)) return { name: command.name, reply: STORAGE_AWAY };
    if (this.#commits.isShared) return this.#submit(session, entry);
    const answer: Answer = { name: command.name, reply };
    this.#commits.append(entry, state, answer);
    // Sessions that begin to wait from here on see what the command did.
    if (!this.#waiters.isEmpty) this.#deliver(entry, before);
    return answer;
  }

  /** Answers a command that changes nothing, with its reply from the candidate state. */
  #answerRead(session: Session, entry: CommandEntry, reply: Reply): Answer | Promise<Answer> {
    const { command } = entry;
    const answer: Answer = { name: command.name, reply };
    const isWait = command.name === "wait";
    const shows = isWait && reply.code === "mail";
    if (shows) this.#waiters.show(session, reply);
    this.#commits.add({
      undo: () => this.#waiters.revise(session, answer, this.#commits.revisedReply(entry), isWait),
    });
    const waits = shows && reply.count === 0 && command.seconds > 0 && !session.mayNotWait &&
      !this.#stopping;
    return waits ? this.#waiters.begin(session, answer, reply.shown, command.seconds) : answer;
  }

  /** When the command is stored, sessions that wait for its mail get it. */
  #deliver({ command, actor }: CommandEntry, before: ChatState): void {
    this.#commits.add({ done: () => this.#waiters.deliver(command, before, actor) });
  }

  /** Runs the command again when the other session has ended, or has had its time to end. */
  async #runAfter(other: SessionId, session: Session, command: Command): Promise<Answer> {
    if (!this.#stopping) {
      if (other.member === this.#commits.member) await this.#asked(other);
      else await this.#peers.ask(other);
    }
    session.waitedFor = other;
    return this.#run(session, command, false);
  }

  /** Another session wants the name that this one holds: resolves when it has ended, or after GRACE_MS. */
  async #asked({ count }: SessionId): Promise<void> {
    const session = this.#sessions.get(count);
    if (session !== undefined) {
      const ended = Promise.withResolvers<void>();
      const timer = setTimeout(ended.resolve, GRACE_MS);
      session.onEnd ??= new Set();
      session.onEnd.add(ended.resolve);
      await ended.promise;
      clearTimeout(timer);
      session.onEnd.delete(ended.resolve);
    }
    // The member that asks has to find the end of the session in the shared journal.
    if (this.#commits.isShared) await this.#commits.settledAll();
  }

  /** Runs the command when all earlier entries of the session are in the state. */
  async #runLater(session: Session, command: Command): Promise<Answer> {
    while (session.pending > 0) await this.#commits.settled();
    return this.#run(session, command, true);
  }

  /** With a shared journal: sends the command. Its reply is known when the batch comes back. */
  #submit(session: Session, entry: CommandEntry): Answer | Promise<Answer> {
    const answer: Answer = { name: entry.command.name, reply: STORAGE_AWAY };
    this.#commits.append(entry, this.#commits.candidate, answer);
    this.#countPending(session);
    // In strict mode some replies close the connection, so later commands wait for this reply.
    const isStrict = this.#commits.candidate.settings.strict;
    return isStrict ? this.#settledAnswer(answer) : answer;
  }

  async #settledAnswer(answer: Answer): Promise<Answer> {
    await this.#commits.settled();
    return answer;
  }

  /** With a shared journal: counts an entry of the session until its batch has come back. */
  #countPending(session: Session): void {
    if (!this.#commits.isShared) return;
    session.hasActed = true;
    session.pending++;
    const over = () => void session.pending--;
    this.#commits.add({ done: over, undo: over });
  }

  /** Is the session open, and of the present member? Entries of others would have no `end`. */
  #isOpen({ actor: { session } }: Session): boolean {
    return this.#sessions.has(session.count) && session.member === this.#commits.member;
  }

  /** May the state know the session? Only then its end has to be stored. */
  #isKnown(session: Session): boolean {
    if (!this.#commits.isShared) return true;
    return session.hasActed && session.actor.session.member === this.#commits.member;
  }

  /** In strict mode: was the user of this address noted {@link SEEN_MS} ago, or before that? */
  #isLongUnseen(address: string, at: number): boolean {
    const { settings, users } = this.#commits.candidate;
    if (!settings.strict) return false;
    const [user] = atAddress(users, address).values();
    return user !== undefined && at - users.presence.get(user.id)!.freeSince >= SEEN_MS;
  }
}

/** May the command change the state? With a shared journal its reply is then known only later. */
function mayChange({ name }: Command): boolean {
  return ["register", "send", "sendall", "receive", "logout"].includes(name);
}
