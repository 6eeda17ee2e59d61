/** From the frames of one connection to commands, or to the mistake that ends it. No I/O. */
import { type Command, type CommandName, commandNames, readCommand } from "./command.ts";
import type { Evidence } from "./mistake_evidence.ts";
import { encodeFrame, NO_FRAMES, type Split } from "./frame.ts";
import { explain, type Mistake } from "./mistake.ts";
import type { Reply, TextReply } from "./reply.ts";

/** What a connection has to deal with next. */
export type Item =
  | { readonly kind: "command"; readonly command: Command }
  /** A whole command whose arguments alone already decide the reply. */
  | { readonly kind: "refused"; readonly name: CommandName; readonly reply: TextReply }
  /** Nothing that follows can be trusted. Without a reply the connection ends in silence. */
  | {
    readonly kind: "mistake";
    readonly mistake: Mistake;
    readonly reply: Reply | undefined;
    /** The mistake's text for the log, where no part of a mail's text may appear. */
    readonly explanation: string;
  };

/** What a reader must know of the server's options. */
export interface RequestReaderOptions {
  readonly strict: boolean;
  readonly textSymbolsMax: number;
  readonly frameBytesMax: number;
  readonly commandTimeoutS: number;
}

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/** Collects frames until a command is complete. */
export class RequestReader {
  readonly #options: RequestReaderOptions;
  #frames = NO_FRAMES;
  /** The commands before this place in the frames were found. */
  #at = 0;
  #rest: Uint8Array = NOTHING;
  #overLimit = false;
  /** The last argument of the command before, if it had any: its text, or bytes that are none. */
  #before: string | Uint8Array | undefined;
  /** A text was sent: bytes that are no protocol may be a part of it. */
  #hasSent: boolean;

  /** What came before may hold a text, where `hasSent` says so. */
  constructor(options: RequestReaderOptions, hasSent = false) {
    this.#options = options;
    this.#hasSent = hasSent;
  }

  /** Takes in what the frame stream gave; what was not taken before is kept as a copy. */
  feed({ frames, rest, overLimit }: Split): void {
    this.#frames = this.#at === this.#frames.length ? frames : this.#frames.from(this.#at, frames);
    this.#at = 0;
    this.#rest = rest;
    this.#overLimit = overLimit;
  }

  /** To be called before the memory of the frames is used again: copies what is still needed. */
  keep(): void {
    const isAllTaken = this.#at === this.#frames.length;
    this.#frames = isAllTaken ? NO_FRAMES : this.#frames.from(this.#at);
    this.#at = 0;
  }

  /** Has a command come in part? */
  get isBegun(): boolean {
    return this.#at < this.#frames.length || this.#rest.length > 0;
  }

  /** What has come and was not taken, a copy. */
  get pending(): Split {
    const frames = this.#frames.from(this.#at);
    const size = frames.size + this.#rest.length;
    return { size, frames, rest: this.#rest, overLimit: this.#overLimit };
  }

  /** The next command or mistake; `undefined` where more bytes are needed. */
  next(): Item | undefined {
    if (this.#at === this.#frames.length) return this.#atLength(undefined, "command");
    const found = readCommand(this.#frames, this.#at, this.#options.strict);
    switch (found.kind) {
      case "unknown":
        return this.#unknownCommand();
      case "begun":
        return this.#atLength(found.name, found.expected);
      case "refused":
        this.#advance(found.name, found.length);
        this.#before = this.#frames.payload(this.#at - 1).slice();
        return found;
      case "command":
        this.#advance(found.command.name, found.length);
        this.#before = found.lastArgument;
        return found;
    }
  }

  /** The mistake of a command that was begun and can't be completed. */
  breakOff(kind: "stalled" | "cut-off"): Item {
    const found = this.#at < this.#frames.length
      ? readCommand(this.#frames, this.#at, this.#options.strict)
      : undefined;
    return found?.kind === "begun"
      ? this.#mistake({ kind, expected: found.expected, command: found.name })
      : this.#mistake({ kind, expected: "command", command: undefined });
  }

  /** The frame before a place, where that is an argument and not a command's name. */
  #argumentBefore(place: number): Uint8Array | undefined {
    if (place > this.#at) {
      return place === this.#at + 1 ? undefined : this.#frames.payload(place - 1);
    }
    return typeof this.#before === "string" ? encoder.encode(this.#before) : this.#before;
  }

  #advance(name: CommandName, frames: number): void {
    this.#at += frames;
    this.#hasSent ||= name.startsWith("send");
  }

  #atLength(command: CommandName | undefined, expected: string): Item | undefined {
    return this.#overLimit ? this.#mistake({ kind: "over-limit", expected, command }) : undefined;
  }

  #unknownCommand(): Item {
    const frame = this.#frames.payload(this.#at);
    return this.#mistake({
      kind: "unknown-command",
      expected: "command",
      command: undefined,
      bytes: encodeFrame(frame),
      previous: this.#argumentBefore(this.#at),
    });
  }

  #mistake(seen: Pick<Evidence, "kind" | "expected" | "command"> & Partial<Evidence>): Item {
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
      ? seen.kind === "over-limit" ? this.#tooLong(seen.command) : undefined
      : { code: "mistake", mistake } as const;
    const mayBeMail = this.#hasSent || seen.command?.startsWith("send") ||
      namesSend(seen.bytes ?? this.#rest);
    const explanation = mayBeMail ? "not shown: the bytes may be of a mail's text" : mistake.text;
    return { kind: "mistake", mistake, reply, explanation };
  }

  /** In strict mode an argument over the limit gets the too-long reply of its command. */
  #tooLong(command: string | undefined): Reply | undefined {
    if (command === undefined) return undefined;
    return command === "register"
      ? { code: "name-too-long" }
      : { code: "text-too-long", max: this.#options.textSymbolsMax };
  }
}

/** Do the bytes hold the name of a command with a text, in whatever way it was written? */
function namesSend(bytes: Uint8Array): boolean {
  return /send/i.test(new TextDecoder("latin1").decode(bytes).replaceAll("\0", ""));
}
