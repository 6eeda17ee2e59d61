/** Reads the commands of one connection from its frames, and finds its first mistake. Pure. */
import {
  type BegunCommand,
  type CommandAt,
  commandNames,
  type CompleteCommand,
  readCommand,
} from "./command.ts";
import type { Evidence } from "./mistake_evidence.ts";
import { encodeFrame, NO_FRAMES, type Split } from "./frame.ts";
import { explain, type Mistake } from "./mistake.ts";
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
  /** The text of the mistake for the log; it holds no part of a mail's text. */
  readonly explanation: string;
}

/** The options of the server that a reader needs. */
export interface RequestReaderOptions {
  readonly strict: boolean;
  readonly textSymbolsMax: number;
  readonly frameBytesMax: number;
  readonly commandTimeoutS: number;
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
  /** The last argument of the command that was read last, as in {@link CommandAt}. */
  #lastArgument: string | Uint8Array | undefined;
  readonly #isProxied: boolean;
  /** The client has sent a mail before: bytes that are not the protocol may be part of its text. */
  #hasSent: boolean;

  /**
   * @param options The options of the server.
   * @param decode Decodes the arguments.
   * @param past What came before the first frame that the reader gets: `hasSent` if that may have
   *   been a mail, `isProxied` if it was the header of a proxy.
   */
  constructor(
    options: RequestReaderOptions,
    decode: Decode = decodeUtf8,
    { hasSent = false, isProxied = false } = {},
  ) {
    this.#options = options;
    this.#decode = decode;
    this.#hasSent = hasSent;
    this.#isProxied = isProxied;
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

  /** Reads the next command or mistake; `undefined` if more bytes are needed. */
  next(): Item | undefined {
    const found = this.#readCommand();
    if (found.kind === "begun") {
      return this.#isOverLimit ? this.#mistakeAtEnd("over-limit", found) : undefined;
    }
    if (found.kind === "unknown") return this.#unknownCommand();
    this.#position += found.length;
    this.#lastArgument = found.lastArgument;
    const name = found.kind === "command" ? found.command.name : found.name;
    this.#hasSent ||= name.startsWith("send");
    return found;
  }

  /** The command that has begun. Throws if {@link next} has not read all before it. */
  get begun(): BegunCommand {
    const found = this.#readCommand();
    if (found.kind !== "begun") throw new Error("There are unread commands");
    return found;
  }

  /** The mistake of a command that has begun and will not be completed. See {@link begun}. */
  breakOff(kind: "stalled" | "cut-off"): MistakeItem {
    return this.#mistakeAtEnd(kind, this.begun);
  }

  /** The last argument of the command before. */
  get #previous(): Uint8Array | undefined {
    const argument = this.#lastArgument;
    return typeof argument === "string" ? encoder.encode(argument) : argument;
  }

  #readCommand(): CommandAt {
    return readCommand(this.#frames, this.#position, this.#options.strict, this.#decode);
  }

  /** The mistake in the bytes behind the frames, where the frame `expected` should be. */
  #mistakeAtEnd(kind: Evidence["kind"], { command, expected }: BegunCommand): MistakeItem {
    const last = this.#frames.length - 1;
    const argument = last > this.#position ? this.#frames.payload(last) : undefined;
    const previous = command === undefined ? this.#previous : argument;
    return this.#mistake({ kind, expected, command, bytes: this.#rest, previous });
  }

  #unknownCommand(): Item {
    return this.#mistake({
      kind: "unknown-command",
      expected: "command",
      command: undefined,
      bytes: encodeFrame(this.#frames.payload(this.#position)),
      previous: this.#previous,
    });
  }

  #mistake(seen: Omit<Evidence, "commands" | "bytesMax" | "seconds" | "isProxied">): MistakeItem {
    const { strict, frameBytesMax: bytesMax, commandTimeoutS: seconds } = this.#options;
    const commands = commandNames(strict);
    const isProxied = this.#isProxied;
    const mistake = explain({ ...seen, commands, bytesMax, seconds, isProxied });
    const reply = strict
      ? seen.kind === "over-limit" ? this.#tooLongReply(seen.command) : undefined
      : { code: "mistake", mistake } as const;
    const mayBeMail = this.#hasSent || seen.command?.startsWith("send") || namesSend(seen.bytes);
    const explanation = mayBeMail ? "not shown: the bytes may be of a mail's text" : mistake.text;
    return { kind: "mistake", mistake, reply, explanation };
  }

  /** In strict mode a frame over the limit gets the too-long reply of its command. */
  #tooLongReply(command: string | undefined): Reply | undefined {
    if (command === undefined) return undefined;
    return command === "register"
      ? { code: "name-too-long" }
      : { code: "text-too-long", max: this.#options.textSymbolsMax };
  }
}

/** Do the bytes hold the name of a command with a text, in any case, with NULs or without? */
function namesSend(bytes: Uint8Array): boolean {
  return /send/i.test(new TextDecoder("latin1").decode(bytes).replaceAll("\0", ""));
}
