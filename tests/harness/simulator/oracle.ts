/**
 * What the stream of several simulated servers means: after each message the naive chat's state, and
 * the real one's. Whatever a server knows, says or loses is held against it.
 */
import { assert, assertEquals } from "@std/assert";
import { stepBatch } from "../../../lib/chat/step.ts";
import type { Entry } from "../../../lib/chat/entry.ts";
import { type ChatState, emptyChat } from "../../../lib/chat/state.ts";
import type { Command } from "../../../lib/protocol/command.ts";
import * as mailbox from "../../../lib/chat/mailboxes.ts";
import { restoreSnapshot, snapshotRows } from "../../../lib/chat/snapshot.ts";
import { decodeEntries } from "../../../lib/chat/entry_codec.ts";
import { type SessionId, sessions } from "../../../lib/chat/users.ts";
import { mailFrames, type Model, type ModelSettings, type Person } from "./model.ts";
import { type ClientServer, framesOf, type Said } from "./client.ts";
import { ModelLog, type Moved, type Outcome } from "./model_log.ts";
import { assertSame } from "./peers.ts";
import type { Process } from "./server.ts";

const STORAGE_AWAY = "Storage is not available, try again!";
const ENTRIES = ["register", "send", "sendall", "receive", "logout"];

type BatchEntry = Entry & { readonly kind: "batch" };

/** A batch that was sent. */
interface Batch {
  readonly process: Process;
  /** The command of each entry that is one. */
  readonly saids: readonly (Said | undefined)[];
}

/** A message that left a mailbox. */
interface Leaving {
  readonly process: Process;
  readonly member: string;
  readonly moved: Moved;
  /** The `receive` that took it; none where what was shown was taken. */
  readonly said: Said | undefined;
}

/** Knows what is right. */
export class Oracle {
  readonly saidOf = new WeakMap<Command, Said>();
  readonly #log: ModelLog;
  #state: ChatState;
  /** After so many messages. */
  readonly #chats: Model[];
  readonly #rows: (string | undefined)[] = [undefined];
  readonly #batches = new Map<string, Batch>();
  #leavings: Leaving[] = [];
  #returned: Moved[] = [];
  /** The messages of each user, in the order in which they first came. */
  readonly #arrived = new Map<string, number>();
  /** The members that ended behind messages which their servers have not read. */
  readonly #behind = new Set<string>();
  readonly #checked = new WeakMap<Process, ChatState>();

  constructor(settings: ModelSettings) {
    this.#log = new ModelLog(settings);
    this.#chats = [this.#log.chat.copy()];
    this.#state = emptyChat(settings);
  }

  /** Was this batch sent before? */
  knows({ member, batch }: BatchEntry): boolean {
    return this.#batches.has(`${member} ${batch}`);
  }

  /** A batch is sent for the first time. */
  sends(
    { member, batch }: BatchEntry,
    process: Process,
    saids: readonly (Said | undefined)[],
  ): void {
    this.#batches.set(`${member} ${batch}`, { process, saids });
  }

  /** A message is in the stream from now on: both chats go on. */
  append(body: string): void {
    const batch = decodeEntries(body);
    const outcomes = this.#log.append(batch);
    const stepped = stepBatch(this.#state, batch);
    assertEquals(stepped !== undefined, outcomes !== undefined, `Does it count: ${body}`);
    const timeBefore = this.#state.members.at;
    this.#state = stepped?.state ?? this.#state;
    assert(this.#state.members.at >= timeBefore, "The time goes back");
    this.#chats.push(outcomes === undefined ? this.#chats.at(-1)! : this.#log.chat.copy());
    this.#rows.push(this.#log.isBegun ? rowsOf(this.#state) : undefined);
    this.#compare();
    const [first] = batch;
    if (first?.kind === "batch" && outcomes !== undefined) this.#note(first, batch, outcomes);
    this.#arrive((outcomes ?? []).flatMap(({ left = [] }) => left));
    this.#checkOrder(outcomes ?? []);
    const waiting = this.#log.chat.people.flatMap(({ id: user, mail }) =>
      mail.map(({ text }) => ({ user, text }))
    );
    this.#arrive(waiting);
  }

  /** A process knows what is in the stream as far as it has read it. */
  checkState(process: Process): void {
    const { published } = process.commits;
    if (process.commits.settled() === undefined) checkWaiting(process);
    if (this.#checked.get(process) === published) return;
    this.#checked.set(process, published);
    const rows = this.#rows[process.through];
    if (rows !== undefined) assertSame(rowsOf(published), rows, `server ${process.number}`);
  }

  /** A member ends, as its server can't read what comes next. */
  misses(member: string): void {
    this.#behind.add(member);
  }

  /** A reply leaves a server that has read so much: is it the right one? */
  replies(said: Said, frames: readonly string[], through: number): void {
    const name = said.words[0]!;
    if (name === "ping" || name === "help") {
      return assertSame(frames, [name === "ping" ? "pong" : name], `a reply to ${name}`);
    }
    if (!ENTRIES.includes(name)) return this.#checkRead(said, frames, through);
    if (frames[0] === STORAGE_AWAY) {
      const hasFailed = said.client.server.failures > said.failures!;
      return assert(hasFailed, `Nothing has failed, and ${said.words} was not stored`);
    }
    const { place = Infinity } = said;
    assert(place <= through, `It is not in what was read: ${said.words} (${frames})`);
    assertSame(frames, said.expected, `the reply to ${said.words}`);
  }

  /** Somebody whose name is held by a session that is not among these. */
  heldByNobody(open: readonly SessionId[]): Person | undefined {
    const ports = open.map((session) => this.#log.portOf(session));
    return this.#log.chat.people.find(({ holder }) => holder !== 0 && !ports.includes(holder));
  }

  /** Nothing moves any more: nothing is lost, and nobody is there who is gone. */
  checkEnd(processes: readonly Process[]): void {
    const living = processes.filter(({ isOver }) => !isOver);
    this.#checkMail();
    for (const middle of [this.#rows.length >> 1, this.#rows.length - 1]) this.#checkCopy(middle);
    if (living.length === 0) return;
    assertSame(
      this.#log.members.map(({ id }) => id).sort(),
      living.map(({ journal }) => journal.member).sort(),
      "the servers that take part",
    );
    const open = living.flatMap(({ sessions }) => sessions);
    const known = Array.from(sessions(this.#state.users), ([session]) => session);
    assertSame(
      known.filter((id) => !open.includes(id)),
      [],
      "sessions of connections that are over",
    );
  }

  /** `users` and `wait` know at least what the session itself has done before. */
  #checkRead(said: Said, frames: readonly string[], through: number): void {
    const { words, client, since = 0 } = said;
    const own = client.heard.slice(0, client.heard.indexOf(said))
      .filter(({ answer }) => answer !== undefined && framesOf(answer.reply)[0] !== STORAGE_AWAY)
      .map(({ place = 0 }) => place);
    const from = Math.max(since, ...own);
    const chats = this.#chats.slice(from, through + 1);
    const possible = words[0] === "users"
      ? chats.map((chat) => chat.users())
      : [...shownBy(chats, client), ...(client.isOver ? [["0"]] : [])];
    const is = JSON.stringify(frames);
    if (possible.some((frames) => JSON.stringify(frames) === is)) return;
    assertEquals(frames, possible.at(-1), `${words} as of the messages ${from} to ${through}`);
  }

  #arrive(all: readonly Moved[]): void {
    for (const { user, text } of all) {
      const key = `${user} ${text}`;
      if (!this.#arrived.has(key)) this.#arrived.set(key, this.#arrived.size);
    }
  }

  /** Each message that comes back goes to the front: of one `receive` the newest comes first. */
  #checkOrder(outcomes: readonly Outcome[]): void {
    const newest = new Map<Said | undefined, number>();
    for (const { returned } of outcomes) {
      if (returned === undefined) continue;
      const { user, text } = returned;
      const { said } = this.#leavings.findLast(({ moved }) =>
        moved.user === user && moved.text === text
      )!;
      const arrived = this.#arrived.get(`${user} ${text}`)!;
      const isOlder = arrived < (newest.get(said) ?? Infinity);
      assert(isOlder, `It comes back in front of an older one: ${text}`);
      newest.set(said, arrived);
    }
  }

  /** What became of the entries of a batch, and whose they were. */
  #note(first: BatchEntry, entries: readonly Entry[], outcomes: readonly Outcome[]): void {
    const batch = this.#batches.get(`${first.member} ${first.batch}`)!;
    for (const [at, { frames, left = [], returned }] of outcomes.entries()) {
      const said = at === 0 ? undefined : batch.saids[at - 1];
      if (frames !== undefined) this.#carryOut(said!, entries[at]!, frames);
      for (const moved of left) {
        this.#leavings.push({ process: batch.process, member: first.member, moved, said });
      }
      if (returned !== undefined) this.#returned.push(returned);
    }
  }

  /** A command is carried out once, and behind those that the session has sent before. */
  #carryOut(said: Said, entry: Entry, frames: readonly string[]): void {
    assertEquals("command" in entry ? entry.command : undefined, said.command);
    assertEquals(said.place, undefined, `It is carried out twice: ${said.words}`);
    const { heard } = said.client;
    const later = heard.slice(heard.indexOf(said) + 1);
    assert(later.every(({ place }) => place === undefined), `It comes too late: ${said.words}`);
    said.place = this.#rows.length - 1;
    said.expected = frames;
  }

  /** Both chats are in the same state. */
  #compare(): void {
    if (!this.#log.isBegun) return;
    const { users, mailboxes, members } = this.#state;
    const { chat } = this.#log;
    const found = users.byId.values().map(({ name, id, address }) => {
      const { session, freeSince } = users.presence.get(id)!;
      const mail = Array.from(mailbox.read(mailboxes, id), ({ from, text }) => [from, text]);
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
    const waiting = chat.people.reduce((sum, { mail }) => sum + mail.length, 0);
    assertEquals(mailboxes.waiting, waiting, "the sum of all mail");
  }

  /** A snapshot and the messages behind it lead to the same. */
  #checkCopy(through: number): void {
    const rows = this.#rows[through];
    if (rows === undefined) return;
    const copy = restoreSnapshot(JSON.parse(rows))!;
    assertSame(rowsOf(copy), rows, "a copy by a snapshot");
  }

  /**
   * What left a mailbox was given to one `receive`, or has come back, or was shown by a `wait`. A
   * command that was sent before the reply to a `wait` takes what it will show, even if that reply
   * is another one after a failure.
   */
  #checkMail(): void {
    for (const { process, moved, said } of this.#leavings) {
      if (said !== undefined) this.#checkReceived(moved);
      else if (process.failures === 0 && !process.isCrashed) {
        const isShown = process.clients.some(({ heard }) =>
          heard.some((said) => said.words[0] === "wait" && gave(said, moved))
        );
        assert(isShown, `It was taken, and never shown: ${moved.text}`);
      }
    }
  }

  /** A reply is lost with its server, and where that has not read what became of the command. */
  #checkReceived({ user, text }: Moved): void {
    const isIt = (moved: Moved) => moved.user === user && moved.text === text;
    const leavings = this.#leavings.filter(({ said, moved }) => said && isIt(moved));
    const given = leavings.filter(({ said, moved }) => gave(said!, moved)).length;
    const returned = this.#returned.filter(isIt).length;
    const excused = leavings.filter(({ process, member }) =>
      process.isOver || this.#behind.has(member)
    );
    assert(given <= 1, `It was given twice: ${text}`);
    const missing = leavings.length - given - returned;
    assert(missing >= 0, `It has come back too often: ${text}`);
    assert(missing <= excused.length, `It was received, and given to nobody: ${text}`);
  }
}

/** Nobody waits for mail that is there, unless it is being shown to somebody. */
function checkWaiting({ commits: { published }, clients }: Process): void {
  for (const { session: { waiter }, isOver } of clients) {
    if (waiter === undefined || isOver) continue;
    const { user, id } = waiter.shown;
    const isGone = published.users.byName.get(user)?.id !== id;
    const isShown = clients.some(({ session: { shown }, isOver }) => !isOver && shown?.id === id);
    assert(!isGone, `It waits for the mail of ${user}, who is gone`);
    assert(
      isShown || mailbox.count(published.mailboxes, id) === 0,
      `${user} waits for what is there`,
    );
  }
}

/** Has the reply this message? Where the server is gone, only a reply that left counts. */
function gave({ client, got, answer }: Said, { text }: Moved): boolean {
  const { isCrashed }: ClientServer = client.server;
  const final = answer === undefined || isCrashed ? undefined : framesOf(answer.reply);
  return (got ?? final ?? []).some((frame, at) => at > 0 && at % 2 === 0 && frame === text);
}

/** What a `wait` may show: the mail of whoever the client was once. */
function shownBy(chats: readonly Model[], { address, port }: Said["client"]): string[][] {
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
