/** Checks of what the program may read and write: Deno's own prompt would wait for an answer. */
import { UsageError } from "../errors.ts";
import type { ServerOptions } from "../options.ts";

type Access = "read" | "write";

function isDenied(name: Access, path: string): boolean {
  return Deno.permissions.querySync({ name, path }).state !== "granted";
}

/**
 * The file must be readable, and writable where `names` says so. Throws {@link UsageError}, which
 * says what to type; `command` is what follows `deno run` and its flags.
 */
export function requireFile(
  path: string,
  command: string,
  names: readonly Access[] = ["read", "write"],
): void {
  const denied = names.filter((name) => isDenied(name, path));
  if (denied.length === 0) return;
  // A subcommand that only reads needs no network.
  const network = names.includes("write") ? ["--allow-net"] : [];
  const flags = [...network, ...names.map((name) => `--allow-${name}=${path}`)].join(" ");
  throw new UsageError(
    `Not allowed to ${denied.join(" and ")} ${path}. Run: deno run ${flags} ${command}`,
  );
}

/** The files that the flags name for NATS must be readable. Throws {@link UsageError}. */
export function requireNatsFiles({ natsCreds, natsCa, natsCert, natsKey }: ServerOptions): void {
  const paths = [natsCreds, natsCa, natsCert, natsKey].filter((path) => path !== "");
  const denied = paths.filter((path) => isDenied("read", path));
  if (denied.length === 0) return;
  throw new UsageError(
    `Not allowed to read ${denied.join(", ")}. Run: deno run --allow-net --allow-read=${paths} ` +
      `main.ts ${Deno.args.join(" ")}`,
  );
}
