/**
 * One mailbox. {@link isFull} is its limit for direct messages, and {@link isClosed} the one for
 * broadcasts: `send` in `commands` refuses a message to a full mailbox, and `broadcast` in `mailboxes`
 * leaves a closed one out. Its mail is a chain of direct messages and ranges of the log of broadcasts,
 * which all mailboxes share, and behind that the end of the log. Before a direct message is added, the
 * range of the broadcasts before it goes into the chain, so the order stays.
 */
import { type BroadcastLog, type Message, type Range, readRange } from "./broadcast_log.ts";

/** Mail of a mailbox: a direct message, or a range of broadcasts. */
export type Piece = Message | Range;

/** A piece in the chain, and a link to the one before it. */
type Link = (Message | Range) & { readonly before: Link | undefined };

export interface Mailbox {
  /** The newest piece of the chain. */
  readonly newest: Link | undefined;
  /** The number of messages in the chain. */
  readonly inChain: number;
  /** How many of these are broadcasts. */
  readonly broadcasts: number;
  /** The position in the log of the first broadcast that may be in the mailbox, but not in the chain. */
  readonly logFrom: number;
  /** The position in the log at which the mailbox is closed. */
  readonly closesAt: number;
  /** The number of messages that were ever taken out. */
  readonly taken: number;
}

/** The limits of a mailbox. */
export interface MailboxLimits {
  /** The most messages in a mailbox. */
  readonly messages: number;
  /** The most broadcasts among these. */
  readonly broadcasts: number;
}

/** The broadcasts, as far as a mailbox reads them. */
export interface Broadcasts {
  readonly limits: MailboxLimits;
  readonly log: BroadcastLog;
  /** The position behind the last broadcast: the number of broadcasts that there ever were. */
  readonly end: number;
}

function isRange(piece: Piece): piece is Range {
  return "end" in piece;
}

function lengthOf(piece: Piece): number {
  return isRange(piece) ? piece.end - piece.start : 1;
}

/** A mailbox with this mail, oldest first, also with too much; `taken` messages were taken out before. */
export function mailboxOf(
  { limits, end }: Broadcasts,
  pieces: readonly Piece[],
  taken: number,
): Mailbox {
  let newest: Link | undefined;
  let inChain = 0;
  let broadcasts = 0;
  for (const piece of pieces) {
    newest = linkOf(piece, newest);
    inChain += lengthOf(piece);
    if (isRange(piece)) broadcasts += lengthOf(piece);
  }
  const closesAt = end + roomOf(limits, inChain, broadcasts);
  return { newest, inChain, broadcasts, logFrom: end, closesAt, taken };
}

function linkOf(piece: Piece, before: Link | undefined): Link {
  if (isRange(piece)) return { start: piece.start, end: piece.end, before };
  return { from: piece.from, text: piece.text, source: piece.source, before };
}

/** How many broadcasts a mailbox has room for; it may be below 0. */
function roomOf(limits: MailboxLimits, messages: number, broadcasts: number): number {
  return Math.min(limits.messages - messages, limits.broadcasts - broadcasts);
}

/** Has the mailbox no room for another direct message? */
export function isFull(broadcasts: Broadcasts, box: Mailbox): boolean {
  return size(broadcasts, box) >= broadcasts.limits.messages;
}

/** Has the mailbox no room for another broadcast? It stays closed until mail is taken out. */
export function isClosed({ end }: Broadcasts, { closesAt }: Mailbox): boolean {
  return closesAt <= end;
}

/** The number of messages in the mailbox. */
export function size({ end }: Broadcasts, { inChain, logFrom, closesAt }: Mailbox): number {
  return inChain + Math.max(0, Math.min(end, closesAt) - logFrom);
}

/** The mail in pieces, oldest first. Ranges that follow each other directly are one piece. */
export function piecesOf({ end }: Broadcasts, box: Mailbox): Piece[] {
  const { newest, logFrom, closesAt } = box;
  const newestFirst: Piece[] = [];
  const range = { start: logFrom, end: Math.min(end, closesAt) };
  if (range.start < range.end) newestFirst.push(range);
  for (let link = newest; link !== undefined; link = link.before) {
    const next = newestFirst.at(-1);
    if (isRange(link) && next !== undefined && isRange(next) && link.end === next.start) {
      newestFirst[newestFirst.length - 1] = { start: link.start, end: next.end };
    } else newestFirst.push(link);
  }
  return newestFirst.reverse();
}

/** The mail, oldest first. */
export function readMail(broadcasts: Broadcasts, box: Mailbox): Message[] {
  const mail: Message[] = [];
  for (const piece of piecesOf(broadcasts, box)) {
    if (isRange(piece)) readRange(broadcasts.log, piece, mail);
    else mail.push(piece);
  }
  return mail;
}

/** The mailbox with one more piece behind its mail. */
export function addPiece(broadcasts: Broadcasts, box: Mailbox, piece: Piece): Mailbox {
  const { newest, inChain, broadcasts: before, taken } = withChain(broadcasts, box);
  const all = inChain + lengthOf(piece);
  const among = before + (isRange(piece) ? lengthOf(piece) : 0);
  const { limits, end } = broadcasts;
  return {
    newest: linkOf(piece, newest),
    inChain: all,
    broadcasts: among,
    logFrom: end,
    closesAt: end + roomOf(limits, all, among),
    taken,
  };
}

/** The mailbox without its oldest `messages` messages, of which it must have this many; and these. */
export function takeOldest(
  broadcasts: Broadcasts,
  box: Mailbox,
  messages: number,
): { readonly box: Mailbox; readonly taken: readonly Piece[] } {
  const taken: Piece[] = [];
  const left: Piece[] = [];
  let missing = messages;
  for (const piece of piecesOf(broadcasts, box)) {
    const length = Math.min(missing, lengthOf(piece));
    missing -= length;
    if (length === lengthOf(piece)) taken.push(piece);
    else if (length === 0) left.push(piece);
    else {
      const { start, end } = piece as Range;
      taken.push({ start, end: start + length });
      left.push({ start: start + length, end });
    }
  }
  return { box: mailboxOf(broadcasts, left, box.taken + messages), taken };
}

/** The mailbox, which will not get the next broadcast. */
export function skipNextBroadcast(broadcasts: Broadcasts, box: Mailbox): Mailbox {
  if (isClosed(broadcasts, box)) return box;
  const chained = withChain(broadcasts, box);
  return { ...chained, logFrom: broadcasts.end + 1, closesAt: chained.closesAt + 1 };
}

/** The mailbox with all its mail in its chain. */
function withChain(broadcasts: Broadcasts, box: Mailbox): Mailbox {
  const inLog = size(broadcasts, box) - box.inChain;
  if (inLog === 0) return box;
  const { logFrom: start } = box;
  return {
    ...box,
    newest: linkOf({ start, end: start + inLog }, box.newest),
    inChain: box.inChain + inLog,
    broadcasts: box.broadcasts + inLog,
    logFrom: broadcasts.end,
  };
}
