/**
 * All mailboxes. `commands` checks the limits; here is counted what it needs for that. `sendall`
 * costs the same for 10 users as for 10,000: a broadcast is stored once, in a log, and each mailbox
 * has a position in that log. Three rules keep this cheap and the log short:
 *
 * - A mailbox knows beforehand at which position of the log it is full: `fillsAt`. No mailbox fills
 *   before `nextFill`. Only a broadcast that reaches that position looks at all mailboxes.
 * - A full mailbox stays full until mail is taken out of it, and does not follow the log meanwhile.
 *   `filled` keeps the log as it was at that position, once for all mailboxes that became full
 *   there. So the log itself may drop all that is older than `max` broadcasts.
 */
import {
  addDirect,
  type BroadcastLog,
  followsLog,
  isFull as isMailboxFull,
  type Mailbox,
  mailboxOf,
  readMail,
  size,
  skipNextBroadcast,
  takeOldest,
} from "./mailbox.ts";
import { Overlay } from "./overlay.ts";
import { IntMap } from "./persistent.ts";
import type { Mail } from "../protocol/reply.ts";

/** All mailboxes, each under the id of its user. */
export interface Mailboxes {
  readonly boxes: IntMap<Mailbox> | Overlay<Mailbox>;
  /** The number of messages in all mailboxes together. */
  readonly waiting: number;
  /** No mailbox with room is full before this position of the log. */
  readonly nextFill: number;
  readonly broadcasts: Broadcasts;
}

/** What all mailboxes share. Most direct messages do not change it. */
interface Broadcasts extends BroadcastLog {
  /** The number of full mailboxes. */
  readonly full: number;
}

/** No mailboxes, for at most `max` messages each, after `end` broadcasts. */
export function emptyMailboxes(max: number, end = 0): Mailboxes {
  const broadcasts: Broadcasts = {
    max,
    log: IntMap.empty(),
    end,
    filled: IntMap.empty(),
    full: 0,
  };
  return { boxes: IntMap.empty(), waiting: 0, nextFill: Infinity, broadcasts };
}

/** The same mailboxes for the steps of a batch, until {@link settle}. */
export function withOverlay({ boxes, ...rest }: Mailboxes): Mailboxes {
  return { ...rest, boxes: new Overlay(settled(boxes)) };
}

function settled(boxes: Mailboxes["boxes"]): IntMap<Mailbox> {
  return boxes instanceof IntMap ? boxes : boxes.settled();
}

/** The mailboxes after the steps of a batch, and the ids under which they differ from those before. */
export function settle(
  before: Mailboxes,
  { boxes, ...rest }: Mailboxes,
): { mailboxes: Mailboxes; changed: Iterable<number> | "all" } {
  // Mailboxes for another number of messages are new ones, without an overlay.
  const hasOverlay = boxes instanceof Overlay;
  const hasBroadcast = rest.broadcasts.end !== before.broadcasts.end;
  return {
    mailboxes: { ...rest, boxes: settled(boxes) },
    changed: hasOverlay && !hasBroadcast ? boxes.keys() : "all",
  };
}

/** Sets a mailbox: its mail, oldest first, and how many messages were ever taken out of it. */
export function openMailbox(
  all: Mailboxes,
  id: number,
  mail: readonly Mail[] = [],
  taken = 0,
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

export function isFull({ boxes, broadcasts }: Mailboxes, id: number): boolean {
  return isMailboxFull(broadcasts, boxes.get(id)!);
}

/** Adds a message to a mailbox, also to a full one. */
export function deliver(all: Mailboxes, to: number, mail: Mail): Mailboxes {
  return setMailbox(all, to, addDirect(all.broadcasts, all.boxes.get(to)!, mail));
}

/** How many mailboxes a broadcast reaches, and how many it misses because they are full. */
export function reach({ boxes, broadcasts }: Mailboxes, from: number) {
  const senderIsFull = isMailboxFull(broadcasts, boxes.get(from)!);
  const full = broadcasts.full - (senderIsFull ? 1 : 0);
  return { reached: boxes.size - 1 - full, full };
}

/** Adds a message to every mailbox except the sender's and the full ones. */
export function broadcast(all: Mailboxes, from: number, mail: Mail): Mailboxes {
  const { reached } = reach(all, from);
  if (reached === 0) return all;
  const sender = skipNextBroadcast(all.broadcasts, all.boxes.get(from)!);
  const { boxes, waiting, nextFill, broadcasts } = setMailbox(all, from, sender);
  const { max, filled, full } = broadcasts;
  const end = broadcasts.end + 1;
  const log = broadcasts.log.set(broadcasts.end % max, mail);
  const fill = end < nextFill ? { fills: 0, nextFill } : countFills(boxes, end);
  return {
    boxes,
    waiting: waiting + reached,
    nextFill: fill.nextFill,
    broadcasts: {
      max,
      log,
      end,
      filled: fill.fills === 0 ? filled : filled.set(end, { boxes: fill.fills, log }),
      full: full + fill.fills,
    },
  };
}

/** Removes the oldest messages of a mailbox. It must have this many. */
export function take(all: Mailboxes, id: number, messages: number): Mailboxes {
  return setMailbox(all, id, takeOldest(all.broadcasts, all.boxes.get(id)!, messages));
}

/** The same mail in mailboxes for `max` messages. One that holds more than that is full. */
export function resize(all: Mailboxes, max: number): Mailboxes {
  const { boxes, broadcasts } = all;
  if (max === broadcasts.max) return all;
  let resized = emptyMailboxes(max, broadcasts.end);
  for (const [id, box] of settled(boxes)) {
    resized = openMailbox(resized, id, readMail(broadcasts, box), box.taken);
  }
  return resized;
}

/** How many mailboxes are full from this position on, and the next position that fills one. */
function countFills(
  boxes: Mailboxes["boxes"],
  position: number,
): { fills: number; nextFill: number } {
  let fills = 0;
  let nextFill = Infinity;
  for (const { fillsAt } of settled(boxes).values()) {
    if (fillsAt === position) fills++;
    else if (fillsAt > position) nextFill = Math.min(nextFill, fillsAt);
  }
  return { fills, nextFill };
}

/** Sets, adds or removes a mailbox, and updates all sums. */
function setMailbox(
  { boxes, waiting, nextFill, broadcasts }: Mailboxes,
  id: number,
  box: Mailbox | undefined,
): Mailboxes {
  const old = boxes.get(id);
  const before = old === undefined ? 0 : size(broadcasts, old);
  const after = box === undefined ? 0 : size(broadcasts, box);
  return {
    boxes: boxes.set(id, box),
    waiting: waiting + after - before,
    nextFill: Math.min(nextFill, fillOf(broadcasts, box)),
    // First the new one: the last mailbox of a position takes the log with it.
    broadcasts: countFull(countFull(broadcasts, box, 1), old, -1),
  };
}

/** The position at which a mailbox with room is full; `Infinity` for one that is full or missing. */
function fillOf(broadcasts: Broadcasts, box: Mailbox | undefined): number {
  return box === undefined || isMailboxFull(broadcasts, box) ? Infinity : box.fillsAt;
}

/** Counts one full mailbox more, or one less. Others do not count. */
function countFull(broadcasts: Broadcasts, box: Mailbox | undefined, change: 1 | -1): Broadcasts {
  if (box === undefined || !isMailboxFull(broadcasts, box)) return broadcasts;
  const full = broadcasts.full + change;
  if (!followsLog(box)) return { ...broadcasts, full };
  const { filled } = broadcasts;
  const there = filled.get(box.fillsAt)!;
  const boxes = there.boxes + change;
  return {
    ...broadcasts,
    full,
    filled: filled.set(box.fillsAt, boxes === 0 ? undefined : { ...there, boxes }),
  };
}
