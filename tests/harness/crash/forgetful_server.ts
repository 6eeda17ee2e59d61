/**
 * The server with a journal that breaks its promise, for the crash test to find out:
 * `forgetful_server.ts everything|some|late|takes --data FILE [flags]`.
 */
import { type Commit, serveFile } from "./server.ts";

/** Of so many batches one is forgotten. */
const SOME = 100;
/** What is stored late is stored after so long, in milliseconds. */
const LATE_MS = 30;

/** Each makes a false commit of the honest one. */
const FORGETFUL: Record<string, (honest: Commit) => Commit> = {
  everything: () => (_entries, stored) => stored(),
  some: (honest) => {
    let batches = 0;
    return (entries, stored) => {
      if (++batches % SOME > 0) honest(entries, stored);
      else stored();
    };
  },
  late: (honest) => (entries, stored) => {
    setTimeout(() => honest(entries, () => {}), LATE_MS);
    stored();
  },
  takes: (honest) => (entries, stored) =>
    honest(entries.filter(({ kind }) => kind !== "take"), stored),
};

const [what = "", ...flags] = Deno.args;
serveFile(flags, FORGETFUL[what]!);
