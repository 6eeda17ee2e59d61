/**
 * One mailbox. {@link isFull} is its limit: `send` in `commands` refuses a message to a full mailbox,
 * and `broadcast` in `mailboxes` leaves it out. Its mail is in two places: in a chain of its own, and
 * behind that at the end of the log of broadcasts, which all mailboxes share. Before a direct message
 * is added, the broadcasts before it are copied from the log into the chain, so the order stays.
 */
import type { IntMap } from "./persistent.ts";
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
  /** The last broadcasts, at most `max`: each under its position modulo `max`. */
  readonly log: IntMap<Mail>;
  /** The position behind the last broadcast: the number of broadcasts that there ever were. */
  readonly end: number;
  /** By position: the mailboxes that a broadcast has made full there, while they have mail in the log. */
  readonly filled: IntMap<Filled>;
}

/** The mailboxes that one broadcast has made full. */
interface Filled {
  /** How many they are. */
  readonly boxes: number;
  /** The log up to that position. */
  readonly log: IntMap<Mail>;
}

/** A mailbox with this mail, oldest first, also with too much; `taken` messages were taken out before. */
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

/** Has the mailbox mail in the log, or will it get the next broadcasts there? */
export function followsLog({ logFrom, fillsAt }: Mailbox): boolean {
  return logFrom < fillsAt;
}

/** Has the mailbox no room for another message? */
export function isFull({ end }: BroadcastLog, { fillsAt }: Mailbox): boolean {
  return fillsAt <= end;
}

/** The number of messages in the mailbox. */
export function size({ end }: BroadcastLog, { inChain, logFrom, fillsAt }: Mailbox): number {
  return inChain + Math.max(0, Math.min(end, fillsAt) - logFrom);
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

/** The mailbox, which will not get the next broadcast. */
export function skipNextBroadcast(broadcasts: BroadcastLog, box: Mailbox): Mailbox {
  if (isFull(broadcasts, box)) return box;
  const copied = copyFromLog(broadcasts, box);
  return { ...copied, logFrom: copied.logFrom + 1, fillsAt: copied.fillsAt + 1 };
}

/** The broadcasts in the mailbox that are not in its chain. */
function readLog(broadcasts: BroadcastLog, box: Mailbox): Mail[] {
  if (!followsLog(box)) return [];
  const { max, end, filled } = broadcasts;
  const log = isFull(broadcasts, box) ? filled.get(box.fillsAt)!.log : broadcasts.log;
  const mail: Mail[] = [];
  for (let position = box.logFrom; position < Math.min(end, box.fillsAt); position++) {
    mail.push(log.get(position % max)!);
  }
  return mail;
}

/** The mailbox with all its mail in its chain. */
function copyFromLog(broadcasts: BroadcastLog, box: Mailbox): Mailbox {
  const inLog = size(broadcasts, box) - box.inChain;
  if (inLog === 0) return box;
  return {
    ...box,
    newest: chain(readLog(broadcasts, box), box.newest),
    inChain: box.inChain + inLog,
    logFrom: broadcasts.end,
  };
}

/** A chain of these messages, oldest first, behind another one. Returns the newest. */
function chain(mail: readonly Mail[], behind: ChainedMail | undefined): ChainedMail | undefined {
  return mail.reduce((before, { from, text }) => ({ from, text, before }), behind);
}
