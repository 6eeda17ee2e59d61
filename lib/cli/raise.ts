/** `raise`: raises the rules of a chat that several servers share. */
import { UsageError } from "../errors.ts";
import { parseServerOptions } from "../options.ts";
import { print, RAISE_HELP } from "./help.ts";
import { requireNatsFiles } from "./permissions.ts";
import { openLog, type Program } from "./serve.ts";

/**
 * Raises the rules and prints which ones the chat has now. Resolves to the exit code. Throws
 * `ExitError` where they can't be raised.
 */
export async function raise(args: string[], { fail }: Program): Promise<number> {
  const options = parseServerOptions(args);
  if (options.help) return print(RAISE_HELP);
  if (options.journal === "") throw new UsageError("raise needs --journal: where the chat is");
  requireNatsFiles(options);
  const { raiseRules } = await import("../engine/cluster.ts");
  return print(await raiseRules(options, { log: openLog(options), failed: fail }));
}
