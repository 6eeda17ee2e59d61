/** A session: what the engine knows of one connection. */
import type { CommandName } from "../protocol/command.ts";
import type { Reply, Shown } from "../protocol/reply.ts";
import type { Actor, SessionId } from "../chat/users.ts";

/** The answer to a command or a mistake. Its reply is final when the command's batch is over. */
export interface Answer {
  /** The command; `undefined` for a mistake. */
  readonly name: CommandName | undefined;
  reply: Reply;
  /** The batch was dropped, and `reply` was made again from the stored state: it is final. */
  isRevised?: boolean;
}

/** A `wait` that has found no mail yet. */
export interface Waiter {
  readonly answer: Answer;
  /** The user whose mail it waits for, and how much mail that user had taken before. */
  readonly shown: Shown;
  /** Ends the `wait` after its seconds. */
  readonly timer: ReturnType<typeof setTimeout>;
  /** Hands the answer to the connection. */
  readonly resolve: (answer: Answer) => void;
}

/** One connection in the engine, from its acceptance to the end of its stream. */
export class Session {
  readonly actor: Actor;
  /** Mail that the last `wait` has shown; the next command takes it out of the mailbox. */
  shown: Shown | undefined;
  /** The `wait` that waits now. */
  waiter: Waiter | undefined;
  /**
   * The present command may not wait for mail: something has come behind it, the server stops, or
   * the session has ended.
   */
  mayNotWait = false;
  /** The session that blocked a command of this one; further commands do not wait for it again. */
  waitedFor: SessionId | undefined;
  /** Called when this session has ended. */
  onEnd: Set<() => void> | undefined;
  /**
   * With a shared journal: how many of its entries are not in the state yet. A command that only
   * reads the state waits until there are none.
   */
  pending = 0;
  /** With a shared journal: it has sent entries, so the state may know this session. */
  hasActed = false;

  constructor(actor: Actor) {
    this.actor = actor;
  }
}
