/** The options of every subcommand: a table of flags each, and the checks of what belongs together. */
import { DEFAULT_SETTINGS } from "./chat/settings.ts";
import { UsageError } from "./errors.ts";
import {
  choice,
  flagName,
  type Flags,
  hours,
  natsServers,
  networks,
  origins,
  parseFlags,
  port,
  seconds,
  streamName,
  text,
  toggle,
  type Values,
  whole,
} from "./flags.ts";

const LIMITS = DEFAULT_SETTINGS;
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
  nameSymbolsMax: whole(LIMITS.nameSymbolsMax, 1, 1_000, "symbols in a name"),
  textSymbolsMax: whole(LIMITS.textSymbolsMax, 1, 100_000, "symbols in a text"),
  frameBytesMax: whole(4096, 16, FRAME_BYTES_MAX, "bytes in a frame, its length not counted"),
  idleTimeoutS: seconds(60, "a connection that sends nothing is closed (10 with --strict)", 10),
  commandTimeoutS: seconds(10, "from the first byte of a command to its last"),
  writeTimeoutS: seconds(10, "a client whose replies pile up for so long is closed"),
  usersMax: whole(LIMITS.usersMax, 1, 10_000_000, "registered users"),
  usersPerAddressMax: whole(
    LIMITS.usersPerAddressMax,
    1,
    10_000_000,
    "registered users from one IP address",
  ),
  mailboxMessagesMax: whole(LIMITS.mailboxMessagesMax, 1, 10_000_000, "messages in a mailbox"),
  messagesMax: whole(LIMITS.messagesMax, 1, 1_000_000_000, "messages in all mailboxes together"),
  usersExpireH: hours(
    LIMITS.usersExpireH,
    "a user whom no connection held for so long is forgotten; 0: never",
  ),
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
