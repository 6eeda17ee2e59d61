/**
 * Mailboxes. Pure: every function returns new mailboxes, and the old ones stay as they are.
 *
 * `sendall` costs the same for 10 users as for 10,000: a broadcast goes once into a log, and each
 * mailbox has a position in it. How that stays bounded:
 *
 * - What is a mailbox's own are its `parts`: direct mail, and slices that were cut from the log
 *   because something came behind them (direct mail, or a broadcast of one's own, which is skipped).
 * - A mailbox is full at one position of the log, `fillsAt`, known beforehand. `fills` counts the
 *   mailboxes by that position, so a broadcast sees at once how many it fills.
 * - Full mailboxes stay full until they are emptied. They have left the log: the last version of it
 *   that they saw is kept in `fills`, shared by all that filled up at the same position.
 * - So nobody who still follows the log is `max` messages behind, and older ones are dropped.
 */
import { List, Map } from "./persistent.ts";
import type { Mail } from "./reply.ts";

interface Mailbox {
  readonly parts: List<Mail | List<Mail>>;
  /** Messages in the parts. */
  readonly held: number;
  /** The position in the log behind the last broadcast that is in the parts, or was taken. */
  readonly seen: number;
  /** The position in the log at which the mailbox is full. */
  readonly fillsAt: number;
  /** Messages that were ever taken out. */
  readonly taken: number;
}

interface Fill {
  /** How many mailboxes are full at this position. */
  readonly boxes: number;
  /** The log up to this position, once it is reached. */
  readonly log: List<Mail>;
}

/** All mailboxes. */
export interface Mailboxes {
  /** The most messages in a mailbox. */
  readonly max: number;
  readonly boxes: Map<string, Mailbox>;
  /** The last broadcasts, at most `max`. */
  readonly log: List<Mail>;
  /** The position behind the last broadcast: how many there ever were. */
  readonly end: number;
  readonly fills: Map<number, Fill>;
  /** How many mailboxes are full. */
  readonly full: number;
  /** Messages in all mailboxes together. */
  readonly waiting: number;
}

/** No mailboxes yet, each to hold at most `max` messages. */
export function emptyMailboxes(max: number): Mailboxes {
  return { max, boxes: Map(), log: List(), end: 0, fills: Map(), full: 0, waiting: 0 };
}

/** Adds an empty mailbox; there is none of that name. */
export function openMailbox(all: Mailboxes, name: string): Mailboxes {
  return replace(all, name, emptied(all, 0));
}

/** Removes a mailbox with its mail. */
export function closeMailbox(all: Mailboxes, name: string): Mailboxes {
  return replace(all, name, undefined);
}

/** How many messages are in the mailbox. */
export function count(all: Mailboxes, name: string): number {
  return size(all, all.boxes.get(name)!);
}

/** How many messages were ever taken out of the mailbox. */
export function taken(all: Mailboxes, name: string): number {
  return all.boxes.get(name)!.taken;
}

/** The mail, oldest first. */
export function read(all: Mailboxes, name: string): Iterable<Mail> {
  const parts = allParts(all, all.boxes.get(name)!);
  return { [Symbol.iterator]: () => flatten(parts) };
}

function* flatten(parts: List<Mail | List<Mail>>): Generator<Mail> {
  for (const part of parts) {
    if (List.isList(part)) yield* part;
    else yield part;
  }
}

/** Can the mailbox take no more? */
export function isFull(all: Mailboxes, name: string): boolean {
  return hasFilled(all, all.boxes.get(name)!);
}

/** Puts a message into a mailbox that is not full. */
export function deliver(all: Mailboxes, to: string, mail: Mail): Mailboxes {
  const box = cut(all, all.boxes.get(to)!);
  return replace(all, to, {
    ...box,
    parts: box.parts.push(mail),
    held: box.held + 1,
    fillsAt: box.fillsAt - 1,
  });
}

/** How many mailboxes a broadcast would reach, and how many others are too full for it. */
export function reach(all: Mailboxes, from: string): { reached: number; full: number } {
  const senderIsFull = hasFilled(all, all.boxes.get(from)!);
  const full = all.full - (senderIsFull ? 1 : 0);
  return { reached: all.boxes.size - 1 - full, full };
}

/** Puts a message into every mailbox but the sender's and the full ones. */
export function broadcast(all: Mailboxes, from: string, text: string): Mailboxes {
  const { reached } = reach(all, from);
  if (reached === 0) return all;
  const { fills, ...rest } = skipOwn(all, from);
  const grown = all.log.push({ from, text });
  const log = grown.size > all.max ? grown.shift() : grown;
  const end = all.end + 1;
  const filled = fills.get(end);
  return {
    ...rest,
    log,
    end,
    fills: filled === undefined ? fills : fills.set(end, { ...filled, log }),
    full: all.full + (filled?.boxes ?? 0),
    waiting: all.waiting + reached,
  };
}

/** Takes the oldest messages out of a mailbox; it has so many. */
export function take(all: Mailboxes, name: string, messages: number): Mailboxes {
  const box = all.boxes.get(name)!;
  const left = size(all, box) - messages;
  const empty = emptied(all, box.taken + messages);
  if (left === 0) return replace(all, name, empty);
  return replace(all, name, {
    ...empty,
    parts: drop(allParts(all, box), messages),
    held: left,
    fillsAt: empty.fillsAt - left,
  });
}

/** The same mail in mailboxes of another size; one that holds more than that is full. */
export function resize(all: Mailboxes, max: number): Mailboxes {
  const boxes = all.boxes.map((box) => {
    const whole = cut(all, box);
    return { ...whole, fillsAt: all.end + max - whole.held };
  });
  const empty = { ...emptyMailboxes(max), end: all.end };
  return boxes.reduce((resized, box, name) => replace(resized, name, box), empty);
}

/** A mailbox that was stored: the mail in it, and how many messages were ever taken out. */
export function restoreMailbox(
  all: Mailboxes,
  name: string,
  mail: readonly Mail[],
  taken: number,
): Mailboxes {
  const empty = emptied(all, taken);
  const held = mail.length;
  return replace(all, name, { ...empty, parts: List(mail), held, fillsAt: empty.fillsAt - held });
}

/** The sender of the next broadcast does not get it: the position steps over it. */
function skipOwn(all: Mailboxes, from: string): Mailboxes {
  const box = all.boxes.get(from)!;
  if (hasFilled(all, box)) return all;
  return replace(all, from, {
    ...cut(all, box),
    seen: all.end + 1,
    fillsAt: box.fillsAt + 1,
  });
}

function emptied(all: Mailboxes, taken: number): Mailbox {
  return { parts: List(), held: 0, seen: all.end, fillsAt: all.end + all.max, taken };
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

/** The parts, and what of the log belongs behind them. */
function allParts(all: Mailboxes, box: Mailbox): List<Mail | List<Mail>> {
  const broadcasts = unseen(all, box);
  if (broadcasts === 0) return box.parts;
  const log = hasFilled(all, box) ? all.fills.get(box.fillsAt)!.log : all.log;
  return box.parts.push(log.slice(log.size - broadcasts));
}

/** The same mailbox with all its mail among the parts, so that something may come behind it. */
function cut(all: Mailboxes, box: Mailbox): Mailbox {
  return { ...box, parts: allParts(all, box), held: size(all, box), seen: all.end };
}

/** The parts without their oldest messages. */
function drop(parts: List<Mail | List<Mail>>, messages: number): List<Mail | List<Mail>> {
  let left = messages;
  let skipped = 0;
  for (const part of parts) {
    const size = List.isList(part) ? part.size : 1;
    if (size > left) break;
    left -= size;
    skipped++;
  }
  const rest = parts.skip(skipped);
  const first = rest.first();
  return left > 0 && List.isList(first) ? rest.set(0, first.skip(left)) : rest;
}

/** Sets, adds or removes a mailbox and keeps every sum right. */
function replace(all: Mailboxes, name: string, box: Mailbox | undefined): Mailboxes {
  const old = all.boxes.get(name);
  let fills = all.fills;
  if (old?.fillsAt !== box?.fillsAt) {
    if (old !== undefined) fills = addFill(fills, old.fillsAt, -1);
    if (box !== undefined) fills = addFill(fills, box.fillsAt, 1);
  }
  const full = (one: Mailbox | undefined) => one !== undefined && hasFilled(all, one) ? 1 : 0;
  const messages = (one: Mailbox | undefined) => one === undefined ? 0 : size(all, one);
  return {
    ...all,
    boxes: box === undefined ? all.boxes.delete(name) : all.boxes.set(name, box),
    fills,
    full: all.full - full(old) + full(box),
    waiting: all.waiting - messages(old) + messages(box),
  };
}

function addFill(fills: Map<number, Fill>, position: number, boxes: number): Map<number, Fill> {
  const fill = fills.get(position) ?? { boxes: 0, log: List<Mail>() };
  return fill.boxes + boxes === 0
    ? fills.delete(position)
    : fills.set(position, { ...fill, boxes: fill.boxes + boxes });
}
