/** The connection to NATS: who is believed to be it, and who this server says it is. */
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  type NatsConnection,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/transport-node";
import { JournalError } from "./journal.ts";
import type { ServerOptions } from "./options.ts";

/** A first connection takes no longer, in milliseconds. */
const ANSWER_MS = 5_000;
/** Between two tries to connect again, in milliseconds. */
const AGAIN_MS = 250;
/** A NATS server that does not answer so many pings, one in so long, is left for another. */
const PING_MS = 1_000;
const PINGS_MAX = 2;

/** Connects to the first of the servers that answers. Throws {@link JournalError}. */
export async function connectNats(options: ServerOptions): Promise<NatsConnection> {
  const connection = await connected(options);
  const { version = "" } = connection.info ?? {};
  if (options.replicas === 1 || !isOlder(version)) return connection;
  await connection.close();
  throw new JournalError(
    `NATS is ${version} at ${connection.getServer()}, and with --replicas ${options.replicas} it ` +
      "must be 2.10 or later: the copies of an older one may differ when its servers are killed",
  );
}

/** Is it older than 2.10? */
function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < 2 || major === 2 && minor < 10;
}

async function connected(options: ServerOptions): Promise<NatsConnection> {
  const servers = options.journal.split(",");
  const { natsCreds, natsCa, natsCert, natsKey } = options;
  const tls = {
    ...natsCa !== "" && { ca: readFile(natsCa) },
    ...natsCert !== "" && { cert: readFile(natsCert) },
    ...natsKey !== "" && { key: readFile(natsKey) },
  };
  const hosts = servers.map((server) => new URL(server).hostname.replace(/^\[|\]$/g, ""));
  // Of it the types say nothing; the whole object goes to the runtime.
  const proof = { ...tls, checkServerIdentity: identityOf(hosts) };
  const isTls = Object.keys(tls).length > 0 || servers.some((server) => server.startsWith("tls:"));
  const authenticator = natsCreds === "" ? undefined : credentials(readFile(natsCreds));
  try {
    return await connect({
      servers,
      name: "asvt-chat",
      timeout: ANSWER_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: AGAIN_MS,
      pingInterval: PING_MS,
      maxPingOut: PINGS_MAX,
      // Credentials that are being changed everywhere are wrong for a moment.
      ignoreAuthErrorAbort: true,
      ...authenticator && { authenticator },
      ...isTls && { tls: proof },
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new JournalError(`NATS can't be reached at ${options.journal}: ${message}`);
  }
}

/**
 * Whose certificate is right: that of any of these. By itself the client looks for `localhost` in
 * that of a server whose address is a number.
 */
function identityOf(hosts: readonly string[]) {
  return (host: string, certificate: PeerCertificate): Error | undefined => {
    const isOne = hosts.some((name) => checkServerIdentity(name, certificate) === undefined);
    return isOne ? undefined : checkServerIdentity(host, certificate);
  };
}

/** Throws {@link JournalError}. */
function readFile(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new JournalError(
      `${path} can't be read: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** What `nsc` makes, or a line with `user:password` or a token. */
function credentials(file: string): Authenticator {
  const text = file.trim();
  if (text.includes("BEGIN NATS USER JWT")) {
    return credsAuthenticator(new TextEncoder().encode(text));
  }
  const [user = "", ...password] = text.split(":");
  return password.length === 0
    ? tokenAuthenticator(text)
    : usernamePasswordAuthenticator(user, password.join(":"));
}
