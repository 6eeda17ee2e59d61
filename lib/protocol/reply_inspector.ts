/**
 * Describes the bytes of a server for a reader. They do not tell the commands, so a list is known by its
 * length: names for `users`, pairs of sender and text for `receive` and `wait`. Pure.
 */
import { counted } from "../text/phrases.ts";
import { encodeFrame, LENGTH_BYTES, readLength } from "./frame.ts";
import { frameLine, type Line, mistakenLine } from "./inspector.ts";
import { isRefusal, parseReplyText, TEXT_CODES } from "./reply.ts";

/** A frame of a server may have this many bytes; a greater length is none. */
const FRAME_BYTES_MAX = 1_048_576;
/** A list may have this many items. */
const COUNT_MAX = 10_000_000;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The line of each frame. A mistake is the last one. */
export function inspectReplies(bytes: Uint8Array): Line[] {
  const { frames, end } = split(bytes);
  const texts = frames.map((frame) => decoder.decode(frame));
  const lines: Line[] = [];
  let offset = 0;
  const add = (at: number, meaning: string, remark?: Line["remark"]) => {
    const line = frameLine(offset, encodeFrame(frames[at]!), `reply: ${meaning}`, false);
    lines.push(remark === undefined ? line : { ...line, remark });
    offset += line.size;
  };
  for (let at = 0; at < texts.length;) {
    const count = countOf(texts[at]!);
    if (count === undefined) {
      add(at, ...meaningOf(texts[at]!));
      at++;
      continue;
    }
    const { size, kind } = listAt(texts, at, count);
    add(at, kind === "names" ? "the number of names" : "the number of messages");
    for (let item = 1; item <= size; item++) add(at + item, itemMeaning(kind, item));
    at += 1 + size;
    const expected = count * (kind === "names" ? 1 : 2);
    if (size === expected) continue;
    const text = `The count says ${count}, so ${counted(expected, "frame")} follow it (or ` +
      `${kind === "names" ? `${2 * count} for receive` : `${count} for users`}), but ${size} came`;
    return [
      ...lines,
      mistakenLine(offset, bytes.subarray(offset), "the rest of a list, missing", {
        code: "incomplete-list",
        text: `${text}. Read on until all have come`,
      }),
    ];
  }
  return end === undefined
    ? lines
    : [...lines, mistakenLine(offset, bytes.subarray(offset), "not a whole frame", end)];
}

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

/**
 * The list behind a count: names where that many frames are the last ones or a reply stands behind
 * them, else pairs; of both as many frames as there are.
 */
function listAt(
  texts: readonly string[],
  at: number,
  count: number,
): { readonly size: number; readonly kind: "names" | "messages" } {
  const left = texts.length - at - 1;
  const goesOn = (size: number) => left === size || (left > size && isReply(texts[at + 1 + size]!));
  if (count === 0) return { size: 0, kind: "messages" };
  if (goesOn(2 * count)) return { size: 2 * count, kind: "messages" };
  if (goesOn(count) || left < count) return { size: Math.min(count, left), kind: "names" };
  return { size: Math.min(2 * count, left), kind: "messages" };
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
function meaningOf(text: string): [meaning: string, remark?: Line["remark"]] {
  const reply = parseReplyText(text, TEXT_CODES);
  if (reply !== undefined) {
    if (!isRefusal(reply)) return ["done"];
    return ["refused", { kind: "refused", text: `the code in the log is ${reply.code}` }];
  }
  if (text.startsWith("Every string is a frame")) return ["the commands and limits"];
  const known =
    "no reply that is known: the explanation of a mistake, or the item of a list whose " +
    "count is not here";
  return ["unknown", { kind: "odd", text: known }];
}
