/**
 * All mailboxes. `commands` checks the limits; here is counted what it needs for that. `sendall`
 * costs the same for 10 users as for 10,000: a broadcast is stored once, in a log, and each mailbox
 * has a position in that log. Three rules keep this cheap and the log short:
 *
 * - A mailbox knows beforehand at which position of the log it is closed: `closesAt`. No mailbox
 *   closes before `nextClose`. Only a broadcast that reaches that position looks at all mailboxes.
 * - A closed mailbox stays closed until mail is taken out of it, and does not follow the log
 *   meanwhile.
 * - The log counts the mailboxes in which a broadcast waits. It leaves the log with the last one.
 */
import {
  addBroadcast,
  broadcastsIn,
  countHolders,
  type Message,
  type Range,
} from "./broadcast_log.ts";
import {
  addPiece,
  type Broadcasts as BroadcastsOfMailbox,
  isClosed,
  isFull as isMailboxFull,
  type Mailbox,
  type MailboxLimits,
  mailboxOf,
  type Piece,
  piecesOf,
  readMail,
  size,
  skipNextBroadcast,
  takeOldest,
} from "./mailbox.ts";
import { Overlay } from "./overlay.ts";
import { IntMap } from "./persistent.ts";
import {
  addSource,
  countMail,
  countUsers,
  emptyShares,
  type Shares,
  type Source,
} from "./shares.ts";

/** All mailboxes, each under the id of its user. */
export interface Mailboxes {
  readonly boxes: IntMap<Mailbox> | Overlay<Mailbox>;
  /** The number of messages that wait. A broadcast counts once, in however many mailboxes it waits. */
  readonly waiting: number;
  /** The same by the networks of the senders, and the users of these networks. */
  readonly shares: Shares;
  /** No mailbox with room for a broadcast is closed before this position of the log. */
  readonly nextClose: number;
  readonly broadcasts: Broadcasts;
}

/** What all mailboxes share. Most direct messages do not change it. */
interface Broadcasts extends BroadcastsOfMailbox {
  /** The number of closed mailboxes. */
  readonly closed: number;
}

/** No mailboxes, after `end` broadcasts. */
export function emptyMailboxes(limits: MailboxLimits, end = 0): Mailboxes {
  return {
    boxes: IntMap.empty(),
    waiting: 0,
    shares: emptyShares(),
    nextClose: Infinity,
    broadcasts: { limits, log: IntMap.empty(), end, closed: 0 },
  };
}

/** The same mailboxes for the steps of a batch, until {@link settle}. */
export function withOverlay({ boxes, shares, ...rest }: Mailboxes): Mailboxes {
  return {
    ...rest,
    boxes: new Overlay(settled(boxes)),
    shares: { ...shares, byId: new Overlay(settled(shares.byId)) },
  };
}

function settled<Value>(map: IntMap<Value> | Overlay<Value>): IntMap<Value> {
  return map instanceof IntMap ? map : map.settled();
}

/** The mailboxes after the steps of a batch, and the ids under which they differ from those before. */
export function settle(
  before: Mailboxes,
  { boxes, shares, ...rest }: Mailboxes,
): { mailboxes: Mailboxes; changed: Iterable<number> | "all" } {
  // Mailboxes with other limits are new ones, without an overlay.
  const hasOverlay = boxes instanceof Overlay;
  const hasBroadcast = rest.broadcasts.end !== before.broadcasts.end;
  return {
    mailboxes: {
      ...rest,
      boxes: settled(boxes),
      shares: { ...shares, byId: settled(shares.byId) },
    },
    changed: hasOverlay && !hasBroadcast ? boxes.keys() : "all",
  };
}

/** The mailboxes in which a network has a source: for a user or a message that is added next. */
export function withSource(
  all: Mailboxes,
  network: string,
): { readonly mailboxes: Mailboxes; readonly source: Source } {
  const { shares, source } = addSource(all.shares, network);
  return { mailboxes: { ...all, shares }, source };
}

/** Adds an empty mailbox for a user of this source. `taken` messages were ever taken out of it. */
export function openMailbox(all: Mailboxes, id: number, source: Source, taken = 0): Mailboxes {
  const opened = setMailbox(all, id, mailboxOf(all.broadcasts, [], taken));
  return { ...opened, shares: countUsers(all.shares, source, 1) };
}

/** Removes the mailbox of a user of this source, with its mail. */
export function closeMailbox(all: Mailboxes, id: number, source: Source): Mailboxes {
  const pieces = readPieces(all, id);
  const { shares, ...rest } = release(setMailbox(all, id, undefined), pieces);
  return { ...rest, shares: countUsers(shares, source, -1) };
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
export function read(all: Mailboxes, id: number): Message[] {
  return reader(all, id)();
}

/** The mail of the mailbox in pieces, oldest first. */
export function readPieces({ boxes, broadcasts }: Mailboxes, id: number): Piece[] {
  return piecesOf(broadcasts, boxes.get(id)!);
}

/** Reads the mail that is in the mailbox now, oldest first, whenever it is called. */
export function reader({ boxes, broadcasts }: Mailboxes, id: number): () => Message[] {
  const box = boxes.get(id)!;
  return () => readMail(broadcasts, box);
}

/** Has the mailbox no room for another direct message? */
export function isFull({ boxes, broadcasts }: Mailboxes, id: number): boolean {
  return isMailboxFull(broadcasts, boxes.get(id)!);
}

/** Adds a message to a mailbox, also to a full one. */
export function deliver(all: Mailboxes, to: number, message: Message): Mailboxes {
  const box = addPiece(all.broadcasts, all.boxes.get(to)!, message);
  return countMessages(setMailbox(all, to, box), message.source, 1);
}

/** Puts a message in front of all mail of a mailbox. All of it counts as new then. */
export function putBack(all: Mailboxes, to: number, message: Message): Mailboxes {
  const pieces = [message, ...readPieces(all, to)];
  const box = mailboxOf(all.broadcasts, pieces, through(all, to));
  return countMessages(setMailbox(all, to, box), message.source, 1);
}

/** How many mailboxes a broadcast reaches, and how many it misses because they are closed. */
export function reach({ boxes, broadcasts }: Mailboxes, from: number) {
  const isSenderClosed = isClosed(broadcasts, boxes.get(from)!);
  const missed = broadcasts.closed - (isSenderClosed ? 1 : 0);
  return { reached: boxes.size - 1 - missed, missed };
}

/** Adds a message to every mailbox except the sender's and the closed ones. */
export function broadcast(all: Mailboxes, from: number, message: Message): Mailboxes {
  const { reached } = reach(all, from);
  if (reached === 0) return all;
  const sender = skipNextBroadcast(all.broadcasts, all.boxes.get(from)!);
  const sent = countMessages(setMailbox(all, from, sender), message.source, 1);
  const { limits, end: position, log, closed } = sent.broadcasts;
  const end = position + 1;
  const { nextClose, closes } = end < sent.nextClose
    ? { nextClose: sent.nextClose, closes: 0 }
    : countCloses(sent.boxes, end);
  return {
    ...sent,
    nextClose,
    broadcasts: {
      limits,
      log: addBroadcast(log, position, message, reached),
      end,
      closed: closed + closes,
    },
  };
}

/** Removes the oldest messages of a mailbox. It must have this many. */
export function take(all: Mailboxes, id: number, messages: number): Mailboxes {
  const { box, taken } = takeOldest(all.broadcasts, all.boxes.get(id)!, messages);
  return release(setMailbox(all, id, box), taken);
}

/** The same mail in mailboxes with these limits. One that holds more than that is full. */
export function resize(all: Mailboxes, limits: MailboxLimits): Mailboxes {
  const { boxes, broadcasts: { limits: before, log, end } } = all;
  if (limits.messages === before.messages && limits.broadcasts === before.broadcasts) return all;
  let resized: Mailboxes = {
    ...all,
    boxes: IntMap.empty(),
    nextClose: Infinity,
    broadcasts: { limits, log, end, closed: 0 },
  };
  for (const [id, box] of settled(boxes)) {
    const pieces = piecesOf(all.broadcasts, box);
    resized = setMailbox(resized, id, mailboxOf(resized.broadcasts, pieces, box.taken));
  }
  return resized;
}

/** The networks with users or mail. */
export function sources({ shares }: Mailboxes): readonly Source[] {
  return settled(shares.byId).values().map(({ source }) => source);
}

/** All broadcasts that wait, with their positions, in order. */
export function waitingBroadcasts({ broadcasts }: Mailboxes): Iterable<readonly [number, Message]> {
  return broadcastsIn(broadcasts.log);
}

/** Adds a broadcast from a snapshot. It has no holders before {@link restoreRange}. */
export function restoreBroadcast(all: Mailboxes, position: number, message: Message): Mailboxes {
  const { broadcasts, ...counted } = countMessages(all, message.source, 1);
  const log = addBroadcast(broadcasts.log, position, message, 0);
  return { ...counted, broadcasts: { ...broadcasts, log } };
}

/** Adds restored broadcasts behind the mail of a mailbox. */
export function restoreRange(all: Mailboxes, to: number, range: Range): Mailboxes {
  const { broadcasts } = all;
  const log = countHolders(broadcasts.log, range, 1, () => {});
  const box = addPiece(broadcasts, all.boxes.get(to)!, range);
  return setMailbox({ ...all, broadcasts: { ...broadcasts, log } }, to, box);
}

/** How many mailboxes are closed from this position on, and the next position that closes one. */
function countCloses(
  boxes: Mailboxes["boxes"],
  position: number,
): { closes: number; nextClose: number } {
  let closes = 0;
  let nextClose = Infinity;
  for (const { closesAt } of settled(boxes).values()) {
    if (closesAt === position) closes++;
    else if (closesAt > position) nextClose = Math.min(nextClose, closesAt);
  }
  return { closes, nextClose };
}

/** Counts this many messages more, or less, to a source. */
function countMessages(all: Mailboxes, source: Source, messages: number): Mailboxes {
  const { boxes, waiting, shares, nextClose, broadcasts } = all;
  return {
    boxes,
    waiting: waiting + messages,
    shares: countMail(shares, source, messages),
    nextClose,
    broadcasts,
  };
}

/** Lets go of mail that has left a mailbox. What waits nowhere any more does not count any more. */
function release(all: Mailboxes, pieces: readonly Piece[]): Mailboxes {
  const freed = new Map<Source, number>();
  const free = ({ source }: Message) => void freed.set(source, (freed.get(source) ?? 0) + 1);
  let { log } = all.broadcasts;
  for (const piece of pieces) {
    if ("end" in piece) log = countHolders(log, piece, -1, free);
    else free(piece);
  }
  let left = all;
  if (log !== all.broadcasts.log) left = { ...all, broadcasts: { ...all.broadcasts, log } };
  for (const [source, messages] of freed) left = countMessages(left, source, -messages);
  return left;
}

/** Sets, adds or removes a mailbox, and counts the closed ones. */
function setMailbox(all: Mailboxes, id: number, box: Mailbox | undefined): Mailboxes {
  const { boxes, waiting, shares, nextClose, broadcasts } = all;
  const isClosedNow = box !== undefined && isClosed(broadcasts, box);
  const old = boxes.get(id);
  const wasClosed = old !== undefined && isClosed(broadcasts, old);
  const change = Number(isClosedNow) - Number(wasClosed);
  return {
    boxes: boxes.set(id, box),
    waiting,
    shares,
    nextClose: box === undefined || isClosedNow ? nextClose : Math.min(nextClose, box.closesAt),
    broadcasts: change === 0 ? broadcasts : { ...broadcasts, closed: broadcasts.closed + change },
  };
}
