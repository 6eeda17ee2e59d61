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
import type { Mail } from "./reply.ts";

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
  /** The most messages in a mailbox. */
  readonly max: number;
  readonly boxes: IntMap<Mailbox>;
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
  /** Messages in all mailboxes together. */
  readonly waiting: number;
}

/** How far the horizon is moved, of a mailbox: whose mailbox has more room is not counted. */
const HORIZON_SHARE = 0.75;

const NO_MAIL = Queue.of<Mail>([]);

/** No mailboxes yet, each to hold at most `max` messages. */
export function emptyMailboxes(max: number): Mailboxes {
  return {
    max,
    boxes: IntMap.empty(),
    log: NO_MAIL,
    end: 0,
    filling: IntMap.empty(),
    horizon: 0,
    filled: IntMap.empty(),
    full: 0,
    waiting: 0,
  };
}

/** Adds an empty mailbox; there is none of that number. */
export function openMailbox(all: Mailboxes, id: number): Mailboxes {
  return replace(all, id, emptied(all, 0));
}

/** Removes a mailbox with its mail. */
export function closeMailbox(all: Mailboxes, id: number): Mailboxes {
  return replace(all, id, undefined);
}

/** How many messages are in the mailbox. */
export function count(all: Mailboxes, id: number): number {
  return size(all, all.boxes.get(id)!);
}

/** How many messages were ever taken out of the mailbox. */
export function taken(all: Mailboxes, id: number): number {
  return all.boxes.get(id)!.taken;
}

/** The mail, oldest first. */
export function read(all: Mailboxes, id: number): Mail[] {
  const box = all.boxes.get(id)!;
  let place = size(all, box);
  const mail = Array<Mail>(place);
  for (let part = lastPart(all, box); part !== undefined; part = part.before) {
    if ("slice" in part) {
      for (const broadcast of part.slice.toArray().reverse()) mail[--place] = broadcast;
    } else mail[--place] = part;
  }
  return mail;
}

/** Can the mailbox take no more? */
export function isFull(all: Mailboxes, id: number): boolean {
  return hasFilled(all, all.boxes.get(id)!);
}

/** Puts a message into a mailbox that is not full. */
export function deliver(all: Mailboxes, to: number, { from, text }: Mail): Mailboxes {
  const box = all.boxes.get(to)!;
  return replace(all, to, {
    last: { from, text, before: lastPart(all, box) },
    held: size(all, box) + 1,
    seen: all.end,
    fillsAt: box.fillsAt - 1,
    taken: box.taken,
  });
}

/** How many mailboxes a broadcast would reach, and how many others are too full for it. */
export function reach(all: Mailboxes, from: number): { reached: number; full: number } {
  const senderIsFull = hasFilled(all, all.boxes.get(from)!);
  const full = all.full - (senderIsFull ? 1 : 0);
  return { reached: all.boxes.size - 1 - full, full };
}

/** Puts a message into every mailbox but the sender's and the full ones. */
export function broadcast(all: Mailboxes, from: number, mail: Mail): Mailboxes {
  const { reached } = reach(all, from);
  if (reached === 0) return all;
  const end = all.end + 1;
  const skipped = skipOwn(all, from);
  const { filling, filled, ...rest } = end > all.horizon ? lookAhead(skipped) : skipped;
  const grown = all.log.push(mail);
  const log = grown.size > all.max ? grown.drop(1) : grown;
  const boxes = filling.get(end) ?? 0;
  return {
    ...rest,
    log,
    end,
    filling: boxes === 0 ? filling : filling.set(end, undefined),
    filled: boxes === 0 ? filled : filled.set(end, { boxes, log }),
    full: all.full + boxes,
    waiting: all.waiting + reached,
  };
}

/** Takes the oldest messages out of a mailbox; it has so many. */
export function take(all: Mailboxes, id: number, messages: number): Mailboxes {
  const box = all.boxes.get(id)!;
  const left = size(all, box) - messages;
  const empty = emptied(all, box.taken + messages);
  if (left === 0) return replace(all, id, empty);
  return replace(all, id, {
    ...empty,
    last: newest(lastPart(all, box), left),
    held: left,
    fillsAt: empty.fillsAt - left,
  });
}

/** The same mail in mailboxes of another size; one that holds more than that is full. */
export function resize(all: Mailboxes, max: number): Mailboxes {
  let resized: Mailboxes = { ...emptyMailboxes(max), end: all.end, horizon: all.end };
  for (const [id, box] of all.boxes) {
    const whole = cut(all, box);
    resized = replace(resized, id, { ...whole, fillsAt: all.end + max - whole.held });
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
  const empty = emptied(all, taken);
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
  const box = all.boxes.get(from)!;
  if (hasFilled(all, box)) return all;
  return replace(all, from, {
    ...cut(all, box),
    seen: all.end + 1,
    fillsAt: box.fillsAt + 1,
  });
}

/** Moves the horizon, and counts what lies before it. */
function lookAhead(all: Mailboxes): Mailboxes {
  const ahead = Math.max(1, Math.floor(HORIZON_SHARE * all.max));
  const next: Draft = { ...all, horizon: all.end + ahead };
  for (const { fillsAt } of all.boxes.values()) {
    if (fillsAt > all.end) countFill(next, fillsAt, 1);
  }
  return next;
}

function emptied(all: Mailboxes, taken: number): Mailbox {
  return { last: undefined, held: 0, seen: all.end, fillsAt: all.end + all.max, taken };
}

function hasFilled(all: Mailboxes, box: Mailbox): boolean {
  return box.fillsAt <= all.end;
}

/** Broadcasts that are in the mailbox and not among its parts. */
function unseen(all: Mailboxes, box: Mailbox): number {
  return Math.max(0, Math.min(all.end, box.fillsAt) - box.seen);
}

function size(all: Mailboxes, box: Mailbox): number {
  return box.held + unseen(all, box);
}

/** The newest part, where what of the log belongs behind the parts is one too. */
function lastPart(all: Mailboxes, box: Mailbox): Part | undefined {
  const broadcasts = unseen(all, box);
  if (broadcasts === 0) return box.last;
  const log = hasFilled(all, box) ? all.filled.get(box.fillsAt)!.log : all.log;
  return { slice: log.drop(log.size - broadcasts), before: box.last };
}

/** The same mailbox with all its mail among the parts, so that something may come behind it. */
function cut(all: Mailboxes, box: Mailbox): Mailbox {
  return { ...box, last: lastPart(all, box), held: size(all, box), seen: all.end };
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

/** New mailboxes while they are put together, before anybody sees them. */
type Draft = { -readonly [Field in keyof Mailboxes]: Mailboxes[Field] };

/** Sets, adds or removes a mailbox and keeps every sum right. */
function replace(all: Mailboxes, id: number, box: Mailbox | undefined): Mailboxes {
  const old = all.boxes.get(id);
  const next: Draft = { ...all, boxes: all.boxes.set(id, box) };
  if (old !== undefined) next.waiting -= size(all, old);
  if (box !== undefined) next.waiting += size(all, box);
  if (old?.fillsAt !== box?.fillsAt) {
    if (old !== undefined) countFill(next, old.fillsAt, -1);
    if (box !== undefined) countFill(next, box.fillsAt, 1);
  }
  return next;
}

/** Counts a mailbox more, or less, that will be, or is, full at a position. */
function countFill(all: Draft, position: number, boxes: 1 | -1): void {
  if (position > all.end) {
    if (position > all.horizon) return;
    const count = (all.filling.get(position) ?? 0) + boxes;
    all.filling = all.filling.set(position, count === 0 ? undefined : count);
    return;
  }
  const fill = all.filled.get(position) ?? { boxes: 0, log: NO_MAIL };
  const count = fill.boxes + boxes;
  all.full += boxes;
  all.filled = all.filled.set(position, count === 0 ? undefined : { ...fill, boxes: count });
}
