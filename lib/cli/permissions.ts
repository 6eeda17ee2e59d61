/** Checks file permissions before Deno asks for them: its prompt would wait for an answer. */
import { UsageError } from "../errors.ts";
import type { ServerOptions } from "../options.ts";

type Access = "read" | "write";

function isDenied(name: Access, path: string): boolean {
  return Deno.permissions.querySync({ name, path }).state !== "granted";
}

/** Throws {@link UsageError} where the program may not access a file as `names` says. */
export function requireFile(path: string, names: readonly Access[] = ["read", "write"]): void {
  const denied = names.filter((name) => isDenied(name, path));
  if (denied.length === 0) return;
  // A subcommand that only reads needs no network.
  const network = names.includes("write") ? ["--allow-net"] : [];
  const flags = [...network, ...names.map((name) => `--allow-${name}=${path}`)];
  throw denial(`${denied.join(" and ")} ${path}`, flags);
}

/** Throws {@link UsageError} where the program may not read a file that a flag for NATS names. */
export function requireNatsFiles({ natsCreds, natsCa, natsCert, natsKey }: ServerOptions): void {
  const paths = [natsCreds, natsCa, natsCert, natsKey].filter((path) => path !== "");
  const denied = paths.filter((path) => isDenied("read", path));
  if (denied.length === 0) return;
  throw denial(`read ${denied.join(", ")}`, ["--allow-net", `--allow-read=${paths}`]);
}

/** The error of a missing permission: the same command line, with these flags of Deno, has it. */
function denial(what: string, flags: readonly string[]): UsageError {
  const command = ["deno run", ...flags, "main.ts", ...Deno.args].join(" ");
  return new UsageError(`Not allowed to ${what}. Run: ${command}`);
}
