/**
 * A journal that several servers share: one stream of batches. Every server reads all of them, its own
 * too, and steps them in their order. The stream has to keep what it has acknowledged, and to give
 * every server the same.
 */
import { readSharedBatch } from "../chat/batch_check.ts";
import { encodeEntries } from "../chat/entry_codec.ts";
import type { Entry } from "../chat/entry.ts";
import { findMember, lastBatch } from "../chat/members.ts";
import type { Settings } from "../chat/settings.ts";
import { type ChatState, countUsersAndMail, RULES } from "../chat/state.ts";
import type { SessionId } from "../chat/users.ts";
import { messageOf } from "../errors.ts";
import { BatchSender, type SenderOptions, sendRepeatedly } from "./batch_sender.ts";
import { entriesPerSnapshot, JournalError, type LostStreamError } from "./journal.ts";

/** A server that has still to read this many batches does not serve. */
const BEHIND_BATCHES = 1_000;

/** A batch is of this member (`"own"`, or `"late"` if its commit was given up), or `"foreign"`. */
export type Origin = "own" | "late" | "foreign";

export interface SharingListener {
  /** The next batch has come, so it is stored. */
  came(batch: readonly Entry[], origin: Origin): void;
  /** This server has missed batches: from now on the state is this one. */
  reset(state: ChatState): void;
  /**
   * This member and its sessions have ended; the server joins again as a new member. `lost` are
   * entries of a commit that was reported as late, and will never be stored.
   */
  ended(lost: readonly Entry[]): void;
  /** Another member wants the name that this session holds. Resolves when it has ended, or stays. */
  asked(session: SessionId): Promise<void>;
  /** The message of this number is no batch. No member takes anything from it. */
  skipped(number: number): void;
  /** The stream is not the one that this server joined: from now on no commit is stored. */
  lost(error: LostStreamError): void;
}

/** The stream as a shared journal uses it. */
export interface Carrier {
  /** See {@link SenderOptions}. */
  send(id: string, body: string, sent: (error?: unknown) => void): void;
  /** Asks a member for a name of its session. Resolves to `false` without an answer within 1 s. */
  ask(member: string, session: SessionId): Promise<boolean>;
  /** From now on `asked` answers the questions to this member. */
  answer(member: string, asked: (session: SessionId) => Promise<void>): void;
  /** Stores a snapshot after this message in the background, unless another server is at it. */
  save(state: ChatState, through: number): void;
  close(): Promise<void>;
}

export interface SharingOptions extends Pick<SenderOptions, "timeoutMs"> {
  /** The most characters (UTF-16 units) in the entries of a batch. */
  readonly bodyLengthMax: number;
  readonly settings: Settings;
  /** Makes an id for a member that no other member has. */
  readonly newId: () => string;
  /** Called if this server can't take part in the chat any more. */
  readonly failed: (error: unknown) => void;
  /** The number of entries after which a snapshot is due; `alive` is the number of users and messages. */
  readonly snapshotEntries?: (alive: number) => number;
  /** A timer; the default is a real one. */
  readonly later?: SenderOptions["later"];
}

/** A member that waits for its own `join` to come back. */
interface Joining {
  readonly id: string;
  readonly over: PromiseWithResolvers<void>;
}

/** The journal of one member of a shared chat. */
export class SharedJournal {
  /** See {@link SharingOptions}. */
  readonly bodyLengthMax: number;
  readonly #carrier: Carrier;
  readonly #options: Required<SharingOptions> & SenderOptions;
  #listener!: SharingListener;
  #joining: Joining | undefined;
  /** `undefined` while this server takes no part. */
  #sender: BatchSender | undefined;
  /** Stops sending the `join` or the `leave` of this member. */
  #stopSending = () => {};
  #through: number;
  /** The number of entries since the last snapshot was due. */
  #entries = 0;
  /** The number of messages in the stream after the last that has come. */
  #pending = 0;
  /** Why the last message was not stored; `undefined` where it was. */
  #refusal: string | undefined;
  #lost: LostStreamError | undefined;
  #isClosed = false;

  /** The state so far holds the messages up to the one of the number `through`. */
  constructor(carrier: Carrier, through: number, options: SharingOptions) {
    this.#carrier = carrier;
    this.#through = through;
    this.bodyLengthMax = options.bodyLengthMax;
    this.#options = {
      snapshotEntries: entriesPerSnapshot,
      later,
      ...options,
      refusal: () => this.#refusal,
      send: (id, body, sent) =>
        carrier.send(id, body, (error) => {
          this.#refusal = error === undefined ? undefined : messageOf(error);
          sent(error);
        }),
    };
  }

  /** The id of this member; `undefined` while this server takes no part in the chat. */
  get member(): string | undefined {
    return this.#isClosed ? undefined : this.#sender?.member;
  }

  /** Is this server too far behind the other members to serve? */
  get isBehind(): boolean {
    return this.#pending >= BEHIND_BATCHES;
  }

  /** The number of the last message that has come. */
  get through(): number {
    return this.#through;
  }

  /** Why this server can't go on with the stream; `undefined` while it can. */
  get lost(): LostStreamError | undefined {
    return this.#lost;
  }

  /** To be called once, before the first batch comes. */
  follow(listener: SharingListener): void {
    this.#listener = listener;
  }

  /** See {@link Carrier}. Where the stream is lost the others are not to be judged. */
  async ask(member: string, session: SessionId): Promise<boolean> {
    return this.#lost !== undefined || await this.#carrier.ask(member, session);
  }

  /** Becomes a new member. Rejects with a {@link JournalError} if the members have other settings. */
  join(): Promise<void> {
    const over = Promise.withResolvers<void>();
    const { settings, newId } = this.#options;
    const id = newId();
    this.#carrier.answer(id, (session) => this.#listener.asked(session));
    const join: Entry = { kind: "join", at: Date.now(), member: id, rules: RULES, settings };
    this.#stopSending = sendRepeatedly(this.#options, `${id} joins`, encodeEntries([join]));
    this.#joining = { id, over };
    return over.promise;
  }

  /**
   * Sends the entries of a batch. When they are stored, the batch comes as an `"own"` one; if not, it
   * calls back. After a {@link LateError} they may still come.
   */
  commit(entries: readonly Entry[], failed: (error: Error) => void): void {
    if (this.#lost !== undefined) failed(this.#lost);
    else if (this.#sender !== undefined && !this.#isClosed) this.#sender.commit(entries, failed);
    else failed(new Error("This server takes no part in the chat"));
  }

  /** Gets the state after each batch. */
  published(state: ChatState): void {
    this.#lookForMember(state);
    if (this.#entries < this.#options.snapshotEntries(countUsersAndMail(state))) return;
    this.#entries = 0;
    this.#carrier.save(state, this.#through);
  }

  /** Takes the next message of the stream; `pending` messages are there after it. */
  receive(number: number, body: string, pending: number): void {
    const batch = readSharedBatch(body);
    this.#through = number;
    this.#pending = pending;
    if (batch === undefined) return this.#listener.skipped(number);
    this.#entries += batch.length;
    const [first] = batch;
    const sender = this.#sender;
    const origin = first?.kind === "batch" && first.member === sender?.member
      ? sender.cameBack(first.batch)
      : undefined;
    this.#listener.came(batch, origin ?? "foreign");
    if (first?.kind !== "join" || first.member !== this.#joining?.id) return;
    // The member would have joined by now.
    this.#stopSending();
    const why = "The servers of this chat have other settings, and one came first";
    this.#joining.over.reject(new JournalError(why));
  }

  /**
   * Goes on with this state, which holds the messages up to the one of the number `through`: some of
   * them have not come. A commit or a session might wait for one of those for ever, so this member
   * leaves. When its `leave` has come back, the fate of its last batch is known.
   */
  reset(state: ChatState, through: number): void {
    this.#through = through;
    this.#entries = 0;
    this.#listener.reset(state);
    this.#lookForMember(state);
    if (this.#sender === undefined) return;
    const { member } = this.#sender;
    // If the batch under way is among the missing messages, its replies are lost.
    this.#sender.missed(lastBatch(state.members, member) ?? 0);
    this.#stopSending();
    this.#stopSending = sendRepeatedly(this.#options, ...leaveOf(member));
  }

  /**
   * The stream is not the one that this server joined, or not all of it: this server sends nothing
   * into it any more, and its commits fail.
   */
  lose(error: LostStreamError): void {
    if (this.#lost !== undefined || this.#isClosed) return;
    this.#lost = error;
    this.#pending = 0;
    this.#stopSending();
    this.#listener.lost(error);
    this.#joining?.over.reject(error);
    this.#sender?.end(error.message);
  }

  /** Ends the member, and closes the carrier. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopSending();
    this.#sender?.close();
    if (this.#sender?.isIdle && this.#lost === undefined) {
      const { member } = this.#sender;
      // If this is lost, the other members find out by asking.
      await new Promise<void>((resolve) => this.#carrier.send(...leaveOf(member), () => resolve()));
    }
    await this.#carrier.close();
  }

  /** Looks in the state whether this server's member has joined, or has ended: then it joins again. */
  #lookForMember({ members }: ChatState): void {
    if (this.#joining !== undefined && findMember(members, this.#joining.id) !== undefined) {
      const { id, over } = this.#joining;
      this.#joining = undefined;
      this.#sender = new BatchSender(id, this.#options);
      this.#stopSending();
      return over.resolve();
    }
    const sender = this.#sender;
    if (this.#isClosed || sender === undefined || findMember(members, sender.member)) return;
    this.#stopSending();
    this.#sender = undefined;
    const why = "This member is over: the server did not answer the others, or was too far behind";
    this.#listener.ended(sender.end(why, lastBatch(members, sender.member)));
    this.join().catch((error) => {
      if (this.#lost === undefined) this.#options.failed(error);
    });
  }
}

/** The id and the text of the message that a member leaves. */
function leaveOf(member: string): [id: string, body: string] {
  return [`${member} leaves`, encodeEntries([{ kind: "leave", at: Date.now(), member }])];
}

function later(ms: number, call: () => void): () => void {
  const timer = setTimeout(call, ms);
  return () => clearTimeout(timer);
}
