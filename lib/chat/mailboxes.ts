/**
 * All mailboxes. Every function returns new mailboxes, and the old ones stay as they are. `commands`
 * checks the limits; here is counted what it needs for that.
 *
 * `sendall` costs the same for 10 users as for 10,000: a broadcast is stored once, in a log, and
 * each mailbox has a position in that log. Four rules keep this cheap and the log short:
 *
 * - A mailbox knows beforehand at which position of the log it is full: `fillsAt`. `filling` counts
 *   the mailboxes by this position, so a broadcast sees at once how many mailboxes it fills.
 * - `filling` counts only positions up to the `horizon`. When the log reaches the horizon, the
 *   horizon moves on, and all mailboxes are counted again.
 * - A full mailbox stays full until mail is taken out of it, and does not follow the log meanwhile.
 *   `filled` keeps the log as it was at that position, once for all mailboxes that became full
 *   there.
 * - So a mailbox that follows the log is at most `max` messages behind. Older broadcasts are
 *   dropped.
 */
import {
  addDirect,
  type BroadcastLog,
  isFull as isMailboxFull,
  type Mailbox,
  mailboxOf,
  readMail,
  size,
  skipNextBroadcast,
  takeOldest,
} from "./mailbox.ts";
import { Overlay } from "./overlay.ts";
import { IntMap, Queue } from "./persistent.ts";
import type { Mail } from "../protocol/reply.ts";

/** All mailboxes, each under the id of its user. */
export interface Mailboxes {
  readonly boxes: IntMap<Mailbox> | Overlay<Mailbox>;
  /** The number of messages in all mailboxes together. */
  readonly waiting: number;
  readonly broadcasts: Broadcasts;
}

/** What all mailboxes share. Most direct messages do not change it. */
interface Broadcasts extends BroadcastLog {
  /** By position: how many mailboxes will be full there. Holds positions up to the horizon only. */
  readonly filling: IntMap<number>;
  readonly horizon: number;
  /** By position: the mailboxes that are full since then. */
  readonly filled: IntMap<Filled>;
  /** The number of full mailboxes. */
  readonly full: number;
}

interface Filled {
  /** How many mailboxes became full at this position. */
  readonly boxes: number;
  /** The log up to this position. */
  readonly log: Queue<Mail>;
}

/**
 * The horizon moves on by this share of a mailbox's room. So a mailbox that has more room than
 * this, for example an empty one, is not counted.
 */
const HORIZON_SHARE = 0.75;

const NO_MAIL = Queue.of<Mail>([]);

/**
 * No mailboxes yet. Each will hold at most `max` messages. The log is empty, and the number of
 * broadcasts that there ever were is `end`.
 */
export function emptyMailboxes(max: number, end = 0): Mailboxes {
  const broadcasts: Broadcasts = {
    max,
    log: NO_MAIL,
    end,
    filling: IntMap.empty(),
    horizon: end,
    filled: IntMap.empty(),
    full: 0,
  };
  return { boxes: IntMap.empty(), waiting: 0, broadcasts };
}

/** The same mailboxes for the steps of a batch, until {@link settle}. */
export function withOverlay({ boxes, ...rest }: Mailboxes): Mailboxes {
  return { ...rest, boxes: boxes instanceof IntMap ? new Overlay(boxes) : boxes };
}

/** The mailboxes after the steps of a batch, and the ids under which they differ from those before. */
export function settle(
  before: Mailboxes,
  { boxes, ...rest }: Mailboxes,
): { mailboxes: Mailboxes; changed: Iterable<number> | "all" } {
  // Mailboxes for another number of messages are new ones, without an overlay.
  if (boxes instanceof IntMap) return { mailboxes: { ...rest, boxes }, changed: "all" };
  const hasBroadcast = rest.broadcasts.end !== before.broadcasts.end;
  return {
    mailboxes: { ...rest, boxes: boxes.settled() },
    changed: hasBroadcast ? "all" : boxes.keys(),
  };
}

/** Adds an empty mailbox under an id that has none. */
export function openMailbox(all: Mailboxes, id: number): Mailboxes {
  return restoreMailbox(all, id, [], 0);
}

/** Sets a mailbox: its mail, oldest first, and how many messages were ever taken out of it. */
export function restoreMailbox(
  all: Mailboxes,
  id: number,
  mail: readonly Mail[],
  taken: number,
): Mailboxes {
  return setMailbox(all, id, mailboxOf(all.broadcasts, mail, taken));
}

/** Removes a mailbox with its mail. */
export function closeMailbox(all: Mailboxes, id: number): Mailboxes {
  return setMailbox(all, id, undefined);
}

/** The number of messages in the mailbox. */
export function count({ boxes, broadcasts }: Mailboxes, id: number): number {
  return size(broadcasts, boxes.get(id)!);
}

/** The number of messages that were ever taken out of the mailbox. */
export function taken({ boxes }: Mailboxes, id: number): number {
  return boxes.get(id)!.taken;
}

/** The number of the last message that ever came to the mailbox. */
export function through(all: Mailboxes, id: number): number {
  return taken(all, id) + count(all, id);
}

/** The mail of the mailbox, oldest first. */
export function read(all: Mailboxes, id: number): Mail[] {
  return reader(all, id)();
}

/** Reads the mail that is in the mailbox now, oldest first, whenever it is called. */
export function reader({ boxes, broadcasts }: Mailboxes, id: number): () => Mail[] {
  const box = boxes.get(id)!;
  return () => readMail(broadcasts, box);
}

/** Has the mailbox no room for another message? */
export function isFull({ boxes, broadcasts }: Mailboxes, id: number): boolean {
  return isMailboxFull(broadcasts, boxes.get(id)!);
}

/** Adds a message to a mailbox, whether it is full or not. */
export function deliver(all: Mailboxes, to: number, mail: Mail): Mailboxes {
  return setMailbox(all, to, addDirect(all.broadcasts, all.boxes.get(to)!, mail));
}

/** How many mailboxes a broadcast reaches, and how many it misses because they are full. */
export function reach(
  { boxes, broadcasts }: Mailboxes,
  from: number,
): { reached: number; full: number } {
  const senderIsFull = isMailboxFull(broadcasts, boxes.get(from)!);
  const full = broadcasts.full - (senderIsFull ? 1 : 0);
  return { reached: boxes.size - 1 - full, full };
}

/** Adds a message to every mailbox except the sender's and the full ones. */
export function broadcast(all: Mailboxes, from: number, mail: Mail): Mailboxes {
  const { reached } = reach(all, from);
  if (reached === 0) return all;
  const { boxes, waiting, broadcasts } = skipSender(all, from);
  const end = broadcasts.end + 1;
  const { filling, filled, ...rest } = end > broadcasts.horizon
    ? moveHorizon(broadcasts, boxes)
    : broadcasts;
  const grown = rest.log.push(mail);
  const log = grown.size > rest.max ? grown.drop(1) : grown;
  const fills = filling.get(end) ?? 0;
  return {
    boxes,
    waiting: waiting + reached,
    broadcasts: {
      ...rest,
      log,
      end,
      filling: fills === 0 ? filling : filling.set(end, undefined),
      filled: fills === 0 ? filled : filled.set(end, { boxes: fills, log }),
      full: rest.full + fills,
    },
  };
}

/** Removes the oldest messages of a mailbox. It must have this many. */
export function take(all: Mailboxes, id: number, messages: number): Mailboxes {
  return setMailbox(all, id, takeOldest(all.broadcasts, all.boxes.get(id)!, messages));
}

/** The same mail in mailboxes for `max` messages. One that holds more than that is full. */
export function resize({ boxes, broadcasts }: Mailboxes, max: number): Mailboxes {
  let resized = emptyMailboxes(max, broadcasts.end);
  for (const [id, box] of boxes) {
    resized = restoreMailbox(resized, id, readMail(broadcasts, box), box.taken);
  }
  return resized;
}

/** The mailboxes before a broadcast that its sender does not get. */
function skipSender(all: Mailboxes, from: number): Mailboxes {
  const { boxes, broadcasts } = all;
  const box = boxes.get(from)!;
  if (isMailboxFull(broadcasts, box)) return all;
  return setMailbox(all, from, skipNextBroadcast(broadcasts, box));
}

/** Moves the horizon on, and counts the mailboxes that will be full before it. */
function moveHorizon(broadcasts: Broadcasts, boxes: Mailboxes["boxes"]): Broadcasts {
  const { max, end } = broadcasts;
  let next: Broadcasts = { ...broadcasts, horizon: end + Math.ceil(HORIZON_SHARE * max) };
  for (const { fillsAt } of boxes.values()) {
    if (fillsAt > end) next = countFillsAt(next, fillsAt, 1);
  }
  return next;
}

/** Sets, adds or removes a mailbox, and updates all sums. */
function setMailbox(
  { boxes, waiting, broadcasts }: Mailboxes,
  id: number,
  box: Mailbox | undefined,
): Mailboxes {
  const old = boxes.get(id);
  const before = old === undefined ? 0 : size(broadcasts, old);
  const after = box === undefined ? 0 : size(broadcasts, box);
  let next = broadcasts;
  if (old?.fillsAt !== box?.fillsAt) {
    if (old !== undefined) next = countFillsAt(next, old.fillsAt, -1);
    if (box !== undefined) next = countFillsAt(next, box.fillsAt, 1);
  }
  return { boxes: boxes.set(id, box), waiting: waiting + after - before, broadcasts: next };
}

/** Counts one mailbox more, or one less, that is full, or will be full, at a position. */
function countFillsAt(broadcasts: Broadcasts, position: number, change: 1 | -1): Broadcasts {
  const { end, horizon, filling, filled, full } = broadcasts;
  if (position > horizon) return broadcasts;
  if (position > end) {
    const count = (filling.get(position) ?? 0) + change;
    return { ...broadcasts, filling: filling.set(position, count === 0 ? undefined : count) };
  }
  const there = filled.get(position) ?? { boxes: 0, log: NO_MAIL };
  const boxes = there.boxes + change;
  return {
    ...broadcasts,
    full: full + change,
    filled: filled.set(position, boxes === 0 ? undefined : { ...there, boxes }),
  };
}
