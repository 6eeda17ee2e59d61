/**
 * The server with a journal that breaks its promise, for the crash test to find out:
 * `forgetful_server.ts everything|some|late|takes --data FILE [flags]`.
 */
import { type Commit, serveFile } from "./crash_server.ts";

/** Of so many turns one is forgotten. */
const SOME = 100;
/** What is stored late is stored after so long, in milliseconds. */
const LATE_MS = 30;

/** Each makes a false commit of the honest one. */
const FORGETFUL: Record<string, (honest: Commit) => Commit> = {
  everything: () => () => {},
  some: (honest) => {
    let turns = 0;
    return (entries) => {
      if (++turns % SOME > 0) honest(entries);
    };
  },
  late: (honest) => (entries) => {
    setTimeout(() => honest(entries), LATE_MS);
  },
  takes: (honest) => (entries) => honest(entries.filter(({ kind }) => kind !== "take")),
};

const [what = "", ...flags] = Deno.args;
serveFile(flags, FORGETFUL[what]!);
