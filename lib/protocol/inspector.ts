/**
 * Describes bytes for a reader: what each frame means, and where a mistake is.
 *
 * `request_reader.ts` reads the commands and finds the mistakes, as in the server.
 * The texts of mail are hidden, unless the options say otherwise. Pure.
 */
import { concat } from "@std/bytes";
import { oddityOf } from "../text/odd_name.ts";
import { clip, hasMoreSymbols } from "../text/symbols.ts";
import { commandNames, type CompleteCommand, isBeginOfCommand } from "./command.ts";
import { type MistakeItem, RequestReader, type RequestReaderOptions } from "./request_reader.ts";
import {
  encodeFrame,
  LENGTH_BYTES,
  NO_FRAMES,
  readLength,
  type Split,
  splitFrames,
} from "./frame.ts";
import { type Evidence, EVIDENCE_BYTES_MAX, expectedFrame, type Mistake } from "./mistake.ts";
import { hex, quoted } from "../text/printable.ts";
import { refusedByLimits, refusedToNobody, strictEnding, type SymbolLimits } from "./refusals.ts";
import { isRefusal, type Reply, replyText } from "./reply.ts";
import { encodeMistake, encodeReply, replyTexts } from "./reply_encoder.ts";
import { decodeUtf8 } from "./utf8.ts";

/** The first bytes of a frame are shown in hex, at most this many. */
export const HEX_BYTES_MAX = 64;
/** The first symbols of a payload are shown as text, at most this many. */
export const SYMBOLS_MAX = 60;
/** A reply has at most this many lines. */
export const REPLY_LINES_MAX = 100;

/** The description of a frame, or of a mistake. */
export interface Line {
  /** The offset of its first byte in the stream. */
  readonly offset: number;
  /** The number of its bytes, the length included; for a mistake those that had arrived. */
  readonly size: number;
  /**
   * The first {@link HEX_BYTES_MAX} bytes in hex, 4 of them the length. If the payload is hidden
   * only those 4, and none if they may be part of a text themselves.
   */
  readonly hex: string;
  /** The payload as printable text in quotes, clipped; `""` if it is hidden. */
  readonly text: string;
  /** The meaning of the frame: `the command 'send'`, `the text of 'send', hidden`. */
  readonly meaning: string;
  /** The frame is right, but its name is odd, or its command is refused: why. */
  readonly remark?: { readonly kind: "odd" | "refused"; readonly text: string };
  /** The mistake that begins at the first byte: a code of `mistake.ts` and its text. */
  readonly mistake?: { readonly code: string; readonly text: string };
}

/** The options of the server that an inspector needs, and its own. */
export type InspectorOptions = RequestReaderOptions & SymbolLimits & {
  /** Show the texts of mail, even if they are part of a mistake. */
  readonly showTexts: boolean;
  /** The header of a proxy came before these bytes, and was read. */
  readonly isProxied?: boolean;
};

const NOTHING = new Uint8Array(0);

/** What follows a refusal, by what becomes of the connection. */
const ENDINGS = {
  open: "the reply is …",
  close: "the reply is …, and then the server closes the connection",
  silent: "the server closes the connection without a word",
} as const;

/**
 * Describes the bytes that a client sends, from the first frame of a command on, in the splits of
 * `splitFrames`. The lines do not depend on the chunks in which the bytes arrive, but for one: the
 * line of a mistake shows the bytes behind it that have arrived.
 */
export class RequestInspector {
  readonly #options: InspectorOptions;
  readonly #reader: RequestReader;
  #offset: number;
  #isOver = false;
  /** The client has logged out, and not tried to register since: it has no user for certain. */
  #isNobody = false;

  /** `offset`: the number of bytes that the client sent before, among which may be mail. */
  constructor(options: InspectorOptions, offset = 0) {
    this.#options = options;
    this.#offset = offset;
    this.#reader = new RequestReader(options, decodeUtf8, {
      hasSent: offset > 0,
      isProxied: options.isProxied ?? false,
    });
  }

  /**
   * The lines of the frames of a split. A mistake is the last line: no others follow it. It is judged
   * when enough bytes have come, or at {@link breakOff}.
   */
  feed(split: Split): Line[] {
    const lines: Line[] = [];
    for (const payload of split.frames) {
      const line = this.#frameLine(encodeFrame(payload));
      if (line !== undefined) lines.push(line);
    }
    this.#reader.feed({ ...split, frames: NO_FRAMES });
    this.#reader.copyUnread();
    const { suspicion, unreadBytes } = this.#reader;
    const isMistake = suspicion === "impossible" && unreadBytes >= EVIDENCE_BYTES_MAX;
    return isMistake ? [...lines, ...this.breakOff("impossible")] : lines;
  }

  /** Has a command begun that is not complete? */
  get isBegun(): boolean {
    return !this.#isOver && this.#reader.isBegun;
  }

  /** The line of the frame that has begun, as far as it has come; `undefined` if none has. */
  get partial(): Line | undefined {
    if (!this.isBegun) return undefined;
    const { pending: { rest }, begun, suspicion } = this.#reader;
    // Of what can become no command the mistake follows.
    if (rest.length === 0 || suspicion === "impossible") return undefined;
    const { command, expected } = begun;
    const { showTexts, nameSymbolsMax } = this.#options;
    const payload = rest.subarray(LENGTH_BYTES);
    const isShown = showTexts ||
      (expected === "name" && !mayBeMail(expected, payload, nameSymbolsMax)) ||
      (command === undefined && isBeginOfCommand(rest));
    const came = rest.length < LENGTH_BYTES
      ? `${rest.length} of the 4 bytes of its length`
      : `${rest.length - LENGTH_BYTES} of ${readLength(rest)} bytes`;
    const meaning = `${expectedFrame(begun)}, ${came} so far${isShown ? "" : ", hidden"}`;
    const line = frameLine(this.#offset, rest, meaning, !isShown);
    return isShown ? line : { ...line, hex: "" };
  }

  /**
   * The line of the mistake when the stream has ended (`cut-off`), the server waits no longer
   * (`stalled`), or the bytes can become no command (`impossible`); none if no command has begun.
   */
  breakOff(kind: Evidence["kind"]): Line[] {
    if (this.#isOver || !this.#reader.isBegun) return [];
    const { pending: { frames, rest, isOverLimit }, begun, suspicion } = this.#reader;
    const bytes = begun.command === undefined ? concat([frames.bytes, rest]) : rest;
    const isWrong = isOverLimit || suspicion === "impossible";
    const state = isWrong
      ? `not ${expectedFrame(begun)}`
      : `${expectedFrame(begun)}, ${bytes.length === 0 ? "missing" : "incomplete"}`;
    return [this.#mistakeLine(this.#reader.judge(kind), bytes, state)];
  }

  /** The line of a frame, its length included. The reader tells whether it completes a command. */
  #frameLine(frame: Uint8Array): Line | undefined {
    if (this.#isOver) return undefined;
    const { showTexts, nameSymbolsMax, frameBytesMax } = this.#options;
    const { command, expected } = this.#reader.begun;
    this.#reader.feed(splitFrames(NOTHING, frame, frameBytesMax));
    const item = this.#reader.next();
    if (this.#reader.suspicion === "impossible") return undefined;
    const payload = frame.subarray(LENGTH_BYTES);
    const isHidden = !showTexts && mayBeMail(expected, payload, nameSymbolsMax);
    const role = command === undefined
      ? `the command '${decoder.decode(payload)}'`
      : `the ${expected} of '${command}'`;
    const line = frameLine(this.#offset, frame, role + (isHidden ? ", hidden" : ""), isHidden);
    this.#offset += frame.length;
    const remark = this.#refusal(item) ?? (isHidden ? undefined : this.#oddity(expected, payload));
    return remark === undefined ? line : { ...line, remark };
  }

  /** Why a command is refused for certain. In strict mode nothing may be read behind it. */
  #refusal(item: CompleteCommand | undefined): Line["remark"] {
    if (item === undefined) return undefined;
    const reply = item.kind === "refused"
      ? item.reply
      : refusedByLimits(item.command, this.#options) ??
        (this.#isNobody ? refusedToNobody(item.command) : undefined);
    const name = item.kind === "refused" ? item.name : item.command.name;
    if (reply === undefined) {
      if (name === "logout") this.#isNobody = !this.#options.strict;
      else if (name === "register") this.#isNobody = false;
      return undefined;
    }
    const ending = this.#options.strict ? strictEnding(name, reply) : "open";
    this.#isOver = ending !== "open";
    return { kind: "refused", text: ENDINGS[ending].replace("…", replyText(reply)) };
  }

  /** What is odd about a name or a receiver. */
  #oddity(role: string, payload: Uint8Array): Line["remark"] {
    if (role !== "name" && role !== "receiver") return undefined;
    const { strict, nameSymbolsMax } = this.#options;
    const name = decodeUtf8(payload, 0, payload.length);
    if (name === undefined) return undefined;
    const text = oddityOf(name, commandNames(strict)) ??
      (hasMoreSymbols(name, nameSymbolsMax)
        ? `is longer than ${nameSymbolsMax} symbols, so it is nobody's name`
        : undefined);
    return text === undefined ? undefined : { kind: "odd", text };
  }

  #mistakeLine(
    { mistake: { code, text }, mayBeMail, explanation }: MistakeItem,
    bytes: Uint8Array,
    meaning: string,
  ): Line {
    this.#isOver = true;
    const { showTexts } = this.#options;
    const isHidden = !showTexts && mayBeMail;
    const line = mistakenLine(this.#offset, bytes, meaning, {
      code,
      text: showTexts ? text : explanation,
    });
    return isHidden ? { ...line, hex: "", text: "" } : line;
  }
}

/** The line of bytes that are wrong: a frame, whole or not, or no frame at all. */
export function mistakenLine(
  offset: number,
  bytes: Uint8Array,
  meaning: string,
  mistake: NonNullable<Line["mistake"]>,
): Line {
  const isEmpty = bytes.length === 0;
  const hasLength = bytes.length >= LENGTH_BYTES && readLength(bytes) < 2 ** 24;
  return {
    offset,
    size: bytes.length,
    hex: isEmpty ? "" : hex(bytes, HEX_BYTES_MAX),
    text: isEmpty ? "" : preview(hasLength ? bytes.subarray(LENGTH_BYTES) : bytes),
    meaning,
    mistake,
  };
}

/**
 * Is this frame a text, or may it hold one? An argument with a wrong length may hold the frames
 * behind it, and a receiver that is longer than a name may be a text in the wrong place.
 */
function mayBeMail(role: string, payload: Uint8Array, nameSymbolsMax: number): boolean {
  if (role === "text") return true;
  const text = decoder.decode(payload);
  return /\p{Cc}[^\p{Cc}]/u.test(text) ||
    (role === "receiver" && hasMoreSymbols(text, nameSymbolsMax));
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The first {@link SYMBOLS_MAX} symbols, printable and in quotes. A symbol has at most 4 bytes. */
function preview(bytes: Uint8Array): string {
  const text = decoder.decode(bytes.subarray(0, 4 * (SYMBOLS_MAX + 1)));
  return quoted(clip(text, SYMBOLS_MAX));
}

/** The line of a frame, its length included. */
export function frameLine(
  offset: number,
  frame: Uint8Array,
  meaning: string,
  isHidden: boolean,
): Line {
  return {
    offset,
    size: frame.length,
    hex: hex(isHidden ? frame.subarray(0, LENGTH_BYTES) : frame, HEX_BYTES_MAX),
    text: isHidden ? "" : preview(frame.subarray(LENGTH_BYTES)),
    meaning,
  };
}

/**
 * Describes a reply, frame by frame. If there are more than {@link REPLY_LINES_MAX} frames the last
 * line counts those that are not shown.
 *
 * @param offset The number of bytes that the server sent before.
 * @param showTexts Show the texts of mail, even if they are part of a mistake.
 */
export function replyLines(reply: Reply, offset: number, showTexts: boolean): Line[] {
  if (reply.code === "mistake") return [mistakeReplyLine(reply.mistake, offset, showTexts)];
  const texts = replyTexts(reply);
  const lineCount = texts.length > REPLY_LINES_MAX ? REPLY_LINES_MAX - 1 : texts.length;
  const lines: Line[] = [];
  let end = offset;
  for (const [at, text] of texts.slice(0, lineCount).entries()) {
    const isHidden = !showTexts && mayHoldMail(reply, at);
    const meaning = `reply: ${replyMeaning(reply, at)}${isHidden ? ", hidden" : ""}`;
    const line = frameLine(end, encodeFrame(text), meaning, isHidden);
    lines.push(line);
    end += line.size;
  }
  const more = texts.length - lineCount;
  if (more === 0) return lines;
  const size = encodeReply(reply).length - (end - offset);
  const meaning = `reply: ${more} more frames, not shown`;
  return [...lines, { offset: end, size, hex: "", text: "", meaning }];
}

/** The last frame before a close, as it is sent. It may quote a mail. */
function mistakeReplyLine(mistake: Mistake, offset: number, showTexts: boolean): Line {
  const bytes = encodeMistake(mistake);
  const { code, dialect, text } = mistake;
  const how = {
    frame: "",
    "big-endian": ", its length big-endian",
    line: ", as a line",
    http: ", as HTTP",
  };
  const meaning = `reply: what is wrong (${code})${how[dialect]}${showTexts ? "" : ", hidden"}`;
  const shown = showTexts ? hex(bytes, HEX_BYTES_MAX) : hex(bytes.subarray(0, LENGTH_BYTES));
  const isFrame = dialect === "frame" || dialect === "big-endian";
  return {
    offset,
    size: bytes.length,
    hex: showTexts || isFrame ? shown : "",
    text: showTexts ? preview(encoder.encode(text)) : "",
    meaning,
  };
}

const encoder = new TextEncoder();

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
    default:
      return isRefusal(reply) ? "refused" : "done";
  }
}

/** May this frame of a reply hold the text of a mail? A receiver that does not exist may be one. */
function mayHoldMail({ code }: Reply, at: number): boolean {
  return code === "no-such-user" || (code === "mail" && at > 0 && at % 2 === 0);
}
