/**
 * The oracle of several simulated servers. It executes the messages of the stream with the naive
 * chat and with the real one. Then it checks the states of the servers, their replies, and that no
 * message is lost or doubled.
 */
import { assert, assertEquals } from "@std/assert";
import { followBatch } from "../../../lib/chat/batch.ts";
import type { Entry } from "../../../lib/chat/entry.ts";
import { type ChatState, emptyChat } from "../../../lib/chat/state.ts";
import type { Command } from "../../../lib/protocol/command.ts";
import * as boxes from "../../../lib/chat/mailboxes.ts";
import { restoreSnapshot, snapshotRows } from "../../../lib/chat/snapshot.ts";
import { decodeEntries } from "../../../lib/chat/entry_codec.ts";
import { isSameSession, type SessionId, sessions } from "../../../lib/chat/users.ts";
import { mailFrames, type Model, type ModelSettings, type Person } from "./model.ts";
import { type ClientServer, framesOf, type Request } from "./client.ts";
import { ModelLog, type Outcome, type UserMessage } from "./model_log.ts";
import { assertSame, checkCounts } from "./connections.ts";
import type { Process } from "./server.ts";

const STORAGE_AWAY = "Storage is not available, try again!";
const ENTRIES = ["register", "send", "sendall", "receive", "logout"];

type BatchEntry = Entry & { readonly kind: "batch" };

/** A batch that was sent. */
interface Batch {
  readonly process: Process;
  /** The request of each entry that is a command. */
  readonly requests: readonly (Request | undefined)[];
}

/** A message that left a mailbox. */
interface Removal {
  readonly process: Process;
  readonly member: string;
  readonly message: UserMessage;
  /** The `receive` that took it; `undefined` if a `wait` showed it. */
  readonly request: Request | undefined;
}

export class Oracle {
  readonly requestOf = new WeakMap<Command, Request>();
  readonly #log: ModelLog;
  #state: ChatState;
  /** The naive chat after each entry of all messages. A read may see any of these. */
  readonly #chats: Model[];
  /** For each number of messages: how many of those chats there were. */
  readonly #ends: number[] = [1];
  /** The snapshot of the real state after each number of messages. */
  readonly #rows: (string | undefined)[] = [undefined];
  readonly #batches = new Map<string, Batch>();
  #removals: Removal[] = [];
  #returned: UserMessage[] = [];
  /** The order in which messages first came to their mailboxes. */
  readonly #arrived = new Map<string, number>();
  /** The members that ended before their servers had read all their messages. */
  readonly #endedUnread = new Set<string>();
  readonly #checked = new WeakMap<Process, ChatState>();

  constructor(settings: ModelSettings) {
    this.#log = new ModelLog(settings);
    this.#chats = [this.#log.chat.copy()];
    this.#state = emptyChat(settings);
  }

  /** Was this batch sent before? */
  hasSent({ member, batch }: BatchEntry): boolean {
    return this.#batches.has(`${member} ${batch}`);
  }

  /** Notes a batch that is sent for the first time. */
  noteSent(
    { member, batch }: BatchEntry,
    process: Process,
    requests: readonly (Request | undefined)[],
  ): void {
    this.#batches.set(`${member} ${batch}`, { process, requests });
  }

  /** Executes a message that was added to the stream. */
  append(body: string): void {
    const batch = decodeEntries(body);
    const outcomes = this.#log.append(batch, (chat) => this.#chats.push(chat));
    const stepped = followBatch(this.#state, { leading: batch, requests: [] });
    assertEquals(stepped !== undefined, outcomes !== undefined, `Has it an effect: ${body}`);
    const timeBefore = this.#state.members.at;
    this.#state = stepped?.state ?? this.#state;
    assert(this.#state.members.at >= timeBefore, "The time goes back");
    this.#ends.push(this.#chats.length);
    this.#rows.push(this.#log.isBegun ? rowsOf(this.#state) : undefined);
    this.#compare();
    const [first] = batch;
    if (first?.kind === "batch" && outcomes !== undefined) {
      this.#noteOutcomes(first, batch, outcomes);
    }
    this.#noteArrived((outcomes ?? []).flatMap(({ left = [] }) => left));
    this.#checkOrder(outcomes ?? []);
    const waiting = this.#log.chat.people.flatMap(({ id: user, mail }) =>
      mail.map(({ text }) => ({ user, text }))
    );
    this.#noteArrived(waiting);
  }

  /** Notes a message of another program, which changes nothing. */
  appendForeign(): void {
    this.#ends.push(this.#ends.at(-1)!);
    this.#rows.push(this.#rows.at(-1));
  }

  /** Checks that a process has the state of the messages that it has read. */
  checkState(process: Process): void {
    const { published } = process.commits;
    checkWaiting(process);
    if (this.#checked.get(process) === published) return;
    this.#checked.set(process, published);
    const rows = this.#rows[process.through];
    if (rows !== undefined) assertSame(rowsOf(published), rows, `server ${process.number}`);
  }

  /** Notes a member that ends, as the next messages were purged before its server has read them. */
  noteMissed(member: string): void {
    this.#endedUnread.add(member);
  }

  /** Checks a reply that leaves a server which has read the messages up to `through`. */
  checkReply(request: Request, frames: readonly string[], through: number): void {
    const name = request.words[0]!;
    if (name === "ping" || name === "help") {
      return assertSame(frames, [name === "ping" ? "pong" : name], `a reply to ${name}`);
    }
    if (!ENTRIES.includes(name)) return this.#checkRead(request, frames, through);
    if (frames[0] === STORAGE_AWAY) {
      const hasFailed = request.client.server.failures > request.failuresBefore!;
      return assert(hasFailed, `Nothing has failed, and ${request.words} was not stored`);
    }
    const { place = Infinity } = request;
    assert(
      place <= through,
      `It is answered before its message was read: ${request.words} (${frames})`,
    );
    assertSame(frames, request.expected, `the reply to ${request.words}`);
  }

  /** A user whose name is held by a session that is not among the open ones. */
  findLostUser(open: readonly SessionId[]): Person | undefined {
    const ports = open.map((session) => this.#log.portOf(session));
    return this.#log.chat.people.find(({ holder }) => holder !== 0 && !ports.includes(holder));
  }

  /**
   * Checks at the end that no message is lost, and that members and sessions are those that exist.
   */
  checkEnd(processes: readonly Process[]): void {
    const living = processes.filter(({ isOver }) => !isOver);
    this.#checkMail();
    for (const middle of [this.#rows.length >> 1, this.#rows.length - 1]) this.#checkCopy(middle);
    if (living.length === 0) return;
    assertSame(
      this.#log.members.map(({ id }) => id).sort(),
      living.map(({ journal }) => journal.member).sort(),
      "the members",
    );
    const open = living.flatMap(({ sessions }) => sessions);
    const remembered = Array.from(sessions(this.#state.users), ([session]) => session);
    assertSame(
      remembered.filter((id) => !open.some((other) => isSameSession(id, other))),
      [],
      "sessions of closed connections",
    );
  }

  /**
   * Checks the reply to `users` or `wait`. It may be of any state since the command was heard, but
   * not older than the session's own last command.
   */
  #checkRead(request: Request, frames: readonly string[], through: number): void {
    const { words, client, heardAt = 0 } = request;
    const own = client.heard.slice(0, client.heard.indexOf(request))
      .filter(({ reply }) => reply !== undefined && framesOf(reply)[0] !== STORAGE_AWAY)
      .map(({ chat = 0 }) => chat);
    const from = Math.max(this.#ends[heardAt]! - 1, ...own);
    const chats = this.#chats.slice(from, this.#ends[through]);
    const possible = words[0] === "users"
      ? chats.map((chat) => chat.users())
      : [...shownBy(chats, client), ...(client.isOver ? [["0"]] : [])];
    const found = JSON.stringify(frames);
    if (possible.some((frames) => JSON.stringify(frames) === found)) return;
    assertEquals(frames, possible.at(-1), `${words} as of the messages ${heardAt} to ${through}`);
  }

  #noteArrived(all: readonly UserMessage[]): void {
    for (const { user, text } of all) {
      const key = `${user} ${text}`;
      if (!this.#arrived.has(key)) this.#arrived.set(key, this.#arrived.size);
    }
  }

  /** Each returned message goes to the front. So of one `receive` the newest must come first. */
  #checkOrder(outcomes: readonly Outcome[]): void {
    const newest = new Map<Request | undefined, number>();
    for (const { returned } of outcomes) {
      if (returned === undefined) continue;
      const { user, text } = returned;
      const { request } = this.#removals.findLast(({ message }) =>
        message.user === user && message.text === text
      )!;
      const arrived = this.#arrived.get(`${user} ${text}`)!;
      const isOlder = arrived < (newest.get(request) ?? Infinity);
      assert(isOlder, `It is put back in front of an older one: ${text}`);
      newest.set(request, arrived);
    }
  }

  /** Notes the results of a batch. */
  #noteOutcomes(first: BatchEntry, entries: readonly Entry[], outcomes: readonly Outcome[]): void {
    const batch = this.#batches.get(`${first.member} ${first.batch}`)!;
    for (const [at, { frames, left = [], returned }] of outcomes.entries()) {
      const request = at === 0 ? undefined : batch.requests[at - 1];
      if (frames !== undefined) this.#noteExecuted(request!, entries, at, frames);
      for (const message of left) {
        this.#removals.push({ process: batch.process, member: first.member, message, request });
      }
      if (returned !== undefined) this.#returned.push(returned);
    }
  }

  /**
   * Checks that a command is executed once, and after the commands that its session has sent
   * before.
   */
  #noteExecuted(
    request: Request,
    entries: readonly Entry[],
    index: number,
    frames: readonly string[],
  ): void {
    const entry = entries[index]!;
    assertEquals("command" in entry ? entry.command : undefined, request.command);
    assertEquals(request.place, undefined, `It is executed twice: ${request.words}`);
    const { heard } = request.client;
    const later = heard.slice(heard.indexOf(request) + 1);
    assert(
      later.every(({ place }) => place === undefined),
      `It is executed after a later one: ${request.words}`,
    );
    request.place = this.#rows.length - 1;
    request.chat = this.#ends.at(-2)! + index;
    request.expected = frames;
  }

  /** Checks that both chats are in the same state. */
  #compare(): void {
    if (!this.#log.isBegun) return;
    const { users, mailboxes, members } = this.#state;
    const { chat } = this.#log;
    const found = users.byId.values().map(({ name, id, address }) => {
      const { session, freeSince } = users.presence.get(id)!;
      const mail = Array.from(boxes.read(mailboxes, id), ({ from, text }) => [from, text]);
      const holder = session === undefined ? 0 : this.#log.portOf(session);
      return [name, id, address, holder, freeSince, mail];
    });
    const expected = chat.people.map(({ name, id, address, holder, freeSince, mail }) => [
      ...[name, id, address, holder, freeSince],
      mail.map(({ from, text }) => [from, text]),
    ]);
    assertSame(found, expected, "the users and their mail");
    assertSame(
      members.all.map(({ id, number, batch }) => ({ id, number, batch })),
      this.#log.members,
      "the members",
    );
    assertEquals(members.at, chat.now, "the time");
    checkCounts(mailboxes, chat);
  }

  /** Checks that a state is the same after it was stored and restored. */
  #checkCopy(through: number): void {
    const rows = this.#rows[through];
    if (rows === undefined) return;
    const copy = restoreSnapshot(JSON.parse(rows))!;
    assertSame(rowsOf(copy), rows, "a copy by a snapshot");
  }

  /**
   * Checks that each message that left a mailbox was given to one `receive`, was put back, or was
   * shown by a `wait`. After a failure the last is not checked: a command that was sent before the
   * reply to a `wait` takes the mail, and the reply may become another one.
   */
  #checkMail(): void {
    for (const { process, message, request } of this.#removals) {
      if (request !== undefined) this.#checkReceived(message);
      else if (process.failures === 0 && !process.isCrashed) {
        const isShown = process.clients.some(({ heard }) =>
          heard.some((request) => request.words[0] === "wait" && gave(request, message))
        );
        assert(isShown, `It was taken, and never shown: ${message.text}`);
      }
    }
  }

  /** A reply may be missing if its server has ended, or its member ended before it had read all. */
  #checkReceived({ user, text }: UserMessage): void {
    const isIt = (message: UserMessage) => message.user === user && message.text === text;
    const removals = this.#removals.filter(({ request, message }) => request && isIt(message));
    const given = removals.filter(({ request, message }) => gave(request!, message)).length;
    const returned = this.#returned.filter(isIt).length;
    const excused = removals.filter(({ process, member }) =>
      process.isOver || this.#endedUnread.has(member)
    );
    assert(given <= 1, `It was given twice: ${text}`);
    const missing = removals.length - given - returned;
    assert(missing >= 0, `It was put back too often: ${text}`);
    assert(missing <= excused.length, `It was received, and no client got it: ${text}`);
  }
}

/**
 * Checks that no session waits for mail that is there, unless it is being shown to another session.
 */
function checkWaiting({ commits: { published }, clients }: Process): void {
  for (const { session: { parked }, isOver } of clients) {
    if (parked === undefined || isOver) continue;
    const { user, id } = parked.shown;
    const isGone = published.users.byName.get(user)?.id !== id;
    const isShown = clients.some(({ session: { shown }, isOver }) => !isOver && shown?.id === id);
    assert(!isGone, `A session waits for the mail of ${user}, who is removed`);
    assert(
      isShown || boxes.count(published.mailboxes, id) === 0,
      `A session waits for the mail of ${user}, which is there`,
    );
  }
}

/**
 * Does the reply contain this message? If the server has crashed, only a reply that left counts.
 */
function gave({ client, got, reply }: Request, { text }: UserMessage): boolean {
  const { isCrashed }: ClientServer = client.server;
  const final = reply === undefined || isCrashed ? undefined : framesOf(reply);
  return (got ?? final ?? []).some((frame, at) => at > 0 && at % 2 === 0 && frame === text);
}

/** The replies that a `wait` may get: the mail of each user as whom the client acted. */
function shownBy(chats: readonly Model[], { address, port }: Request["client"]): string[][] {
  const shown: string[][] = [];
  const ids = new Set<number>();
  for (const chat of chats) {
    const me = chat.whoIs({ address, session: port });
    if (me === undefined) shown.push(["U aren't registered!"]);
    else ids.add(me.id);
    for (const id of ids) {
      const person = chat.people.find((person) => person.id === id);
      shown.push(person === undefined ? ["U aren't registered!"] : mailFrames(person));
    }
  }
  return shown;
}

function rowsOf(state: ChatState): string {
  return JSON.stringify([...snapshotRows(state)]);
}
