/** Reads the commands of one connection from its frames, and finds its first mistake. Pure. */
import {
  type Command,
  type CommandAt,
  type CommandName,
  commandNames,
  readCommand,
} from "./command.ts";
import type { Evidence } from "./mistake_evidence.ts";
import { encodeFrame, NO_FRAMES, type Split } from "./frame.ts";
import { explain, type Mistake } from "./mistake.ts";
import type { Reply, TextReply } from "./reply.ts";
import { type Decode, decodeUtf8 } from "./utf8.ts";

/** The next thing that a client has sent. */
export type Item =
  /** A complete command. */
  | { readonly kind: "command"; readonly command: Command }
  /** A complete command with an argument that is not valid, which decides the reply. */
  | { readonly kind: "refused"; readonly name: CommandName; readonly reply: TextReply }
  /** Bytes that are not the protocol. The bytes behind them have no meaning. */
  | {
    readonly kind: "mistake";
    readonly mistake: Mistake;
    /** In strict mode mostly `undefined`: the connection is closed without a reply. */
    readonly reply: Reply | undefined;
    /** The text of the mistake for the log; it holds no part of a mail's text. */
    readonly explanation: string;
  };

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
  /** The last argument of the command that was read last, as a text or as bytes, if it had one. */
  #lastArgument: string | Uint8Array | undefined;
  /** The client has sent a mail before: bytes that are not the protocol may be part of its text. */
  #hasSent: boolean;

  /**
   * @param options The options of the server.
   * @param decode Decodes the arguments.
   * @param hasSent The client may have sent a mail before the first frame that the reader gets.
   */
  constructor(options: RequestReaderOptions, decode: Decode = decodeUtf8, hasSent = false) {
    this.#options = options;
    this.#decode = decode;
    this.#hasSent = hasSent;
  }

  /** Adds the frames of a split. They are not copied, unless older ones are unread. */
  feed({ frames, rest, isOverLimit }: Split): void {
    this.#frames = this.#position === this.#frames.length
      ? frames
      : this.#frames.copyFrom(this.#position, frames);
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
    const size = frames.size + this.#rest.length;
    return { size, frames, rest: this.#rest, isOverLimit: this.#isOverLimit };
  }

  /** Reads the next command or mistake; `undefined` if more bytes are needed. */
  next(): Item | undefined {
    if (this.#position === this.#frames.length) return this.#overLimitMistake(undefined, "command");
    const found = this.#readCommand();
    switch (found.kind) {
      case "unknown":
        return this.#unknownCommand();
      case "begun":
        return this.#overLimitMistake(found.name, found.expected);
      case "refused":
        this.#advance(found.name, found.length);
        this.#lastArgument = this.#frames.payload(this.#position - 1).slice();
        return found;
      case "command":
        this.#advance(found.command.name, found.length);
        this.#lastArgument = found.lastArgument;
        return found;
    }
  }

  #readCommand(): CommandAt {
    return readCommand(this.#frames, this.#position, this.#options.strict, this.#decode);
  }

  /** The mistake of a command that has begun and will not be completed. */
  breakOff(kind: "stalled" | "cut-off"): Item & { kind: "mistake" } {
    const found = this.#position < this.#frames.length ? this.#readCommand() : undefined;
    return found?.kind === "begun"
      ? this.#mistake({ kind, expected: found.expected, command: found.name })
      : this.#mistake({ kind, expected: "command", command: undefined });
  }

  /** The frame before an index, if it is an argument and not a command's name. */
  #argumentBefore(index: number): Uint8Array | undefined {
    if (index > this.#position) {
      return index === this.#position + 1 ? undefined : this.#frames.payload(index - 1);
    }
    return typeof this.#lastArgument === "string"
      ? encoder.encode(this.#lastArgument)
      : this.#lastArgument;
  }

  #advance(name: CommandName, frames: number): void {
    this.#position += frames;
    this.#hasSent ||= name.startsWith("send");
  }

  /** The mistake of a length over the limit, if that is behind the frames. */
  #overLimitMistake(command: CommandName | undefined, expected: string): Item | undefined {
    return this.#isOverLimit ? this.#mistake({ kind: "over-limit", expected, command }) : undefined;
  }

  #unknownCommand(): Item {
    const frame = this.#frames.payload(this.#position);
    return this.#mistake({
      kind: "unknown-command",
      expected: "command",
      command: undefined,
      bytes: encodeFrame(frame),
      previous: this.#argumentBefore(this.#position),
    });
  }

  #mistake(
    seen: Pick<Evidence, "kind" | "expected" | "command"> & Partial<Evidence>,
  ): Item & { kind: "mistake" } {
    const { strict, frameBytesMax, commandTimeoutS } = this.#options;
    const mistake = explain({
      bytes: this.#rest,
      previous: this.#argumentBefore(this.#frames.length),
      commands: commandNames(strict),
      bytesMax: frameBytesMax,
      seconds: commandTimeoutS,
      ...seen,
    });
    const reply = strict
      ? seen.kind === "over-limit" ? this.#tooLongReply(seen.command) : undefined
      : { code: "mistake", mistake } as const;
    const mayBeMail = this.#hasSent || seen.command?.startsWith("send") ||
      namesSend(seen.bytes ?? this.#rest);
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
