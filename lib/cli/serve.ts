/**
 * `serve`: the chat server with its journal and its page, until SIGTERM or SIGINT.
 *
 * A stop answers what has arrived and closes everything: the connections (at most 4 s), the journal (2 s
 * each for a last batch and a last snapshot), the page (1 s), the log (0.3 s). `Server.stop` in
 * `server/server` has the first two.
 */
import { settingsOf } from "../chat/settings.ts";
import type { Commits } from "../engine/commits.ts";
import { openChat } from "../engine/local_commits.ts";
import { messageOf } from "../errors.ts";
import { type Journal, memoryJournal } from "../journal/journal.ts";
import { Log } from "../log.ts";
import type { Meter } from "../meter.ts";
import { parseServerOptions, type ServerOptions } from "../options.ts";
import { formatHostPort, type SocketAddress } from "../protocol/ip.ts";
import { collectAtRest } from "../server/gc.ts";
import { Server } from "../server/server.ts";
import { print, serveHelp } from "./help.ts";
import { requireFile, requireNatsFiles } from "./permissions.ts";

/** At its end the program waits at most this long (ms) until the last lines of the log are written. */
const LAST_LINES_MS = 300;

/** The parts of the program that a subcommand may use. */
export interface Program {
  readonly version: string;
  /** Tells the user about an error and ends the program. */
  readonly fail: (error: unknown) => never;
  /** Calls `stop` at the first signal to end, and resolves when it is done. */
  readonly stopOnSignal: (stop: (signal: Deno.Signal) => Promise<void>) => Promise<void>;
}

/**
 * Opens the chat, then the ports, says where it listens, and serves until a signal comes. Resolves to
 * the exit code. Throws `ExitError` where the server can't start.
 */
export async function serve(args: string[], program: Program): Promise<number> {
  const options = parseServerOptions(args);
  const { version } = program;
  if (options.help) return print(serveHelp(version));
  if (options.version) return print(version);
  if (options.data !== "") requireFile(options.data);
  if (options.journal !== "") requireNatsFiles(options);

  const log = openLog(options);
  const page = options.http === "" ? undefined : await loadPage(version);
  const chat = await openStoredChat(options, log, page?.metrics, program);
  const server = new Server(options, log, chat, page?.metrics);
  const http = page && new page.HttpServer(server, options, page.metrics, log);
  collectAtRest();
  const stopped = program.stopOnSignal(async (signal) => {
    log.event("stopping", { signal });
    await server.stop();
    await http?.stop();
    log.event("stopped", {});
    await log.close(LAST_LINES_MS);
  });
  await announce(options, server.address, http?.url);
  await stopped;
  return 0;
}

/** The log of a server, on stderr. */
export function openLog({ log: format, logLinesMax: linesMax }: ServerOptions): Log {
  return new Log(Deno.stderr, { format, linesMax });
}

async function openStoredChat(
  options: ServerOptions,
  log: Log,
  meter: Meter | undefined,
  { fail }: Program,
): Promise<Commits> {
  if (options.journal !== "") {
    const { openNats } = await import("../engine/cluster.ts");
    return await openNats(options, { log, meter, failed: fail });
  }
  const journal = options.data === "" ? memoryJournal : await openFile(options.data, log);
  return openChat(settingsOf(options), journal, log, meter);
}

async function openFile(data: string, log: Log): Promise<Journal> {
  const { SqliteJournal } = await import("../journal/sqlite/sqlite_journal.ts");
  return SqliteJournal.open(data, {
    progress: (rows) => log.event("reading", { data, rows }),
    snapshotFailed: (error) => log.event("snapshot-failed", { error: messageOf(error) }),
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
