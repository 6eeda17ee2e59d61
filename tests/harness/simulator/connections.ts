/** The connections of the simulated server, each with what it has sent and is to hear. */
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

/** A connection: what `ConnectionHandler` does, without waiting for anything. */
interface Peer {
  /** The number that the steps know it by. */
  readonly session: number;
  readonly address: string;
  /** What the engine knows of it. */
  readonly open: Session;
  readonly reader: RequestReader;
  rest: Uint8Array;
  /** What has arrived and was not read. */
  chunks: Uint8Array[];
  /** What has not arrived. */
  later: Uint8Array;
  /** The commands that were sent and not read. */
  readonly said: Words[];
  /** An item that was read before it could be dealt with. */
  ahead: Item | undefined;
  /** The `wait` that waits. */
  waits: Due | undefined;
  /** Answers that have not left. */
  answers: Due[];
  /** The end of the stream has arrived. */
  atEnd: boolean;
}

interface Due {
  readonly answer: Answer;
  readonly expected: Expected;
}

/** One process of the server, and the naive server beside it. */
export interface Served {
  readonly settings: ModelSettings;
  readonly commits: GroupCommit;
  readonly engine: Engine;
  readonly model: ModelServer;
  /** What the engine hears instead of a command. */
  readonly hear: (command: Command) => Command;
}

/** The connections of one process. */
export class Peers {
  readonly #served: Served;
  #peers = new Map<number, Peer>();
  /** Connections that are over, with replies that must still leave. */
  #leaving: Peer[] = [];

  constructor(served: Served) {
    this.#served = served;
  }

  /** The addresses of the open connections. */
  get addresses(): string[] {
    return Array.from(this.#peers.values(), ({ address }) => address);
  }

  /** The number that the engine has given to a session. */
  idOf(session: number): number | undefined {
    return this.#peers.get(session)?.open.actor.session;
  }

  /** No timer of the process may outlive it. */
  kill(): void {
    for (const { open } of this.#peers.values()) clearTimeout(open.waiter?.timer);
  }

  /** The naive server is told to stop: who waits there waits no longer. */
  endModelWaits(): void {
    for (const peer of this.#peers.values()) this.#served.model.endWait(peer);
  }

  /** A batch is over: its replies leave, then more is read. */
  goOn(): void {
    this.flush();
    for (const peer of [...this.#peers.values()]) this.#goOn(peer);
  }

  /** Bytes arrive, on a new connection where there is none. */
  say({ session, address, words, later }: Step & { kind: "say" }): void {
    const peer = this.#peers.get(session) ?? this.#connect(session, address);
    if (peer.atEnd) return;
    const bytes = concat([peer.later, ...words.map(encodeWord)]);
    const cut = Math.max(0, bytes.length - later);
    peer.later = bytes.slice(cut);
    peer.said.push(words);
    if (cut > 0) peer.chunks.push(bytes.slice(0, cut));
    this.#goOn(peer);
  }

  /** A connection comes to an end, or the time of its `wait` does. */
  touch({ session, kind }: Step & { kind: "ends" | "breaks" | "is late" }): void {
    const peer = this.#peers.get(session);
    if (peer === undefined) return;
    if (kind === "ends") peer.atEnd = true;
    if (kind === "is late") this.#endWait(peer);
    if (kind !== "breaks") return this.#goOn(peer);
    this.#end(peer);
    peer.answers = [];
  }

  /** All replies leave that may. */
  flush(): void {
    for (const peer of this.#peers.values()) {
      this.#settleWait(peer);
      this.#flush(peer);
    }
    for (const peer of this.#leaving) this.#flush(peer);
    this.#leaving = this.#leaving.filter(({ answers }) => answers.length > 0);
  }

  #connect(session: number, address: string): Peer {
    const peer: Peer = {
      session,
      address,
      open: this.#served.engine.open(address, `${address}:${session}`),
      reader: new RequestReader({
        ...this.#served.settings,
        frameBytesMax: FRAME_BYTES_MAX,
        commandTimeoutS: 10,
      }),
      rest: NOTHING,
      chunks: [],
      later: NOTHING,
      said: [],
      ahead: undefined,
      waits: undefined,
      answers: [],
      atEnd: false,
    };
    this.#peers.set(session, peer);
    return peer;
  }

  /** Does all that a connection can do now, in the order in which `ConnectionHandler` does it. */
  #goOn(peer: Peer): void {
    while (this.#peers.get(peer.session) === peer) {
      this.#settleWait(peer);
      const next = peer.ahead === undefined ? peer.reader.next() : undefined;
      if (next !== undefined && peer.waits === undefined) {
        this.#applyCommand(peer, next);
        continue;
      }
      peer.ahead ??= next;
      if (!this.#flush(peer)) return;
      if (peer.ahead === undefined && !this.#read(peer)) return;
      if (peer.ahead === undefined) continue;
      if (peer.waits !== undefined) {
        this.#endWait(peer);
      } else {
        const { ahead } = peer;
        peer.ahead = undefined;
        this.#applyCommand(peer, ahead);
      }
    }
    this.#flush(peer);
  }

  /** Reads what has arrived next; `false` where nothing has. */
  #read(peer: Peer): boolean {
    const chunk = peer.chunks.shift();
    peer.reader.copyUnread();
    if (chunk !== undefined) {
      const split = splitFrames(peer.rest, chunk, FRAME_BYTES_MAX);
      peer.rest = split.rest;
      peer.reader.feed(split);
      peer.ahead = peer.reader.next();
      return true;
    }
    if (!peer.atEnd) return false;
    this.#end(peer);
    if (peer.reader.isBegun) this.#mistake(peer, peer.reader.breakOff("cut-off"));
    return true;
  }

  #applyCommand(peer: Peer, item: Item): void {
    const words = peer.said.shift()!;
    if (item.kind === "mistake") {
      this.#mistake(peer, item, words);
      return this.#end(peer);
    }
    this.#served.model.acknowledge(peer);
    const refusal = refusalOf(words);
    assertEquals(item.kind === "refused", refusal !== undefined, `How is this read: ${words}`);
    if (item.kind === "refused") {
      this.#served.engine.acknowledge(peer.open);
      this.#answer(peer, words, item, { frames: [refusal!] });
    } else {
      const answer = this.#run(peer, item.command);
      this.#answer(peer, words, answer, this.#served.model.command(peer, words));
    }
  }

  /** Runs a command as if the session that may stand in its way had had its time to end. */
  #run({ open }: Peer, said: Command): Answer {
    const command = this.#served.hear(said);
    const entry = { kind: "command", at: Date.now(), actor: open.actor, command } as const;
    open.waitedFor = step(this.#served.commits.candidate, entry).blockedBy;
    const answer = this.#served.engine.run(open, command);
    return answer instanceof Promise ? open.waiter!.answer : answer;
  }

  #answer(peer: Peer, words: Words, answer: Answer, expected: Expected): void {
    assertEquals(peer.open.waiter?.answer === answer, expected.frames === undefined, "Who waits?");
    if (expected.frames === undefined) {
      peer.waits = { answer, expected };
      return;
    }
    const ending = this.#served.settings.strict ? endingOf(words, expected.frames[0]!) : "open";
    if (this.#served.settings.strict) {
      assertEquals(strictEnding(words[0] as Command["name"], answer.reply), ending);
    }
    if (ending !== "silent") peer.answers.push({ answer, expected });
    if (ending !== "open") this.#end(peer);
  }

  #mistake(peer: Peer, item: Item, words?: Words): void {
    const expected = this.#served.settings.strict
      ? words === undefined ? undefined : tooLongOf(words, this.#served.settings)
      : "mistake";
    const reply = item.kind === "mistake" ? item.reply : undefined;
    assertEquals(reply === undefined, expected === undefined, `Is this a mistake: ${words}`);
    if (reply === undefined) return;
    peer.answers.push({ answer: { name: undefined, reply }, expected: { frames: [expected!] } });
  }

  #endWait(peer: Peer): void {
    this.#served.engine.endWait(peer.open);
    this.#served.model.endWait(peer);
    this.#settleWait(peer);
  }

  #settleWait(peer: Peer): void {
    const { waits } = peer;
    if (waits === undefined) return;
    const isOver = peer.open.waiter === undefined;
    assertEquals(isOver, waits.expected.frames !== undefined, `Session ${peer.session} waits?`);
    if (!isOver) return;
    peer.waits = undefined;
    peer.answers.push(waits);
  }

  #end(peer: Peer): void {
    this.#served.engine.end(peer.open);
    this.#served.model.end(peer);
    this.#settleWait(peer);
    this.#peers.delete(peer.session);
    this.#leaving.push(peer);
  }

  /** The replies leave where no batch is open: now they must be what was expected. */
  #flush(peer: Peer): boolean {
    if (peer.answers.length === 0) return true;
    if (this.#served.engine.settled() !== undefined) return false;
    for (const { answer, expected } of peer.answers) {
      assertSame(framesOf(answer.reply), expected.frames, `a reply to session ${peer.session}`);
    }
    peer.answers = [];
    return true;
  }
}

/** As `assertEquals`, but soon done where all is well. */
export function assertSame(found: unknown, expected: unknown, what: string): void {
  if (JSON.stringify(found) === JSON.stringify(expected)) return;
  assertEquals(found, expected, `Not as expected: ${what}`);
}

/** Strict mode's reply to an argument over the limit of a frame; none to an unknown command. */
function tooLongOf([name]: Words, { textSymbolsMax }: ModelSettings): string | undefined {
  if (name === "register") return "Login is too long!";
  return name?.startsWith("send")
    ? `Massage is too long! Max length = ${textSymbolsMax}!`
    : undefined;
}

function encodeWord(word: string): Uint8Array {
  const parts = word.split(BAD_BYTE).map((part) => encoder.encode(part));
  return encodeFrame(concat(parts.flatMap((part, i) => i === 0 ? [part] : [BAD, part])));
}

/** The frames that leave; the long texts of `help` and of mistakes stand for themselves. */
function framesOf(reply: Reply): string[] {
  if (reply.code === "help" || reply.code === "mistake") return [reply.code];
  const { frames } = splitFrames(
    NOTHING,
    concat([...encodeReplies([reply], new Uint8Array(100_000))]),
    100_000,
  );
  return Array.from(frames, (frame) => decoder.decode(frame));
}
