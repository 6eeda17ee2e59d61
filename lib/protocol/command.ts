/**
 * The commands and their arguments: one table, by which commands are read. What they do to the chat
 * is in `chat/commands`.
 */
import { encodeFrame, type Frames } from "./frame.ts";
import { nameFinder } from "./name_finder.ts";
import type { TextCode, TextReply } from "./reply.ts";
import type { Decode } from "./utf8.ts";

/** A command of a client, with its arguments. */
export type Command =
  | { readonly name: "register"; readonly user: string }
  | { readonly name: "users" }
  | { readonly name: "send"; readonly to: string; readonly text: string }
  | { readonly name: "sendall"; readonly text: string }
  | { readonly name: "receive" }
  | { readonly name: "wait"; readonly seconds: number }
  | { readonly name: "ping" }
  | { readonly name: "help" }
  | { readonly name: "logout" };

/** The name of a command, as it stands in the first frame. */
export type CommandName = Command["name"];

/** All kinds of arguments, each with the code of the reply to one that is not valid. */
const ARGUMENTS = {
  name: "name-undecodable",
  receiver: "receiver-undecodable",
  text: "text-undecodable",
  seconds: "bad-seconds",
} as const satisfies Record<string, TextCode>;

/** A kind of argument: `send` has a receiver and a text. */
export type ArgumentName = keyof typeof ARGUMENTS;

interface Spec {
  readonly arguments: readonly ArgumentName[];
  /** The original server knows this command. */
  readonly isOriginal: boolean;
  /** A few words for the users. */
  readonly does: string;
  /** The command with these arguments; `undefined` if the first argument is not valid. */
  readonly build: (first: string, second: string) => Command | undefined;
}

/** A `wait` waits at most this long; a greater argument is lowered to it (s). */
export const WAIT_SECONDS_MAX = 60;

/** The table, in the order in which `help` lists the commands. A new command is a new row. */
const COMMANDS: Record<CommandName, Spec> = {
  register: {
    arguments: ["name"],
    isOriginal: true,
    does: "take a name, or come back under it",
    build: (user) => ({ name: "register", user }),
  },
  users: {
    arguments: [],
    isOriginal: true,
    does: "count and names of all users",
    build: () => ({ name: "users" }),
  },
  send: {
    arguments: ["receiver", "text"],
    isOriginal: true,
    does: "put a text into one mailbox",
    build: (to, text) => ({ name: "send", to, text }),
  },
  sendall: {
    arguments: ["text"],
    isOriginal: true,
    does: "put a text into every mailbox but yours",
    build: (text) => ({ name: "sendall", text }),
  },
  receive: {
    arguments: [],
    isOriginal: true,
    does: "count, then sender and text of each message; empties your mailbox",
    build: () => ({ name: "receive" }),
  },
  wait: {
    arguments: ["seconds"],
    isOriginal: false,
    does: "as receive, but waits for mail; your next command removes what was shown",
    build: (seconds) =>
      /^[0-9]+(\.[0-9]+)?$/.test(seconds)
        ? { name: "wait", seconds: Math.min(Number(seconds), WAIT_SECONDS_MAX) }
        : undefined,
  },
  ping: {
    arguments: [],
    isOriginal: false,
    does: "pong",
    build: () => ({ name: "ping" }),
  },
  help: {
    arguments: [],
    isOriginal: false,
    does: "this text",
    build: () => ({ name: "help" }),
  },
  logout: {
    arguments: [],
    isOriginal: true,
    does: "remove your user and mailbox",
    build: () => ({ name: "logout" }),
  },
};

const NAMES = Object.keys(COMMANDS) as CommandName[];
const ORIGINAL_NAMES = NAMES.filter((name) => COMMANDS[name].isOriginal);

/** The commands that a server knows; in strict mode only those of the original server. */
export function commandNames(strict: boolean): readonly CommandName[] {
  return strict ? ORIGINAL_NAMES : NAMES;
}

/** The arguments that a command takes, in their order. */
export function argumentsOf(name: CommandName): readonly ArgumentName[] {
  return COMMANDS[name].arguments;
}

const findName = nameFinder(NAMES);

/** The command whose name is the frame at index `at`; `undefined` if the server knows none. */
function findCommand(frames: Frames, at: number, strict: boolean): CommandName | undefined {
  const name = findName(frames.bytes, frames.start(at), frames.end(at));
  return name !== undefined && (COMMANDS[name].isOriginal || !strict) ? name : undefined;
}

const NAME_FRAMES = NAMES.map(encodeFrame);

/** Can more bytes make the frame of a command of these, in default mode? */
export function isBeginOfCommand(bytes: Uint8Array): boolean {
  return NAME_FRAMES.some((frame) =>
    bytes.length <= frame.length && bytes.every((byte, at) => byte === frame[at])
  );
}

/** A complete command, or one with an argument that is not valid, which decides the reply. */
export type CompleteCommand =
  | { readonly kind: "command"; readonly command: Command }
  | { readonly kind: "refused"; readonly name: CommandName; readonly reply: TextReply };

/** The beginning of a command: its next frame has not arrived. */
export interface BegunCommand {
  readonly kind: "begun";
  /** The name of the command; `undefined` if that has not arrived. */
  readonly command: CommandName | undefined;
  /** The next frame: the name of a command, or an argument. */
  readonly expected: ArgumentName | "command";
}

/**
 * The command that begins at an index in a list of frames: `length` is the number of its frames, and
 * `lastArgument` the text of the last one, or its bytes where they are not valid.
 */
export type CommandAt =
  | CompleteCommand & {
    readonly length: number;
    readonly lastArgument: string | Uint8Array | undefined;
  }
  | BegunCommand
  | { readonly kind: "unknown" };

/**
 * Reads the command whose name is the frame at index `at`. In strict mode a first argument that is not
 * valid is refused before the second has come, as the original server reads one after the other.
 */
export function readCommand(
  frames: Frames,
  at: number,
  strict: boolean,
  decode: Decode,
): CommandAt {
  if (at === frames.length) return { kind: "begun", command: undefined, expected: "command" };
  const name = findCommand(frames, at, strict);
  if (name === undefined) return { kind: "unknown" };
  const spec = COMMANDS[name];
  const expected = spec.arguments[frames.length - at - 1];
  if (expected !== undefined) {
    const hasFirst = at + 1 < frames.length;
    const isRefused = strict && hasFirst && textAt(frames, at + 1, decode) === undefined;
    if (isRefused) return refused(name, spec.arguments[0]!, 2, frames.payload(at + 1));
    return { kind: "begun", command: name, expected };
  }
  // Two variables: an array would double the time of this function.
  const [first, second] = spec.arguments;
  const one = first === undefined ? "" : textAt(frames, at + 1, decode);
  const length = 1 + spec.arguments.length;
  if (one === undefined) return refused(name, first!, length, frames.payload(at + length - 1));
  const two = second === undefined ? "" : textAt(frames, at + 2, decode);
  if (two === undefined) return refused(name, second!, length, frames.payload(at + length - 1));
  const command = spec.build(one, two);
  if (command === undefined) return refused(name, first!, length, frames.payload(at + length - 1));
  const lastArgument = first === undefined ? undefined : second === undefined ? one : two;
  return { kind: "command", command, length, lastArgument };
}

function textAt(frames: Frames, at: number, decode: Decode): string | undefined {
  return decode(frames.bytes, frames.start(at), frames.end(at));
}

function refused(
  name: CommandName,
  argument: ArgumentName,
  length: number,
  last: Uint8Array,
): CommandAt {
  const reply = { code: ARGUMENTS[argument] };
  return { kind: "refused", name, reply, length, lastArgument: last.slice() };
}

/** The lines of `help` about the commands that a server knows, in the order of the table. */
export function commandHelp(strict: boolean): string[] {
  return commandNames(strict).map((name) => {
    const spec = COMMANDS[name];
    const call = [name, ...spec.arguments.map((argument) => `<${argument}>`)].join(" ");
    return call.padEnd(24) + spec.does;
  });
}
