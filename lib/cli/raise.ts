/** `raise`: raises the rules of a chat that several servers share. */
import { UsageError } from "../errors.ts";
import { parseServerOptions } from "../options.ts";
import { print, RAISE_HELP } from "./help.ts";
import { requireNatsFiles } from "./permissions.ts";
import { load, openLog, type Program } from "./serve.ts";

/** Prints what has become of the rules. Throws `ExitError`. */
export async function raise(args: string[], failed: Program["failed"]): Promise<number> {
  const options = parseServerOptions(args);
  if (options.help) return print(RAISE_HELP);
  if (options.journal === "") throw new UsageError("raise needs --journal: where the chat is");
  requireNatsFiles(options);
  const { raiseRules } = await load("--journal", import("../engine/cluster.ts"));
  return print(await raiseRules(options, { log: openLog(options), failed }));
}
