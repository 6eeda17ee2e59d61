/**
 * A batch: what came from all sessions in one turn of the event loop, in its order. `stepBatch`
 * carries it out. A replay of the entries that it returns, one by one, gives the same state.
 */
import { applyCommand } from "./commands.ts";
import type { Entry } from "./entry.ts";
import * as boxes from "./mailboxes.ts";
import { type ChatState, type CommandStep, mailFor } from "./state.ts";
import { step } from "./step.ts";
import { isNextBatch } from "./members.ts";
import { type Actor, isSameSession, type SessionId } from "./users.ts";
import type { Command, CommandName } from "../protocol/command.ts";
import { strictEnding } from "../protocol/refusals.ts";
import type { Item as ReadItem } from "../protocol/request_reader.ts";
import type { Reply, Shown, TextReply } from "../protocol/reply.ts";

/** The reply to a command that could not be stored. */
export const STORAGE_AWAY: TextReply = { code: "storage-away" };

/** One thing that comes from a session: what the reader found, or the end of the session. */
export type Item = ReadItem | { readonly kind: "end" };

/** The facts of a session that a batch needs. */
export interface SessionView {
  readonly actor: Actor;
  /** The mail that its last `wait` has shown. Its next command takes that out of the mailbox. */
  readonly shown: Shown | undefined;
  /** The session that blocked a command of this one. Its commands do not wait for it again. */
  readonly waitedFor: SessionId | undefined;
}

/** Items of one session. A batch holds at most one request of a session. */
export interface Request {
  readonly session: SessionView;
  /** The session's parked `wait`, which ends before the first item: whose mail it waits for. */
  readonly parked?: Shown | undefined;
  readonly items: readonly Item[];
}

/** The result of one request. */
export interface Outcome {
  readonly parkedReply?: Reply | undefined;
  /** The replies to the first items; `undefined` for an item that has none. The rest is not done. */
  readonly replies: readonly (Reply | undefined)[];
  readonly shown: Shown | undefined;
  /** The next item waits for this session from the same address, which may be about to end. */
  readonly blockedBy?: SessionId | undefined;
  /** Strict mode: what the last reply does. The items behind it are dropped unless it is `open`. */
  readonly ending: "open" | "close" | "silent";
}

/**
 * How a batch is carried out:
 *
 * - `decide`: its order is made here. A command that another session blocks is not done yet.
 * - `follow`: a shared journal has made its order, and all servers do each command now.
 * - `refuse`: it could not be stored. A command that would change the state gets `STORAGE_AWAY`, and
 *   only sessions that end change it.
 */
export type BatchMode = "decide" | "follow" | "refuse";

/** The ids of the users whose mailboxes were changed. */
export type Changed = Iterable<number> | "all";

/** Entries that no request has made, and the requests behind them. */
export interface Batch {
  readonly leading: readonly Entry[];
  readonly requests: readonly Request[];
}

export interface BatchResult {
  readonly state: ChatState;
  /** The entries that changed the state, in their order: they have to be stored. */
  readonly entries: readonly Entry[];
  readonly leadingReplies: readonly (Reply | undefined)[];
  readonly outcomes: readonly Outcome[];
  readonly changed: Changed;
}

/** Carries out a batch at a time (ms since 1970). */
export function stepBatch(
  before: ChatState,
  { leading, requests }: Batch,
  at: number,
  mode: BatchMode,
): BatchResult {
  const stepper = new BatchStepper(before, at, mode);
  const leadingReplies = leading.map((entry) => stepper.stepEntry(entry));
  const outcomes = requests.map((request) => stepper.stepRequest(request));
  const { entries } = stepper;
  const { mailboxes, changed } = boxes.settle(before.mailboxes, stepper.state.mailboxes);
  const state = entries.length === 0 ? before : { ...stepper.state, mailboxes };
  return { state, entries, leadingReplies, outcomes, changed };
}

/**
 * Carries out a batch that has come out of a shared journal. All happens at the time of its first
 * leading entry. Clocks differ: if an earlier batch was later, all happens at the time of that one.
 *
 * Returns `undefined` for a batch that has no effect: it was stepped before, an earlier batch of its
 * member is missing, or its member has left.
 */
export function followBatch(before: ChatState, batch: Batch): BatchResult | undefined {
  const [first] = batch.leading;
  const { members } = before;
  if (first?.kind === "batch" && !isNextBatch(members, first)) return undefined;
  const at = first !== undefined && "at" in first ? Math.max(members.at, first.at) : members.at;
  return stepBatch({ ...before, members: { ...members, at } }, batch, at, "follow");
}

/** Has the session's client sent a whole command? It has then read what it was shown before. */
export function isWhole(item: Item): item is Item & { readonly kind: "command" | "refused" } {
  return item.kind === "command" || item.kind === "refused";
}

export function nameOf(item: Item): CommandName | undefined {
  if (item.kind === "command") return item.command.name;
  return item.kind === "refused" ? item.name : undefined;
}

class BatchStepper {
  state: ChatState;
  readonly entries: Entry[] = [];
  readonly #at: number;
  readonly #mode: BatchMode;

  constructor(before: ChatState, at: number, mode: BatchMode) {
    // A step that is refused would leave its changes in an overlay.
    this.state = mode === "refuse"
      ? before
      : { ...before, mailboxes: boxes.withOverlay(before.mailboxes) };
    this.#at = at;
    this.#mode = mode;
  }

  stepEntry(entry: Entry): Reply | undefined {
    const isNow = this.#mode === "follow" && "at" in entry;
    const { state, reply } = step(this.state, isNow ? { ...entry, at: this.#at } : entry);
    if (state !== this.state) {
      this.entries.push(entry);
      this.state = state;
    }
    return reply;
  }

  stepRequest({ session, parked, items }: Request): Outcome {
    const { actor } = session;
    const { strict } = this.state.settings;
    const parkedReply = parked && mailFor(this.state, parked);
    let shown = parkedReply === undefined ? session.shown : shownBy(parkedReply, undefined);
    const replies: (Reply | undefined)[] = [];
    for (const item of items) {
      if (shown !== undefined && isWhole(item)) shown = this.#take(actor, shown);
      let reply: Reply | undefined;
      if (item.kind === "end") {
        const { session, address } = actor;
        this.stepEntry({ kind: "end", at: this.#at, session, address });
      } else if (item.kind === "command") {
        const stepped = applyCommand(this.state, actor, this.#at, item.command);
        const { blockedBy } = stepped;
        if (this.#mode !== "follow" && isBlocked(session, blockedBy)) {
          return { parkedReply, replies, shown, blockedBy, ending: "open" };
        }
        reply = this.#accept(actor, item.command, stepped);
        if (item.command.name === "wait") shown = shownBy(reply, shown);
      } else {
        reply = item.reply;
      }
      replies.push(reply);
      if (strict && reply !== undefined && isWhole(item)) {
        const ending = strictEnding(nameOf(item), reply);
        if (ending !== "open") return { parkedReply, replies, shown, ending };
      }
    }
    return { parkedReply, replies, shown, ending: "open" };
  }

  /** Goes on with the state after a command, if that may be stored. Returns the reply. */
  #accept(actor: Actor, command: Command, { state, reply }: CommandStep): Reply {
    if (state === this.state) return reply;
    if (this.#mode === "refuse") return STORAGE_AWAY;
    this.entries.push({ kind: "command", at: this.#at, actor, command });
    this.state = state;
    return reply;
  }

  /** Takes mail that was shown. Returns what the session is shown then. */
  #take(actor: Actor, shown: Shown): Shown | undefined {
    if (this.#mode === "refuse") return shown;
    this.stepEntry({ kind: "take", actor, shown });
    return undefined;
  }
}

/** Has a command of this session to wait for the session that is in its way? */
export function isBlocked(
  { waitedFor }: SessionView,
  blockedBy: SessionId | undefined,
): blockedBy is SessionId {
  return blockedBy !== undefined && !isSameSession(blockedBy, waitedFor);
}

/** The mail that a session is shown after the reply to a `wait`. A refusal changes nothing. */
function shownBy(reply: Reply, before: Shown | undefined): Shown | undefined {
  if (reply.code !== "mail") return before;
  return reply.count > 0 ? reply.shown : undefined;
}
