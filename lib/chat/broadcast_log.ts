/**
 * The broadcasts that wait in a mailbox, each stored once under its position, with the number of its
 * holders: the mailboxes in which it waits. They lie in chunks, so that a mailbox of 1,000 broadcasts
 * lets go of them with 32 changes of the map.
 */
import type { IntMap } from "./persistent.ts";
import type { Source } from "./shares.ts";
import type { WaitingMail } from "../protocol/reply.ts";

/** A message, and what it counts to. */
export interface Message extends WaitingMail {
  readonly source: Source;
}

/** Broadcasts from one position up to, but not including, another one. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

const CHUNK_POSITIONS = 32;

/** Broadcasts of neighbouring positions; at positions without holders there is none. */
interface Chunk {
  readonly messages: readonly (Message | undefined)[];
  /** The number of holders of each. */
  readonly holders: readonly number[];
}

/** Chunks by their first position, divided by their length. */
export type BroadcastLog = IntMap<Chunk>;

const NO_CHUNK: Chunk = {
  messages: Array(CHUNK_POSITIONS).fill(undefined),
  holders: Array(CHUNK_POSITIONS).fill(0),
};

function keyOf(position: number): number {
  return Math.floor(position / CHUNK_POSITIONS);
}

/** The log with a broadcast at this position. */
export function addBroadcast(
  log: BroadcastLog,
  position: number,
  message: Message,
  holders: number,
): BroadcastLog {
  const chunk = log.get(keyOf(position)) ?? NO_CHUNK;
  const place = position % CHUNK_POSITIONS;
  return log.set(keyOf(position), {
    messages: chunk.messages.with(place, message),
    holders: chunk.holders.with(place, holders),
  });
}

/** Adds the broadcasts of a range, all of which have holders, to a list. */
export function readRange(log: BroadcastLog, { start, end }: Range, list: Message[]): void {
  for (let position = start; position < end;) {
    const { messages } = log.get(keyOf(position))!;
    const next = Math.min(end, (keyOf(position) + 1) * CHUNK_POSITIONS);
    for (; position < next; position++) list.push(messages[position % CHUNK_POSITIONS]!);
  }
}

/**
 * Gives each broadcast of a range this many holders more, or less. `freed` is called for each one that
 * has none any more: it leaves the log.
 */
export function countHolders(
  log: BroadcastLog,
  { start, end }: Range,
  change: number,
  freed: (message: Message) => void,
): BroadcastLog {
  let changed = log;
  for (let position = start; position < end;) {
    const key = keyOf(position);
    const chunk = log.get(key)!;
    const next = Math.min(end, (key + 1) * CHUNK_POSITIONS);
    const holders = chunk.holders.slice();
    let { messages } = chunk;
    for (; position < next; position++) {
      const place = position % CHUNK_POSITIONS;
      holders[place]! += change;
      if (holders[place] !== 0) continue;
      freed(messages[place]!);
      if (messages === chunk.messages) messages = messages.slice();
      (messages as (Message | undefined)[])[place] = undefined;
    }
    const isEmpty = holders.every((count) => count === 0);
    changed = changed.set(key, isEmpty ? undefined : { messages, holders });
  }
  return changed;
}

/** All broadcasts with their positions, in order. */
export function* broadcastsIn(log: BroadcastLog): Generator<readonly [number, Message]> {
  for (const [key, { messages }] of log) {
    for (const [place, message] of messages.entries()) {
      if (message !== undefined) yield [key * CHUNK_POSITIONS + place, message];
    }
  }
}
