/** Frames to typed commands and back: the one table of commands and their arguments. Pure. */
import { encodeFrames, type Frames, shapeOf } from "./frame.ts";
import type { TextCode, TextReply } from "./reply.ts";

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

export type CommandName = Command["name"];

/** The arguments that there are, each with the reply to one that can't be read. */
const ARGUMENTS = {
  name: "name-undecodable",
  receiver: "receiver-undecodable",
  text: "text-undecodable",
  seconds: "bad-seconds",
} as const satisfies Record<string, TextCode>;

export type ArgumentName = keyof typeof ARGUMENTS;

interface Spec {
  readonly arguments: readonly ArgumentName[];
  /** Does the original server know it? */
  readonly original: boolean;
  readonly does: string;
  /** The command with these arguments; `undefined` where an argument makes no sense. */
  readonly build: (first: string, second: string) => Command | undefined;
}

/** The table, in the order of `help`. A command with a password (`login`) would be a row here. */
const COMMANDS: Record<CommandName, Spec> = {
  register: {
    arguments: ["name"],
    original: true,
    does: "take a name, or come back under it",
    build: (user) => ({ name: "register", user }),
  },
  users: {
    arguments: [],
    original: true,
    does: "count and names of all users",
    build: () => ({ name: "users" }),
  },
  send: {
    arguments: ["receiver", "text"],
    original: true,
    does: "put a text into one mailbox",
    build: (to, text) => ({ name: "send", to, text }),
  },
  sendall: {
    arguments: ["text"],
    original: true,
    does: "put a text into every mailbox but yours",
    build: (text) => ({ name: "sendall", text }),
  },
  receive: {
    arguments: [],
    original: true,
    does: "count, then sender and text of each message; empties your mailbox",
    build: () => ({ name: "receive" }),
  },
  wait: {
    arguments: ["seconds"],
    original: false,
    does: "as receive, but waits for mail; your next command removes what was shown",
    build: (seconds) =>
      /^[0-9]+(\.[0-9]+)?$/.test(seconds)
        ? { name: "wait", seconds: Math.min(Number(seconds), WAIT_SECONDS_MAX) }
        : undefined,
  },
  ping: {
    arguments: [],
    original: false,
    does: "pong",
    build: () => ({ name: "ping" }),
  },
  help: {
    arguments: [],
    original: false,
    does: "this text",
    build: () => ({ name: "help" }),
  },
  logout: {
    arguments: [],
    original: true,
    does: "remove your user and mailbox",
    build: () => ({ name: "logout" }),
  },
};

/** A `wait` waits no longer, whatever it asks for. */
export const WAIT_SECONDS_MAX = 60;

const NAMES = Object.keys(COMMANDS) as CommandName[];
const ORIGINAL_NAMES = NAMES.filter((name) => COMMANDS[name].original);

/** The commands that a server knows: strict mode knows the original's alone. */
export function commandNames(strict: boolean): readonly CommandName[] {
  return strict ? ORIGINAL_NAMES : NAMES;
}

/** The shape of a name tells it from the others, and costs less to look up than a text. */
const BY_SHAPE = new Map(NAMES.map((name) => {
  const bytes = new TextEncoder().encode(name);
  return [shapeOf(bytes.length, bytes[0]!), { name, bytes, spec: COMMANDS[name] }];
}));

/** What stands at a place in a list of frames. */
export type CommandAt =
  | {
    readonly kind: "command";
    readonly command: Command;
    readonly lastArgument: string | undefined;
    /** How many frames it takes, its name included. */
    readonly length: number;
  }
  /** A whole command whose arguments alone already decide the reply. */
  | {
    readonly kind: "refused";
    readonly name: CommandName;
    readonly reply: TextReply;
    readonly length: number;
  }
  /** A command whose next argument, `expected`, has not come. */
  | { readonly kind: "begun"; readonly name: CommandName; readonly expected: ArgumentName }
  | { readonly kind: "unknown" };

/** Reads the command that begins at `frames[at]`. */
export function readCommand(
  frames: Frames,
  at: number,
  strict: boolean,
): CommandAt {
  const found = BY_SHAPE.get(frames.shape(at));
  const isKnown = found !== undefined && frames.is(at, found.bytes) &&
    (found.spec.original || !strict);
  if (!isKnown) return { kind: "unknown" };
  const { name, spec } = found;
  const expected = spec.arguments[frames.length - at - 1];
  if (expected !== undefined) return { kind: "begun", name, expected };
  // Two variables, as an array costs as much as all the rest.
  const [first, second] = spec.arguments;
  const one = first === undefined ? "" : frames.text(at + 1);
  const length = 1 + spec.arguments.length;
  if (one === undefined) return refused(name, first!, length);
  const two = second === undefined ? "" : frames.text(at + 2);
  if (two === undefined) return refused(name, second!, length);
  const command = spec.build(one, two);
  if (command === undefined) return refused(name, first!, length);
  const lastArgument = first === undefined ? undefined : second === undefined ? one : two;
  return { kind: "command", command, lastArgument, length };
}

function refused(name: CommandName, argument: ArgumentName, length: number): CommandAt {
  return { kind: "refused", name, reply: { code: ARGUMENTS[argument] }, length };
}

/** The arguments of a command, in their order. */
export function commandArguments(name: CommandName): readonly ArgumentName[] {
  return COMMANDS[name].arguments;
}

/** The frames of a command, as a client sends them. */
export function encodeCommand(name: CommandName, ...values: readonly string[]): Uint8Array {
  return encodeFrames([name, ...values]);
}

/** A command with its arguments, `send <receiver> <text>`, and what it does, in words. */
export interface CommandHelp {
  readonly call: string;
  readonly does: string;
}

/** The commands that a server knows, for people. */
export function commandHelp(strict: boolean): CommandHelp[] {
  return commandNames(strict).map((name) => {
    const spec = COMMANDS[name];
    const call = [name, ...spec.arguments.map((argument) => `<${argument}>`)].join(" ");
    return { call, does: spec.does };
  });
}
