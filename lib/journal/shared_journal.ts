/**
 * A journal that several servers share: one stream of batches, whose order is the order of the chat.
 *
 * Every server reads all of it. What a server has to store it sends as batches: they are numbered,
 * one is under way at a time, and it is sent again under its number until it comes back. So none
 * is missing, and `stepBatch` knows which came before. Of the stream itself nothing is asked but that
 * what is acknowledged stays, and that everybody reads the same.
 */
import type { Entry } from "../chat/entry.ts";
import {
  type CommitListener,
  type Journal,
  JournalError,
  LateError,
  type Origin,
  type Sharing,
  type SharingListener,
  type Stored,
} from "./journal.ts";
import { type ChatState, countUsersAndMail, RULES } from "../chat/state.ts";
import { findMember, lastBatch } from "../chat/members.ts";
import type { Settings } from "../chat/settings.ts";
import { decodeEntries, encodeEntries } from "../chat/entry_codec.ts";
import type { SessionId } from "../chat/users.ts";

/** What was sent and has not come back is sent again after so long, in milliseconds. */
const RESEND_MS = 500;
/** Who has so many batches to read does not know enough to serve. */
const BEHIND_TURNS = 1_000;

/** A snapshot costs no more than the entries before it: so many, where so much is alive. */
function snapshotEntries(alive: number): number {
  return Math.max(100_000, alive);
}

/** What carries the batches: a stream, which outlives all who use it. */
export interface Carrier {
  /** Puts a text at the end of the stream; calls back with an error where that may have failed. */
  send(id: string, body: string, sent: (error?: unknown) => void): void;
  /** Asks a member about a session of its own; `false` where no answer comes within a second. */
  ask(member: string, session: SessionId): Promise<boolean>;
  /** From now on answers what is asked of this member. */
  answer(member: string, asked: (session: SessionId) => Promise<void>): void;
  /** Stores the state after the message of this number in the background, if nobody else does. */
  save(state: ChatState, through: number): void;
  close(): Promise<void>;
}

/** How a shared journal goes about its work. */
export interface SharingOptions {
  readonly settings: Settings;
  /** A commit is given up after so long, in milliseconds. */
  readonly timeoutMs: number;
  /** A longer text of a batch is parted. */
  readonly bodyLengthMax: number;
  /** A new id, unlike all others. */
  readonly newId: () => string;
  /** It can't take part any more. */
  readonly failed: (error: unknown) => void;
  /** A snapshot is due after so many entries, where so many users and messages are there. */
  readonly snapshotEntries?: (alive: number) => number;
  /** Calls back after some milliseconds; what it returns prevents that. */
  readonly later?: (ms: number, call: () => void) => () => void;
}

/** A commit that is stored, or waits for the one before. */
interface Commit {
  readonly entries: readonly Entry[];
  /** None: nobody waits for it any more. */
  stored: CommitListener | undefined;
  readonly cancel: () => void;
}

/** What is under way: sent, and not come back. */
interface Sending {
  readonly id: string;
  readonly body: string;
  /** Prevents that it is sent again. */
  cancel: () => void;
}

/** A journal over a carrier. */
export class SharedJournal implements Journal, Sharing {
  readonly sharing = this;
  readonly #carrier: Carrier;
  readonly #options: SharingOptions;
  readonly #later: (ms: number, call: () => void) => () => void;
  #listener!: SharingListener;
  #member: string | undefined;
  /** The member that is to take part. */
  #joining: { readonly id: string; readonly over: PromiseWithResolvers<void> } | undefined;
  /** The last batch of this member that has come. */
  #batch = 0;
  #sending: Sending | undefined;
  /** What is being stored, and the pieces of it that have not come. */
  #storing: { readonly commit: Commit; pieces: readonly (readonly Entry[])[] } | undefined;
  #next: Commit | undefined;
  /** The last message that has come. */
  #through: number;
  #entries = 0;
  #pending = 0;
  #isClosed = false;

  /** Goes on behind the message of this number. */
  constructor(carrier: Carrier, through: number, options: SharingOptions) {
    this.#carrier = carrier;
    this.#through = through;
    this.#options = options;
    this.#later = options.later ?? later;
  }

  get member(): string | undefined {
    return this.#member;
  }

  get isBehind(): boolean {
    return this.#pending >= BEHIND_TURNS;
  }

  /** The last message that has come. */
  get through(): number {
    return this.#through;
  }

  /** Nothing: the state is made of what comes. */
  read(): Stored {
    return { rows: [], batches: [] };
  }

  follow(listener: SharingListener): void {
    this.#listener = listener;
  }

  ask(member: string, session: SessionId): Promise<boolean> {
    return this.#carrier.ask(member, session);
  }

  /** Takes part, as a new member. Throws {@link JournalError} where the others have other settings. */
  join(): Promise<void> {
    const over = Promise.withResolvers<void>();
    const id = this.#options.newId();
    this.#joining = { id, over };
    this.#batch = 0;
    this.#carrier.answer(id, (session) => this.#listener.asked(session));
    const { settings } = this.#options;
    const join: Entry = { kind: "join", at: Date.now(), member: id, rules: RULES, settings };
    this.#send(`${id} joins`, encodeEntries([join]));
    return over.promise;
  }

  afterTurn(commit: () => void): void {
    setImmediate(commit);
  }

  commit(entries: readonly Entry[], stored: CommitListener): void {
    const isPart = this.#member !== undefined && !this.#isClosed;
    if (!isPart) return stored(new Error("This server takes no part in the chat"));
    const cancel = this.#later(this.#options.timeoutMs, () => this.#giveUp(commit));
    const commit: Commit = { entries, stored, cancel };
    if (this.#storing === undefined) this.#store(commit);
    else this.#next = commit;
  }

  published(state: ChatState): void {
    this.#lookForMember(state);
    const due = (this.#options.snapshotEntries ?? snapshotEntries)(countUsersAndMail(state));
    if (this.#entries < due) return;
    this.#entries = 0;
    this.#carrier.save(state, this.#through);
  }

  /** The next message of the stream has come; so many are there behind it. */
  receive(number: number, body: string, pending: number): void {
    const batch = decodeEntries(body);
    this.#through = number;
    this.#pending = pending;
    this.#entries += batch.length;
    const [first] = batch;
    const isOwn = first?.kind === "batch" && first.member === this.#member &&
      this.#storing !== undefined && first.batch === this.#batch + 1;
    const isJoin = first?.kind === "join" && first.member === this.#joining?.id;
    if (isOwn || isJoin) this.#stopSending();
    if (isOwn) this.#count();
    const origin: Origin = !isOwn ? "foreign" : this.#storing?.commit.stored ? "own" : "late";
    this.#listener.came(batch, origin);
    if (isOwn) this.#goOn();
    if (isJoin && this.#joining !== undefined) {
      const why = "The servers of this chat have other settings, and one came first";
      this.#joining.over.reject(new JournalError(why));
    }
  }

  /**
   * Messages are missing in the stream: from now on the state is this one, after this message. Who
   * waited for one of them would wait for ever, so the member has to end; what becomes of its last batch
   * is known when its end has come.
   */
  reset(state: ChatState, through: number): void {
    this.#through = through;
    this.#entries = 0;
    this.#listener.reset(state);
    this.#lookForMember(state);
    if (this.#member === undefined) return;
    if (lastBatch(state.members, this.#member)! > this.#batch) {
      // It is among what is missing: nobody knows the replies any more.
      this.#stopSending();
      this.#count();
    }
    this.#leaveUntilHeard(this.#member);
  }

  /** The member is over. */
  async close(): Promise<void> {
    const member = this.#member;
    this.#isClosed = true;
    this.#stopSending();
    this.#storing?.commit.cancel();
    this.#next?.cancel();
    if (member !== undefined && this.#storing === undefined) {
      await new Promise<void>((resolve) => this.#sayLeave(member, resolve));
    }
    await this.#carrier.close();
  }

  /** Says that a member of this server is over. Where that is lost, others have to ask. */
  #sayLeave(member: string, said: () => void): void {
    const leave: Entry = { kind: "leave", at: Date.now(), member };
    this.#carrier.send(`${member} leaves`, encodeEntries([leave]), said);
  }

  /** Says it until it has come back. */
  #leaveUntilHeard(member: string): void {
    const again = () => {
      if (this.#member === member && !this.#isClosed) this.#leaveUntilHeard(member);
    };
    this.#sayLeave(member, () => this.#later(RESEND_MS, again));
  }

  /** The member takes part, or another server has ended it; its own end is no news. */
  #lookForMember({ members }: ChatState): void {
    if (this.#joining !== undefined && findMember(members, this.#joining.id) !== undefined) {
      this.#member = this.#joining.id;
      this.#joining.over.resolve();
      this.#joining = undefined;
      return;
    }
    if (this.#isClosed || this.#member === undefined || findMember(members, this.#member)) return;
    this.#end(lastBatch(members, this.#member) ?? this.#batch);
  }

  #store(commit: Commit): void {
    this.#storing = { commit, pieces: this.#split(commit.entries) };
    this.#sendPiece();
  }

  /** As many entries in a part as there is room for. */
  #split(entries: readonly Entry[]): readonly (readonly Entry[])[] {
    const isShort = encodeEntries(entries).length <= this.#options.bodyLengthMax;
    if (isShort || entries.length === 1) return [entries];
    const half = entries.length >> 1;
    return [...this.#split(entries.slice(0, half)), ...this.#split(entries.slice(half))];
  }

  #sendPiece(): void {
    const member = this.#member!;
    const batch = this.#batch + 1;
    const [piece = []] = this.#storing!.pieces;
    const first: Entry = { kind: "batch", at: Date.now(), member, batch };
    this.#send(`${member} ${batch}`, encodeEntries([first, ...piece]));
  }

  /** Sends until it comes back. */
  #send(id: string, body: string): void {
    const sending: Sending = { id, body, cancel: () => {} };
    this.#sending = sending;
    const again = () => {
      if (this.#sending === sending) sending.cancel = this.#later(RESEND_MS, attempt);
    };
    const attempt = () => {
      if (this.#sending !== sending || this.#isClosed) return;
      this.#carrier.send(id, body, again);
    };
    attempt();
  }

  #stopSending(): void {
    this.#sending?.cancel();
    this.#sending = undefined;
  }

  #count(): void {
    this.#batch++;
    this.#storing!.pieces = this.#storing!.pieces.slice(1);
  }

  /** A part has come: the next one, or the next commit. */
  #goOn(): void {
    // The member may be over by now.
    if (this.#storing === undefined) return;
    if (this.#storing.pieces.length > 0) return this.#sendPiece();
    const { commit } = this.#storing;
    this.#storing = undefined;
    const next = this.#next;
    this.#next = undefined;
    commit.cancel();
    commit.stored?.();
    if (next !== undefined) this.#store(next);
  }

  /** Nobody waits for the commit any more. */
  #giveUp(commit: Commit): void {
    const seconds = this.#options.timeoutMs / 1_000;
    const what = `The stream has not stored it within ${seconds} s`;
    const { stored } = commit;
    commit.stored = undefined;
    if (this.#next !== commit) return stored?.(new LateError(what));
    this.#next = undefined;
    stored?.(new Error(what));
  }

  /** The member is over, with this batch as its last; it goes on as another. */
  #end(last: number): void {
    this.#stopSending();
    const { commit, pieces = [] } = this.#storing ?? {};
    const lost = pieces.slice(last - this.#batch).flat();
    const next = this.#next;
    this.#member = undefined;
    this.#storing = undefined;
    this.#next = undefined;
    const why = "This member is over: the server did not answer the others, or was too far behind";
    for (const each of [commit, next]) each?.cancel();
    commit?.stored?.(new LateError(why));
    next?.stored?.(new Error(why));
    this.#listener.ended(lost);
    if (!this.#isClosed) this.join().catch(this.#options.failed);
  }
}

function later(ms: number, call: () => void): () => void {
  const timer = setTimeout(call, ms);
  return () => clearTimeout(timer);
}
