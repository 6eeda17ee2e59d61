/** `serve`: the chat where the person wants it kept, its server and its page. */
import { settingsOf } from "../chat/settings.ts";
import { type GroupCommit, openChat } from "../engine/group_commit.ts";
import { ExitError, messageOf } from "../errors.ts";
import type { HttpServer } from "../http/http_server.ts";
import type { Metrics } from "../http/metrics.ts";
import { type Journal, memoryJournal } from "../journal/journal.ts";
import { Log } from "../log.ts";
import { parseServerOptions, type ServerOptions } from "../options.ts";
import { formatHostPort } from "../protocol/ip.ts";
import { collectAtRest } from "../server/gc.ts";
import { cannotListen, listen } from "../server/listen.ts";
import { Server } from "../server/server.ts";
import { serveHelp } from "./help.ts";
import { requireFile, requireNatsFiles } from "./permissions.ts";

/** At its end the program waits this long (ms) for the last lines of the log. */
const LAST_LINES_MS = 300;

/** What the subcommand needs of the program. */
export interface Program {
  readonly version: string;
  /** Called where the server can't go on: tells the person, and ends the program. */
  readonly failed: (error: Error) => void;
}

/** A server that accepts connections, with all that belongs to it. */
export interface Service {
  /** Says on stdout, in one line, where it listens. */
  announce(): Promise<void>;
  /** Answers what has arrived, and ends. */
  stop(signal: Deno.Signal): Promise<void>;
}

/**
 * Opens the chat, then the ports. `undefined` where the flags asked for a text, which is printed.
 * Throws `ExitError`.
 */
export async function openService(args: string[], program: Program): Promise<Service | undefined> {
  const options = parseServerOptions(args);
  const { version } = program;
  if (options.help) return void console.log(serveHelp(version));
  if (options.version) return void console.log(version);
  if (options.data !== "") requireFile(options.data, `main.ts --data ${options.data}`);
  if (options.journal !== "") requireNatsFiles(options);

  const log = openLog(options);
  const page = options.http === "" ? undefined : await loadPage(version);
  const chat = await openStoredChat(options, log, page?.metrics, program);
  const listener = listen(options);
  const server = new Server(options, log, chat, page?.metrics, listener);
  const http = page &&
    openPage(() => new page.HttpServer(server, options, page.metrics, log), options);
  server.expireUsers();
  collectAtRest();
  return {
    announce: () => announce(options, listener.addr, http?.url),
    stop: async (signal) => {
      log.event("stopping", { signal });
      await server.stop();
      await http?.stop();
      log.event("stopped", {});
      await log.close(LAST_LINES_MS);
    },
  };
}

/** The log of a server, on stderr. */
export function openLog({ log: format, logLinesMax: linesMax }: ServerOptions): Log {
  return new Log(Deno.stderr, { format, linesMax });
}

/** Loads a part that not every server needs. Throws {@link ExitError} where it can't be had. */
export async function load<Module>(what: string, loading: Promise<Module>): Promise<Module> {
  try {
    return await loading;
  } catch (error) {
    throw new ExitError(
      `Cannot load what ${what} needs: ${messageOf(error)}. The first start with it downloads ` +
        "packages from the npm registry",
    );
  }
}

async function openStoredChat(
  options: ServerOptions,
  log: Log,
  meter: Metrics | undefined,
  { failed }: Program,
): Promise<GroupCommit> {
  if (options.journal !== "") {
    const { openNats } = await load("--journal", import("../engine/cluster.ts"));
    return openNats(options, { log, meter, failed });
  }
  const journal = options.data === "" ? memoryJournal : await openFile(options.data, log);
  return openChat(settingsOf(options), journal, log, meter);
}

async function openFile(data: string, log: Log): Promise<Journal> {
  const { SqliteJournal } = await load("--data", import("../journal/sqlite/sqlite_journal.ts"));
  return SqliteJournal.open(data, {
    progress: (rows) => log.event("reading", { data, rows }),
    snapshotFailed: (error) => log.event("snapshot-failed", { error: messageOf(error) }),
  });
}

/** What serves the page and measures for it, before a port is open. */
async function loadPage(version: string) {
  const { Metrics } = await load("--http", import("../http/metrics.ts"));
  const { HttpServer } = await load("--http", import("../http/http_server.ts"));
  return { HttpServer, metrics: new Metrics(version) };
}

function openPage(open: () => HttpServer, { httpHostname, http }: ServerOptions): HttpServer {
  try {
    return open();
  } catch (error) {
    throw cannotListen(error, httpHostname, Number(http), "--http");
  }
}

async function announce(
  { log }: ServerOptions,
  { hostname, port }: Deno.NetAddr,
  page: string | undefined,
): Promise<void> {
  const behind = page === undefined ? "" : `, its page is ${page}`;
  const line = log === "json"
    ? JSON.stringify({ event: "listening", hostname, port, page })
    : `asvt-chat listens on ${formatHostPort({ hostname, port })}${behind}`;
  try {
    await Deno.stdout.write(new TextEncoder().encode(line + "\n"));
  } catch {
    // The reader of stdout has gone away: the server serves all the same.
  }
}
