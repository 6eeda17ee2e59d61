/** The flags: one table for each subcommand gives the parsed options and the `--help` text. */
import { nearest } from "./text/nearest.ts";
import { wrongNetwork } from "./protocol/ip.ts";
import type { Settings } from "./chat/settings.ts";

/** The program can't go on: one clear line for the person who runs it, and its exit code. */
export class ExitError extends Error {
  readonly code: number = 1;
}

/** A wrong flag or value. */
export class UsageError extends ExitError {
  override readonly code = 2;
}

interface Flag<Value extends string | number | boolean> {
  readonly value: string | undefined;
  readonly default: Value;
  /** The default in strict mode, where it is another. */
  readonly strictDefault?: Value;
  readonly meaning: string;
  /** The value that a text means, or a sentence that says what is wrong with it. */
  readonly parse: (text: string) => Value | { readonly wrong: string };
}

type Flags = Record<string, Flag<string> | Flag<number> | Flag<boolean>>;
type Values<Table extends Flags> = { readonly [Name in keyof Table]: Table[Name]["default"] };

function text(value: string, initial: string, meaning: string): Flag<string> {
  const parse = (given: string) => given === "" ? { wrong: "is empty" } : given;
  return { value, default: initial, meaning, parse };
}

function port(meaning: string): Flag<string> {
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

function origins(meaning: string): Flag<string> {
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

function natsServers(meaning: string): Flag<string> {
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

function streamName(initial: string, meaning: string): Flag<string> {
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

function networks(meaning: string): Flag<string> {
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

function choice(choices: readonly string[], meaning: string): Flag<string> {
  const value = choices.join("|");
  return {
    value,
    default: choices[0]!,
    meaning,
    parse: (given) => choices.includes(given) ? given : { wrong: `is none of ${value}` },
  };
}

function toggle(meaning: string): Flag<boolean> {
  return { value: undefined, default: false, meaning, parse: () => true };
}

function whole(initial: number, min: number, max: number, meaning: string): Flag<number> {
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

function seconds(initial: number, meaning: string, strictDefault = initial): Flag<number> {
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

function hours(initial: number, meaning: string): Flag<number> {
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

const FRAME_BYTES_MAX = 1_048_576;

/** The flags of the server. */
export const SERVER_FLAGS = {
  hostname: text("ADDRESS", "0.0.0.0", "the address to listen on"),
  port: whole(31337, 0, 65_535, "the TCP port; 0 picks a free one"),
  data: text("FILE", "", "the file that keeps the chat; without one it ends with the server"),
  journal: natsServers("NATS servers that keep the chat, shared by several chat servers"),
  journalTimeoutS: seconds(5, "a command that NATS has not stored for so long gets an error"),
  stream: streamName("asvt-chat", "the stream in NATS: one a chat"),
  replicas: whole(1, 1, 5, "copies of a new stream, each on another NATS server"),
  natsCreds: text("FILE", "", "a .creds file for NATS, or a line user:password, or a token"),
  natsCa: text("FILE", "", "the certificate authority of the NATS servers, for TLS"),
  natsCert: text("FILE", "", "the certificate of this server for NATS"),
  natsKey: text("FILE", "", "its key"),
  strict: toggle("exactly the original server: a user is an IP address"),
  nameSymbolsMax: whole(8, 1, 1_000, "symbols in a name"),
  textSymbolsMax: whole(60, 1, 100_000, "symbols in a text"),
  frameBytesMax: whole(4096, 16, FRAME_BYTES_MAX, "bytes in a frame, its length not counted"),
  idleTimeoutS: seconds(60, "a connection that sends nothing is closed (10 with --strict)", 10),
  commandTimeoutS: seconds(10, "from the first byte of a command to its last"),
  writeTimeoutS: seconds(10, "a client whose replies pile up for so long is closed"),
  usersMax: whole(100_000, 1, 10_000_000, "registered users"),
  usersPerAddressMax: whole(1_000, 1, 10_000_000, "registered users from one IP address"),
  mailboxMessagesMax: whole(1_000, 1, 10_000_000, "messages in a mailbox"),
  messagesMax: whole(1_000_000, 1, 1_000_000_000, "messages in all mailboxes together"),
  usersExpireH: hours(168, "a user whom no connection held for so long is forgotten; 0: never"),
  connectionsMax: whole(20_000, 1, 1_000_000, "open connections"),
  connectionsPerAddressMax: whole(0, 0, 1_000_000, "open ones from one IP address; 0: no limit"),
  proxyProtocol: networks("proxies that send the user's address in a PROXY protocol v2 header"),
  http: port("a page for browsers, health and metrics on this port; 0 picks a free one"),
  httpHostname: text("ADDRESS", "127.0.0.1", "the address of the page"),
  httpOrigins: origins("where else the page may come from, separated by commas"),
  adminToken: text("TOKEN", "", "what the wire view and metrics ask for; without it only loopback"),
  wireTexts: toggle("the wire view shows the texts of mail"),
  wireLinesMax: whole(1_000, 1, 1_000_000, "lines that a watcher of the wire may be behind"),
  watchersMax: whole(20, 1, 10_000, "watchers of the wire at once"),
  wsBytesMax: whole(65_536, 1_024, 1_073_741_824, "bytes of a WebSocket that may wait, each way"),
  log: choice(["text", "json", "off"], "the log, a line an event, on stderr"),
  logLinesMax: whole(1_000, 1, 1_000_000, "lines of log that may wait to be written"),
  version: toggle("print the version"),
  help: toggle("print this help"),
} satisfies Flags;

/** The flags of the terminal client. */
export const CLIENT_FLAGS = {
  connect: text("HOST:PORT", "127.0.0.1:31337", "the server"),
  help: toggle("print this help"),
} satisfies Flags;

/** The flags of `dump`. */
export const DUMP_FLAGS = {
  json: toggle("print JSON"),
  help: CLIENT_FLAGS.help,
} satisfies Flags;

/** The flags of `inspect`. */
export const INSPECT_FLAGS = {
  hex: toggle(
    "the bytes are in hex: 05 00 75, 0x05, \\x05, or what xxd or hexdump -C print",
  ),
  strict: SERVER_FLAGS.strict,
  frameBytesMax: SERVER_FLAGS.frameBytesMax,
  help: CLIENT_FLAGS.help,
} satisfies Flags;

/** The flags of `ping` and `forget`. */
export const NO_FLAGS = { help: CLIENT_FLAGS.help } satisfies Flags;

export type ServerOptions = Values<typeof SERVER_FLAGS>;
export type InspectOptions = Values<typeof INSPECT_FLAGS>;

/** A flag as it is typed. */
export function flagName(option: string): string {
  return "--" + option.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase());
}

/** The flags in an argument that begins with a dash: `--name=value` is one, `-xy` is `-x` and `-y`. */
function flagsIn(arg: string): (readonly [name: string, value?: string])[] {
  if (!arg.startsWith("--")) return Array.from(arg.slice(1), (letter) => [`-${letter}`]);
  const equals = arg.indexOf("=", 3);
  return equals < 0 ? [[arg]] : [[arg.slice(0, equals), arg.slice(equals + 1)]];
}

/** Parses flags by a table; behind `--` there are none. Throws {@link UsageError}. */
export function parseFlags<Table extends Flags>(
  table: Table,
  args: readonly string[],
): { options: Values<Table>; positionals: string[] } {
  const names = new Map(Object.keys(table).map((option) => [flagName(option), option]));
  const positionals: string[] = [];
  const given: Record<string, string | number | boolean> = {};
  const left = [...args];
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    if (arg === "--") positionals.push(...left.splice(0));
    else if (arg === "-" || !arg.startsWith("-")) positionals.push(arg);
    else {
      for (const [name, inline] of flagsIn(arg)) {
        const option = names.get(name === "-h" ? "--help" : name);
        if (option === undefined) throw unknownFlag(name, [...names.keys()]);
        const flag = table[option]!;
        const value = inline ?? (flag.value === undefined ? undefined : left.shift());
        given[option] = parseValue(name, flag, value);
      }
    }
  }
  return { options: withDefaults(table, given), positionals };
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

/** Parses the flags of the server, which take no other argument. Throws {@link UsageError}. */
export function parseServerOptions(args: readonly string[]): ServerOptions {
  const { options, positionals } = parseFlags(SERVER_FLAGS, args);
  if (positionals.length > 0) {
    throw new UsageError(`Unexpected "${positionals[0]}": the server takes only flags, see --help`);
  }
  if (options.data !== "" && options.journal !== "") {
    throw new UsageError("--data and --journal are two places for one chat: choose one of them");
  }
  checkNatsFlags(options);
  for (const limit of ["nameSymbolsMax", "textSymbolsMax"] as const) {
    const needed = 4 * options[limit];
    if (needed > options.frameBytesMax) {
      throw new UsageError(
        `--frame-bytes-max ${options.frameBytesMax} is too small for ${flagName(limit)} ` +
          `${options[limit]}: a symbol takes up to 4 bytes, so set it to ${needed} or more`,
      );
    }
  }
  return options;
}

/** Flags that would do nothing are a mistake: the chat would be kept elsewhere, or by others. */
function checkNatsFlags(options: ServerOptions): void {
  const flags = [
    "journalTimeoutS",
    "stream",
    "replicas",
    "natsCreds",
    "natsCa",
    "natsCert",
  ] as const;
  const useless = flags.find((name) => options[name] !== SERVER_FLAGS[name].default);
  if (options.journal === "" && useless !== undefined) {
    throw new UsageError(
      `${flagName(useless)} is about NATS, and --journal does not say where that is: without it ` +
        "the chat is not kept there",
    );
  }
  if ((options.natsCert === "") !== (options.natsKey === "")) {
    throw new UsageError("--nats-cert and --nats-key go together: the certificate, and its key");
  }
}

/** The part of the options that is the rules of the chat. */
export function settingsOf(options: ServerOptions): Settings {
  return {
    strict: options.strict,
    nameSymbolsMax: options.nameSymbolsMax,
    textSymbolsMax: options.textSymbolsMax,
    usersMax: options.usersMax,
    usersPerAddressMax: options.usersPerAddressMax,
    mailboxMessagesMax: options.mailboxMessagesMax,
    messagesMax: options.messagesMax,
    usersExpireH: options.usersExpireH,
  };
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
