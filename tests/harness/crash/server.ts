/** Servers of the crash tests that are like the real one, but for what their journal stores. */
import type { Journal } from "../../../lib/journal/journal.ts";
import { type Schedule, SqliteJournal } from "../../../lib/journal/sqlite/sqlite_journal.ts";
import { Log } from "../../../lib/log.ts";
import { parseServerOptions, type ServerOptions } from "../../../lib/options.ts";
import { settingsOf } from "../../../lib/chat/settings.ts";
import { Server } from "../../../lib/server/server.ts";
import { type GroupCommit, openChat } from "../../../lib/engine/group_commit.ts";

/** Stores a batch. */
export type Commit = Journal["commit"];

/** Serves by these flags until SIGTERM, with a commit made of the honest one. */
export function serveFile(
  flags: readonly string[],
  commitBy: (honest: Commit) => Commit,
  schedule?: Schedule,
): void {
  const options = parseServerOptions(flags);
  const journal = SqliteJournal.open(options.data, {
    progress: () => {},
    snapshotFailed: (error) => console.error(error),
  }, schedule);
  const log = new Log(Deno.stderr, { format: options.log, linesMax: options.logLinesMax });
  const commits = openChat(settingsOf(options), {
    read: () => journal.read(),
    afterTurn: (commit) => journal.afterTurn(commit),
    commit: commitBy((entries, stored) => journal.commit(entries, stored)),
    published: (state) => journal.published(state),
    close: (state) => journal.close(state),
  }, log);
  serveCommits(options, log, commits);
}

/** Serves a chat until SIGTERM. */
export function serveCommits(options: ServerOptions, log: Log, commits: GroupCommit): void {
  const server = new Server(options, log, commits);
  Deno.addSignalListener("SIGTERM", async () => {
    await server.stop();
    Deno.exit(0);
  });
  console.log(`listens on ${server.address.hostname}:${server.address.port}`);
}

/** Snapshots are due all the time, and written row by row; now and then there is rest. */
const HASTY: Schedule = { snapshotEntries: () => 200, sliceMs: 0, restMs: 100, progressMs: 1_000 };

// Only an honest one: a snapshot would bring back what a false one has forgotten.
if (import.meta.main) serveFile(Deno.args, (honest) => honest, HASTY);
