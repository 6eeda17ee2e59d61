/**
 * The mistakes that the server recognizes in the bytes of a client, and their texts. Pure.
 * `RequestReader` in `request_reader` decides what the client gets of it: in strict mode no text, and
 * mostly no reply.
 */
import { hex } from "../text/printable.ts";
import { commandNames } from "./command.ts";
import { sentence } from "../text/phrases.ts";
import { shifted } from "./mistakes/between_frames.ts";
import {
  argumentInCommand,
  framesInCommand,
  otherFormat,
  paddedCommand,
  receiverWithText,
  wideText,
} from "./mistakes/contents.ts";
import { isBigEndian, otherEncoding, swappedLength } from "./mistakes/encodings.ts";
import type { Evidence } from "./mistakes/evidence.ts";
import { type Finding, type Mistake, TEXT_BYTES_MAX } from "./mistakes/finding.ts";
import {
  argumentMissing,
  cutCommand,
  incompleteFrame,
  swallowsFrames,
  tooLongName,
} from "./mistakes/incomplete.ts";
import { commandLength } from "./mistakes/command_length.ts";
import { negativeLength, overLimit } from "./mistakes/no_length.ts";
import { otherProtocol, plainText } from "./mistakes/other_protocols.ts";
import { symbolsCounted } from "./mistakes/symbols.ts";
import { twoThreads } from "./mistakes/threads.ts";
import { emptyCommand, unknownCommand } from "./mistakes/words.ts";

export { type Evidence, EVIDENCE_BYTES_MAX, expectedFrame } from "./mistakes/evidence.ts";
export { type Mistake, MISTAKE_CODES, type MistakeCode } from "./mistakes/finding.ts";

/** At most this many bytes are shown in hex. */
const HEX_BYTES_MAX = 32;

/**
 * Each rule looks for one kind of mistake. Of several that the evidence would fit the first one is
 * taken: those that prove the most stand first. The last ones fit always, and only say what has come.
 */
const RULES: readonly ((seen: Evidence) => Finding | undefined)[] = [
  otherProtocol,
  symbolsCounted,
  negativeLength,
  twoThreads,
  otherEncoding,
  wideText,
  framesInCommand,
  receiverWithText,
  paddedCommand,
  commandLength,
  cutCommand,
  swallowsFrames,
  shifted,
  argumentInCommand,
  otherFormat,
  plainText,
  swappedLength,
  emptyCommand,
  unknownCommand,
  argumentMissing,
  overLimit,
  tooLongName,
];

const encoder = new TextEncoder();

/** Finds the mistake that the evidence proves. */
export function explain(seen: Evidence): Mistake {
  const finding = firstOf(RULES, seen) ?? incompleteFrame(seen);
  const { code, dialect = isBigEndian(seen) ? "big-endian" : "frame" } = finding;
  const rule = sentence(finding.rule);
  return { code, rule, text: textOf(rule, finding, seen), dialect };
}

function firstOf(rules: typeof RULES, seen: Evidence): Finding | undefined {
  for (const rule of rules) {
    const finding = rule(seen);
    if (finding !== undefined) return finding;
  }
  return undefined;
}

/** The rule, what was seen, and as many bytes in hex as there is room for. */
function textOf(rule: string, finding: Finding, { bytes }: Evidence): string {
  let text = rule;
  const room = () => TEXT_BYTES_MAX - encoder.encode(text).length;
  const seen = finding.seen === undefined ? "" : ` ${sentence(finding.seen)}`;
  if (encoder.encode(seen).length <= room()) text += seen;
  const count = Math.min(HEX_BYTES_MAX, Math.floor((room() - " Bytes: ".length - 4) / 3));
  return bytes.length > 0 && count >= 4 ? `${text} Bytes: ${hex(bytes, count)}` : text;
}

/** The mistake of a client that has sent nothing at all for this many seconds. */
export function explainSilence(seconds: number): Mistake {
  const rule = `Nothing came for ${seconds} s, so this connection closes. Was the buffer flushed ` +
    "(C: fflush or write; Python: flush=True or sendall)? Does the client wait for a greeting? The " +
    "server sends none: send a command first, as 05 00 00 00 75 73 65 72 73 (users).";
  return { code: "nothing-sent", rule, text: rule, dialect: "frame" };
}

/**
 * The mistake of a client that speaks frames to the port of the page, by the first byte that it sends:
 * the lowest of the length of a command, or the highest. `undefined` if it is neither.
 *
 * @param chatPort The port of the chat.
 */
export function explainWrongPort(first: number | undefined, chatPort: number): Mistake | undefined {
  const isFrame = commandNames(false).some((name) => name.length === first);
  if (first !== 0 && !isFrame) return undefined;
  const rule =
    `This is the port of the page, which speaks HTTP. The chat is on TCP port ${chatPort}: connect ` +
    "to that one and send the same frames.";
  return { code: "wrong-port", rule, text: rule, dialect: isFrame ? "frame" : "big-endian" };
}
