/** The protocols of the measured servers: what the load generator sends, and where a reply ends. */
import { encodeFrame, encodeFrames, LENGTH_BYTES, readLength } from "../lib/protocol/frame.ts";
import { replyText } from "../lib/protocol/reply.ts";

/** Of this many requests in a row, the last one takes the messages out of the mailbox. */
export const CYCLE = 32;
/** The text of every message: 40 symbols. */
export const TEXT = "The quick brown fox and the lazy dogs...";

type Bytes = Uint8Array<ArrayBuffer>;

/** The protocol of a kind of server. Connections are numbered from 0. */
export interface Dialect {
  /** The first requests of a connection, before anything is measured: each has one reply. */
  readonly hello: (index: number) => readonly Bytes[];
  /** Puts a message into the mailbox of a connection. `place` counts the requests of a pipeline. */
  readonly store: (to: number, place: number) => Bytes;
  /** Takes the messages out of the mailbox of a connection. */
  readonly take: (index: number, place: number) => Bytes;
  /** The offset behind the reply that begins at `from`; `-1` while the reply is not whole. */
  readonly replyEnd: (bytes: Bytes, from: number, to: number, isTake: boolean) => number;
  /** True if the reply says that the message was stored. */
  readonly isStored: (bytes: Bytes, from: number, end: number) => boolean;
  /**
   * True if a message begins at `from`, not a reply. Absent where the server sends a message only
   * within the reply to a `take`; where it is present, the server delivers every message by itself.
   */
  readonly isDelivery?: (bytes: Bytes, from: number) => boolean;
}

const name = (index: number) => `u${index}`;
const stored = encodeFrame(replyText({ code: "sent" }));

/** A server of this project. */
const chat: Dialect = {
  hello: (index) => [frames("register", name(index))],
  store: (to) => frames("send", name(to), TEXT),
  take: () => frames("receive"),
  replyEnd: chatReplyEnd,
  isStored: (bytes, from, end) =>
    end - from === stored.length && bytes[end - 1] === stored[stored.length - 1],
};

function frames(...words: string[]): Bytes {
  return encodeFrames(words) as Bytes;
}

function frameEnd(bytes: Bytes, from: number, to: number): number {
  if (to - from < LENGTH_BYTES) return -1;
  const end = from + LENGTH_BYTES + readLength(bytes, from);
  return end > to ? -1 : end;
}

/** A reply is one frame; to a `receive` it is a count of messages, and two frames for each. */
function chatReplyEnd(bytes: Bytes, from: number, to: number, isTake: boolean): number {
  let end = frameEnd(bytes, from, to);
  if (!isTake || end < 0) return end;
  for (let left = 2 * number(bytes, from + LENGTH_BYTES, end); left > 0 && end >= 0; left--) {
    end = frameEnd(bytes, end, to);
  }
  return end;
}

function number(bytes: Bytes, from: number, end: number): number {
  let value = 0;
  for (let i = from; i < end; i++) value = 10 * value + bytes[i]! - 48;
  return value;
}

/** Redis, with a list for each mailbox. */
const redis: Dialect = {
  hello: () => [],
  store: (to) => resp("RPUSH", name(to), TEXT),
  take: (index) => resp("LPOP", name(index), String(CYCLE - 1)),
  replyEnd: redisReplyEnd,
  isStored: (bytes, from) => bytes[from] === COLON,
};

const COLON = ":".charCodeAt(0);
const STAR = "*".charCodeAt(0);
const DOLLAR = "$".charCodeAt(0);
const MINUS = "-".charCodeAt(0);
const NEWLINE = 10;

function resp(...words: string[]): Bytes {
  const strings = words.map((word) => `$${word.length}\r\n${word}\r\n`);
  return new TextEncoder().encode(`*${words.length}\r\n${strings.join("")}`);
}

/** A reply is one line; an array is a line with its length, and its strings. */
function redisReplyEnd(bytes: Bytes, from: number, to: number): number {
  let end = lineEnd(bytes, from, to);
  if (end < 0 || bytes[from] !== STAR || bytes[from + 1] === MINUS) return end;
  for (let left = number(bytes, from + 1, end - 2); left > 0; left--) {
    const head = lineEnd(bytes, end, to);
    if (head < 0 || bytes[end] !== DOLLAR) return -1;
    end = head + number(bytes, end + 1, head - 2) + 2;
    if (end > to) return -1;
  }
  return end;
}

function lineEnd(bytes: Bytes, from: number, to: number): number {
  for (let i = from; i < to; i++) if (bytes[i] === NEWLINE) return i + 1;
  return -1;
}

/** A server that sends every byte back, and gets the same requests as a chat server. */
const echo: Dialect = {
  ...chat,
  hello: () => [],
  replyEnd: (bytes, from, to, isTake) => {
    let end = from;
    for (let left = isTake ? 1 : 3; left > 0 && end >= 0; left--) end = frameEnd(bytes, end, to);
    return end;
  },
  isStored: () => true,
};

/**
 * MQTT 3.1.1. Each client is subscribed at QoS 0 to a topic of its own. A request is a PUBLISH at QoS 1,
 * and its reply is the PUBACK: together they count as one, like an `RPUSH` and its reply in Redis. The
 * broker also delivers the message to its subscriber. This is not counted, as the messages within the
 * reply to a `take` are not. A client of MQTT takes nothing, so the last request of a cycle is a
 * PUBLISH too, to its own topic. So 32 requests are 32 messages, and in the other dialects 31.
 */
const mqtt: Dialect = {
  hello: (index) => [connectPacket(name(index)), subscribePacket(name(index))],
  store: (to, place) => publishPacket(name(to), place),
  take: (index, place) => publishPacket(name(index), place),
  replyEnd: packetEnd,
  isStored: (bytes, from) => bytes[from] === PUBACK,
  isDelivery: (bytes, from) => bytes[from] === PUBLISH_QOS_0,
};

const CONNECT = 0x10;
const PUBLISH_QOS_0 = 0x30;
const PUBLISH_QOS_1 = 0x32;
const PUBACK = 0x40;
const SUBSCRIBE = 0x82;
const PROTOCOL_LEVEL = 4;
const CLEAN_SESSION = 2;
/** The broker waits for a silent client without limit. */
const NO_KEEP_ALIVE = [0, 0];

function connectPacket(client: string): Bytes {
  return packet(
    CONNECT,
    [...mqttString("MQTT"), PROTOCOL_LEVEL, CLEAN_SESSION, ...NO_KEEP_ALIVE, ...mqttString(client)],
  );
}

function subscribePacket(topic: string): Bytes {
  const qos = 0;
  return packet(SUBSCRIBE, [...packetId(0), ...mqttString(topic), qos]);
}

function publishPacket(topic: string, place: number): Bytes {
  return packet(PUBLISH_QOS_1, [...mqttString(topic), ...packetId(place), ...ascii(TEXT)]);
}

/** A body of less than 128 bytes, as all are here, has a length of one byte before it. */
function packet(type: number, body: readonly number[]): Bytes {
  return Uint8Array.of(type, body.length, ...body);
}

function packetEnd(bytes: Bytes, from: number, to: number): number {
  if (to - from < 2) return -1;
  const end = from + 2 + bytes[from + 1]!;
  return end > to ? -1 : end;
}

/** Requests in flight on a connection differ in their identifier; 0 is none. */
function packetId(place: number): number[] {
  return [0, place + 1];
}

function mqttString(text: string): number[] {
  return [0, text.length, ...ascii(text)];
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export const DIALECTS = { chat, redis, echo, mqtt } as const;
