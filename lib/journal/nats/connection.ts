/** The connection to NATS: proves to each side who the other is. */
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  type NatsConnection,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/transport-node";
import { messageOf } from "../../errors.ts";
import { JournalError } from "../journal.ts";
import type { ServerOptions } from "../../options.ts";

/** The first connection is made within this time (ms). */
const CONNECT_MS = 5_000;
/** The pause between two tries to connect again (ms). */
const RECONNECT_MS = 250;
/** The pause between two pings of the NATS server (ms). */
const PING_MS = 1_000;

/** Connects to the first NATS server that answers. Rejects with a {@link JournalError}. */
export async function connectNats(options: ServerOptions): Promise<NatsConnection> {
  const connection = await openConnection(options);
  const { version = "" } = connection.info ?? {};
  const isOld = version.localeCompare("2.10", "en", { numeric: true }) < 0;
  if (options.replicas === 1 || !isOld) return connection;
  await connection.close();
  throw new JournalError(
    `NATS is ${version} at ${connection.getServer()}, and with --replicas ${options.replicas} it ` +
      "must be 2.10 or later: the copies of an older one may differ when its servers are killed",
  );
}

async function openConnection(options: ServerOptions): Promise<NatsConnection> {
  const servers = options.journal.split(",");
  const { natsCreds, natsCa, natsCert, natsKey } = options;
  const files = {
    ...natsCa !== "" && { ca: readFile(natsCa) },
    ...natsCert !== "" && { cert: readFile(natsCert) },
    ...natsKey !== "" && { key: readFile(natsKey) },
  };
  const hosts = servers.map((server) => new URL(server).hostname.replace(/^\[|\]$/g, ""));
  // The types do not know `checkServerIdentity`, but the whole object goes to the runtime.
  const tls = { ...files, checkServerIdentity: identityOf(hosts) };
  const isTls = Object.keys(files).length > 0 ||
    servers.some((server) => server.startsWith("tls:"));
  const login = natsCreds !== "" && { authenticator: credentials(natsCreds) };
  try {
    return await connect({
      servers,
      name: "asvt-chat",
      timeout: CONNECT_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_MS,
      pingInterval: PING_MS,
      // Two pings without an answer, and the server changes to another NATS server.
      maxPingOut: 2,
      // While credentials are being changed they are wrong for a moment.
      ignoreAuthErrorAbort: true,
      ...login,
      ...isTls && { tls },
    });
  } catch (error) {
    const message = messageOf(error);
    const hint = hintFor(message, isTls, options);
    throw new JournalError(`NATS can't be used at ${options.journal}: ${message}${hint}`);
  }
}

/** A hint, guessed from the message of the NATS client. */
function hintFor(message: string, isTls: boolean, { natsCreds, natsCert }: ServerOptions): string {
  if (/authorization|authentication/i.test(message)) {
    return natsCreds === ""
      ? ". It wants a login: --nats-creds names a file with it"
      : `. It does not take the login in ${natsCreds}`;
  }
  if (/credentials|nkeys/i.test(message)) return `. Is ${natsCreds} a whole .creds file?`;
  if (isTls && natsCert === "" && /timeout/i.test(message)) {
    return ". It may want a certificate: --nats-cert and --nats-key name one";
  }
  if (/certificate|cert's|protocol/i.test(message)) {
    return ". --nats-ca names the authority of its certificate, --nats-cert and --nats-key what " +
      "this server shows";
  }
  return /refused/i.test(message) ? ". Does it run there?" : "";
}

/**
 * The check of a certificate: it must be of one of these hosts, or of one that NATS names itself, but
 * not `localhost`: the runtime names that for every server whose address is a number.
 */
function identityOf(hosts: readonly string[]) {
  return (host: string, certificate: PeerCertificate): Error | undefined => {
    const names = host === "localhost" ? hosts : [...hosts, host];
    const errors = names.map((name) => checkServerIdentity(name, certificate));
    return errors.includes(undefined) ? undefined : errors[0];
  };
}

function readFile(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new JournalError(`${path} can't be read: ${messageOf(error)}`);
  }
}

/** Reads the login. The file is one made by `nsc`, or a line with `user:password` or a token. */
function credentials(path: string): Authenticator {
  const text = readFile(path).trim();
  if (text === "") throw new JournalError(`${path} is empty: a login for NATS should stand there`);
  if (text.includes("BEGIN NATS USER JWT")) {
    return credsAuthenticator(new TextEncoder().encode(text));
  }
  const [user = "", ...password] = text.split(":");
  return password.length === 0
    ? tokenAuthenticator(text)
    : usernamePasswordAuthenticator(user, password.join(":"));
}
