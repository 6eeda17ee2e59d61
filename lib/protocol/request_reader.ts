/** Reads the commands of one connection from its frames, and finds its first mistake. Pure. */
import { concat } from "@std/bytes";
import {
  argumentsOf,
  type BegunCommand,
  type CommandAt,
  type CommandName,
  commandNames,
  type CompleteCommand,
  isBeginOfCommand,
  readCommand,
} from "./command.ts";
import { hasMoreSymbols } from "../text/symbols.ts";
import { NO_FRAMES, readBegunLength, type Split } from "./frame.ts";
import { type Evidence, EVIDENCE_BYTES_MAX, explain, type Mistake } from "./mistake.ts";
import { type PastFrame, SYMBOL_BYTES_MAX } from "./mistakes/evidence.ts";
import type { Reply } from "./reply.ts";
import { type Decode, decodeUtf8 } from "./utf8.ts";

/** The next thing that a client has sent. */
export type Item = CompleteCommand | MistakeItem;

/** Bytes that are not the protocol. The bytes behind them have no meaning. */
export interface MistakeItem {
  readonly kind: "mistake";
  readonly mistake: Mistake;
  /** In strict mode mostly `undefined`: the connection is closed without a reply. */
  readonly reply: Reply | undefined;
  /** May the bytes be a part of a mail? Then the log and a watcher get the rule alone. */
  readonly mayBeMail: boolean;
  /** The text of the mistake for the log; it holds no part of a mail's text. */
  readonly explanation: string;
}

/**
 * Why the bytes that are not read may be a mistake. `impossible`: they can become no command any more.
 * `long`: a name or receiver has begun that is longer than any. `long-whole`: it has come in full, and
 * the command is not complete.
 */
export type Suspicion = "impossible" | "long" | "long-whole";

/** The options of the server that a reader needs. */
export interface RequestReaderOptions {
  readonly strict: boolean;
  readonly nameSymbolsMax: number;
  readonly textSymbolsMax: number;
  readonly frameBytesMax: number;
  readonly commandTimeoutS: number;
}

/** The facts of a connection that its reader needs. */
export interface ReaderFacts {
  readonly hasSent?: boolean;
  readonly isProxied?: boolean;
  readonly pagePort?: number | undefined;
}

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/** Collects the frames of a connection, and reads commands from them. */
export class RequestReader {
  readonly #options: RequestReaderOptions;
  readonly #decode: Decode;
  #frames = NO_FRAMES;
  /** The index of the first frame that is not read. */
  #position = 0;
  /** The bytes behind the frames: see {@link Split}. */
  #rest: Uint8Array = NOTHING;
  #isOverLimit = false;
  /** The command that was read last. */
  #before: CommandAt & CompleteCommand | undefined;
  readonly #isProxied: boolean;
  readonly #pagePort: number | undefined;
  /** The client has sent a mail before: bytes that are not the protocol may be part of its text. */
  #hasSent: boolean;

  /**
   * @param options The options of the server.
   * @param decode Decodes the arguments.
   * @param facts What came before the first frame that the reader gets: `hasSent` if that may have
   *   been a mail, `isProxied` if it was the header of a proxy. `pagePort` is the port of the page.
   */
  constructor(
    options: RequestReaderOptions,
    decode: Decode = decodeUtf8,
    { hasSent = false, isProxied = false, pagePort }: ReaderFacts = {},
  ) {
    this.#options = options;
    this.#decode = decode;
    this.#hasSent = hasSent;
    this.#isProxied = isProxied;
    this.#pagePort = pagePort;
  }

  /** Adds the frames of a split. They are not copied, unless older ones are unread. */
  feed({ frames, rest, isOverLimit }: Split): void {
    const isAllRead = this.#position === this.#frames.length;
    this.#frames = isAllRead ? frames : this.#frames.copyFrom(this.#position, frames);
    this.#position = 0;
    this.#rest = rest;
    this.#isOverLimit = isOverLimit;
  }

  /** Copies the unread frames. Call it before the memory of the last split is reused. */
  copyUnread(): void {
    const isAllRead = this.#position === this.#frames.length;
    this.#frames = isAllRead ? NO_FRAMES : this.#frames.copyFrom(this.#position);
    this.#position = 0;
  }

  /** Are there unread bytes? Once {@link next} returns `undefined` they begin a command. */
  get isBegun(): boolean {
    return this.#position < this.#frames.length || this.#rest.length > 0;
  }

  /** A copy of all that has arrived and is not read. */
  get pending(): Split {
    const frames = this.#frames.copyFrom(this.#position);
    const size = frames.bytes.length + this.#rest.length;
    return { size, frames, rest: this.#rest, isOverLimit: this.#isOverLimit };
  }

  /** Reads the next command; `undefined` if more bytes are needed: see {@link suspicion}. */
  next(): CompleteCommand | undefined {
    const found = this.#readCommand();
    if (found.kind === "begun" || found.kind === "unknown") return undefined;
    this.#position += found.length;
    this.#before = found;
    this.#hasSent ||= nameOf(found).startsWith("send");
    return found;
  }

  /**
   * Why the unread bytes may be a mistake. In strict mode only a whole frame that is no command, or a
   * length over the limit, is one.
   */
  get suspicion(): Suspicion | undefined {
    if (!this.isBegun) return undefined;
    const { strict, nameSymbolsMax } = this.#options;
    const found = this.#readCommand();
    if (found.kind === "unknown" || this.#isOverLimit) return "impossible";
    if (found.kind !== "begun" || strict) return undefined;
    const { command, expected } = found;
    const length = readBegunLength(this.#rest);
    if (length > this.#options.frameBytesMax) return "impossible";
    if (command === undefined) return isBeginOfCommand(this.#rest) ? undefined : "impossible";
    if (expected === "name" || expected === "receiver") {
      return length > SYMBOL_BYTES_MAX * nameSymbolsMax ? "long" : undefined;
    }
    const isBehindReceiver = command === "send" && this.#rest.length === 0;
    return isBehindReceiver && this.#isLongName(this.#frames.length - 1) ? "long-whole" : undefined;
  }

  /** The number of bytes that are not read. */
  get unreadBytes(): number {
    return this.#frames.bytes.length - this.#start + this.#rest.length;
  }

  /** The command that has begun. Throws if {@link next} has not read all before it. */
  get begun(): BegunCommand {
    const found = this.#readCommand();
    if (found.kind === "unknown") return { kind: "begun", command: undefined, expected: "command" };
    if (found.kind !== "begun") throw new Error("There are unread commands");
    return found;
  }

  /** The mistake in the bytes that are not read. See {@link begun}. */
  judge(kind: Evidence["kind"]): MistakeItem {
    const { strict, frameBytesMax: bytesMax, commandTimeoutS: seconds, nameSymbolsMax } = this
      .#options;
    const { command, expected } = this.begun;
    const isUnknown = command === undefined;
    const unread = this.#frames.bytes.subarray(this.#start);
    const bytes = isUnknown ? concat([unread, this.#rest]) : this.#rest;
    const begun = isUnknown ? [] : Array.from(
      { length: this.#frames.length - this.#position },
      (_, at) => this.#frames.payload(this.#position + at),
    );
    const seen: Evidence = {
      kind,
      bytes: bytes.slice(0, EVIDENCE_BYTES_MAX),
      expected,
      command,
      past: [...pastOf(this.#before), ...isUnknown ? [] : framesOf(command, begun)],
      begun: begun.length,
      commands: commandNames(strict),
      bytesMax,
      nameSymbolsMax,
      seconds,
      isProxied: this.#isProxied,
      pagePort: this.#pagePort,
    };
    const mistake = explain(seen);
    const reply = strict
      ? this.#isOverLimit ? this.#tooLongReply(command) : undefined
      : { code: "mistake", mistake } as const;
    const mayBeMail = this.#hasSent || command?.startsWith("send") === true ||
      namesSend(seen.bytes);
    const explanation = mayBeMail ? mistake.rule : mistake.text;
    return { kind: "mistake", mistake, reply, mayBeMail, explanation };
  }

  /** The offset of the first unread frame. */
  get #start(): number {
    return this.#position === 0 ? 0 : this.#frames.end(this.#position - 1);
  }

  #isLongName(index: number): boolean {
    const text = this.#decode(
      this.#frames.bytes,
      this.#frames.start(index),
      this.#frames.end(index),
    );
    return text !== undefined && hasMoreSymbols(text, this.#options.nameSymbolsMax);
  }

  #readCommand(): CommandAt {
    return readCommand(this.#frames, this.#position, this.#options.strict, this.#decode);
  }

  /** In strict mode a frame over the limit gets the too-long reply of its command. */
  #tooLongReply(command: string | undefined): Reply | undefined {
    if (command === undefined) return undefined;
    return command === "register"
      ? { code: "name-too-long" }
      : { code: "text-too-long", max: this.#options.textSymbolsMax };
  }
}

function nameOf(found: CompleteCommand): CommandName {
  return found.kind === "command" ? found.command.name : found.name;
}

/** The frames of a command that was read. Of one with two arguments that was refused, the last alone. */
function pastOf(before: CommandAt & CompleteCommand | undefined): PastFrame[] {
  if (before === undefined) return [];
  const name = nameOf(before);
  const last = before.lastArgument === undefined ? [] : [toBytes(before.lastArgument)];
  if (before.kind === "command" && before.command.name === "send") {
    return framesOf(name, [toBytes(name), toBytes(before.command.to), ...last]);
  }
  return argumentsOf(name).length < 2
    ? framesOf(name, [toBytes(name), ...last])
    : last.map((payload) => ({ payload, next: "command" }));
}

/** The frames of a command, from its name on, each with the one that follows it. */
function framesOf(name: CommandName, payloads: readonly Uint8Array[]): PastFrame[] {
  const roles = argumentsOf(name);
  return payloads.map((payload, at) => ({ payload, next: roles[at] ?? "command" }));
}

function toBytes(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? encoder.encode(text) : text;
}

/** Do the bytes hold the name of a command with a text, in any case, with NULs or without? */
function namesSend(bytes: Uint8Array): boolean {
  return /send/i.test(new TextDecoder("latin1").decode(bytes).replaceAll("\0", ""));
}
