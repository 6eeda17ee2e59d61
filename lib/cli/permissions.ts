/** Checks file permissions before Deno asks for them: its prompt would wait for an answer. */
import { UsageError } from "../errors.ts";
import type { ServerOptions } from "../options.ts";

type Access = "read" | "write";

function isDenied(name: Access, path: string): boolean {
  return Deno.permissions.querySync({ name, path }).state !== "granted";
}

/**
 * Throws {@link UsageError} where the program may not access a file as `names` says. Its message is
 * the command to type: `command` is the part of it behind the flags of Deno.
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

/** Throws {@link UsageError} where the program may not read a file that a flag for NATS names. */
export function requireNatsFiles({ natsCreds, natsCa, natsCert, natsKey }: ServerOptions): void {
  const paths = [natsCreds, natsCa, natsCert, natsKey].filter((path) => path !== "");
  const denied = paths.filter((path) => isDenied("read", path));
  if (denied.length === 0) return;
  throw new UsageError(
    `Not allowed to read ${denied.join(", ")}. Run: deno run --allow-net --allow-read=${paths} ` +
      `main.ts ${Deno.args.join(" ")}`,
  );
}
