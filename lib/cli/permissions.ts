/** Checks file permissions before Deno asks for them: its prompt would wait for an answer. */
import { UsageError } from "../errors.ts";

type Access = "read" | "write";

/**
 * Throws {@link UsageError} where the program may not access the files as `names` says. An empty path
 * is no file. The message has the command line that works: with the permissions, and with `more`.
 */
export function requireFiles(
  names: readonly Access[],
  paths: readonly string[],
  more: readonly string[] = ["--allow-net"],
): void {
  const files = paths.filter((path) => path !== "");
  const isDenied = (name: Access, path: string) =>
    Deno.permissions.querySync({ name, path }).state !== "granted";
  const denied = names.filter((name) => files.some((path) => isDenied(name, path)));
  if (denied.length === 0) return;
  const where = files.filter((path) => names.some((name) => isDenied(name, path)));
  const flags = [...more, ...names.map((name) => `--allow-${name}=${files}`)];
  const command = ["deno run", ...flags, "main.ts", ...Deno.args].join(" ");
  throw new UsageError(
    `Not allowed to ${denied.join(" and ")} ${where.join(", ")}. Run: ${command}`,
  );
}
