/** The connections of the simulated server, each with its commands and their expected replies. */
import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { step } from "../../../lib/chat/step.ts";
import { strictEnding } from "../../../lib/chat/commands.ts";
import type { Command } from "../../../lib/protocol/command.ts";
import { type Item, RequestReader } from "../../../lib/protocol/request_reader.ts";
import type { Engine } from "../../../lib/engine/engine.ts";
import type { Answer, Session } from "../../../lib/engine/session.ts";
import { encodeFrame, splitFrames } from "../../../lib/protocol/frame.ts";
import { type Reply } from "../../../lib/protocol/reply.ts";
import { encodeReplies } from "../../../lib/protocol/reply_encoder.ts";
import type { SessionId } from "../../../lib/chat/users.ts";
import type { GroupCommit } from "../../../lib/engine/group_commit.ts";
import type { ModelSettings } from "./model.ts";
import {
  BAD_BYTE,
  endingOf,
  type Expected,
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

/** A connection. It behaves as `ConnectionHandler` does, but never awaits. */
interface Connection {
  /** Its number in the steps. */
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
  /** An item that was read and not executed yet. */
  ahead: Item | undefined;
  /** The `wait` that has no reply yet. */
  waiting: Pair | undefined;
  /** Answers that have not left yet. */
  answers: Pair[];
  /** Has the client closed its side? */
  isEnded: boolean;
}

/** An answer of the engine, and what the naive server replies. */
interface Pair {
  readonly answer: Answer;
  readonly expected: Expected;
}

/** One process of the real server, and the naive server. */
export interface Servers {
  readonly settings: ModelSettings;
  readonly commits: GroupCommit;
  readonly engine: Engine;
  readonly model: ModelServer;
  /** The command that the engine executes instead of this one. */
  readonly replace: (command: Command) => Command;
}

/** The connections of one process. */
export class Connections {
  readonly #servers: Servers;
  #connections = new Map<number, Connection>();
  /** Closed connections whose replies have not left yet. */
  #leaving: Connection[] = [];

  constructor(servers: Servers) {
    this.#servers = servers;
  }

  /** The addresses of the open connections. */
  get addresses(): string[] {
    return Array.from(this.#connections.values(), ({ address }) => address);
  }

  /** The id of a connection's session in the engine. */
  idOf(session: number): SessionId | undefined {
    return this.#connections.get(session)?.engineSession.actor.session;
  }

  /** Clears the timers of all `wait` commands. */
  clearTimers(): void {
    for (const { engineSession } of this.#connections.values()) {
      clearTimeout(engineSession.waiter?.timer);
    }
  }

  /** Ends each `wait` in the naive server, as it stops. */
  endModelWaits(): void {
    for (const connection of this.#connections.values()) this.#servers.model.endWait(connection);
  }

  /** After a commit: the replies leave, then the connections go on. */
  continueAll(): void {
    this.flush();
    for (const connection of [...this.#connections.values()]) this.#proceed(connection);
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

  /** The client closes its connection, the connection breaks, or the time of its `wait` is over. */
  change({ session, kind }: Step & { kind: "ends" | "breaks" | "is late" }): void {
    const connection = this.#connections.get(session);
    if (connection === undefined) return;
    if (kind === "ends") connection.isEnded = true;
    if (kind === "is late") this.#endWait(connection);
    if (kind !== "breaks") return this.#proceed(connection);
    this.#end(connection);
    connection.answers = [];
  }

  /** All replies leave, if no batch is open. */
  flush(): void {
    for (const connection of this.#connections.values()) {
      this.#settleWait(connection);
      this.#flush(connection);
    }
    for (const connection of this.#leaving) this.#flush(connection);
    this.#leaving = this.#leaving.filter(({ answers }) => answers.length > 0);
  }

  #connect(session: number, address: string): Connection {
    const connection: Connection = {
      session,
      address,
      engineSession: this.#servers.engine.open(address, `${address}:${session}`),
      reader: new RequestReader({
        ...this.#servers.settings,
        frameBytesMax: FRAME_BYTES_MAX,
        commandTimeoutS: 10,
      }),
      rest: NOTHING,
      chunks: [],
      later: NOTHING,
      unread: [],
      ahead: undefined,
      waiting: undefined,
      answers: [],
      isEnded: false,
    };
    this.#connections.set(session, connection);
    return connection;
  }

  /** Does all that the connection can do now, in the order of `ConnectionHandler`. */
  #proceed(connection: Connection): void {
    while (this.#connections.get(connection.session) === connection) {
      this.#settleWait(connection);
      const next = connection.ahead === undefined ? connection.reader.next() : undefined;
      if (next !== undefined && connection.waiting === undefined) {
        this.#applyCommand(connection, next);
        continue;
      }
      connection.ahead ??= next;
      if (!this.#flush(connection)) return;
      if (connection.ahead === undefined && !this.#read(connection)) return;
      if (connection.ahead === undefined) continue;
      if (connection.waiting !== undefined) {
        this.#endWait(connection);
      } else {
        const { ahead } = connection;
        connection.ahead = undefined;
        this.#applyCommand(connection, ahead);
      }
    }
    this.#flush(connection);
  }

  /** Reads the next chunk, or the end of the stream. Returns `false` if neither has arrived. */
  #read(connection: Connection): boolean {
    const chunk = connection.chunks.shift();
    connection.reader.copyUnread();
    if (chunk !== undefined) {
      const split = splitFrames(connection.rest, chunk, FRAME_BYTES_MAX);
      connection.rest = split.rest;
      connection.reader.feed(split);
      connection.ahead = connection.reader.next();
      return true;
    }
    if (!connection.isEnded) return false;
    this.#end(connection);
    if (connection.reader.isBegun) this.#mistake(connection, connection.reader.breakOff("cut-off"));
    return true;
  }

  #applyCommand(connection: Connection, item: Item): void {
    const words = connection.unread.shift()!;
    if (item.kind === "mistake") {
      this.#mistake(connection, item, words);
      return this.#end(connection);
    }
    this.#servers.model.acknowledge(connection);
    const refusal = refusalOf(words);
    assertEquals(item.kind === "refused", refusal !== undefined, `Is this refused: ${words}`);
    if (item.kind === "refused") {
      this.#servers.engine.acknowledge(connection.engineSession);
      this.#answer(connection, words, item, { frames: [refusal!] });
    } else {
      const answer = this.#run(connection, item.command);
      this.#answer(connection, words, answer, this.#servers.model.command(connection, words));
    }
  }

  /** Runs a command as if the engine had already waited for the session that blocks it. */
  #run({ engineSession }: Connection, sent: Command): Answer {
    const command = this.#servers.replace(sent);
    const entry = { kind: "command", at: Date.now(), actor: engineSession.actor, command } as const;
    engineSession.waitedFor = step(this.#servers.commits.candidate, entry).blockedBy;
    const answer = this.#servers.engine.run(engineSession, command);
    return answer instanceof Promise ? engineSession.waiter!.answer : answer;
  }

  #answer(connection: Connection, words: Words, answer: Answer, expected: Expected): void {
    assertEquals(
      connection.engineSession.waiter?.answer === answer,
      expected.frames === undefined,
      "Does it wait for mail?",
    );
    if (expected.frames === undefined) {
      connection.waiting = { answer, expected };
      return;
    }
    const ending = this.#servers.settings.strict ? endingOf(words, expected.frames[0]!) : "open";
    if (this.#servers.settings.strict) {
      assertEquals(strictEnding(words[0] as Command["name"], answer.reply), ending);
    }
    if (ending !== "silent") connection.answers.push({ answer, expected });
    if (ending !== "open") this.#end(connection);
  }

  #mistake(connection: Connection, item: Item, words?: Words): void {
    const expected = this.#servers.settings.strict
      ? words === undefined ? undefined : tooLongOf(words, this.#servers.settings)
      : "mistake";
    const reply = item.kind === "mistake" ? item.reply : undefined;
    assertEquals(reply === undefined, expected === undefined, `Is this a mistake: ${words}`);
    if (reply === undefined) return;
    connection.answers.push({
      answer: { name: undefined, reply },
      expected: { frames: [expected!] },
    });
  }

  #endWait(connection: Connection): void {
    this.#servers.engine.endWait(connection.engineSession);
    this.#servers.model.endWait(connection);
    this.#settleWait(connection);
  }

  #settleWait(connection: Connection): void {
    const { waiting } = connection;
    if (waiting === undefined) return;
    const isOver = connection.engineSession.waiter === undefined;
    assertEquals(
      isOver,
      waiting.expected.frames !== undefined,
      `Does session ${connection.session} wait for mail?`,
    );
    if (!isOver) return;
    connection.waiting = undefined;
    connection.answers.push(waiting);
  }

  #end(connection: Connection): void {
    this.#servers.engine.end(connection.engineSession);
    this.#servers.model.end(connection);
    this.#settleWait(connection);
    this.#connections.delete(connection.session);
    this.#leaving.push(connection);
  }

  /**
   * The replies leave if no batch is open, and must be as expected. Returns `false` if one is open.
   */
  #flush(connection: Connection): boolean {
    if (connection.answers.length === 0) return true;
    if (this.#servers.engine.settled() !== undefined) return false;
    for (const { answer, expected } of connection.answers) {
      assertSame(
        framesOf(answer.reply),
        expected.frames,
        `a reply to session ${connection.session}`,
      );
    }
    connection.answers = [];
    return true;
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
  const { frames } = splitFrames(
    NOTHING,
    concat([...encodeReplies([reply], new Uint8Array(100_000))]),
    100_000,
  );
  return Array.from(frames, (frame) => decoder.decode(frame));
}
