/**
 * The evidence of a mistake: all that the server knows about bytes that are not the protocol, and the
 * questions that every rule asks about it. Pure.
 */
import { concat } from "@std/bytes";
import { clip } from "../../text/symbols.ts";
import { hex, quoted } from "../../text/printable.ts";
import { type ArgumentName, argumentsOf, type CommandName } from "../command.ts";
import { encodeFrames, LENGTH_BYTES, readLength, writeLength } from "../frame.ts";

/** At most this many bytes of a mistake are judged, from the first byte of its frame on. */
export const EVIDENCE_BYTES_MAX = 512;

/** The kind of a frame that is expected. */
export type Role = ArgumentName | "command";

/** A whole frame before the mistake. */
export interface PastFrame {
  readonly payload: Uint8Array;
  /** The frame that has to follow it. */
  readonly next: Role;
}

/** All that the server knows about the mistake of a client. */
export interface Evidence {
  /**
   * `impossible`: the bytes can become no command any more, or no argument of their command.
   * `stalled`: an incomplete command whose time is over. `cut-off`: the stream ended inside one.
   */
  readonly kind: "impossible" | "stalled" | "cut-off";
  /** The bytes that have come, from the length of the faulty frame on. */
  readonly bytes: Uint8Array;
  /** The frame that was expected there. */
  readonly expected: Role;
  /** The command whose argument was expected; `undefined` if a command was. */
  readonly command: CommandName | undefined;
  /** The frames before: those of the command before, and of the one that has begun. */
  readonly past: readonly PastFrame[];
  /** The number of the last frames of `past` that belong to the command that has begun. */
  readonly begun: number;
  /** The commands that the server knows. */
  readonly commands: readonly CommandName[];
  /** The limit of a frame's payload (bytes). */
  readonly bytesMax: number;
  /** The limit of a name (symbols). */
  readonly nameSymbolsMax: number;
  /** The time that a client has for a whole command (s). */
  readonly seconds: number;
  /** The connection began with the header of a proxy, which has been read. */
  readonly isProxied: boolean;
  /** The port of the page, if there is one. */
  readonly pagePort: number | undefined;
}

/** A symbol has at most this many bytes. */
export const SYMBOL_BYTES_MAX = 4;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** The first 64 bytes as a text, a symbol for each byte, so that offsets are the same in both. */
export function latin1(bytes: Uint8Array, max = 64): string {
  return String.fromCharCode(...bytes.subarray(0, max));
}

/** The text of these bytes; `undefined` if they are not UTF-8. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The bytes as a text for people, in quotes, clipped. */
export function shown(bytes: Uint8Array): string {
  const text = utf8(bytes) ?? latin1(bytes);
  return quoted(clip(text));
}

/** Was nothing read on this connection before these bytes? */
export function isFirst({ past }: Evidence): boolean {
  return past.length === 0;
}

/** The length of the faulty frame; `undefined` if fewer than 4 bytes of it have come. */
export function lengthOf({ bytes }: Evidence): number | undefined {
  return bytes.length < LENGTH_BYTES ? undefined : readLength(bytes);
}

/** The payload of the faulty frame, as far as it has come. */
export function payloadOf(seen: Evidence): Uint8Array {
  return seen.bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + (lengthOf(seen) ?? 0));
}

/** The bytes behind the length of the faulty frame, also those behind its payload. */
export function behindLength({ bytes }: Evidence): Uint8Array {
  return bytes.subarray(LENGTH_BYTES);
}

/** Has the faulty frame come in full? */
export function isWhole(seen: Evidence): boolean {
  return payloadOf(seen).length === lengthOf(seen);
}

/** The bytes from the frame at this index of `past` on. */
export function bytesFrom({ past, bytes }: Evidence, index: number): Uint8Array {
  return concat([encodeFrames(past.slice(index).map(({ payload }) => payload)), bytes]);
}

/** The frame that was expected, in words. */
export function expectedFrame({ expected, command }: Pick<Evidence, "expected" | "command">) {
  return command === undefined ? "a command" : `the ${expected} of '${command}'`;
}

/** The longest known command with which these bytes begin. */
export function wordAt({ commands }: Evidence, bytes: Uint8Array): CommandName | undefined {
  const text = latin1(bytes);
  return commands.filter((command) => text.startsWith(command))
    .toSorted((a, b) => b.length - a.length).at(0);
}

/** The frame that has to follow a command. */
export function afterCommand(command: CommandName): Role {
  return argumentsOf(command)[0] ?? "command";
}

/** Are these bytes readable text, of which the last symbol may be incomplete? */
export function isReadable(bytes: Uint8Array): boolean {
  for (let cut = 0; cut < SYMBOL_BYTES_MAX; cut++) {
    const text = utf8(bytes.subarray(0, bytes.length - cut));
    if (text !== undefined) return !/(?![\t\r\n])\p{Cc}/u.test(text);
    if (bytes.length - cut === 0) return false;
  }
  return false;
}

/**
 * Do right frames stand at an offset, of which the first one is a `role`? A command has to be a known
 * one. An argument has to be whole and readable, and the bytes end behind it or a known command follows;
 * `isLoose`: anything may follow it.
 */
export function framesFit(
  seen: Evidence,
  bytes: Uint8Array,
  offset: number,
  role: Role,
  isLoose = false,
): boolean {
  if (!isWholeFrame(seen, bytes, offset)) return false;
  const length = readLength(bytes, offset);
  const payload = bytes.subarray(offset + LENGTH_BYTES, offset + LENGTH_BYTES + length);
  if (role === "command") return isCommand(seen, payload);
  if (!isReadable(payload)) return false;
  const end = offset + LENGTH_BYTES + length;
  return isLoose || end === bytes.length || framesFit(seen, bytes, end, "command") ||
    (role === "receiver" && framesFit(seen, bytes, end, "text"));
}

/** Does a whole frame stand at an offset, with a payload and within the limit? */
export function isWholeFrame({ bytesMax }: Evidence, bytes: Uint8Array, offset: number): boolean {
  if (bytes.length - offset < LENGTH_BYTES) return false;
  const length = readLength(bytes, offset);
  return length > 0 && length <= bytesMax && length <= bytes.length - offset - LENGTH_BYTES;
}

/** Is this the name of a known command? */
export function isCommand({ commands }: Evidence, payload: Uint8Array): boolean {
  return (commands as readonly string[]).includes(latin1(payload));
}

/** The arguments of a command, in words: `a receiver and a text`. */
export function argumentsInWords(command: CommandName): string {
  const names = argumentsOf(command).map((name) => name === "seconds" ? name : `a ${name}`);
  return names.length === 0 ? "no argument" : names.join(" and ");
}

/** A length as a client should send it, in hex. */
export function hexLength(length: number): string {
  const bytes = new Uint8Array(LENGTH_BYTES);
  writeLength(bytes, 0, length);
  return hex(bytes);
}
