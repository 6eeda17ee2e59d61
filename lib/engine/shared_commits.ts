import {
  followBatch,
  type Item,
  nameOf,
  type Outcome,
  type Request,
  stepBatch,
  STORAGE_AWAY,
} from "../chat/batch.ts";
import { encodeEntries } from "../chat/entry_codec.ts";
import type { Entry } from "../chat/entry.ts";
import { findMember } from "../chat/members.ts";
import { mayChange, plan } from "../chat/plan.ts";
import type { ChatState } from "../chat/state.ts";
import { within } from "../clock.ts";
import { LateError } from "../journal/batch_sender.ts";
import { requireKnownRules } from "../journal/journal.ts";
import type { Origin, SharedJournal } from "../journal/shared_journal.ts";
import type { Log } from "../log.ts";
import type { Meter } from "../meter.ts";
import type { Reply } from "../protocol/reply.ts";
import { Commits } from "./commits.ts";
import type { Pending } from "./session.ts";

/** `close` waits at most this long until all batches are stored (ms). */
const CLOSE_MS = 2_000;

/** Entries of these kinds have to be stored even if their batch was not. */
const OWED: readonly Entry["kind"][] = ["end", "seen", "return"];

/** What one session has in a batch. */
interface Part {
  readonly pending: Pending;
  readonly request: Request;
  readonly entries: readonly Entry[];
}

/** A batch that was sent, and has not come back. */
interface Sent {
  readonly leading: readonly Entry[];
  readonly parts: readonly Part[];
  readonly over: PromiseWithResolvers<void>;
  /** When it was sent (ms, see `clock`). */
  readonly at: number;
}

/**
 * The commits of a server that shares its chat with others. All servers step the batches of all in
 * one order. One batch of this server is under way at a time; items that only read do not wait for it.
 */
export class SharedCommits extends Commits {
  readonly sharing: SharedJournal;
  /** The batch that is under way. */
  #sent: Sent | undefined;
  /** The items that wait for the batch after it. */
  #unsent: Pending[] = [];

  constructor(state: ChatState, journal: SharedJournal, log: Log, meter?: Meter) {
    super(state, log, meter, 0);
    this.sharing = journal;
    journal.follow({
      came: (entries, origin) => this.#receive(entries, origin),
      reset: (next) => {
        this.publish(requireKnownRules(next));
        this.listener.changed("all");
      },
      ended: (lost) => this.#memberEnded(lost),
      asked: (session) => this.listener.asked(session),
      skipped: (message) => {
        const explanation = "It is no batch of this chat, so all servers pass over it: which " +
          "program may write to the stream in NATS?";
        log.refused("", "stream-message", { message, explanation });
      },
      lost: (error) => this.noteFailure(error, true),
    });
  }

  get member(): number | undefined {
    const { member } = this.sharing;
    return member === undefined ? undefined : findMember(this.published.members, member)?.number;
  }

  get isBehind(): boolean {
    return this.member === undefined || this.sharing.isBehind;
  }

  async close(): Promise<void> {
    await within(CLOSE_MS, this.#idle());
    await this.sharing.close();
  }

  /** Resolves when nothing waits to be stored, or could not be stored once more. */
  async #idle(): Promise<void> {
    this.process(true);
    while (this.#sent !== undefined) await this.#sent.over.promise;
  }

  /** Answers what only reads, and sends a batch of the rest, unless one is under way. */
  protected process(isRetry = false): void {
    const at = this.now();
    const isBusy = this.#sent !== undefined;
    const pendings = isBusy ? this.queue : [...this.#unsent, ...this.queue];
    this.queue = [];
    if (!isBusy) this.#unsent = [];
    const lengthMax = this.sharing.bodyLengthMax;
    const leading = isBusy ? [] : this.#takeLeading(lengthMax);
    const parts: Part[] = [];
    let length = lengthOf(leading);
    for (const pending of pendings) {
      const part = this.#plan(pending, at);
      if (part === undefined) continue;
      length += lengthOf(part.entries);
      const isFirst = leading.length === 0 && parts.length === 0;
      if (!isBusy && (isFirst || length <= lengthMax)) parts.push(part);
      else this.#unsent.push(pending);
    }
    if (isBusy) return;
    // Beside many leading entries there may be no room for items: they wait for those.
    const hasItems = parts.length > 0 || this.#unsent.length > 0;
    const isNew = hasItems || this.leadingOver !== undefined;
    const isWorth = isNew || leading.length > 0 && (isRetry || !this.isFailing);
    if (isWorth) this.#send(leading, parts);
    else this.leading.unshift(...leading);
  }

  /** Takes the first of the leading entries, as many as one message has room for. */
  #takeLeading(lengthMax: number): Entry[] {
    let count = 0;
    for (let length = 0; count < this.leading.length; count++) {
      length += lengthOf([this.leading[count]!]);
      if (length > lengthMax && count > 0) break;
    }
    return this.leading.splice(0, count);
  }

  /**
   * Answers the items of a session that only read, up to one that may change the state. Returns what
   * the next batch may hold of the session, if anything is left.
   */
  #plan(pending: Pending, at: number): Part | undefined {
    const { session } = pending;
    const isOurs = session.actor.session.member === this.member;
    for (let itemsMax = pending.items.length;;) {
      const request = pending.request(itemsMax);
      const { items, entries, blockedBy } = plan(this.published, request, at, session.hasSent);
      const part = { ...request, items };
      let outcome: Outcome;
      if (items.length === 0 && blockedBy !== undefined) {
        outcome = { replies: [], shown: session.shown, blockedBy, ending: "open" };
      } else if (entries.length === 0) {
        const batch = { leading: [], requests: [part] };
        [outcome] = stepBatch(this.published, batch, at, "decide").outcomes as [Outcome];
      } else if (!isOurs) {
        // The member of this session has ended, so its own end could not be stored either.
        [outcome] = this.#refuse([part]) as [Outcome];
      } else if (items.length > 1 && lengthOf(entries) > this.sharing.bodyLengthMax) {
        itemsMax = items.length >> 1;
        continue;
      } else {
        return { pending, request: part, entries };
      }
      if (!this.listener.settled(pending, outcome)) return undefined;
    }
  }

  #send(leading: readonly Entry[], parts: readonly Part[]): void {
    const isAll = this.leading.length === 0;
    const over = isAll && this.leadingOver || Promise.withResolvers<void>();
    if (isAll) this.leadingOver = undefined;
    const sent: Sent = { leading, parts, over, at: this.clock() };
    this.#sent = sent;
    for (const { pending } of parts) pending.session.hasSent = true;
    this.sharing.commit(entriesOf(sent), (error) => this.#fail(sent, error));
  }

  /** A batch of any server has come. */
  #receive(entries: readonly Entry[], origin: Origin): void {
    const sent = origin === "own" ? this.#sent : undefined;
    const batch = sent === undefined ? { leading: entries, requests: [] } : {
      leading: [...entries.slice(0, 1), ...sent.leading],
      requests: sent.parts.map(({ request }) => request),
    };
    const result = followBatch(this.published, batch);
    if (result === undefined) return;
    this.publish(requireKnownRules(result.state));
    if (sent !== undefined) this.#settle(sent, result.outcomes);
    if (origin === "late") this.#returnMail(result.leadingReplies);
    this.listener.changed(result.changed);
    this.sharing.published(this.published);
    // Entries that could not be stored before can be stored now.
    if (sent !== undefined || this.leading.length > 0) this.process();
  }

  /** The batch was not stored. After a `LateError` it may still come. */
  #fail(sent: Sent, error: Error): void {
    this.noteFailure(error);
    if (!(error instanceof LateError)) {
      this.leading.unshift(...entriesOf(sent).filter(({ kind }) => OWED.includes(kind)));
    }
    this.#settle(sent, this.#refuse(sent.parts.map(({ request }) => request)));
    if (sent.parts.length === 0) this.#refuseUnsent();
    this.#leadingIsOver();
    this.process();
  }

  /** Answers the items for which the batch of leading entries had no room. */
  #refuseUnsent(): void {
    for (const pending of this.#unsent.splice(0)) {
      // The end of a session has to be stored.
      if (pending.session.isEnding) {
        this.#unsent.push(pending);
        continue;
      }
      this.settle([pending], this.#refuse([pending.request(Infinity)]));
    }
  }

  /** The outcomes of requests that can't be stored. */
  #refuse(requests: readonly Request[]): readonly Outcome[] {
    const refused = requests.map((request) => ({
      ...request,
      items: request.items.map(toRefused),
    }));
    const batch = { leading: [], requests: refused };
    return stepBatch(this.published, batch, this.now(), "refuse").outcomes;
  }

  #settle({ parts, over, at }: Sent, outcomes: readonly Outcome[]): void {
    this.#sent = undefined;
    const ms = this.clock() - at;
    this.meter?.committed(ms);
    this.meter?.batched(ms);
    this.settle(parts.map(({ pending }) => pending), outcomes);
    over.resolve();
  }

  /** Puts mail back that was taken for these replies: no client gets them. */
  #returnMail(replies: readonly (Reply | undefined)[]): void {
    for (const reply of replies) {
      if (reply?.code !== "mail" || reply.count === 0) continue;
      const { user, id } = reply.shown;
      const entries = reply.mail().map(({ from, text, source: { network } }) =>
        ({ kind: "return", user, id, mail: { from, text, network } }) as const
      );
      // Each message goes to the front of the mailbox, so the oldest is the last one.
      this.store(...entries.reverse());
    }
  }

  /** This member has ended. Of what it had still to store only mail that goes back counts. */
  #memberEnded(lost: readonly Entry[]): void {
    this.log.event("ended-by-others", {});
    this.leading = [...lost, ...this.leading].filter(({ kind }) => kind === "return");
    this.#leadingIsOver();
    this.listener.ended();
  }

  /** Entries that were not sent yet will be, but no one may wait for that. */
  #leadingIsOver(): void {
    this.leadingOver?.resolve();
    this.leadingOver = undefined;
  }
}

function entriesOf({ leading, parts }: Sent): readonly Entry[] {
  return [...leading, ...parts.flatMap(({ entries }) => entries)];
}

function lengthOf(entries: readonly Entry[]): number {
  return encodeEntries(entries).length;
}

/** It is not known whether a command that was sent will be stored, so none may seem to be done. */
function toRefused(item: Item): Item {
  return mayChange(item) ? { kind: "refused", name: nameOf(item)!, reply: STORAGE_AWAY } : item;
}
