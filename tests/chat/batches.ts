/** Batches for tests: from texts, or at random. */
import type { Item, Outcome, Request, SessionView } from "../../lib/chat/batch.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import type { Settings } from "../../lib/chat/settings.ts";
import { snapshotRows } from "../../lib/chat/snapshot.ts";
import type { ChatState } from "../../lib/chat/state.ts";
import { step } from "../../lib/chat/step.ts";
import type { SessionId } from "../../lib/chat/users.ts";
import type { Command } from "../../lib/protocol/command.ts";
import { type Reply, replyText, type Shown } from "../../lib/protocol/reply.ts";
import { replyTexts } from "../../lib/protocol/reply_encoder.ts";
import { pick, wholeBelow } from "../random.ts";

export const SETTINGS: Settings = {
  strict: false,
  nameSymbolsMax: 4,
  textSymbolsMax: 5,
  usersMax: 4,
  usersPerAddressMax: 2,
  mailboxMessagesMax: 3,
  mailboxBroadcastsMax: 3,
  messagesMax: 8,
  messagesPerAddressMax: 8,
  usersExpireH: 0,
};

export const END: Item = { kind: "end" };
export const REFUSED: Item = { kind: "refused", name: "wait", reply: { code: "bad-seconds" } };

const NAMES = ["Al", "Bob", "Cy", "Dan", "too long", ""];
const TEXTS = ["", "1", "2", "3", "too long"];

/** The items of commands that are written as texts: `send Al hi`. */
export function items(...texts: string[]): Item[] {
  return texts.map((text) => ({ kind: "command", command: commandOf(text) }));
}

function commandOf(text: string): Command {
  const [name, ...words] = text.split(" ");
  switch (name) {
    case "register":
      return { name, user: words.join(" ") };
    case "send":
      return { name, to: words[0]!, text: words.slice(1).join(" ") };
    case "sendall":
      return { name, text: words.join(" ") };
    case "wait":
      return { name, seconds: 60 };
    case "users":
    case "receive":
    case "ping":
    case "help":
    case "logout":
      return { name };
  }
  throw new Error(`No command: ${text}`);
}

/** A random item, not an end. */
export function randomItem(random: () => number): Item {
  const command = pick<() => string>(random, [
    () => `register ${pick(random, NAMES)}`,
    () => `register ${pick(random, NAMES)}`,
    () => `send ${pick(random, NAMES)} ${pick(random, TEXTS)}`,
    () => `send ${pick(random, NAMES)} ${pick(random, TEXTS)}`,
    () => `sendall ${pick(random, TEXTS)}`,
    () => "receive",
    () => "wait",
    () => "wait",
    () => "users",
    () => "ping",
    () => random() < 0.3 ? "logout" : "help",
  ])();
  return random() < 0.05 ? REFUSED : items(command)[0]!;
}

/** A session as the engine keeps it. */
export class Session implements SessionView {
  readonly actor;
  shown: Shown | undefined;
  waitedFor: SessionId | undefined;
  /** The `wait` that is parked. */
  parked: Shown | undefined;

  constructor(session: SessionId, address: string) {
    this.actor = { session, address, peer: `${address}:${session.count}` };
  }

  /** Items of the session, behind its parked `wait`. The items do not see later changes of it. */
  request(...given: Item[]): Request {
    const { actor, shown, waitedFor, parked } = this;
    return { session: { actor, shown, waitedFor }, parked, items: given };
  }

  /** Takes over what a batch has made of the request. A `wait` without mail at its end is parked. */
  settle({ items: given }: Request, { replies, shown, blockedBy }: Outcome): void {
    const [item, reply] = [given.at(-1), replies[given.length - 1]];
    const isWait = item?.kind === "command" && item.command.name === "wait";
    this.shown = shown;
    this.waitedFor = blockedBy;
    this.parked = isWait && reply?.code === "mail" && reply.count === 0 ? reply.shown : undefined;
  }
}

/** A number of random items, sometimes with the end of the session. */
export function randomItems(random: () => number): Item[] {
  const given = Array.from({ length: wholeBelow(random, 6) }, () => randomItem(random));
  return random() < 0.1 ? [...given, END] : given;
}

/** Requests of these sessions, in their order. */
export function randomRequests(random: () => number, sessions: readonly Session[]): Request[] {
  return sessions.filter(() => random() < 0.7).map((session) =>
    session.request(...randomItems(random))
  );
}

/** A reply as one text: its own text, or what it lists. */
export function textOf(reply: Reply | undefined): string {
  if (reply === undefined) return "-";
  switch (reply.code) {
    case "users":
      return `users: ${replyTexts(reply).slice(1).join(" ")}`;
    case "mail":
      return ["mail", ...reply.mail().map(({ from, text }) => `${from}: ${text}`)].join(", ");
    case "help":
    case "mistake":
      return reply.code;
    default:
      return replyText(reply);
  }
}

/** What a batch has made of a request, as one value. */
export function textsOf({ parkedReply, replies, shown, blockedBy, ending }: Outcome) {
  return {
    parked: textOf(parkedReply),
    replies: replies.map(textOf),
    shown: JSON.stringify(shown ?? null),
    blockedBy: JSON.stringify(blockedBy ?? null),
    ending,
  };
}

/** A state as rows of text: equal for equal states. */
export function rows(state: ChatState): string[] {
  return [...snapshotRows(state)];
}

/** The state after these entries, stepped one by one. */
export function replayed(state: ChatState, entries: readonly Entry[]): ChatState {
  return entries.reduce((before, entry) => step(before, entry).state, state);
}
