/**
 * The server of the cluster harness: like the real one with `--journal`, but a snapshot is due after
 * this many entries, and each line on stdin is answered with a hash of the state:
 * `server.ts ENTRIES --journal URLS [flags]`.
 */
import { createHash } from "node:crypto";
import { snapshotRows } from "../../../lib/chat/snapshot.ts";
import type { ChatState } from "../../../lib/chat/state.ts";
import { openNats } from "../../../lib/engine/cluster.ts";
import { Log } from "../../../lib/log.ts";
import { parseServerOptions } from "../../../lib/options.ts";
import { serveChat } from "../crash/server.ts";

function hashOf(state: ChatState): string {
  const hash = createHash("sha256");
  for (const row of snapshotRows(state)) hash.update(`${row}\n`);
  return hash.digest("hex");
}

/** Serves by the arguments of the command line until SIGTERM. */
export async function serveCluster([entries, ...flags]: readonly string[]): Promise<void> {
  const options = parseServerOptions(flags);
  const log = new Log(Deno.stderr, {
    format: options.log,
    linesMax: options.logLinesMax,
    linesPerSMax: options.logLinesPerSMax,
  });
  const failed = (error: Error) => {
    console.error(error.message);
    Deno.exit(1);
  };
  const chat = await openNats(options, { log, failed, snapshotEntries: () => Number(entries) });
  serveChat(options, log, chat);
  for await (const _line of Deno.stdin.readable) console.log(hashOf(chat.published));
}

if (import.meta.main) await serveCluster(Deno.args);
