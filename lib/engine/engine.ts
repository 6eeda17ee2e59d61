import type { Item, Outcome } from "../chat/batch.ts";
import { type ChatState, isLongUnseen } from "../chat/state.ts";
import { NO_SESSION, type SessionId } from "../chat/users.ts";
import { loopTime, within } from "../clock.ts";
import type { Fields, Log } from "../log.ts";
import type { Reply } from "../protocol/reply.ts";
import type { Commits } from "./commits.ts";
import { type Answers, Pending, Session } from "./session.ts";
import { Waiters } from "./waiters.ts";

/** A session that blocks a command from the same address has this long to end (ms). */
const GRACE_MS = 250;
/** Another member that has not answered this many checks, one after another, is ended. */
const SILENCES_MAX = 3;

/**
 * The engine of one chat: enters the items of all sessions into batches, and gives each session its
 * replies. It parks a `wait` without mail, and holds a command that another session blocks.
 */
export class Engine {
  /** Closes all connections: it is called when this member has ended. */
  onEnded = () => {};
  readonly #commits: Commits;
  readonly #log: Log;
  readonly #waiters = new Waiters();
  /** The open sessions, by their count. */
  readonly #sessions = new Map<number, Session>();
  /** How many of the last checks each other member has not answered. */
  #silences = new Map<string, number>();
  #opened = 0;
  #isStopping = false;

  constructor(commits: Commits, log: Log) {
    this.#commits = commits;
    this.#log = log;
    commits.listen({
      settled: (pending, outcome) => this.#settle(pending, outcome),
      changed: (changed) => this.#waiters.serve(commits.published, changed),
      ended: () => this.onEnded(),
      asked: (session) => this.#giveUp(session),
    });
  }

  /** The stored state of the chat. */
  get published(): ChatState {
    return this.#commits.published;
  }

  /**
   * Which connection holds a registered name, for the log: `holder` is its number, or says that it is
   * one of another server, and `holderIdleS` the time since it sent its last command (s).
   */
  holderOf(name: string): Fields {
    const { users, members } = this.#commits.published;
    const user = users.byName.get(name);
    if (user === undefined) return {};
    const { session } = users.presence.get(user.id)!;
    if (session === undefined) return { holder: "nobody", registeredFrom: user.address };
    const holder = this.#sessions.get(session.count);
    if (session.member === (this.#commits.member ?? 0) && holder !== undefined) {
      const holderIdleS = Math.round((performance.now() - holder.enteredAt) / 1_000);
      return { holder: session.count, holderPeer: holder.actor.peer, holderIdleS };
    }
    const server = members.all.find(({ number }) => number === session.member)?.id;
    return { holder: "a connection of another server", holderServer: server };
  }

  /** Opens a session for a connection from `address`; `peer` is its `address:port`. */
  open(address: string, peer: string): Session {
    const id = { member: this.#commits.member ?? 0, count: ++this.#opened };
    const session = new Session({ session: id, address, peer });
    this.#sessions.set(id.count, session);
    return session;
  }

  /**
   * Enters items of a session into the batch of this turn, and resolves to their replies. To be
   * called when the replies to the items before have come; a `wait` that is parked then ends.
   */
  enter(session: Session, items: readonly Item[]): Promise<Answers> {
    const { promise, resolve } = Promise.withResolvers<Answers>();
    session.waitedFor = undefined;
    session.enteredAt = loopTime();
    session.isEnding ||= items.at(-1)?.kind === "end";
    // The client can't take the mail that is there now.
    if (items[0]?.kind === "end") {
      const { pending } = session;
      const parked = this.#waiters.remove(session) ?? pending?.parked;
      if (pending !== undefined) pending.parked = undefined;
      parked?.resolve({ code: "mail", count: 0, mail: () => [], shown: parked.shown });
    }
    // A `wait` whose time is over may end in the same turn.
    if (session.pending === undefined) this.#enter(new Pending(session, items, resolve));
    else Object.assign(session.pending, { items, resolve });
    return promise;
  }

  /** Ends the session: it holds no name any more, and mail that was shown to it stays. */
  end(session: Session): void {
    const { pending, isEnding } = session;
    if (isEnding) return;
    if (pending === undefined || pending.items.length === 0) {
      this.enter(session, [{ kind: "end" }]);
    } else {
      // The connection broke while the reply to a parked `wait` was written.
      const { resolve } = pending;
      pending.resolve = (answers) => {
        resolve(answers);
        this.end(session);
      };
    }
  }

  /** Forgets users who were absent for `ms` milliseconds; `at` is the time (ms since 1970). */
  forgetAbsent(at: number, ms: number): void {
    const { published } = this.#commits;
    const { settings, users } = published;
    const open = this.#sessions.values().filter(({ isEnding }) => !isEnding);
    const present = new Set(open.map(({ actor }) => actor.address));
    // Other members do not see which addresses are here, so the journal has to say it.
    for (const address of this.#commits.sharing === undefined ? [] : present) {
      if (isLongUnseen(published, address, at)) this.#commits.store({ kind: "seen", at, address });
    }
    for (const { name: user, id, address } of users.byId.values()) {
      const { session, freeSince } = users.presence.get(id)!;
      if (session !== undefined || at - freeSince < ms) continue;
      if (settings.strict && present.has(address)) continue;
      this.#commits.store({ kind: "forget", user, id, freeSince });
      this.#log.clientEvent("", "forgotten", { user });
    }
  }

  /** Counts all absent users as here at this time (ms since 1970): how long they were away is not known. */
  keepAbsent(at: number): void {
    const { byId, presence } = this.#commits.published.users;
    const absent = byId.values().filter(({ id }) => presence.get(id)!.session === undefined);
    const addresses = new Set(absent.map(({ address }) => address));
    const entries = Array.from(addresses, (address) => ({ kind: "seen", at, address } as const));
    if (entries.length > 0) this.#commits.store(...entries);
  }

  /**
   * Where servers share the chat: asks all other members whether they are there, and ends those that
   * are silent. Their users would keep their names until another client wants them.
   */
  async checkPeers(): Promise<void> {
    const { sharing, published } = this.#commits;
    if (sharing?.member === undefined) return;
    const silences = new Map<string, number>();
    for (const { id } of published.members.all) {
      if (id === sharing.member) continue;
      const count = await sharing.ask(id, NO_SESSION) ? 0 : (this.#silences.get(id) ?? 0) + 1;
      silences.set(id, count);
      if (count >= SILENCES_MAX) this.#endMember(id);
    }
    this.#silences = silences;
  }

  /** Ends all waiting: for mail, and from now on for other sessions. */
  stop(): void {
    this.#isStopping = true;
    for (const session of this.#sessions.values()) this.#endWait(session);
  }

  #enter(pending: Pending): void {
    pending.session.pending = pending;
    pending.parked = this.#waiters.remove(pending.session);
    this.#commits.enter(pending);
  }

  #endWait(session: Session): void {
    if (session.parked !== undefined) this.#enter(new Pending(session, [], () => {}));
  }

  /** Takes over what a batch has made of items. Returns `true` if it has not come to all of them. */
  #settle(pending: Pending, { parkedReply, replies, shown, blockedBy, ending }: Outcome): boolean {
    const { session, items, resolve } = pending;
    session.shown = shown;
    if (parkedReply !== undefined) pending.parked?.resolve(parkedReply);
    pending.parked = undefined;
    const isCut = ending !== "open";
    if (!isCut && replies.length < items.length) {
      this.#keepRest(pending, replies);
      if (blockedBy !== undefined) this.#hold(pending, blockedBy);
      return blockedBy === undefined;
    }
    session.pending = undefined;
    // The end of the session may be among the items that were dropped.
    session.isEnding &&= !isCut;
    if (session.isEnding) this.#close(session);
    resolve(this.#park(session, items, replies) ?? { items, replies, ending });
    return false;
  }

  /** Replies leave before those to the rest of the items, which have to wait. */
  #keepRest(pending: Pending, replies: Answers["replies"]): void {
    if (replies.length === 0) return;
    const { items, resolve } = pending;
    const rest = Promise.withResolvers<Answers>();
    pending.items = items.slice(replies.length);
    pending.resolve = rest.resolve;
    resolve({ items, replies, ending: "open", rest: rest.promise });
  }

  /** Parks the `wait` that is the last item, if it has found no mail. */
  #park(
    session: Session,
    items: readonly Item[],
    replies: Answers["replies"],
  ): Answers | undefined {
    const last = items.at(-1);
    const reply = replies.at(-1);
    if (last?.kind !== "command" || last.command.name !== "wait") return undefined;
    if (reply?.code !== "mail" || reply.count > 0) return undefined;
    const ms = 1000 * last.command.seconds;
    if (ms === 0 || this.#isStopping) return undefined;
    const { promise, resolve } = Promise.withResolvers<Reply>();
    const timer = setTimeout(() => this.#endWait(session), ms);
    session.parked = { shown: reply.shown, timer, resolve };
    this.#waiters.add(session);
    return { items, replies: replies.slice(0, -1), ending: "open", parked: promise };
  }

  /** Goes on with the items when the other session has ended, or has had its time to end. */
  async #hold(pending: Pending, other: SessionId): Promise<void> {
    if (!this.#isStopping) {
      if (other.member === this.#commits.member) await this.#giveUp(other);
      else await this.#askOther(other);
    }
    pending.session.waitedFor = other;
    this.#commits.enter(pending);
  }

  /** Asks another member to give up a name of this session. One that does not answer is ended. */
  async #askOther(session: SessionId): Promise<void> {
    const { sharing, published } = this.#commits;
    const member = published.members.all.find(({ number }) => number === session.member);
    if (member === undefined || await sharing?.ask(member.id, session)) return;
    await this.#endMember(member.id);
  }

  /** Resolves when the end is stored, or could not be stored. */
  #endMember(member: string): Promise<void> {
    this.#log.event("server-silent", { member });
    return this.#commits.store({ kind: "leave", at: this.#commits.now(), member });
  }

  /** Gives a session {@link GRACE_MS} to end, as another one wants its name. */
  async #giveUp({ count }: SessionId): Promise<void> {
    const session = this.#sessions.get(count);
    if (session === undefined) return;
    const ended = Promise.withResolvers<void>();
    session.onEnd ??= new Set();
    session.onEnd.add(ended.resolve);
    await within(GRACE_MS, ended.promise);
    if (session.isEnding) await ended.promise;
    session.onEnd.delete(ended.resolve);
  }

  #close(session: Session): void {
    const { shown, onEnd, actor } = session;
    this.#sessions.delete(actor.session.count);
    for (const notify of onEnd ?? []) notify();
    if (shown !== undefined) this.#waiters.serveAgain(this.#commits.published, shown.id);
  }
}
