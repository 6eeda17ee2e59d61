/**
 * A deliberately broken server, which the crash harness has to catch: its journal acknowledges entries
 * that it does not store, or not yet.
 * `lossy_journal_server.ts no-batch|not-every-batch|batches-late|no-take --data FILE [flags]`.
 */
import { type Commit, serveFile } from "./server.ts";

/** One of this many batches is not stored. */
const LOSS_EVERY = 100;
/** A batch is stored this long after it was acknowledged (ms). */
const LATE_MS = 30;

/** Each makes a lossy commit from the real one. */
const LOSSES: Record<string, (commit: Commit) => Commit> = {
  "no-batch": () => () => {},
  "not-every-batch": (commit) => {
    let batches = 0;
    return (entries) => {
      if (++batches % LOSS_EVERY > 0) commit(entries);
    };
  },
  "batches-late": (commit) => (entries) => {
    setTimeout(() => commit(entries), LATE_MS);
  },
  "no-take": (commit) => (entries) => commit(entries.filter(({ kind }) => kind !== "take")),
};

const [loss = "", ...flags] = Deno.args;
serveFile(flags, LOSSES[loss]!);
