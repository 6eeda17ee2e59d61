/** What `main.ts` serves: the chat where the person wants it kept, its server and its page. */
import { type Journal, memoryJournal } from "../journal/journal.ts";
import { cannotListen, listen } from "../server/listen.ts";
import { Log } from "../log.ts";
import { collectAtRest } from "../server/garbage.ts";
import type { Metrics } from "../http/metrics.ts";
import { type ServerOptions, settingsOf } from "../options.ts";
import { Server } from "../server/server.ts";
import { openTurns, type Turns } from "../engine/group_commit.ts";
import type { Web } from "../http/http_server.ts";

/** What a service needs of the program around it. */
export interface ServiceContext {
  readonly options: ServerOptions;
  /** Of the program, for whoever asks. */
  readonly version: string;
  /** It can't go on while it runs: to be told to the person, and the end of the program. */
  readonly failed: (error: Error) => void;
  /** Where it listens already. */
  readonly listener?: Deno.TcpListener | undefined;
}

/** A server that accepts, with all that belongs to it. */
export interface Service {
  readonly addr: Deno.NetAddr;
  /** Where the page is, if there is one. */
  readonly page?: string | undefined;
  /**
   * From now on forgets users who are away too long, and collects garbage at rest. To be called when
   * the person knows that it listens: the first timer loads a part of the runtime, 5 ms.
   */
  keepTidy(): void;
  /** Answers what has arrived, and ends. */
  stop(signal: Deno.Signal): Promise<void>;
}

/** Opens the chat, then the ports; what is not needed is not even loaded. Throws `ExitError`. */
export async function openService(context: ServiceContext): Promise<Service> {
  const { options, version } = context;
  const log = openLog(options);
  const meter = options.http === "" ? undefined : await openMeter(version);
  const turns = await openChat(context, log, meter);
  const listener = context.listener ?? listen(options);
  const server = new Server(options, log, turns, meter, listener);
  const web = meter === undefined ? undefined : await openWeb(server, options, meter, log);
  const keepTidy = () => {
    server.expireUsers();
    collectAtRest();
  };
  const stop = async (signal: Deno.Signal) => {
    log.event("stopping", { signal });
    await server.stop();
    await web?.stop();
    log.event("stopped", {});
    await log.close(300);
  };
  return { addr: listener.addr, page: web?.url, keepTidy, stop };
}

/** Raises the rules of a chat that several servers share: what has become of it. */
export async function raise(
  { options, failed }: Pick<ServiceContext, "options" | "failed">,
): Promise<string> {
  const { raiseRules } = await import("../engine/cluster.ts");
  return raiseRules(options, { log: openLog(options), failed });
}

function openLog({ log: format, logLinesMax: linesMax }: ServerOptions): Log {
  return new Log(Deno.stderr, { format, linesMax });
}

async function openChat(
  { options, failed }: ServiceContext,
  log: Log,
  meter: Metrics | undefined,
): Promise<Turns> {
  if (options.journal !== "") {
    const { openNats } = await import("../engine/cluster.ts");
    return openNats(options, { log, meter, failed });
  }
  return openTurns(settingsOf(options), await openJournal(options, log), log, meter);
}

async function openJournal({ data }: ServerOptions, log: Log): Promise<Journal> {
  if (data === "") return memoryJournal;
  const { SqliteJournal } = await import("../journal/sqlite/sqlite_journal.ts");
  return SqliteJournal.open(data, {
    progress: (rows) => log.event("reading", { data, rows }),
    snapshotFailed: (error) =>
      log.event("snapshot-failed", { error: error instanceof Error ? error.message : "" }),
  });
}

/** What measures, where there is a page to show it. */
async function openMeter(version: string): Promise<Metrics> {
  const { Metrics } = await import("../http/metrics.ts");
  return new Metrics(version);
}

async function openWeb(
  server: Server,
  options: ServerOptions,
  metrics: Metrics,
  log: Log,
): Promise<Web> {
  const { Web } = await import("../http/http_server.ts");
  try {
    return new Web(server, options, metrics, log);
  } catch (error) {
    throw cannotListen(error, options.httpHostname, Number(options.http), "--http");
  }
}
