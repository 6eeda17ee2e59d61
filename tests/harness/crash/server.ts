/**
 * The servers of the crash harness: like the real one, but their journal may store something else, or
 * write snapshots all the time.
 */
import { settingsOf } from "../../../lib/chat/settings.ts";
import type { Commits } from "../../../lib/engine/commits.ts";
import { openChat } from "../../../lib/engine/local_commits.ts";
import type { Journal } from "../../../lib/journal/journal.ts";
import {
  SCHEDULE,
  type Schedule,
  SqliteJournal,
} from "../../../lib/journal/sqlite/sqlite_journal.ts";
import { Log } from "../../../lib/log.ts";
import { parseServerOptions, type ServerOptions } from "../../../lib/options.ts";
import { Server } from "../../../lib/server/server.ts";

/** Stores the entries of a batch. */
export type Commit = Journal["commit"];

/**
 * Serves the chat of the file that `--data` names, until SIGTERM. `commitBy` makes the commit of the
 * server from the real one.
 */
export function serveFile(
  flags: readonly string[],
  commitBy: (commit: Commit) => Commit,
  schedule?: Schedule,
): void {
  const options = parseServerOptions(flags);
  const journal = SqliteJournal.open(options.data, {
    progress: () => {},
    snapshotFailed: (error) => console.error(error),
    checkpointFailed: (error) => console.error(error),
    logBytes: () => {},
  }, schedule);
  const log = new Log(Deno.stderr, {
    format: options.log,
    linesMax: options.logLinesMax,
    linesPerSMax: options.logLinesPerSMax,
  });
  const chat = openChat(settingsOf(options), {
    read: () => journal.read(),
    commit: commitBy((entries) => journal.commit(entries)),
    check: () => journal.check(),
    published: (state) => journal.published(state),
    close: (state) => journal.close(state),
  }, log);
  serveChat(options, log, chat);
}

/** Serves a chat until SIGTERM. */
export function serveChat(options: ServerOptions, log: Log, chat: Commits): void {
  const server = new Server(options, log, chat);
  Deno.addSignalListener("SIGTERM", async () => {
    await server.stop();
    Deno.exit(0);
  });
  console.log(`listens on ${server.address.hostname}:${server.address.port}`);
}

/** A snapshot is due after every 200 entries, and is written row by row. */
const FREQUENT_SNAPSHOTS: Schedule = {
  ...SCHEDULE,
  snapshotEntries: () => 200,
  sliceMs: 0,
  restMs: 100,
  progressMs: 1_000,
};

// No lossy journal gets them: a snapshot would bring back what the journal has lost.
if (import.meta.main) serveFile(Deno.args, (commit) => commit, FREQUENT_SNAPSHOTS);
