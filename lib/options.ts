/** The options of the server: the table of its flags, and checks of flags that go together. */
import { DEFAULT_SETTINGS as LIMITS } from "./chat/settings.ts";
import { UsageError } from "./errors.ts";
import {
  choice,
  flagName,
  HELP_FLAG,
  host,
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
import { LENGTH_BYTES } from "./protocol/frame.ts";
import { counted } from "./text/phrases.ts";
import { shown } from "./text/shell.ts";

/** A token of the operator has at least this many symbols. */
const TOKEN_SYMBOLS_MIN = 16;

/** The flags of the server. */
export const SERVER_FLAGS = {
  hostname: host("the address to listen on", "0.0.0.0"),
  port: whole(31337, 0, 65_535, "the TCP port; 0 picks a free one"),
  data: text("FILE", "the file that keeps the chat; without it the chat ends with the server"),
  journal: natsServers("NATS servers that keep the chat, shared by several chat servers"),
  journalTimeoutS: seconds(
    5,
    "a command that NATS has not stored after this many seconds gets an error",
  ),
  stream: streamName("asvt-chat", "the stream in NATS that holds the chat"),
  replicas: whole(1, 1, 5, "the number of NATS servers that store a copy of a new stream"),
  natsCreds: text("FILE", "a file with the login for NATS: .creds, user:password or a token"),
  natsCa: text("FILE", "a file with the certificate authority of the NATS servers, for TLS"),
  natsCert: text("FILE", "a file with the certificate that this server shows to NATS"),
  natsKey: text("FILE", "a file with the key of that certificate"),
  strict: toggle("behave exactly like the original server: a user is an IP address"),
  nameSymbolsMax: whole(LIMITS.nameSymbolsMax, 1, 1_000, "symbols in a name"),
  textSymbolsMax: whole(LIMITS.textSymbolsMax, 1, 100_000, "symbols in a text"),
  frameBytesMax: whole(4096, 16, 1_048_576, "bytes in a frame, without its length"),
  idleTimeoutS: seconds(
    60,
    "a connection silent for this many seconds is closed (10 with --strict)",
  ),
  commandTimeoutS: seconds(
    10,
    "a command must be complete within this many seconds of its first byte",
  ),
  writeTimeoutS: seconds(10, "a client that takes no reply for this many seconds is closed"),
  usersMax: whole(LIMITS.usersMax, 1, 10_000_000, "registered users"),
  usersPerAddressMax: whole(
    LIMITS.usersPerAddressMax,
    0,
    10_000_000,
    "registered users from one IP address; 0: a tenth of --users-max",
  ),
  mailboxMessagesMax: whole(LIMITS.mailboxMessagesMax, 1, 10_000_000, "messages in a mailbox"),
  mailboxBroadcastsMax: whole(
    LIMITS.mailboxBroadcastsMax,
    0,
    10_000_000,
    "messages of sendall among these; 0: all but a tenth",
  ),
  messagesMax: whole(
    LIMITS.messagesMax,
    1,
    1_000_000_000,
    "messages that wait, one of sendall once",
  ),
  messagesPerAddressMax: whole(
    LIMITS.messagesPerAddressMax,
    0,
    1_000_000_000,
    "messages that wait from one IP address; 0: a tenth of --messages-max",
  ),
  usersExpireH: hours(
    LIMITS.usersExpireH,
    "a user absent for this many hours is forgotten; 0: never",
  ),
  connectionsMax: whole(20_000, 1, 1_000_000, "open connections"),
  connectionsPerAddressMax: whole(
    0,
    0,
    1_000_000,
    "open connections from one IP address or IPv6 /64; 0: a tenth of --connections-max",
  ),
  proxyProtocol: networks("proxies that send the user's address in a PROXY protocol v2 header"),
  http: port("the port of the web page, health and metrics; 0 picks a free one"),
  httpHostname: host("the address that the web page listens on", "127.0.0.1"),
  httpOrigins: origins("further origins whose pages may chat, separated by commas"),
  httpProxies: networks("proxies for HTTP that send the user's address in X-Forwarded-For"),
  adminToken: text("TOKEN", "the token for the wire view and metrics; without one: loopback only"),
  adminTokenFile: text(
    "FILE",
    "a file with that token, which other users of this machine can't see",
  ),
  wireTexts: toggle("the wire view shows the texts of messages"),
  wireLinesMax: whole(1_000, 1, 1_000_000, "lines that may wait for a watcher of the wire"),
  watchersMax: whole(20, 1, 10_000, "watchers of the wire at once"),
  httpConnectionsMax: whole(
    100,
    1,
    1_000_000,
    "open connections to the web page, without WebSockets",
  ),
  wsBytesMax: whole(65_536, 1_024, 1_073_741_824, "bytes in a message of a WebSocket"),
  log: choice(["text", "json", "off"], "the format of the log, one line for each event, on stderr"),
  logLinesMax: whole(1_000, 1, 1_000_000, "lines of the log that may wait to be written"),
  logCommands: toggle("the log has a line for each command that was carried out, without its text"),
  logLinesPerSMax: whole(100, 1, 1_000_000, "lines of the log a second that clients may cause"),
  version: toggle("print the version"),
  ...HELP_FLAG,
};

/** The values that flags have with `--strict` where they are not given. */
const STRICT_ARGS = ["--idle-timeout-s", "10"];

/** The options of the server. */
export type ServerOptions = Values<typeof SERVER_FLAGS>;

/** Parses the command line of the server, which has only flags. Throws {@link UsageError}. */
export function parseServerOptions(args: readonly string[]): ServerOptions {
  const given = parseFlags(SERVER_FLAGS, args);
  const { options, positionals: [argument] } = given.options.strict
    ? parseFlags(SERVER_FLAGS, [...STRICT_ARGS, ...args])
    : given;
  if (argument !== undefined) {
    throw new UsageError(`Unexpected ${shown(argument)}: the server takes only flags, see --help`);
  }
  if (options.data !== "" && options.journal !== "") {
    throw new UsageError("--data and --journal are two places for one chat: choose one of them");
  }
  checkNatsFlags(options);
  const messageBytes = LENGTH_BYTES + options.frameBytesMax;
  if (options.http !== "" && options.wsBytesMax < messageBytes) {
    throw new UsageError(
      `--ws-bytes-max ${options.wsBytesMax} is too small for --frame-bytes-max ` +
        `${options.frameBytesMax}: a frame may come in one message of a WebSocket, with its length ` +
        `of ${LENGTH_BYTES} bytes, so set it to ${messageBytes} or more`,
    );
  }
  if (options.adminToken !== "") {
    if (options.adminTokenFile !== "") {
      throw new UsageError("--admin-token and --admin-token-file are two tokens: choose one");
    }
    requireLongToken("The token of --admin-token", options.adminToken);
  }
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

/** Throws {@link UsageError} where a token is short enough to be guessed; `what` names it. */
export function requireLongToken(what: string, token: string): void {
  if (token.length >= TOKEN_SYMBOLS_MIN) return;
  throw new UsageError(
    `${what} has ${counted(token.length, "symbol")}, which can be guessed: ` +
      `make one of ${TOKEN_SYMBOLS_MIN} or more, as openssl rand -hex 16 does`,
  );
}

/** Throws where a flag for NATS stands without `--journal`: the chat would not be kept in NATS. */
function checkNatsFlags(options: ServerOptions): void {
  const flags = [
    "journalTimeoutS",
    "stream",
    "replicas",
    "natsCreds",
    "natsCa",
    "natsCert",
  ] as const;
  const unused = flags.find((name) => options[name] !== SERVER_FLAGS[name].default);
  if (options.journal === "" && unused !== undefined) {
    throw new UsageError(
      `${flagName(unused)} is about NATS, and --journal does not say where that is: without it ` +
        "the chat is not kept there",
    );
  }
  if ((options.natsCert === "") !== (options.natsKey === "")) {
    throw new UsageError("--nats-cert and --nats-key go together: the certificate, and its key");
  }
}
