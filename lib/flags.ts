/**
 * The grammar of flags: the kinds of their values, how a command line is parsed by a table of them,
 * and the lines of `--help`. `options` has the tables.
 */
import { parseArgs } from "node:util";
import { UsageError } from "./errors.ts";
import { wrongNetwork } from "./protocol/ip.ts";
import { nearest } from "./text/nearest.ts";

interface Flag<Value extends string | number | boolean> {
  readonly value: string | undefined;
  readonly default: Value;
  /** The default in strict mode, where it is another. */
  readonly strictDefault?: Value;
  readonly meaning: string;
  /** The value that a text means, or a sentence that says what is wrong with it. */
  readonly parse: (text: string) => Value | { readonly wrong: string };
}

/** The flags of a subcommand, by the names of its options. */
export type Flags = Record<string, Flag<string> | Flag<number> | Flag<boolean>>;
/** The parsed options of a table of flags. */
export type Values<Table extends Flags> = {
  readonly [Name in keyof Table]: Table[Name]["default"];
};

export function text(value: string, initial: string, meaning: string): Flag<string> {
  const parse = (given: string) => given === "" ? { wrong: "is empty" } : given;
  return { value, default: initial, meaning, parse };
}

export function port(meaning: string): Flag<string> {
  return {
    value: "N",
    default: "",
    meaning,
    parse: (given) => {
      return /^\d+$/.test(given) && Number(given) <= 65_535
        ? given
        : { wrong: "is not a whole number from 0 to 65535" };
    },
  };
}

export function origins(meaning: string): Flag<string> {
  const isOrigin = (given: string) => URL.canParse(given) && new URL(given).origin === given;
  return {
    value: "LIST",
    default: "",
    meaning,
    parse: (given) =>
      given.split(",").every(isOrigin)
        ? given
        : { wrong: "is no list of origins, as in http://10.0.0.5:8080,https://chat.example" },
  };
}

export function natsServers(meaning: string): Flag<string> {
  const isServer = (given: string) => /^(nats|tls):\/\/([^\s/@:,]+|\[[^\s\]]+\]):\d+$/.test(given);
  return {
    value: "URLS",
    default: "",
    meaning,
    parse: (given) =>
      given.split(",").every(isServer) ? given : {
        wrong: "is no list of NATS servers, as in nats://10.0.0.5:4222,nats://10.0.0.6:4222, " +
          "without blanks; a login belongs into a file for --nats-creds",
      },
  };
}

export function streamName(initial: string, meaning: string): Flag<string> {
  return {
    value: "NAME",
    default: initial,
    meaning,
    parse: (given) =>
      /^[\w-]{1,32}$/.test(given)
        ? given
        : { wrong: "is no name of a stream: up to 32 letters, digits, - and _" },
  };
}

export function networks(meaning: string): Flag<string> {
  return {
    value: "LIST",
    default: "",
    meaning,
    parse: (given) => {
      const wrong = given === "" ? undefined : wrongNetwork(given);
      return wrong === undefined ? given : { wrong };
    },
  };
}

export function choice(choices: readonly string[], meaning: string): Flag<string> {
  const value = choices.join("|");
  return {
    value,
    default: choices[0]!,
    meaning,
    parse: (given) => choices.includes(given) ? given : { wrong: `is none of ${value}` },
  };
}

export function toggle(meaning: string): Flag<boolean> {
  return { value: undefined, default: false, meaning, parse: () => true };
}

export function whole(initial: number, min: number, max: number, meaning: string): Flag<number> {
  return {
    value: "N",
    default: initial,
    meaning,
    parse: (given) =>
      /^\d+$/.test(given) && Number(given) >= min && Number(given) <= max
        ? Number(given)
        : { wrong: `is not a whole number from ${min} to ${max}` },
  };
}

export function seconds(initial: number, meaning: string, strictDefault = initial): Flag<number> {
  return {
    value: "S",
    default: initial,
    strictDefault,
    meaning,
    parse: (given) =>
      /^\d+(\.\d+)?$/.test(given) && Number(given) >= 0.01 && Number(given) <= 86_400
        ? Number(given)
        : { wrong: "is not a number of seconds from 0.01 to 86400" },
  };
}

export function hours(initial: number, meaning: string): Flag<number> {
  return {
    value: "H",
    default: initial,
    meaning,
    parse: (given) =>
      /^\d+(\.\d+)?$/.test(given) && Number(given) <= 1_000_000
        ? Number(given)
        : { wrong: "is not a number of hours from 0 to 1000000" },
  };
}

/** A flag as it is typed. */
export function flagName(option: string): string {
  return "--" + option.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase());
}

/** Parses flags by a table; behind `--` there are none. Throws {@link UsageError}. */
export function parseFlags<Table extends Flags>(
  table: Table,
  args: readonly string[],
): { options: Values<Table>; positionals: string[] } {
  const names = new Map(Object.keys(table).map((option) => [flagName(option), option]));
  const positionals: string[] = [];
  const given: Record<string, string | number | boolean> = {};
  for (const token of tokensOf(table, args)) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const name = token.rawName === "-h" ? "--help" : token.rawName;
    const option = names.get(name);
    if (option === undefined) throw unknownFlag(name, [...names.keys()]);
    given[option] = parseValue(name, table[option]!, token.value);
  }
  return { options: withDefaults(table, given), positionals };
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
  return new UsageError(`Unknown flag ${name}: ${hint}`);
}

function parseValue(
  name: string,
  flag: Flags[string],
  given: string | undefined,
): string | number | boolean {
  if (flag.value === undefined && given !== undefined) {
    throw new UsageError(`Cannot parse ${name}: it takes no value, "${given}" was given`);
  }
  if (flag.value !== undefined && given === undefined) {
    throw new UsageError(`Cannot parse ${name}: it needs a value, ${name} ${flag.value}`);
  }
  const value = flag.parse(given ?? "");
  if (typeof value === "object") {
    // A password in an address is not for everybody who sees the screen.
    const shown = given?.replace(/\/\/.*@/g, "//***@");
    throw new UsageError(`Cannot parse ${name}: "${shown}" ${value.wrong}`);
  }
  return value;
}

function withDefaults<Table extends Flags>(
  table: Table,
  given: Record<string, string | number | boolean>,
): Values<Table> {
  const values = Object.entries(table).map(([option, flag]) => {
    const initial = given.strict === true ? flag.strictDefault ?? flag.default : flag.default;
    return [option, given[option] ?? initial];
  });
  return Object.fromEntries(values) as Values<Table>;
}

/** A line for each flag: name, value, meaning, default. */
export function helpLines(table: Flags): string {
  return Object.entries(table).map(([option, flag]) => {
    const usage = `${flagName(option)}${flag.value === undefined ? "" : ` ${flag.value}`}`;
    const initial = flag.value === undefined ? "" : ` [${flag.default}]`;
    return `${usage.padEnd(34)}${flag.meaning}${initial}`;
  }).join("\n");
}

/** `host:port`, also `[::1]:port`; the host may be left out. Throws {@link UsageError}. */
export function parseHostPort(given: string): { hostname: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(given);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535) {
    throw new UsageError(`Cannot parse "${given}": it is not host:port, as in 127.0.0.1:31337`);
  }
  return { hostname: match[1] ?? (match[2] || "127.0.0.1"), port };
}
