import type { Item, Outcome, Request, SessionView } from "../chat/batch.ts";
import type { Reply, Shown } from "../protocol/reply.ts";
import type { Actor, SessionId } from "../chat/users.ts";

/** The replies to items that came together. */
export interface Answers extends Pick<Outcome, "replies" | "ending"> {
  readonly items: readonly Item[];
  /** The answers to the other items, where they come later. */
  readonly rest?: Promise<Answers>;
  /** The last item is a `wait` that goes on waiting: its reply is not among `replies`. */
  readonly parked?: Promise<Reply>;
}

/** A `wait` that has found no mail yet. */
export interface Parked {
  /** The user whose mail it waits for, and how much mail that user had got before. */
  readonly shown: Shown;
  /** Ends it after its seconds. */
  readonly timer: ReturnType<typeof setTimeout>;
  /** Hands the reply to the connection. */
  readonly resolve: (reply: Reply) => void;
}

/** One connection in the engine, from its acceptance to the end of its stream. */
export class Session implements SessionView {
  readonly actor: Actor;
  shown: Shown | undefined;
  waitedFor: SessionId | undefined;
  parked: Parked | undefined;
  /** The items that wait for their replies. */
  pending: Pending | undefined;
  /** When its last items were entered, at first when it was opened (ms, as `performance.now`). */
  enteredAt = performance.now();
  /** The end of the session was entered. */
  isEnding = false;
  /** With a shared journal: entries of it were sent, so the state may know this session. */
  hasSent = false;
  /** Called when the session has ended. */
  onEnd: Set<() => void> | undefined;

  constructor(actor: Actor) {
    this.actor = actor;
  }
}

/** Items of a session that wait for their replies. */
export class Pending {
  readonly session: Session;
  /** The `wait` that ends before the first item. */
  parked: Parked | undefined;
  items: readonly Item[];
  /** Hands the answers to the connection. */
  resolve: (answers: Answers) => void;

  constructor(session: Session, items: readonly Item[], resolve: (answers: Answers) => void) {
    this.session = session;
    this.items = items;
    this.resolve = resolve;
  }

  /** The first items, at most this many. */
  request(itemsMax: number): Request {
    const { session, parked, items } = this;
    const first = items.length <= itemsMax ? items : items.slice(0, itemsMax);
    return { session, parked: parked?.shown, items: first };
  }
}
