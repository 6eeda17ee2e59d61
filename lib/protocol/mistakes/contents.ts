/** Whole frames that hold something else than a command or a name. Pure. */
import { encodeFrame, LENGTH_BYTES, readLength } from "../frame.ts";
import {
  argumentsInWords,
  behindLength,
  type Evidence,
  hexLength,
  isCommand,
  isWhole,
  latin1,
  lengthOf,
  payloadOf,
  shown,
  utf8,
  wordAt,
} from "./evidence.ts";
import type { Finding } from "./finding.ts";

/** Frames inside the frame of a command, or everything packed once more. */
export function framesInCommand(seen: Evidence): Finding | undefined {
  if (seen.command !== undefined || (lengthOf(seen) ?? 0) > seen.bytesMax) return undefined;
  const inner = innerFrames(payloadOf(seen));
  if (inner === undefined || !isCommand(seen, inner[0]!)) return undefined;
  const rule = `The frame holds frames itself: the command '${latin1(inner[0]!)}' and ` +
    `${inner.length - 1} more. Send them one behind the other, without a length around them all`;
  return { code: "frames-in-frame", rule };
}

/** A receiver that is itself frames, or that holds the text too. */
export function receiverWithText(seen: Evidence): Finding | undefined {
  const { command, begun, past } = seen;
  const receiver = past.at(-1)?.payload;
  if (command !== "send" || begun !== 2 || receiver === undefined) return undefined;
  if ([false, true].some((isBigEndian) => innerFrames(receiver, isBigEndian) !== undefined)) {
    const rule = "The frame behind 'send' holds frames itself: the receiver and the text packed " +
      `into one of ${receiver.length} bytes. Send them as two frames, one behind the other: ` +
      "'send' takes 2 arguments, each with its own length, and nothing is around them";
    return { code: "frames-in-frame", rule };
  }
  const parts = /^([^\p{Cc}\s:,;|]{1,32})[\s:,;|\0]+(.+)$/su.exec(
    utf8(receiver) ?? latin1(receiver),
  );
  if (parts === null || seen.bytes.length > 0) return undefined;
  const rule =
    "'send' takes 2 arguments, a receiver and a text, each as a frame of its own. One frame " +
    `of ${receiver.length} bytes came, which seems to hold both`;
  return { code: "argument-in-command", rule, seen: `It is ${shown(receiver)}` };
}

/** The frames of which a payload consists, at least one and all whole; `undefined` if it does not. */
function innerFrames(payload: Uint8Array, isBigEndian = false): Uint8Array[] | undefined {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < payload.length;) {
    if (payload.length - at < LENGTH_BYTES) return undefined;
    const length = payload.slice(at, at + LENGTH_BYTES);
    const end = at + LENGTH_BYTES + readLength(isBigEndian ? length.reverse() : length);
    if (end > payload.length || end === at + LENGTH_BYTES) return undefined;
    frames.push(payload.subarray(at + LENGTH_BYTES, end));
    at = end;
  }
  return frames.length > 0 ? frames : undefined;
}

/** The ways in which a letter takes two or four bytes. */
const WIDE: readonly RegExp[] = [/^(?:([^\0])\0)+$/, /^(?:\0([^\0]))+$/, /^(?:([^\0])\0\0\0)+$/];

/** A command in UTF-16 or UTF-32, or with a byte order mark. */
export function wideText(seen: Evidence): Finding | undefined {
  if (seen.command !== undefined) return undefined;
  const text = latin1(behindLength(seen)).replace(/^(?:\xff\xfe(?:\0\0)?|\xfe\xff)/, "");
  const word = seen.commands.find((command) =>
    [2, 4].some((size) => {
      const letters = text.slice(0, size * command.length);
      return letters.replaceAll("\0", "") === command && WIDE.some((wide) => wide.test(letters));
    })
  );
  if (word !== undefined) {
    const rule =
      "The command is encoded as UTF-16 (two bytes for each letter, or four). Encode it as " +
      `UTF-8: '${word}' has ${word.length} bytes (Python: encode('utf-8'); C#: Encoding.UTF8)`;
    return { code: "utf-16", rule };
  }
  if (!text.startsWith("\xef\xbb\xbf")) return undefined;
  if (wordAt(seen, behindLength(seen).subarray(3)) === undefined) return undefined;
  const rule = "A byte order mark (ef bb bf) stands before the command. Write UTF-8 without one " +
    "(Python: utf-8, not utf-8-sig)";
  return { code: "unknown-command", rule };
}

function isKnown({ commands }: Evidence, text: string): boolean {
  return (commands as readonly string[]).includes(text);
}

/** A NUL, a blank, a line end or quotes that a whole command holds beside its letters. */
export function paddedCommand(seen: Evidence): Finding | undefined {
  if (seen.command !== undefined || !isWhole(seen)) return undefined;
  const payload = payloadOf(seen);
  const text = latin1(payload);
  const inQuotes = /^(["'])(.*)\1$/s.exec(text)?.[2] ?? "";
  if (isKnown(seen, inQuotes)) {
    const rule =
      "The command has quotes around it, as JSON.stringify or repr writes a text. Send " +
      `${hexLength(inQuotes.length)} and '${inQuotes}' without them`;
    return { code: "other-format", rule };
  }
  const bare = text.replace(/^[\s\0]+|[\s\0]+$/g, "");
  // A tab or a line end may be the first byte of the next length.
  if (/^\0\0\0/.test(latin1(behindLength(seen).subarray(payload.length)))) return undefined;
  const isNul = text.includes("\0");
  const more = text.length - bare.length;
  if (more === 0 || more > (isNul ? 1 : LENGTH_BYTES) || !isKnown(seen, bare)) return undefined;
  const rule =
    `The command holds ${isNul ? "a NUL" : "a blank or a line end"} beside its letters. ` +
    `Send ${hexLength(bare.length)} and '${bare}' alone`;
  return { code: isNul ? "nul-counted" : "whitespace-counted", rule };
}

/** The arguments stand in the frame of the command. */
export function argumentInCommand(seen: Evidence): Finding | undefined {
  if (seen.command !== undefined || !isWhole(seen)) return undefined;
  const payload = payloadOf(seen);
  const word = wordAt(seen, payload);
  if (word === undefined) return undefined;
  if (isKnown(seen, latin1(payload).toLowerCase())) return undefined;
  const more = payload.subarray(word.length);
  const isApart = /^(?:[\s:,;|=/(]|[A-Z]|\0[^\0]+$)/.test(latin1(more));
  const isFrame = more.length > LENGTH_BYTES && readLength(more) === more.length - LENGTH_BYTES;
  if (!isApart && !isFrame) return undefined;
  const rule = `The frame holds more than the command '${word}', which takes ` +
    `${argumentsInWords(word)}. An argument is a frame of its own. Send ` +
    `${hexLength(word.length)} and the command, then the argument with its length`;
  return { code: "argument-in-command", rule, seen: `It is ${shown(payload)}` };
}

/** Formats in which programs pack values: how the bytes begin, and the name. */
const FORMATS: readonly (readonly [start: RegExp, name: string])[] = [
  [/^\s*[{[]\s*["{[\d]|^\s*\{'/, "JSON, or a dictionary as a text"],
  [/^\s*<[a-z?!]/i, "XML"],
  [/^\x80\p{Cc}[\x95}cXK\]]/su, "a pickle of Python"],
  [/^\p{Cc}\x8b/u, "gzip"],
  [/^x[\p{Cc}^\x9c\xda]/u, "data compressed by zlib"],
  [
    /^[\x81\x82](?:[\x80-\xfd]|.[a-z]{4})/s,
    "a frame of a WebSocket, without its handshake",
  ],
  [/^\xac\xed\0./s, "an object of Java"],
  [/^(?:[\x81-\x8f]|[\x91-\x9f]|\xdc..)[\xa1-\xbf]|^[\xa4-\xa8][a-z]{4,8}/s, "MessagePack"],
  [/^b(['"]).*\1$/s, "how Python shows bytes: str() was called on them"],
  [/^(?:\\x[0-9a-f]{2}){2}/i, "bytes written as escapes: the text of '\\x08' was sent"],
  [/^(?:[0-9a-f]{2}[ :-]?){8,}$/i, "bytes written in hex"],
  [/^(?:[A-Za-z0-9+/]{4}){2,}[A-Za-z0-9+/]{0,3}={0,2}$/, "base64"],
];

/** The first field of a message, which is a string. */
const PROTOBUF_TAG = 0x0a;

/** Bytes in a format that is not the protocol's. */
export function otherFormat(seen: Evidence): Finding | undefined {
  if (seen.command !== undefined) return undefined;
  for (const bytes of isWhole(seen) ? [payloadOf(seen)] : [seen.bytes, behindLength(seen)]) {
    const text = latin1(bytes, 512);
    const word = wordAt(seen, bytes.subarray(2));
    const isProtobuf = bytes[0] === PROTOBUF_TAG && word !== undefined && bytes[1] === word.length;
    const name = isProtobuf
      ? "Protocol Buffers"
      : FORMATS.find(([start, name]) =>
        start.test(text.trimEnd()) && (name !== "base64" || isBase64OfCommand(seen, text.trimEnd()))
      )?.[1];
    if (name === undefined) continue;
    const frame = bytes === seen.bytes ? "These bytes are" : "The frame holds";
    const rule =
      `${frame} another format: ${name}. A command is its plain name in UTF-8 as one frame, ` +
      "each argument another one: 05 00 00 00 75 73 65 72 73 is users";
    const isLine = bytes === seen.bytes && seen.past.length === 0 &&
      /^[\t\r\n\x20-\x7e]+$/.test(text);
    return {
      code: "other-format",
      rule,
      seen: `It is ${shown(bytes)}`,
      ...isLine && { dialect: "line" },
    };
  }
  return undefined;
}

/** Any word is base64, so the bytes behind it have to hold a command. */
function isBase64OfCommand(seen: Evidence, text: string): boolean {
  try {
    const bytes = Uint8Array.fromBase64(text);
    return seen.commands.some((command) =>
      latin1(bytes, 512).includes(latin1(encodeFrame(command)).slice(1))
    ) || isKnown(seen, latin1(bytes));
  } catch {
    return false;
  }
}
