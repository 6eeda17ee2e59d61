/** Tests that are skipped, with a reason, where the machine lacks something that they need. */
import { it } from "@std/testing/bdd";

type Permission = "net" | "run" | "read" | "write" | "env";

/** The needs of a test. */
export interface Needs {
  readonly permissions: readonly Permission[];
  /** Names of programs, with the lowest version where it matters: `nats-server 2.10`. */
  readonly programs?: readonly string[];
  /** The machine has IPv6. This may be missing in CI, too. */
  readonly ipv6?: boolean;
}

/** The network alone, as most tests need it. A plain `deno test` has no permission. */
export const NET: Needs = { permissions: ["net"] };
/** The network, with IPv6. */
export const IPV6: Needs = { permissions: ["net"], ipv6: true };

function isGranted(name: Permission): boolean {
  return Deno.permissions.querySync({ name }).state === "granted";
}

const isCi = isGranted("env") && Deno.env.get("CI") === "true";

function isInstalled(program: string): boolean {
  const [name = "", lowest = "0"] = program.split(" ");
  try {
    const { stdout } = new Deno.Command(name, { args: ["--version"], stderr: "null" }).outputSync();
    const [version = "0"] = /\d+(\.\d+)+/.exec(new TextDecoder().decode(stdout)) ?? [];
    return version.localeCompare(lowest, "en", { numeric: true }) >= 0;
  } catch {
    return false;
  }
}

function hasIPv6(): boolean {
  try {
    Deno.listen({ hostname: "::", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

/** Why a test can't run here; `undefined` where it can. */
export function missing({ permissions, programs = [] }: Needs): string | undefined {
  const denied = permissions.find((permission) => !isGranted(permission));
  if (denied !== undefined) return `needs --allow-${denied}`;
  const absent = programs.find((program) => !isInstalled(program));
  return absent === undefined ? undefined : `needs ${absent}, which is not installed`;
}

/**
 * Defines a test. Where something is missing it is skipped, with the reason in its name; in CI it
 * fails instead.
 */
export function itNeeds(needs: Needs, name: string, test: () => void | Promise<void>): void {
  const reason = missing(needs);
  const skipped = reason ?? (needs.ipv6 === true && !hasIPv6() ? "needs IPv6" : undefined);
  if (skipped === undefined) it(name, test);
  else if (isCi && reason !== undefined) it(name, () => Promise.reject(new Error(reason)));
  else it.skip(`${name} (skipped: ${skipped})`, test);
}
