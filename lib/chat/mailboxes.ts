/**
 * Mailboxes. Pure: every function returns new mailboxes, and the old ones stay as they are.
 *
 * `sendall` costs the same for 10 users as for 10,000: a broadcast goes once into a log, and each
 * mailbox has a position in it. How that stays bounded:
 *
 * - What is a mailbox's own are its parts, a chain that begins with the newest: direct mail, and
 *   slices that were cut from the log because something came behind them (direct mail, or a
 *   broadcast of one's own, which is skipped).
 * - A mailbox is full at one position of the log, `fillsAt`, known beforehand. `filling` counts the
 *   mailboxes by that position, so a broadcast sees at once how many it fills. It counts those alone
 *   that are full up to the `horizon`; all are looked through when the log gets there.
 * - Full mailboxes stay full until they are emptied. They have left the log: the last version of it
 *   that they saw is kept in `filled`, shared by all that filled up at the same position.
 * - So nobody who still follows the log is `max` messages behind, and older ones are dropped.
 */
import { IntMap, Queue } from "./persistent.ts";
import type { Mail } from "../protocol/reply.ts";

/** A part of a mailbox, which knows the one before it: a direct message, or a slice of the log. */
type Part = DirectMail | Slice;

interface DirectMail extends Mail {
  readonly before: Part | undefined;
}

interface Slice {
  readonly slice: Queue<Mail>;
  readonly before: Part | undefined;
}

interface Mailbox {
  /** The newest part. */
  readonly last: Part | undefined;
  /** Messages in the parts. */
  readonly held: number;
  /** The position in the log behind the last broadcast that is in the parts, or was taken. */
  readonly seen: number;
  /** The position in the log at which the mailbox is full. */
  readonly fillsAt: number;
  /** Messages that were ever taken out. */
  readonly taken: number;
}

interface Filled {
  /** How many mailboxes are full since this position. */
  readonly boxes: number;
  /** The log up to this position. */
  readonly log: Queue<Mail>;
}

/** All mailboxes, each with a number: the id of its user. */
export interface Mailboxes {
  readonly boxes: IntMap<Mailbox>;
  /** Messages in all mailboxes together. */
  readonly waiting: number;
  readonly broadcasts: Broadcasts;
}

/** What all mailboxes share, and a direct message mostly leaves as it is. */
interface Broadcasts {
  /** The most messages in a mailbox. */
  readonly max: number;
  /** The last broadcasts, at most `max`. */
  readonly log: Queue<Mail>;
  /** The position behind the last broadcast: how many there ever were. */
  readonly end: number;
  /** How many mailboxes will be full at a position, as far as the horizon. */
  readonly filling: IntMap<number>;
  readonly horizon: number;
  /** The mailboxes that are full, by the position. */
  readonly filled: IntMap<Filled>;
  /** How many mailboxes are full. */
  readonly full: number;
}

/** How far the horizon is moved, of a mailbox: whose mailbox has more room is not counted. */
const HORIZON_SHARE = 0.75;

const NO_MAIL = Queue.of<Mail>([]);

/** No mailboxes yet, each to hold at most `max` messages. */
export function emptyMailboxes(max: number): Mailboxes {
  return { boxes: IntMap.empty(), waiting: 0, broadcasts: noBroadcasts(max, 0) };
}

/** Nobody is full, and nothing is counted, at this position. */
function noBroadcasts(max: number, end: number): Broadcasts {
  return {
    max,
    log: NO_MAIL,
    end,
    filling: IntMap.empty(),
    horizon: end,
    filled: IntMap.empty(),
    full: 0,
  };
}

/** Adds an empty mailbox; there is none of that number. */
export function openMailbox(all: Mailboxes, id: number): Mailboxes {
  return replace(all, id, emptied(all.broadcasts, 0));
}

/** Removes a mailbox with its mail. */
export function closeMailbox(all: Mailboxes, id: number): Mailboxes {
  return replace(all, id, undefined);
}

/** How many messages are in the mailbox. */
export function count({ boxes, broadcasts }: Mailboxes, id: number): number {
  return size(broadcasts, boxes.get(id)!);
}

/** How many messages were ever taken out of the mailbox. */
export function taken({ boxes }: Mailboxes, id: number): number {
  return boxes.get(id)!.taken;
}

/** The mail, oldest first. */
export function read({ boxes, broadcasts }: Mailboxes, id: number): Mail[] {
  const box = boxes.get(id)!;
  let place = size(broadcasts, box);
  const mail = Array<Mail>(place);
  for (let part = lastPart(broadcasts, box); part !== undefined; part = part.before) {
    if ("slice" in part) {
      for (const broadcast of part.slice.toArray().reverse()) mail[--place] = broadcast;
    } else mail[--place] = part;
  }
  return mail;
}

/** Can the mailbox take no more? */
export function isFull({ boxes, broadcasts }: Mailboxes, id: number): boolean {
  return hasFilled(broadcasts, boxes.get(id)!);
}

/** Puts a message into a mailbox that is not full. */
export function deliver(all: Mailboxes, to: number, { from, text }: Mail): Mailboxes {
  const { boxes, broadcasts } = all;
  const box = boxes.get(to)!;
  return replace(all, to, {
    last: { from, text, before: lastPart(broadcasts, box) },
    held: size(broadcasts, box) + 1,
    seen: broadcasts.end,
    fillsAt: box.fillsAt - 1,
    taken: box.taken,
  });
}

/** How many mailboxes a broadcast would reach, and how many others are too full for it. */
export function reach(
  { boxes, broadcasts }: Mailboxes,
  from: number,
): { reached: number; full: number } {
  const senderIsFull = hasFilled(broadcasts, boxes.get(from)!);
  const full = broadcasts.full - (senderIsFull ? 1 : 0);
  return { reached: boxes.size - 1 - full, full };
}

/** Puts a message into every mailbox but the sender's and the full ones. */
export function broadcast(all: Mailboxes, from: number, mail: Mail): Mailboxes {
  const { reached } = reach(all, from);
  if (reached === 0) return all;
  const { boxes, waiting, broadcasts } = skipOwn(all, from);
  const end = broadcasts.end + 1;
  const { filling, filled, ...rest } = end > broadcasts.horizon
    ? lookAhead(broadcasts, boxes)
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

/** Takes the oldest messages out of a mailbox; it has so many. */
export function take(all: Mailboxes, id: number, messages: number): Mailboxes {
  const { boxes, broadcasts } = all;
  const box = boxes.get(id)!;
  const left = size(broadcasts, box) - messages;
  const empty = emptied(broadcasts, box.taken + messages);
  if (left === 0) return replace(all, id, empty);
  return replace(all, id, {
    ...empty,
    last: newest(lastPart(broadcasts, box), left),
    held: left,
    fillsAt: empty.fillsAt - left,
  });
}

/** The same mail in mailboxes of another size; one that holds more than that is full. */
export function resize({ boxes, broadcasts }: Mailboxes, max: number): Mailboxes {
  const { end } = broadcasts;
  let resized: Mailboxes = { ...emptyMailboxes(max), broadcasts: noBroadcasts(max, end) };
  for (const [id, box] of boxes) {
    const whole = cut(broadcasts, box);
    resized = replace(resized, id, { ...whole, fillsAt: end + max - whole.held });
  }
  return resized;
}

/** A mailbox that was stored: the mail in it, and how many messages were ever taken out. */
export function restoreMailbox(
  all: Mailboxes,
  id: number,
  mail: readonly Mail[],
  taken: number,
): Mailboxes {
  const empty = emptied(all.broadcasts, taken);
  const held = mail.length;
  const slice = Queue.of([...mail]);
  return replace(all, id, {
    ...empty,
    last: held === 0 ? undefined : { slice, before: undefined },
    held,
    fillsAt: empty.fillsAt - held,
  });
}

/** The sender of the next broadcast does not get it: the position steps over it. */
function skipOwn(all: Mailboxes, from: number): Mailboxes {
  const { boxes, broadcasts } = all;
  const box = boxes.get(from)!;
  if (hasFilled(broadcasts, box)) return all;
  return replace(all, from, {
    ...cut(broadcasts, box),
    seen: broadcasts.end + 1,
    fillsAt: box.fillsAt + 1,
  });
}

/** Moves the horizon, and counts what lies before it. */
function lookAhead(broadcasts: Broadcasts, boxes: IntMap<Mailbox>): Broadcasts {
  const { max, end } = broadcasts;
  const ahead = Math.max(1, Math.floor(HORIZON_SHARE * max));
  let next: Broadcasts = { ...broadcasts, horizon: end + ahead };
  for (const { fillsAt } of boxes.values()) {
    if (fillsAt > end) next = countFill(next, fillsAt, 1);
  }
  return next;
}

function emptied({ end, max }: Broadcasts, taken: number): Mailbox {
  return { last: undefined, held: 0, seen: end, fillsAt: end + max, taken };
}

function hasFilled({ end }: Broadcasts, { fillsAt }: Mailbox): boolean {
  return fillsAt <= end;
}

/** Broadcasts that are in the mailbox and not among its parts. */
function unseen({ end }: Broadcasts, { fillsAt, seen }: Mailbox): number {
  return Math.max(0, Math.min(end, fillsAt) - seen);
}

function size(broadcasts: Broadcasts, box: Mailbox): number {
  return box.held + unseen(broadcasts, box);
}

/** The newest part, where what of the log belongs behind the parts is one too. */
function lastPart(broadcasts: Broadcasts, box: Mailbox): Part | undefined {
  const count = unseen(broadcasts, box);
  if (count === 0) return box.last;
  const { log } = hasFilled(broadcasts, box) ? broadcasts.filled.get(box.fillsAt)! : broadcasts;
  return { slice: log.drop(log.size - count), before: box.last };
}

/** The same mailbox with all its mail among the parts, so that something may come behind it. */
function cut(broadcasts: Broadcasts, box: Mailbox): Mailbox {
  return {
    ...box,
    last: lastPart(broadcasts, box),
    held: size(broadcasts, box),
    seen: broadcasts.end,
  };
}

/** The same without what is older than the newest `messages` messages. */
function newest(last: Part | undefined, messages: number): Part | undefined {
  const kept: Part[] = [];
  let left = messages;
  for (let part = last; part !== undefined && left > 0; part = part.before) {
    if ("slice" in part) {
      const slice = part.slice.drop(Math.max(0, part.slice.size - left));
      kept.push({ ...part, slice });
      left -= slice.size;
    } else {
      kept.push(part);
      left--;
    }
  }
  return kept.reduceRight<Part | undefined>((before, part) => ({ ...part, before }), undefined);
}

/** Sets, adds or removes a mailbox and keeps every sum right. */
function replace(
  { boxes, waiting, broadcasts }: Mailboxes,
  id: number,
  box: Mailbox | undefined,
): Mailboxes {
  const old = boxes.get(id);
  const before = old === undefined ? 0 : size(broadcasts, old);
  const after = box === undefined ? 0 : size(broadcasts, box);
  return {
    boxes: boxes.set(id, box),
    waiting: waiting + after - before,
    broadcasts: old?.fillsAt === box?.fillsAt ? broadcasts : recount(broadcasts, old, box),
  };
}

/** Counts one mailbox instead of another. */
function recount(
  broadcasts: Broadcasts,
  old: Mailbox | undefined,
  box: Mailbox | undefined,
): Broadcasts {
  const without = old === undefined ? broadcasts : countFill(broadcasts, old.fillsAt, -1);
  return box === undefined ? without : countFill(without, box.fillsAt, 1);
}

/** Counts a mailbox more, or less, that will be, or is, full at a position. */
function countFill(broadcasts: Broadcasts, position: number, boxes: 1 | -1): Broadcasts {
  const { end, horizon, filling, filled, full } = broadcasts;
  if (position > horizon) return broadcasts;
  if (position > end) {
    const count = (filling.get(position) ?? 0) + boxes;
    return { ...broadcasts, filling: filling.set(position, count === 0 ? undefined : count) };
  }
  const fill = filled.get(position) ?? { boxes: 0, log: NO_MAIL };
  const count = fill.boxes + boxes;
  return {
    ...broadcasts,
    full: full + boxes,
    filled: filled.set(position, count === 0 ? undefined : { ...fill, boxes: count }),
  };
}
