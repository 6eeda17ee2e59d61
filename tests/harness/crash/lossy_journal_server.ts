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
  "no-batch": () => (_entries, stored) => stored(),
  "not-every-batch": (commit) => {
    let batches = 0;
    return (entries, stored) => {
      if (++batches % LOSS_EVERY > 0) commit(entries, stored);
      else stored();
    };
  },
  "batches-late": (commit) => (entries, stored) => {
    setTimeout(() => commit(entries, () => {}), LATE_MS);
    stored();
  },
  "no-take": (commit) => (entries, stored) =>
    commit(entries.filter(({ kind }) => kind !== "take"), stored),
};

const [loss = "", ...flags] = Deno.args;
serveFile(flags, LOSSES[loss]!);
