/**
 * One mailbox. {@link isFull} is its limit: `send` in `commands` refuses a message to a full mailbox,
 * and `broadcast` in `mailboxes` leaves it out. Its mail is in two places:
 *
 * - in its own segments: a chain that starts at the newest one. A segment is a direct message, or a
 *   slice that was cut from the log of broadcasts;
 * - at the end of the log of broadcasts, which all mailboxes share. These broadcasts are not cut
 *   yet, and they are newer than the segments.
 *
 * Before a direct message is added, the broadcasts before it are cut from the log into a segment.
 * The same happens before the owner's own broadcast, which the mailbox skips. So the order stays
 * right.
 */
import { type IntMap, Queue } from "./persistent.ts";
import type { Mail } from "../protocol/reply.ts";

/** Consecutive messages of a mailbox, and a link to the segment before them. */
type Segment = DirectMessage | Slice;

interface DirectMessage extends Mail {
  readonly before: Segment | undefined;
}

/** Broadcasts that were cut from the log, or messages that were read from a snapshot. */
interface Slice {
  readonly slice: Queue<Mail>;
  readonly before: Segment | undefined;
}

export interface Mailbox {
  readonly lastSegment: Segment | undefined;
  /** The number of messages in the segments. */
  readonly inSegments: number;
  /** The position in the log of the first broadcast that is not cut yet. */
  readonly uncutFrom: number;
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

/** A mailbox without mail; `taken` messages were taken out before. */
export function emptyMailbox({ end, max }: BroadcastLog, taken: number): Mailbox {
  return { lastSegment: undefined, inSegments: 0, uncutFrom: end, fillsAt: end + max, taken };
}

/** A mailbox with this mail, oldest first; `taken` messages were taken out before. */
export function filledMailbox(
  broadcasts: BroadcastLog,
  mail: readonly Mail[],
  taken: number,
): Mailbox {
  const empty = emptyMailbox(broadcasts, taken);
  if (mail.length === 0) return empty;
  return {
    ...empty,
    lastSegment: { slice: Queue.of([...mail]), before: undefined },
    inSegments: mail.length,
    fillsAt: empty.fillsAt - mail.length,
  };
}

/** Has the mailbox no room for another message? */
export function isFull({ end }: BroadcastLog, { fillsAt }: Mailbox): boolean {
  return fillsAt <= end;
}

/** The number of messages in the mailbox. */
export function size(broadcasts: BroadcastLog, box: Mailbox): number {
  return box.inSegments + countUncut(broadcasts, box);
}

/** The mail, oldest first. */
export function readMail(broadcasts: BroadcastLog, box: Mailbox): Mail[] {
  let place = size(broadcasts, box);
  const mail = Array<Mail>(place);
  let segment = cutLastSegment(broadcasts, box);
  for (; segment !== undefined; segment = segment.before) {
    if ("slice" in segment) {
      for (const message of segment.slice.toArray().reverse()) mail[--place] = message;
    } else mail[--place] = segment;
  }
  return mail;
}

/** The mailbox with one more direct message. It must not be full. */
export function addDirect(
  broadcasts: BroadcastLog,
  box: Mailbox,
  { from, text }: Mail,
): Mailbox {
  return {
    lastSegment: { from, text, before: cutLastSegment(broadcasts, box) },
    inSegments: size(broadcasts, box) + 1,
    uncutFrom: broadcasts.end,
    fillsAt: box.fillsAt - 1,
    taken: box.taken,
  };
}

/** The mailbox without its oldest `messages` messages. It must have this many. */
export function takeOldest(broadcasts: BroadcastLog, box: Mailbox, messages: number): Mailbox {
  const left = size(broadcasts, box) - messages;
  const empty = emptyMailbox(broadcasts, box.taken + messages);
  if (left === 0) return empty;
  return {
    ...empty,
    lastSegment: keepNewest(cutLastSegment(broadcasts, box), left),
    inSegments: left,
    fillsAt: empty.fillsAt - left,
  };
}

/** The mailbox, which will not get the next broadcast. It must not be full. */
export function skipNextBroadcast(broadcasts: BroadcastLog, box: Mailbox): Mailbox {
  return {
    ...cutAll(broadcasts, box),
    uncutFrom: broadcasts.end + 1,
    fillsAt: box.fillsAt + 1,
  };
}

/** The mailbox with room for `max` messages; if it holds more than that, it is full. */
export function resizeMailbox(broadcasts: BroadcastLog, box: Mailbox, max: number): Mailbox {
  const cut = cutAll(broadcasts, box);
  return { ...cut, fillsAt: broadcasts.end + max - cut.inSegments };
}

/** The number of broadcasts in the mailbox that are not in its segments. */
function countUncut({ end }: BroadcastLog, { fillsAt, uncutFrom }: Mailbox): number {
  return Math.max(0, Math.min(end, fillsAt) - uncutFrom);
}

/** The newest segment of the mailbox, after its broadcasts were cut from the log. */
function cutLastSegment(broadcasts: BroadcastLog, box: Mailbox): Segment | undefined {
  const count = countUncut(broadcasts, box);
  if (count === 0) return box.lastSegment;
  const { log } = isFull(broadcasts, box) ? broadcasts.filled.get(box.fillsAt)! : broadcasts;
  return { slice: log.drop(log.size - count), before: box.lastSegment };
}

/** The mailbox with all its mail in segments. */
function cutAll(broadcasts: BroadcastLog, box: Mailbox): Mailbox {
  return {
    ...box,
    lastSegment: cutLastSegment(broadcasts, box),
    inSegments: size(broadcasts, box),
    uncutFrom: broadcasts.end,
  };
}

/** A chain of segments with the newest `messages` messages of this one. */
function keepNewest(last: Segment | undefined, messages: number): Segment | undefined {
  const kept: Segment[] = [];
  let left = messages;
  for (let segment = last; segment !== undefined && left > 0; segment = segment.before) {
    if ("slice" in segment) {
      const slice = segment.slice.drop(Math.max(0, segment.slice.size - left));
      kept.push({ ...segment, slice });
      left -= slice.size;
    } else {
      kept.push(segment);
      left--;
    }
  }
  return kept.reduceRight<Segment | undefined>(
    (before, segment) => ({ ...segment, before }),
    undefined,
  );
}
