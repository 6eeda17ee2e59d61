/**
 * A server of the cluster test: like the real one with `--journal`, but its snapshots are due after
 * so many entries, and it answers every line on its stdin with a hash of its state:
 * `cluster_server.ts ENTRIES [flags]`.
 */
import { createHash } from "node:crypto";
import type { ChatState } from "../../../lib/chat/state.ts";
import { openNats } from "../../../lib/engine/cluster.ts";
import { Log } from "../../../lib/log.ts";
import { parseServerOptions } from "../../../lib/options.ts";
import { snapshotRows } from "../../../lib/chat/snapshot.ts";
import { serveCommits } from "../crash/server.ts";

function hashOf(state: ChatState): string {
  const hash = createHash("sha256");
  for (const row of snapshotRows(state)) hash.update(`${row}\n`);
  return hash.digest("hex");
}

/** Serves by these arguments until SIGTERM. */
export async function serveCluster([entries, ...flags]: readonly string[]): Promise<void> {
  const options = parseServerOptions(flags);
  const log = new Log(Deno.stderr, { format: options.log, linesMax: options.logLinesMax });
  const failed = (error: Error) => {
    console.error(error.message);
    Deno.exit(1);
  };
  const commits = await openNats(options, { log, failed, snapshotEntries: () => Number(entries) });
  serveCommits(options, log, commits);
  for await (const _line of Deno.stdin.readable) console.log(hashOf(commits.published));
}

if (import.meta.main) await serveCluster(Deno.args);
