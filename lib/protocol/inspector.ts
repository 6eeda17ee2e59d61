/**
 * Bytes explained to whoever watches them: what every frame means, and where something is wrong.
 *
 * Commands are read by `command.ts` and mistakes are found by `command_reader.ts`, as the server
 * does it. Texts of mail are hidden unless they are asked for. Pure.
 */
import { clip, hasMoreSymbols } from "../text/symbols.ts";
import { type ArgumentName, commandArguments, type CommandName, readCommand } from "./command.ts";
import { type Item, RequestReader, type RequestReaderOptions } from "./request_reader.ts";
import { encodeFrame, type Frames, LENGTH_BYTES, readLength, type Split } from "./frame.ts";
import { hex, quoted } from "../text/printable.ts";
import { isRefusal, type Reply, replyText } from "./reply.ts";
import { replySize, replyTexts } from "./reply_encoder.ts";

/** At most so many bytes of a frame are shown in hex. */
export const HEX_BYTES_MAX = 64;
/** At most so many symbols of a payload are shown as text. */
export const SYMBOLS_MAX = 60;
/** At most so many lines explain a reply. */
export const REPLY_LINES_MAX = 100;

/** What a frame means, or what is wrong with bytes: a line for whoever watches. */
export interface Line {
  /** Where its first byte stands in the stream, from 0. */
  readonly offset: number;
  /** How many bytes it takes, its length included; for a mistake those that had come. */
  readonly size: number;
  /**
   * At most {@link HEX_BYTES_MAX} of the bytes in hex, the 4 of the length first. Where a text is
   * hidden those of the length alone, and none where they may be of a text themselves.
   */
  readonly hex: string;
  /** The payload as printable text in quotes, clipped; `""` where it is hidden. */
  readonly text: string;
  /** What it was understood as: `the command 'send'`, `the text of 'send', hidden`. */
  readonly meaning: string;
  /** What is wrong, at the byte where it is: the code of `mistake.ts` and its explanation. */
  readonly mistake?: { readonly code: string; readonly text: string };
}

/** What an inspector must know of the server's options. */
export type InspectorOptions = RequestReaderOptions & {
  /** A longer receiver may be a text in the wrong place. */
  readonly nameSymbolsMax: number;
  /** Show the texts of mail, also where they are part of a mistake. */
  readonly showTexts: boolean;
};

const NOTHING = new Uint8Array(0);

/**
 * Explains what a client sends, from the first frame of a command on. Fed with what `splitFrames`
 * gave; however the bytes come, the lines are the same, but for how much a mistake shows of what
 * follows it.
 */
export class RequestInspector {
  readonly #options: InspectorOptions;
  readonly #reader: RequestReader;
  #offset: number;
  /** The command of the last frame, and those of its arguments that have not come. */
  #command: CommandName | undefined;
  #expected: ArgumentName[] = [];
  /** A frame's beginning that waits for more. */
  #rest: Uint8Array = NOTHING;
  #isOver = false;

  /** `offset` is where the stream is taken up: what came before it may have been mail. */
  constructor(options: InspectorOptions, offset = 0) {
    this.#options = options;
    this.#offset = offset;
    this.#reader = new RequestReader(options, offset > 0);
  }

  /** The lines of all whole frames of the split, and of a mistake, which is the last line ever. */
  feed(split: Split): Line[] {
    if (this.#isOver) return [];
    this.#reader.feed(split);
    this.#rest = split.rest;
    const lines: Line[] = [];
    for (let at = 0; at < split.frames.length && !this.#isOver; at++) {
      lines.push(this.#frameLine(split.frames, at));
    }
    if (split.overLimit && !this.#isOver) {
      lines.push(this.#mistakeLine(this.#reader.next(), split.rest, `not ${this.#awaited()}`));
    }
    this.#reader.keep();
    return lines;
  }

  /** The stream has ended, or nothing more came: the line of what was begun, if anything was. */
  breakOff(kind: "stalled" | "cut-off"): Line[] {
    if (this.#isOver || !this.#reader.isBegun) return [];
    const state = this.#rest.length === 0 ? "missing" : "incomplete";
    const item = this.#reader.breakOff(kind);
    return [this.#mistakeLine(item, this.#rest, `${this.#awaited()}, ${state}`)];
  }

  #frameLine(frames: Frames, at: number): Line {
    const argument = this.#expected.shift();
    if (argument !== undefined) return this.#argumentLine(argument, frames.frame(at));
    const found = readCommand(frames, at, this.#options.strict);
    if (found.kind === "unknown") {
      return this.#mistakeLine(this.#reader.next(), frames.frame(at), "not a command");
    }
    this.#command = found.kind === "command" ? found.command.name : found.name;
    this.#expected = [...commandArguments(this.#command)];
    return this.#line(frames.frame(at), `the command '${this.#command}'${this.#refusal()}`, false);
  }

  #argumentLine(argument: ArgumentName, frame: Uint8Array): Line {
    const isHidden = !this.#options.showTexts &&
      mayBeMail(argument, frame.subarray(LENGTH_BYTES), this.#options.nameSymbolsMax);
    const meaning = `the ${argument} of '${this.#command}'${isHidden ? ", hidden" : ""}`;
    return this.#line(frame, meaning + this.#refusal(), isHidden);
  }

  /** Behind the last frame of a command: why it is refused, if its arguments alone decide that. */
  #refusal(): string {
    const item = this.#expected.length === 0 ? this.#reader.next() : undefined;
    return item?.kind === "refused" ? `; refused: ${replyText(item.reply)}` : "";
  }

  #line(frame: Uint8Array, meaning: string, isHidden: boolean): Line {
    const line = frameLine(this.#offset, frame, meaning, isHidden);
    this.#offset += frame.length;
    return line;
  }

  #mistakeLine(item: Item | undefined, bytes: Uint8Array, meaning: string): Line {
    if (item?.kind !== "mistake") throw new Error("The reader takes these bytes for right");
    this.#isOver = true;
    const { mistake: { code, text }, explanation } = item;
    const { showTexts, frameBytesMax } = this.#options;
    const isHidden = (!showTexts && explanation !== text) || bytes.length === 0;
    const hasLength = bytes.length >= LENGTH_BYTES && readLength(bytes) <= frameBytesMax;
    return {
      offset: this.#offset,
      size: bytes.length,
      hex: isHidden ? "" : hex(bytes, HEX_BYTES_MAX),
      text: isHidden ? "" : shown(hasLength ? bytes.subarray(LENGTH_BYTES) : bytes),
      meaning,
      mistake: { code, text: showTexts ? text : explanation },
    };
  }

  /** What the next frame should be. */
  #awaited(): string {
    const [argument] = this.#expected;
    return argument === undefined ? "a command" : `the ${argument} of '${this.#command}'`;
  }
}

/**
 * Is this argument a text, or may a text stand in it? Behind a wrong length an argument takes in
 * the frames that follow it, and a receiver that is longer than a name may be a text in its place.
 */
function mayBeMail(argument: ArgumentName, payload: Uint8Array, nameSymbolsMax: number): boolean {
  if (argument === "text") return true;
  const text = decoder.decode(payload);
  return /\p{Cc}[^\p{Cc}]/u.test(text) ||
    (argument === "receiver" && hasMoreSymbols(text, nameSymbolsMax));
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The beginning of the bytes as printable text; a symbol takes at most 4 of them. */
function shown(bytes: Uint8Array): string {
  const text = decoder.decode(bytes.subarray(0, 4 * (SYMBOLS_MAX + 1)));
  return quoted(clip(text, SYMBOLS_MAX));
}

function frameLine(offset: number, frame: Uint8Array, meaning: string, isHidden: boolean): Line {
  return {
    offset,
    size: frame.length,
    hex: hex(isHidden ? frame.subarray(0, LENGTH_BYTES) : frame, HEX_BYTES_MAX),
    text: isHidden ? "" : shown(frame.subarray(LENGTH_BYTES)),
    meaning,
  };
}

/**
 * Explains a reply, frame by frame: the frames stand from `offset` on. Of a reply with more frames
 * than {@link REPLY_LINES_MAX} the last line says how many are not shown.
 */
export function replyLines(reply: Reply, offset: number, showTexts: boolean): Line[] {
  const texts = replyTexts(reply);
  const lineCount = texts.length > REPLY_LINES_MAX ? REPLY_LINES_MAX - 1 : texts.length;
  const lines: Line[] = [];
  let end = offset;
  for (const [at, text] of texts.slice(0, lineCount).entries()) {
    const isHidden = !showTexts && isPrivate(reply, at);
    const meaning = `reply: ${replyMeaning(reply, at)}${isHidden ? ", hidden" : ""}`;
    const line = frameLine(end, encodeFrame(text), meaning, isHidden);
    lines.push(line);
    end += line.size;
  }
  const more = texts.length - lineCount;
  if (more === 0) return lines;
  const size = replySize(reply) - (end - offset);
  const meaning = `reply: ${more} more frames, not shown`;
  return [...lines, { offset: end, size, hex: "", text: "", meaning }];
}

function replyMeaning(reply: Reply, at: number): string {
  const number = Math.ceil(at / 2);
  switch (reply.code) {
    case "users":
      return at === 0 ? "the number of names" : `name ${at}`;
    case "mail":
      if (at === 0) return "the number of messages";
      return `the ${at % 2 === 1 ? "sender" : "text"} of message ${number}`;
    case "help":
      return "the commands and limits";
    case "mistake":
      return `what is wrong (${reply.mistake.code})`;
    default:
      return isRefusal(reply) ? "refused" : "done";
  }
}

/**
 * May this frame of a reply hold the text of a mail? An explained mistake shows bytes, and a
 * receiver that does not exist may be a text in the wrong place.
 */
function isPrivate({ code }: Reply, at: number): boolean {
  return code === "mistake" || code === "no-such-user" ||
    (code === "mail" && at > 0 && at % 2 === 0);
}
