/**
 * One mailbox. {@link isFull} is its limit: `send` in `commands` refuses a message to a full mailbox,
 * and `broadcast` in `mailboxes` leaves it out. Its mail is in two places:
 *
 * - in its own chain, which starts at the newest message;
 * - at the end of the log of broadcasts, which all mailboxes share: from the position `logFrom` on.
 *   These broadcasts are newer than the chain.
 *
 * Before a direct message is added, the broadcasts before it are copied from the log into the chain.
 * The same happens before the owner's own broadcast, which the mailbox skips. So the order stays
 * right.
 */
import type { IntMap, Queue } from "./persistent.ts";
import type { Mail } from "../protocol/reply.ts";

/** A message in the chain, and a link to the one before it. */
interface ChainedMail extends Mail {
  readonly before: ChainedMail | undefined;
}

export interface Mailbox {
  /** The newest message of the chain. */
  readonly newest: ChainedMail | undefined;
  /** The number of messages in the chain. */
  readonly inChain: number;
  /** The position in the log of the first broadcast that may be in the mailbox, but not in the chain. */
  readonly logFrom: number;
  /** The position in the log at which the mailbox is full. */
  readonly fillsAt: number;
  /** The number of messages that were ever taken out. */
  readonly taken: number;
}

/** The broadcasts, as far as a mailbox reads them. */
export interface BroadcastLog {
  /** The most messages in a mailbox. */
  readonly max: number;
  /** The last broadcasts, at most `max`. */
  readonly log: Queue<Mail>;
  /** The position behind the last broadcast: the number of broadcasts that there ever were. */
  readonly end: number;
  /** For the mailboxes that are full: by `fillsAt`, the log up to that position. */
  readonly filled: IntMap<{ readonly log: Queue<Mail> }>;
}

/**
 * A mailbox with this mail, oldest first; `taken` messages were taken out before. If it holds more than
 * there is room for, it is full.
 */
export function mailboxOf(
  { end, max }: BroadcastLog,
  mail: readonly Mail[],
  taken: number,
): Mailbox {
  return {
    newest: chain(mail, undefined),
    inChain: mail.length,
    logFrom: end,
    fillsAt: end + max - mail.length,
    taken,
  };
}

/** Has the mailbox no room for another message? */
export function isFull({ end }: BroadcastLog, { fillsAt }: Mailbox): boolean {
  return fillsAt <= end;
}

/** The number of messages in the mailbox. */
export function size(broadcasts: BroadcastLog, box: Mailbox): number {
  return box.inChain + countInLog(broadcasts, box);
}

/** The mail, oldest first. */
export function readMail(broadcasts: BroadcastLog, box: Mailbox): Mail[] {
  const mail = Array<Mail>(box.inChain);
  let place = box.inChain;
  for (let message = box.newest; message !== undefined; message = message.before) {
    mail[--place] = message;
  }
  return mail.concat(readLog(broadcasts, box));
}

/** The mailbox with one more direct message. */
export function addDirect(
  broadcasts: BroadcastLog,
  box: Mailbox,
  { from, text }: Mail,
): Mailbox {
  const { newest, inChain, logFrom, fillsAt, taken } = copyFromLog(broadcasts, box);
  return {
    newest: { from, text, before: newest },
    inChain: inChain + 1,
    logFrom,
    fillsAt: fillsAt - 1,
    taken,
  };
}

/** The mailbox without its oldest `messages` messages. It must have this many. */
export function takeOldest(broadcasts: BroadcastLog, box: Mailbox, messages: number): Mailbox {
  const isAll = messages === size(broadcasts, box);
  const left = isAll ? [] : readMail(broadcasts, box).slice(messages);
  return mailboxOf(broadcasts, left, box.taken + messages);
}

/** The mailbox, which will not get the next broadcast. It must not be full. */
export function skipNextBroadcast(broadcasts: BroadcastLog, box: Mailbox): Mailbox {
  const copied = copyFromLog(broadcasts, box);
  return { ...copied, logFrom: copied.logFrom + 1, fillsAt: copied.fillsAt + 1 };
}

/** The number of broadcasts in the mailbox that are not in its chain. */
function countInLog({ end }: BroadcastLog, { fillsAt, logFrom }: Mailbox): number {
  return Math.max(0, Math.min(end, fillsAt) - logFrom);
}

/** These broadcasts. */
function readLog(broadcasts: BroadcastLog, box: Mailbox): Mail[] {
  const count = countInLog(broadcasts, box);
  if (count === 0) return [];
  const { log } = isFull(broadcasts, box) ? broadcasts.filled.get(box.fillsAt)! : broadcasts;
  return log.drop(log.size - count).toArray();
}

/** The mailbox with all its mail in its chain. */
function copyFromLog(broadcasts: BroadcastLog, box: Mailbox): Mailbox {
  const mail = readLog(broadcasts, box);
  if (mail.length === 0) return box;
  return {
    ...box,
    newest: chain(mail, box.newest),
    inChain: box.inChain + mail.length,
    logFrom: broadcasts.end,
  };
}

/** A chain of these messages, oldest first, behind another one. Returns the newest. */
function chain(mail: readonly Mail[], behind: ChainedMail | undefined): ChainedMail | undefined {
  return mail.reduce((before, { from, text }) => ({ from, text, before }), behind);
}
