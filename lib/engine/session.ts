/** A session: what the engine knows of a connection. */
import type { CommandName } from "../protocol/command.ts";
import type { Reply, Shown } from "../protocol/reply.ts";
import type { Actor, SessionId } from "../chat/users.ts";

/** A reply that is final when its batch is over. */
export interface Answer {
  /** The command that it is for; none for a mistake. */
  readonly name: CommandName | undefined;
  reply: Reply;
  /** The batch of the command was dropped, and this reply is final. */
  isAnew?: boolean;
}

/** A command that waits for mail. */
export interface Waiter {
  readonly answer: Answer;
  /** Whose mail, and what had been taken of it before. */
  readonly shown: Shown;
  readonly timer: ReturnType<typeof setTimeout>;
  readonly resolve: (answer: Answer) => void;
}

/** From the first byte of a connection to its end. */
export class Session {
  readonly actor: Actor;
  /** Mail that the next command takes out of its mailbox. */
  shown: Shown | undefined;
  waiter: Waiter | undefined;
  /** Something came behind a `wait`: it ends now, or as soon as it begins. */
  mayNotWait = false;
  /** The session that this one has waited for; the commands behind do not wait for it again. */
  waitedFor: SessionId | undefined;
  /** To be called when this session has ended. */
  onEnd: Set<() => void> | undefined;
  /** Entries of its own that are not in the state yet: what it reads waits for them. */
  pending = 0;
  /** It has sent entries: the state knows of it, or may know some time. */
  hasActed = false;

  constructor(actor: Actor) {
    this.actor = actor;
  }
}
