/** The grammar of flags: kinds of values, a parser for command lines, and the lines of `--help`. */
import { parseArgs } from "node:util";
import { UsageError } from "./errors.ts";
import { print } from "./program.ts";
import { type SocketAddress, wrongNetwork } from "./protocol/ip.ts";
import { nearest } from "./text/nearest.ts";
import { printable } from "./text/printable.ts";
import { shown } from "./text/shell.ts";

/** One flag. */
interface Flag<Value extends string | number | boolean> {
  /** The placeholder of the value in `--help`; `undefined` for a flag that takes no value. */
  readonly value: string | undefined;
  readonly default: Value;
  readonly meaning: string;
  /** Says, as the end of a sentence, why a text is no value; `undefined` if it is one. */
  readonly wrong: (text: string) => string | undefined;
  /** The value of a right text, if that is another one. */
  readonly read?: (text: string) => Value;
}

/** The flags of a subcommand, by the names of their options. */
export type Flags = Record<string, Flag<string> | Flag<number> | Flag<boolean>>;
/** The options that a table of flags gives. */
export type Values<Table extends Flags> = {
  readonly [Name in keyof Table]: Table[Name]["default"];
};

/** The flag that every subcommand has. */
export const HELP_FLAG = { help: toggle("print this help") };

/** Any text but the empty one, which may be the default. */
export function text(value: string, meaning: string, initial = ""): Flag<string> {
  const wrong = unless((given) => given !== "", "is empty");
  return { value, default: initial, meaning, wrong };
}

/** The address of a host; IPv6 may stand in brackets, as in a URL. */
export function host(meaning: string, initial: string): Flag<string> {
  const read = (given: string) => given.replace(/^\[(.*)\]$/, "$1");
  return { ...text("ADDRESS", meaning, initial), read };
}

/** A TCP port, or none by default. */
export function port(meaning: string): Flag<string> {
  return { ...text("N", meaning), wrong: whole(0, 0, 65_535, meaning).wrong };
}

/** Origins of web pages, separated by commas; none by default. */
export function origins(meaning: string): Flag<string> {
  const wrong = unless(
    (given) => given.split(",").every(isOrigin),
    "is no list of origins, as in http://10.0.0.5:8080,https://chat.example",
  );
  return { value: "LIST", default: "", meaning, wrong };
}

/** Is this an origin that a list of origins may hold, as in `https://chat.example`? */
export function isOrigin(given: string): boolean {
  return URL.canParse(given) && new URL(given).origin === given && !given.includes(",");
}

/** URLs of NATS servers, separated by commas; none by default. */
export function natsServers(meaning: string): Flag<string> {
  const isServer = (given: string) => /^(nats|tls):\/\/([^\s/@:,]+|\[[^\s\]]+\]):\d+$/.test(given);
  const wrong = unless(
    (given) => given.split(",").every(isServer),
    "is no list of NATS servers, as in nats://10.0.0.5:4222,nats://10.0.0.6:4222, " +
      "without blanks; a login belongs in a file for --nats-creds",
  );
  return { value: "URLS", default: "", meaning, wrong };
}

/** The name of a stream in NATS. */
export function streamName(initial: string, meaning: string): Flag<string> {
  const isName = (given: string) => /^[\w-]{1,32}$/.test(given);
  const wrong = unless(isName, "is no name of a stream: up to 32 letters, digits, - and _");
  return { value: "NAME", default: initial, meaning, wrong };
}

/** IP addresses and networks, separated by commas; none by default. */
export function networks(meaning: string): Flag<string> {
  const wrong = (given: string) => given === "" ? undefined : wrongNetwork(given);
  return { value: "LIST", default: "", meaning, wrong };
}

/** One of the choices; the first is the default. */
export function choice(choices: readonly string[], meaning: string): Flag<string> {
  const value = choices.join("|");
  const wrong = unless((given) => choices.includes(given), `is none of ${value}`);
  return { value, default: choices[0]!, meaning, wrong };
}

/** A flag without a value; off by default. */
export function toggle(meaning: string): Flag<boolean> {
  return { value: undefined, default: false, meaning, wrong: () => undefined };
}

/** A whole number from `min` to `max`. */
export function whole(initial: number, min: number, max: number, meaning: string): Flag<number> {
  const wrong = outside(/^\d+$/, "whole number", min, max);
  return { value: "N", default: initial, meaning, wrong };
}

/** Seconds, at least 0.01 and at most a day. */
export function seconds(initial: number, meaning: string): Flag<number> {
  const wrong = outside(DECIMAL, "number of seconds", 0.01, 86_400);
  return { value: "S", default: initial, meaning, wrong };
}

/** Hours, at most a million. */
export function hours(initial: number, meaning: string): Flag<number> {
  const wrong = outside(DECIMAL, "number of hours", 0, 1_000_000);
  return { value: "H", default: initial, meaning, wrong };
}

const DECIMAL = /^\d+(\.\d+)?$/;

function outside(form: RegExp, what: string, min: number, max: number): Flag<number>["wrong"] {
  return unless(
    (given) => form.test(given) && Number(given) >= min && Number(given) <= max,
    `is not a ${what} from ${min} to ${max}`,
  );
}

function unless(isRight: (given: string) => boolean, wrong: string): Flag<string>["wrong"] {
  return (given) => isRight(given) ? undefined : wrong;
}

/** The flag of an option: `--idle-timeout-s` for `idleTimeoutS`. */
export function flagName(option: string): string {
  return "--" + option.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase());
}

/**
 * Parses a command line by a table of flags. Of equal flags the last one counts; arguments behind
 * `--` are no flags, but a first `--` before a flag of the table is dropped. Throws
 * {@link UsageError}.
 */
export function parseFlags<Table extends Flags>(
  table: Table,
  args: readonly string[],
): { options: Values<Table>; positionals: string[] } {
  const names = new Map(Object.keys(table).map((option) => [flagName(option), option]));
  const positionals: string[] = [];
  const options = Object.fromEntries(
    Object.entries(table).map(([option, flag]) => [option, flag.default]),
  );
  for (const token of tokensOf(table, withoutDashesOfTask([...names.keys()], args))) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const name = token.rawName === "-h" ? "--help" : token.rawName;
    const option = names.get(name);
    if (option === undefined) throw unknownFlag(name, [...names.keys()]);
    options[option] = parseValue(name, table[option]!, token.value);
  }
  return { options: options as Values<Table>, positionals };
}

/**
 * The arguments without the `--` that `deno task start -- --port 1` passes on: with a flag behind it, or
 * what is nearly one, it guards no argument.
 */
function withoutDashesOfTask(names: readonly string[], args: readonly string[]) {
  const at = args.indexOf("--");
  const isFlag = (arg: string) => {
    const [name = ""] = arg.split("=", 1);
    return name === "-h" || name.startsWith("--") &&
        (names.includes(name) || nearest(name, names) !== undefined);
  };
  return at >= 0 && args.slice(at + 1).some(isFlag) ? args.toSpliced(at, 1) : args;
}

function tokensOf(table: Flags, args: readonly string[]) {
  const options = Object.entries(table).map(([option, { value }]) => {
    const type: "boolean" | "string" = value === undefined ? "boolean" : "string";
    return [flagName(option).slice(2), { type }];
  });
  const config = { args: [...args], options: Object.fromEntries(options), strict: false };
  return parseArgs({ ...config, allowPositionals: true, tokens: true }).tokens;
}

function unknownFlag(name: string, names: readonly string[]): UsageError {
  const near = name.startsWith("--") ? nearest(name, names) : undefined;
  const hint = near === undefined ? "--help lists them" : `did you mean ${near}?`;
  return new UsageError(`Unknown flag ${printable(name)}: ${hint}`);
}

function parseValue(
  name: string,
  flag: Flags[string],
  given: string | undefined,
): string | number | boolean {
  if (flag.value === undefined) {
    if (given === undefined) return true;
    throw new UsageError(`Cannot parse ${name}: it takes no value, ${shown(given)} was given`);
  }
  if (given === undefined) {
    throw new UsageError(`Cannot parse ${name}: it needs a value, ${name} ${flag.value}`);
  }
  const why = flag.wrong(given);
  if (why === undefined) {
    return flag.read?.(given) ?? (typeof flag.default === "number" ? Number(given) : given);
  }
  throw new UsageError(`Cannot parse ${name}: ${shown(given)} ${why}`);
}

/** The lines of `--help`, one for each flag: name, value, meaning, default. */
export function helpLines(table: Flags): string {
  return Object.entries(table).map(([option, flag]) => {
    const name = flagName(option);
    if (flag.value === undefined) return `${name.padEnd(34)}${flag.meaning}`;
    return `${`${name} ${flag.value}`.padEnd(34)}${flag.meaning} [${flag.default}]`;
  }).join("\n");
}

/** Prints what a subcommand is for, and its flags. */
export function printHelp(about: string, table: Flags): void {
  print(`${about}\n\n${helpLines(table)}`);
}

/**
 * Parses `host:port`. An IPv6 address stands in brackets, as in `[::1]:31337`; without a host it is
 * 127.0.0.1. Throws {@link UsageError}.
 */
export function parseHostPort(given: string): SocketAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(given);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535) {
    throw new UsageError(
      `Cannot parse ${shown(given)}: it is not host:port, as in 127.0.0.1:31337`,
    );
  }
  return { hostname: match[1] ?? (match[2] || "127.0.0.1"), port };
}
