/** Servers in the process of the test, and what they run on. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Journal, memoryJournal } from "../lib/journal/journal.ts";
import {
  type FileListener,
  type Schedule,
  SqliteJournal,
} from "../lib/journal/sqlite/sqlite_journal.ts";
import { Log } from "../lib/log.ts";
import type { Meter } from "../lib/meter.ts";
import { Metrics } from "../lib/http/metrics.ts";
import { parseServerOptions, type ServerOptions } from "../lib/options.ts";
import { settingsOf } from "../lib/chat/settings.ts";
import { Server } from "../lib/server/server.ts";
import type { Commits } from "../lib/engine/commits.ts";
import { openChat } from "../lib/engine/local_commits.ts";
import { HttpServer } from "../lib/http/http_server.ts";

/** Ignores all that a file says of itself. */
export const SILENT: FileListener = {
  progress: () => {},
  snapshotFailed: () => {},
  checkpointFailed: () => {},
  logBytes: () => {},
};
/** A log that writes nothing. */
export const SILENT_LOG = new Log(Deno.stderr, { format: "off", linesMax: 0, linesPerSMax: 100 });

/** The file of a journal, in a folder of its own that is removed with it. */
export class TempFile implements Disposable {
  readonly folder = Deno.makeTempDirSync();
  readonly path = `${this.folder}/chat.db`;

  open(listener = SILENT, schedule?: Schedule): SqliteJournal {
    return SqliteJournal.open(this.path, listener, schedule);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

/** A place where a chat is stored. */
export interface Room extends AsyncDisposable {
  /** Opens the chat. It may be opened again when it was closed. */
  open(options: ServerOptions, log: Log): Promise<Commits>;
  /** The flags of a server on it. */
  readonly flags?: readonly string[];
}

/** A server on a free port of loopback; `await using` stops it. */
export interface TestServer extends AsyncDisposable {
  readonly port: number;
  /** The lines of its log so far. */
  readonly lines: string[];
  readonly server: Server;
}

/** A server with its page, each on a free port of loopback. */
export interface TestWeb extends TestServer {
  /** The URL of the page, as `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly web: HttpServer;
}

/** Starts a server with flags. */
export function serve(...flags: string[]): TestServer {
  return serveOn(memoryJournal, ...flags);
}

/** Starts a server on a journal, which it closes when it stops. */
export function serveOn(journal: Journal, ...flags: string[]): TestServer {
  const plan = planServer(flags);
  return startServer(plan, openChat(settingsOf(plan.options), journal, plan.log));
}

/** Starts a server on the chat of a room. */
export async function serveIn(
  room: Pick<Room, "open" | "flags">,
  ...flags: string[]
): Promise<TestServer> {
  const plan = planServer([...room.flags ?? [], ...flags]);
  return startServer(plan, await room.open(plan.options, plan.log));
}

/** Starts a server with a page. */
export function serveWeb(...flags: string[]): TestWeb {
  return serveWebOn(memoryJournal, ...flags);
}

/** Starts a server with a page on a journal. */
export function serveWebOn(journal: Journal, ...flags: string[]): TestWeb {
  const plan = planServer(["--http", "0", ...flags]);
  const metrics = new Metrics("0.0.0");
  const commits = openChat(settingsOf(plan.options), journal, plan.log, metrics);
  const server = startServer(plan, commits, metrics);
  const web = new HttpServer(server.server, plan.options, metrics, SILENT_LOG);
  const dispose = async () => {
    await server[Symbol.asyncDispose]();
    await web.stop();
  };
  return { ...server, web, url: web.url.slice(0, -1), [Symbol.asyncDispose]: dispose };
}

/** The options of a server, and its log. */
interface Plan {
  readonly options: ServerOptions;
  readonly lines: string[];
  readonly log: Log;
}

function planServer(flags: readonly string[]): Plan {
  const options = parseServerOptions(["--hostname", "127.0.0.1", "--port", "0", ...flags]);
  return { options, ...logOf(options.log) };
}

/** A log, and the lines that it has written. */
export function logOf(format: string): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  const sink = {
    write: (bytes: Uint8Array) => {
      lines.push(...new TextDecoder().decode(bytes).trimEnd().split("\n"));
      return Promise.resolve(bytes.length);
    },
  };
  return { lines, log: new Log(sink, { format, linesMax: 100_000, linesPerSMax: 100 }) };
}

function startServer(
  { options, lines, log }: Plan,
  commits: Commits,
  meter?: Meter,
): TestServer {
  const server = new Server(options, log, commits, meter);
  return {
    port: server.address.port,
    lines,
    server,
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      await log.close(100);
    },
  };
}

/** Returns a function that looks for a text in the log of a server. */
export function logHas({ lines }: TestServer, text: string): () => boolean {
  return () => lines.some((line) => line.includes(text));
}

/** Waits until `holds` returns true. Throws after about 15 s; `what` says what did not happen. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries === 3000) throw new Error(`It did not happen: ${what}`);
    await sleep(5);
  }
}
