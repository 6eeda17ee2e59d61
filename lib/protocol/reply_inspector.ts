/**
 * Describes the bytes of a server for a reader. They do not tell the commands: where these are not given a
 * list is known by its length, names for `users`, pairs of sender and text for `receive` and `wait`.
 * Where both fit it says so. Pure.
 */
import { counted } from "../text/phrases.ts";
import { quoted } from "../text/printable.ts";
import { type CommandName, commandNames } from "./command.ts";
import { encodeFrame, LENGTH_BYTES, readLength } from "./frame.ts";
import { frameLine, type Line, mistakenLine } from "./inspector.ts";
import { isRefusal, parseReplyText, TEXT_CODES } from "./reply.ts";

/** A frame of a server may have this many bytes; a greater length is none. */
const FRAME_BYTES_MAX = 1_048_576;
/** A list may have this many items. */
const COUNT_MAX = 10_000_000;

/** Explanations of mistakes are longer than this: they are sentences. */
const EXPLANATION_SYMBOLS_MIN = 20;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The line of each frame. A mistake is the last one.
 *
 * @param commands The commands whose replies these are, in order; `undefined` if they are not known.
 */
export function inspectReplies(bytes: Uint8Array, commands?: readonly CommandName[]): Line[] {
  const { frames, end } = split(bytes);
  const texts = frames.map((frame) => decoder.decode(frame));
  const lines: Line[] = [];
  let offset = 0;
  let answered = 0;
  const add = (at: number, meaning: string, remark?: Line["remark"]) => {
    const line = frameLine(offset, encodeFrame(frames[at]!), `reply: ${meaning}`, false);
    lines.push(remark === undefined ? line : { ...line, remark });
    offset += line.size;
  };
  const broken = (meaning: string, mistake: NonNullable<Line["mistake"]>) => [
    ...lines,
    mistakenLine(offset, bytes.subarray(offset), meaning, mistake),
  ];
  for (let at = 0; at < texts.length;) {
    const command = commands?.[answered++];
    const of = command === undefined ? "" : `'${command}': `;
    const list = listAt(texts, at, command);
    if (list === undefined) {
      const isLast = at === texts.length - 1 && end === undefined;
      const [meaning, remark] = meaningOf(texts[at]!, isLast);
      const isTooMany = commands !== undefined && command === undefined && remark === undefined;
      add(at, of + meaning, isTooMany ? NO_COMMAND_LEFT : remark);
      at++;
      continue;
    }
    const { count, size, kind, isUnsure } = list;
    const isTooMany = commands !== undefined && command === undefined;
    const what = kind === "names" ? "names" : "messages";
    const unsure = isUnsure ? `, or of ${kind === "names" ? "messages" : "names"}` : "";
    add(at, `${of}the number of ${what}${unsure}`, isTooMany ? NO_COMMAND_LEFT : undefined);
    for (let item = 1; item <= size; item++) add(at + item, itemMeaning(kind, item));
    at += 1 + size;
    const expected = count * (kind === "names" ? 1 : 2);
    if (size === expected) continue;
    const other = kind === "names" ? `${2 * count} for receive` : `${count} for users`;
    const maybe = command === undefined ? ` (or ${other})` : "";
    const part = end === undefined ? "" : " and a part of one";
    const text =
      `The count says ${count}, so ${counted(expected, "frame")} follow it${maybe}, but ` +
      `${size}${part} came. Read on until all have come`;
    return broken("the rest of a list, missing", { code: "incomplete-list", text });
  }
  if (end !== undefined) return broken("not a whole frame", end);
  const missing = commands?.slice(answered) ?? [];
  if (missing.length === 0) return lines;
  const text = `The reply to '${missing[0]}' is missing` +
    (missing.length === 1 ? "" : `, and ${missing.length - 1} more behind it`);
  return broken("the next reply, missing", { code: "no-reply", text });
}

const NO_COMMAND_LEFT = {
  kind: "odd",
  text: "no command is left to which this is the reply",
} as const;

/** All whole frames, and what is wrong with the bytes behind them. */
function split(bytes: Uint8Array) {
  const frames: Uint8Array[] = [];
  let at = 0;
  while (bytes.length - at >= LENGTH_BYTES) {
    const length = readLength(bytes, at);
    if (length > FRAME_BYTES_MAX) return { frames, end: noFrame(bytes.subarray(at)) };
    if (length > bytes.length - at - LENGTH_BYTES) break;
    frames.push(bytes.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length));
    at += LENGTH_BYTES + length;
  }
  const rest = bytes.subarray(at);
  if (rest.length === 0) return { frames, end: undefined };
  const text = rest.length < LENGTH_BYTES
    ? `${rest.length} of the 4 bytes of a length came`
    : `${rest.length - LENGTH_BYTES} of ${readLength(rest)} bytes of a frame came`;
  return {
    frames,
    end: {
      code: "incomplete-frame",
      text: `${text}. TCP delivers a frame in pieces: read on until all its bytes are there`,
    },
  };
}

/** Bytes that are no frame: what a server has written, or a program that shows it. */
function noFrame(bytes: Uint8Array): NonNullable<Line["mistake"]> {
  const text = decoder.decode(bytes.subarray(0, 16));
  const swapped = readLength(bytes.slice(0, LENGTH_BYTES).reverse());
  if (text.startsWith("HTTP/1.")) {
    return {
      code: "http",
      text: "This is a response of HTTP: the client has sent a request of HTTP",
    };
  }
  if (swapped <= bytes.length - LENGTH_BYTES) {
    return {
      code: "big-endian",
      text:
        "This frame has a big-endian length. The server sends one to a client whose own lengths are " +
        `big-endian: ${decoder.decode(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + swapped))}`,
    };
  }
  return /^[\t\r\n\x20-\x7e]{4}/.test(text)
    ? {
      code: "plain-text",
      text:
        "This is text without a length. The server sends a line of text to a client that sends text " +
        "without lengths; or these are not the bytes, but how a program shows them",
    }
    : {
      code: "over-limit",
      text:
        `The length ${
          readLength(bytes)
        } is too great for a reply: do these bytes begin with a frame, ` +
        "and are all bytes before them there?",
    };
}

function countOf(text: string): number | undefined {
  const count = /^\d{1,8}$/.test(text) ? Number(text) : undefined;
  return count !== undefined && count <= COUNT_MAX ? count : undefined;
}

/** A count, and the frames behind it that it counts. */
interface List {
  readonly count: number;
  /** The number of those frames that have come. */
  readonly size: number;
  readonly kind: "names" | "messages";
  /** The bytes would be right if it were a list of the other kind. */
  readonly isUnsure: boolean;
}

/**
 * The list that begins with a frame; `undefined` where that is no count, or the command has no list.
 * Where the command is not known it is a list of pairs or names, with which the stream ends or goes on
 * with a reply; of neither as many frames as there are.
 */
function listAt(
  texts: readonly string[],
  at: number,
  command: CommandName | undefined,
): List | undefined {
  const count = countOf(texts[at]!);
  if (count === undefined) return undefined;
  const left = texts.length - at - 1;
  const names = { count, size: Math.min(count, left), kind: "names", isUnsure: false } as const;
  const size = Math.min(2 * count, left);
  const messages = { count, size, kind: "messages", isUnsure: false } as const;
  if (command === "users") return names;
  if (command === "receive" || command === "wait") return messages;
  if (command !== undefined) return undefined;
  const goesOn = (size: number) => left === size || (left > size && isReply(texts[at + 1 + size]!));
  if (goesOn(2 * count)) return { ...messages, isUnsure: goesOn(count) };
  return goesOn(count) || left < count ? names : messages;
}

function itemMeaning(kind: "names" | "messages", item: number): string {
  if (kind === "names") return `name ${item}`;
  return `the ${item % 2 === 1 ? "sender" : "text"} of message ${Math.ceil(item / 2)}`;
}

/** May this frame begin a reply? */
function isReply(text: string): boolean {
  return countOf(text) !== undefined || parseReplyText(text, TEXT_CODES) !== undefined;
}

/** The meaning of a reply that is one frame, and what is to be said about it. */
function meaningOf(text: string, isLast: boolean): [meaning: string, remark?: Line["remark"]] {
  const reply = parseReplyText(text, TEXT_CODES);
  if (reply !== undefined) {
    if (!isRefusal(reply)) return ["done"];
    return ["refused", { kind: "refused", text: `the code in the log is ${reply.code}` }];
  }
  if (text.startsWith("Every string is a frame")) return ["the commands and limits"];
  if (commandNames(false).some((name) => name === text)) {
    return ["unknown", { kind: "odd", text: "is the name of a command, which a client sends" }];
  }
  if (isLast && text.length >= EXPLANATION_SYMBOLS_MIN) {
    return ["what is wrong, before the server closes the connection", {
      kind: "refused",
      text: quoted(text),
    }];
  }
  const known = "no reply that is known, nor an item of a list whose count came before it";
  return ["unknown", { kind: "odd", text: known }];
}
