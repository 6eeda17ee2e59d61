/**
 * `serve`: the chat server with its journal and its page, until SIGTERM, SIGINT or SIGHUP. `raise`: raises the
 * rules of a chat that several servers share.
 */
import { within } from "../clock.ts";
import { settingsOf } from "../chat/settings.ts";
import type { NatsContext } from "../engine/cluster.ts";
import type { Commits } from "../engine/commits.ts";
import { openChat } from "../engine/local_commits.ts";
import { ExitError, messageOf, UsageError } from "../errors.ts";
import { helpLines, printHelp } from "../flags.ts";
import { type Journal, memoryJournal } from "../journal/journal.ts";
import { Log } from "../log.ts";
import {
  parseServerOptions,
  requireLongToken,
  SERVER_FLAGS,
  type ServerOptions,
} from "../options.ts";
import { print, PROGRAM } from "../program.ts";
import { formatHostPort, type SocketAddress } from "../protocol/ip.ts";
import { collectAtRest } from "../server/gc.ts";
import { Server } from "../server/server.ts";
import { printable } from "../text/printable.ts";
import { requireFiles } from "./permissions.ts";

const USAGE = `a chat server with mailboxes

Usage:
  ${PROGRAM} [serve] [flags]                      serve
  ${PROGRAM} client [name] [--connect HOST:PORT]  chat in the terminal
  ${PROGRAM} ping HOST:PORT                       exit code 0 if a server answers there
  ${PROGRAM} inspect [FILE] [--hex]               what the bytes of a client mean, and what is wrong
  ${PROGRAM} dump FILE [--json]                   what a file of --data holds, without texts
  ${PROGRAM} forget FILE NAME                     remove a user from a file that no server uses
  ${PROGRAM} raise --journal URLS                 after an upgrade of all servers: use its new rules

Flags of serve:
${helpLines(SERVER_FLAGS)}`;

const ABOUT_RAISE =
  `Make all servers that share a chat in NATS decide by the rules of this release, if all of them know
these rules: ${PROGRAM} raise --journal URLS, with the flags that the servers were started with`;

/**
 * A stop that is not over after this time (ms) ends the process; `docker stop` would kill it 0.5 s
 * later.
 */
const STOP_MS_MAX = 9_500;
/** A stop waits at most this long (ms) until the last lines of the log are written. */
const LAST_LINES_MS = 300;

/** The parts of the program that a subcommand uses. */
export interface Program {
  readonly version: string;
  /** Tells the user about an error and ends the program. */
  readonly fail: (error: unknown) => never;
  /** Calls `stop` at the first signal to end, and resolves when it is done. */
  readonly stopOnSignal: (stop: (signal: Deno.Signal) => Promise<void>) => Promise<void>;
}

/**
 * Opens the chat, then the ports, says where it listens, and serves until a signal comes. Throws
 * `ExitError` where the server can't start.
 *
 * A stop answers what has arrived and closes everything: the connections (at most 4 s), the journal (2 s
 * each for a last batch and a last snapshot), the page (1 s), the log (0.3 s), and never takes longer than
 * STOP_MS_MAX.
 */
export async function serve(args: string[], program: Program): Promise<void> {
  const given = parseServerOptions(args);
  const { version } = program;
  if (given.help) return print(`asvt-chat ${version}: ${USAGE}`);
  if (given.version) return print(version);
  requireServerFiles(given);
  const options = await withToken(given);
  const log = openLog(options);
  const page = options.http === "" ? undefined : await loadPage(version);
  const context = { log, meter: page?.metrics, failed: program.fail };
  const chat = await openStoredChat(options, context);
  const server = new Server(options, log, chat, page?.metrics);
  const http = page && new page.HttpServer(server, options, page.metrics, log);
  collectAtRest();
  const stopped = program.stopOnSignal(async (signal) => {
    log.event("stopping", { signal });
    await endWithin(STOP_MS_MAX, log, program, async () => {
      await server.stop();
      await http?.stop();
    });
    log.event("stopped", {});
    await log.close(LAST_LINES_MS);
  });
  await announce(options, server.address, http?.url);
  await stopped;
}

/** Runs `stop`. If it takes longer than `ms` milliseconds, logs that and ends the program. */
export async function endWithin(
  ms: number,
  log: Log,
  { fail }: Pick<Program, "fail">,
  stop: () => Promise<void>,
): Promise<void> {
  const isOver = await within(ms, stop().then(() => true));
  if (isOver) return;
  log.event("stop-timeout", { seconds: ms / 1_000 });
  await log.close(LAST_LINES_MS);
  fail(new ExitError(`The stop was not over after ${ms / 1_000} s, so the server ends without it`));
}

/**
 * Raises the rules of a shared chat and prints which ones it has now. Throws `ExitError` where they
 * can't be raised.
 */
export async function raise(args: string[], { fail }: Program): Promise<void> {
  const options = parseServerOptions(args);
  if (options.help) return printHelp(ABOUT_RAISE, SERVER_FLAGS);
  if (options.journal === "") throw new UsageError("raise needs --journal: where the chat is");
  requireServerFiles({ ...options, data: "", adminTokenFile: "" });
  const { raiseRules } = await import("../engine/cluster.ts");
  print(await raiseRules(options, { log: openLog(options), failed: fail }));
}

function requireServerFiles(options: ServerOptions): void {
  const { data, adminTokenFile, natsCreds, natsCa, natsCert, natsKey } = options;
  const read = [data, adminTokenFile, natsCreds, natsCa, natsCert, natsKey];
  requireFiles({ read, write: [data] });
}

/** The options with the token that the file of `--admin-token-file` holds. */
async function withToken(options: ServerOptions): Promise<ServerOptions> {
  const { adminTokenFile } = options;
  if (adminTokenFile === "") return options;
  let adminToken: string;
  try {
    adminToken = (await Deno.readTextFile(adminTokenFile)).trim();
  } catch (error) {
    throw new ExitError(`Cannot read ${printable(adminTokenFile)}: ${messageOf(error)}`);
  }
  requireLongToken(`The token in ${printable(adminTokenFile)}`, adminToken);
  return { ...options, adminToken };
}

/** The log of a server, on stderr. */
function openLog({ log, logLinesMax, logLinesPerSMax }: ServerOptions): Log {
  const limits = { linesMax: logLinesMax, linesPerSMax: logLinesPerSMax };
  return new Log(Deno.stderr, { format: log, ...limits });
}

async function openStoredChat(options: ServerOptions, context: NatsContext): Promise<Commits> {
  if (options.journal !== "") {
    const { openNats } = await import("../engine/cluster.ts");
    return await openNats(options, context);
  }
  const { log, meter } = context;
  return openChat(settingsOf(options), await openJournal(options, context), log, meter);
}

async function openJournal(
  { data }: ServerOptions,
  { log, meter }: NatsContext,
): Promise<Journal> {
  if (data === "") return memoryJournal;
  const { SqliteJournal } = await import("../journal/sqlite/sqlite_journal.ts");
  return SqliteJournal.open(data, {
    progress: (rows) => log.event("reading", { data, rows }),
    snapshotFailed: (error) => log.event("snapshot-failed", { error: messageOf(error) }),
    checkpointFailed: (error, bytes) => log.event("checkpoint-failed", { error, bytes }),
    logBytes: (bytes) => meter?.logBytes(bytes),
  });
}

async function loadPage(version: string) {
  const { Metrics } = await import("../http/metrics.ts");
  const { HttpServer } = await import("../http/http_server.ts");
  return { HttpServer, metrics: new Metrics(version) };
}

/** Prints one line that says where the server listens. */
async function announce(
  { log }: ServerOptions,
  { hostname, port }: SocketAddress,
  page: string | undefined,
): Promise<void> {
  const suffix = page === undefined ? "" : `, its page is ${page}`;
  const line = log === "json"
    ? JSON.stringify({ event: "listening", hostname, port, page })
    : `asvt-chat listens on ${formatHostPort({ hostname, port })}${suffix}`;
  // Where the reader of stdout has gone the server works without it.
  await Deno.stdout.write(new TextEncoder().encode(line + "\n")).catch(() => {});
}
