/** Commands that were begun and not completed. Pure. */
import { counted } from "../../text/phrases.ts";
import { LENGTH_BYTES, readLength } from "../frame.ts";
import { argumentsOf } from "../command.ts";
import { isBufferSize } from "./command_length.ts";
import {
  argumentsInWords,
  behindLength,
  type Evidence,
  expectedFrame,
  framesFit,
  hexLength,
  isReadable,
  latin1,
  lengthOf,
  payloadOf,
  type Role,
  shown,
  SYMBOL_BYTES_MAX,
} from "./evidence.ts";
import type { Finding } from "./finding.ts";

/** When nothing more came, in words. */
function ending({ kind, seconds }: Evidence): string {
  if (kind === "impossible") return "then nothing more";
  return kind === "cut-off" ? "then the stream ended" : `then nothing more came for ${seconds} s`;
}

/** The next frame of a command has not begun. */
export function argumentMissing(seen: Evidence): Finding | undefined {
  const { command, begun, bytes, past } = seen;
  if (command === undefined || bytes.length > 0) return undefined;
  const missing = begun - 1;
  const takes = `'${command}' takes ${argumentsInWords(command)}`;
  const came = missing === 0 ? "no frame behind it came" : "one frame behind it came";
  const forgotten = command === "send" && missing === 1
    ? ". If that frame is the text, the receiver is missing: 'send', then the receiver, then the text"
    : "";
  const rule = `${takes}, each a frame of its own, but ${came}, ${ending(seen)}. Send ` +
    `${expectedFrame(seen)} as a frame${forgotten}`;
  const last = past.at(-1)!.payload;
  return {
    code: "argument-missing",
    rule: argumentsOf(command).length > 1 ? rule : rule.replace(", each a frame of its own", ""),
    seen: missing === 0 ? undefined : `It is ${shown(last)}`,
  };
}

/** A length that is too great, so that right frames behind its text have become a part of it. */
export function swallowsFrames(seen: Evidence): Finding | undefined {
  const { command, expected, begun } = seen;
  const said = lengthOf(seen);
  const came = payloadOf(seen);
  if (command === undefined || said === undefined || said > seen.bytesMax) return undefined;
  if (came.length === said) return undefined;
  const next: Role = argumentsOf(command)[begun] ?? "command";
  for (let size = 1; size < Math.min(came.length, AHEAD_BYTES_MAX); size++) {
    const isAgain = came.length - size > LENGTH_BYTES && readLength(came, size) === said;
    if (!isAgain && !framesFit(seen, came, size, next)) continue;
    if (!isReadable(came.subarray(0, size))) continue;
    const says =
      `The length of the ${expected} of '${command}' says ${said}, but a right frame stands ` +
      `behind ${counted(size, "byte")}`;
    const send = `Send ${hexLength(size)}`;
    if (said - size === LENGTH_BYTES) {
      return { code: "length-counted", rule: `${says}. Does it count its own 4 bytes? ${send}` };
    }
    return isBufferSize(said)
      ? {
        code: "buffer-size",
        rule: `${says}. Is ${said} the size of a buffer (sizeof)? Use strlen. ${send}`,
      }
      : { code: "length-too-great", rule: `${says}. ${send}` };
  }
  return undefined;
}

/** The beginning of a command, and then a right frame: the rest of it did not leave. */
export function cutCommand(seen: Evidence): Finding | undefined {
  const said = lengthOf(seen);
  const bytes = behindLength(seen);
  if (seen.command !== undefined || said === undefined) return undefined;
  for (let size = 1; size < Math.min(said, bytes.length); size++) {
    const text = latin1(bytes.subarray(0, size));
    const isBegun = seen.commands.some((name) => name.length === said && name.startsWith(text));
    if (!isBegun) return undefined;
    if (!framesFit(seen, bytes, size, "command")) continue;
    const rule =
      `Only ${size} of ${said} bytes of a command came, and then the next frame. Did one send ` +
      "or write take only a part of the bytes? It returns how many; send the rest again";
    return { code: "incomplete-frame", rule };
  }
  return undefined;
}

/** A right frame is looked for in this many bytes of an argument. */
const AHEAD_BYTES_MAX = 128;

/** A receiver or a name of more bytes than any name has, of which only a part came. */
export function tooLongName(seen: Evidence): Finding | undefined {
  const { expected, nameSymbolsMax } = seen;
  const length = lengthOf(seen);
  if (expected !== "name" && expected !== "receiver") return undefined;
  if (length === undefined || length <= SYMBOL_BYTES_MAX * nameSymbolsMax) return undefined;
  const came = payloadOf(seen);
  if (came.length === length) return undefined;
  const isAgain = came.length >= LENGTH_BYTES &&
    Array.from(came).some((_, at) =>
      at > 0 && came.length - at >= LENGTH_BYTES && readLength(came, at) === length
    );
  const isSize = isAgain || isBufferSize(length) || length % 8 === 0;
  const cause = isSize ? `Is ${length} the size of a buffer (sizeof)? ` : "";
  const rule = `The length of ${expectedFrame(seen)} says ${length} bytes, ${came.length} came, ` +
    `${ending(seen)}; a name has at most ${nameSymbolsMax} symbols. ${cause}Send ` +
    "the bytes of the text alone as its length (strlen)";
  return { code: isSize ? "buffer-size" : "too-long", rule };
}

/** A frame whose last bytes have not come. */
export function incompleteFrame(seen: Evidence): Finding {
  const { bytes } = seen;
  const frame = expectedFrame(seen);
  const size = lengthOf(seen);
  if (size === undefined) {
    const rule =
      `${counted(bytes.length, "byte")} of the 4 bytes of the length of ${frame} came, ` +
      `${ending(seen)}. Send all 4, then the text`;
    return { code: "incomplete-frame", rule };
  }
  const came = payloadOf(seen).length;
  const missing = size - came;
  const says = `${came} of ${size} bytes of ${frame} came, ${ending(seen)}`;
  if (came > 0 && missing === 1 && !isBegun(seen)) {
    const rule =
      `${says}. 1 byte is missing. Does the length count a NUL at the end that you do not ` +
      `send? Then send ${hexLength(came)}. Or did a part of the bytes not leave?`;
    return { code: "nul-counted", rule };
  }
  if (came > 0 && missing === LENGTH_BYTES && !isBegun(seen)) {
    const rule = `${says}. 4 bytes are missing. Does the length count its own 4 bytes? Then send ` +
      `${hexLength(came)}. Or did a part of the bytes not leave?`;
    return { code: "length-counted", rule };
  }
  if (came > 0 && isBufferSize(size) && size >= 16) {
    const rule =
      `${says}. Is ${size} the size of a buffer (sizeof)? Then send strlen bytes as the ` +
      `length: ${hexLength(came)}. Or did one send or write take only a part of the bytes?`;
    return { code: "buffer-size", rule };
  }
  const check = seen.past.length === 0
    ? ""
    : ". If all were sent, check that the frame before has as many bytes as it said";
  const rule =
    `${says}. Send as many bytes as the length says: did one send or write take only a part ` +
    `of them? It returns how many; send the rest again${check}`;
  return { code: "incomplete-frame", rule };
}

/** Is this the beginning of a command that has the length that was sent? */
function isBegun(seen: Evidence): boolean {
  const text = latin1(payloadOf(seen));
  return seen.command === undefined &&
    seen.commands.some((name) => name.length === lengthOf(seen) && name.startsWith(text));
}
