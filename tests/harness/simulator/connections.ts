/** The connections of the simulated server, each with its commands and their expected replies. */
import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import type { Item as Entered } from "../../../lib/chat/batch.ts";
import type { Command } from "../../../lib/protocol/command.ts";
import { type Item, RequestReader } from "../../../lib/protocol/request_reader.ts";
import type { Engine } from "../../../lib/engine/engine.ts";
import type { Answers, Session } from "../../../lib/engine/session.ts";
import { encodeFrame, splitFrames } from "../../../lib/protocol/frame.ts";
import type { Reply } from "../../../lib/protocol/reply.ts";
import { encodeReply } from "../../../lib/protocol/reply_encoder.ts";
import { allOf } from "../../engine/answers.ts";
import { type Mailboxes, sources, waitingBroadcasts } from "../../../lib/chat/mailboxes.ts";
import type { Model, ModelSettings } from "./model.ts";
import {
  BAD_BYTE,
  type Expected,
  type Frames,
  type ModelItem,
  type ModelServer,
  refusalOf,
  type Words,
} from "./model_batches.ts";
import type { Step } from "./steps.ts";

const FRAME_BYTES_MAX = 64;
const NOTHING = new Uint8Array(0);
const BAD = Uint8Array.of(0xff);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A connection. It behaves as `ConnectionHandler` does. */
interface Connection {
  /** Its number in the steps. */
  readonly number: number;
  /** The number of its session, among all of the process. */
  readonly session: number;
  readonly address: string;
  /** Its session in the engine. */
  readonly engineSession: Session;
  readonly reader: RequestReader;
  rest: Uint8Array;
  /** The bytes that have arrived and were not read yet. */
  chunks: Uint8Array[];
  /** The bytes that were sent and have not arrived yet. */
  later: Uint8Array;
  /** The commands that were sent and not read yet. */
  readonly unread: Words[];
  /** The items in the engine. */
  entered: Pair | undefined;
  /** The replies to each `wait` that waits, or has waited, when they have come. */
  readonly waited: { reply: Reply | undefined }[];
  /** Has the client closed its side? */
  isEnded: boolean;
  /** Does it end when its items are answered? */
  isLast: boolean;
}

/** The answers of the engine, when they have come, and what the naive server replies. */
interface Pair {
  answers: Answers | undefined;
  readonly expected: Expected;
}

/** One process of the real server, and the naive server. */
export interface Servers {
  readonly settings: ModelSettings;
  readonly engine: Engine;
  readonly model: ModelServer;
  /** The time of this timer is over. */
  readonly fire: (timer: unknown) => void;
  /** The command that the engine executes instead of this one. */
  readonly replace: (command: Command) => Command;
}

/** The connections of one process. */
export class Connections {
  readonly #servers: Servers;
  /** The open connections, by their numbers. */
  readonly #connections = new Map<number, Connection>();
  /** All sessions that were ever opened. */
  readonly #sessions: Session[] = [];

  constructor(servers: Servers) {
    this.#servers = servers;
  }

  /** The addresses of the open connections. */
  get addresses(): string[] {
    const open = this.#connections.values().filter(({ engineSession }) => !engineSession.isEnding);
    return Array.from(open, ({ address }) => address);
  }

  /** Is the end of a session on its way? */
  isEnding(session: number): boolean {
    return this.#sessions[session - 1]!.isEnding;
  }

  /** Ends each `wait` in the naive server, as it stops. */
  endModelWaits(): void {
    for (const connection of this.#connections.values()) this.#servers.model.endWait(connection);
  }

  /** Replies leave, and the connections go on. */
  goOn(): void {
    for (const connection of [...this.#connections.values()]) {
      this.#settleWaits(connection);
      this.#proceed(connection);
    }
  }

  /** Bytes of a command arrive. The connection is opened if it is not open. */
  arrive({ session, address, words, later }: Step & { kind: "command" }): void {
    const connection = this.#connections.get(session) ?? this.#connect(session, address);
    if (connection.isEnded) return;
    const bytes = concat([connection.later, ...words.map(encodeWord)]);
    const cut = Math.max(0, bytes.length - later);
    connection.later = bytes.slice(cut);
    connection.unread.push(words);
    if (cut > 0) connection.chunks.push(bytes.slice(0, cut));
    this.#proceed(connection);
  }

  /**
   * The client closes its connection, the connection breaks, or the time of its `wait` is over. A
   * connection with items in the engine breaks when their replies are written.
   */
  change({ session, kind }: Step & { kind: "ends" | "breaks" | "is late" }): void {
    const connection = this.#connections.get(session);
    if (connection === undefined) return;
    if (kind === "ends") connection.isEnded = true;
    if (kind === "is late") {
      const { parked } = connection.engineSession;
      if (parked !== undefined) this.#servers.fire(parked.timer);
      this.#servers.model.endWait(connection);
    }
    if (kind === "breaks") {
      connection.chunks = [];
      connection.isLast = true;
      if (connection.entered === undefined) return this.#close(connection);
    }
    this.#proceed(connection);
  }

  #connect(number: number, address: string): Connection {
    const session = this.#sessions.length + 1;
    const engineSession = this.#servers.engine.open(address, `${address}:${session}`);
    this.#sessions.push(engineSession);
    const connection: Connection = {
      number,
      session,
      address,
      engineSession,
      reader: new RequestReader({
        ...this.#servers.settings,
        frameBytesMax: FRAME_BYTES_MAX,
        commandTimeoutS: 10,
        nameSymbolsMax: 8,
      }),
      rest: NOTHING,
      chunks: [],
      later: NOTHING,
      unread: [],
      entered: undefined,
      waited: [],
      isEnded: false,
      isLast: false,
    };
    this.#connections.set(number, connection);
    return connection;
  }

  /** Does all that the connection can do now. */
  #proceed(connection: Connection): void {
    while (this.#connections.get(connection.number) === connection) {
      const { entered } = connection;
      if (entered !== undefined) {
        assertEquals(entered.answers !== undefined, entered.expected.isDone, "Is it answered?");
        if (entered.answers === undefined) return;
        this.#check(connection, entered.answers, entered.expected);
        connection.entered = undefined;
        if (connection.isLast || entered.answers.ending !== "open") this.#close(connection);
        continue;
      }
      if (!this.#read(connection)) return;
    }
  }

  /** Reads the next chunk, or the end of the stream. Returns `false` if neither has arrived. */
  #read(connection: Connection): boolean {
    const { reader, chunks } = connection;
    const chunk = chunks.shift();
    reader.copyUnread();
    if (chunk === undefined) {
      if (!connection.isEnded) return false;
      const items = reader.isBegun ? [reader.judge("cut-off")] : [];
      connection.unread.length = 0;
      this.#enter(connection, [{ kind: "end" }, ...items]);
      return true;
    }
    const split = splitFrames(connection.rest, chunk, FRAME_BYTES_MAX);
    connection.rest = split.rest;
    reader.feed(split);
    const items: Entered[] = [];
    for (let item = reader.next(); item !== undefined; item = reader.next()) items.push(item);
    if (reader.suspicion === "impossible") items.push(reader.judge("impossible"), { kind: "end" });
    if (items.length > 0) this.#enter(connection, items);
    return true;
  }

  /** Enters items into both servers. */
  #enter(connection: Connection, items: readonly Entered[]): void {
    const { engine, model, replace } = this.#servers;
    const modelItems = items.map((item) => this.#modelItem(connection, item));
    connection.isLast = items.some(({ kind }) => kind === "end");
    const expected = model.enter(connection, modelItems);
    const pair: Pair = { answers: undefined, expected };
    connection.entered = pair;
    const replaced = items.map((item) =>
      item.kind === "command" ? { ...item, command: replace(item.command) } : item
    );
    allOf(engine.enter(connection.engineSession, replaced)).then((answers) => {
      pair.answers = answers;
      if (answers.parked === undefined) return;
      const waited: Connection["waited"][number] = { reply: undefined };
      connection.waited.push(waited);
      answers.parked.then((reply) => waited.reply = reply);
    });
  }

  #modelItem(connection: Connection, item: Entered): ModelItem {
    if (item.kind === "end") return item;
    const words = connection.unread.shift();
    if (item.kind === "mistake") return { kind: "mistake", reply: this.#checkMistake(item, words) };
    assertEquals(
      item.kind === "refused",
      refusalOf(words!) !== undefined,
      `Is it refused: ${words}`,
    );
    return { kind: "command", words: words! };
  }

  /** Checks whether a mistake has a reply, and returns what it must be. */
  #checkMistake({ reply }: Item & { kind: "mistake" }, words: Words | undefined): Frames {
    const { settings } = this.#servers;
    if (!settings.strict) return ["mistake"];
    // A command that is cut off has no reply.
    const expected = words === undefined || reply === undefined
      ? undefined
      : tooLongOf(words, settings);
    assertEquals(reply === undefined, expected === undefined, `Is this a mistake: ${words}`);
    return expected === undefined ? undefined : [expected];
  }

  /** The replies that leave must be as expected. */
  #check({ session }: Connection, { replies, ending, parked }: Answers, expected: Expected): void {
    assertEquals(ending, expected.ending, `What becomes of session ${session}?`);
    assertEquals(parked !== undefined, expected.isParked, `Does session ${session} wait for mail?`);
    const frames = expected.isParked ? expected.replies.slice(0, -1) : expected.replies;
    assertSame(
      replies.map((reply) => reply && framesOf(reply)),
      frames,
      `the replies to session ${session}`,
    );
  }

  /** The reply to a `wait` that was parked must come when it is expected, and be as expected. */
  #settleWaits({ session, waited }: Connection): void {
    while (waited.length > 0) {
      const [{ reply }] = waited as [{ reply: Reply | undefined }];
      const expected = this.#servers.model.takeEnded(session);
      assertSame(reply && framesOf(reply), expected, `the wait of session ${session}`);
      if (reply === undefined) return;
      waited.shift();
    }
  }

  /** The connection is gone. */
  #close(connection: Connection): void {
    const { engine, model } = this.#servers;
    this.#connections.delete(connection.number);
    if (connection.engineSession.isEnding) return;
    engine.end(connection.engineSession);
    model.enter(connection, [{ kind: "end" }]);
    model.takeEnded(connection.session);
  }
}

/** As `assertEquals`, but fast if both are equal. */
export function assertSame(found: unknown, expected: unknown, what: string): void {
  if (JSON.stringify(found) === JSON.stringify(expected)) return;
  assertEquals(found, expected, `Not as expected: ${what}`);
}

/**
 * Strict mode's reply to an argument that is longer than a frame may be; none to an unknown
 * command.
 */
function tooLongOf([name]: Words, { textSymbolsMax }: ModelSettings): string | undefined {
  if (name === "register") return "Login is too long!";
  return name?.startsWith("send")
    ? `Massage is too long! Max length = ${textSymbolsMax}!`
    : undefined;
}

function encodeWord(word: string): Uint8Array {
  const pieces = word.split(BAD_BYTE).map((piece) => encoder.encode(piece));
  return encodeFrame(concat(pieces.flatMap((piece, i) => i === 0 ? [piece] : [BAD, piece])));
}

/** The frames of a reply. The long texts of `help` and of mistakes are replaced by their codes. */
function framesOf(reply: Reply): string[] {
  if (reply.code === "help" || reply.code === "mistake") return [reply.code];
  const { frames } = splitFrames(NOTHING, encodeReply(reply), 100_000);
  return Array.from(frames, (frame) => decoder.decode(frame));
}

/**
 * Checks that the real chat counts the mail that waits as the naive one does, in all and by network,
 * and that it remembers no network without users and mail.
 */
export function checkCounts(mailboxes: Mailboxes, chat: Model): void {
  assertEquals(mailboxes.waiting, chat.countMail(), "the sum of all mail");
  const found = sources(mailboxes).map(({ id }) => mailboxes.shares.byId.get(id)!);
  const expected = chat.shares();
  const shares = found.map(({ source: { network }, users, mail }) => [
    network.split("::")[0],
    users,
    mail,
  ]);
  assertSame(shares.sort(), expected.sort(), "the shares");
  const broadcasts = [...waitingBroadcasts(mailboxes)].length;
  assertEquals(broadcasts, chat.countBroadcasts(), "the broadcasts in the log");
}
