/** asvt-chat: a chat server with mailboxes, its terminal client and its tools. */
import type { Program } from "./lib/cli/serve.ts";
import { ExitError, messageOf, UsageError } from "./lib/errors.ts";
import { sentence } from "./lib/text/phrases.ts";
import { shown } from "./lib/text/shell.ts";
import config from "./deno.json" with { type: "json" };

/**
 * A second signal within this time (ms) of the first is the same one: at a Ctrl-C the terminal sends
 * it to the program, and `deno task` passes it on once more.
 */
const SAME_SIGNAL_MS = 1_000;

const program: Program = { version: config.version, fail, stopOnSignal };

/** Runs a subcommand. Only the modules of this subcommand are loaded. */
async function main([subcommand = "serve", ...args]: string[]): Promise<void> {
  if (subcommand.startsWith("-")) return await main(["serve", subcommand, ...args]);
  switch (subcommand) {
    case "serve":
      return await (await import("./lib/cli/serve.ts")).serve(args, program);
    case "client":
      return await (await import("./lib/cli/terminal.ts")).client(args);
    case "ping":
      return await (await import("./lib/cli/ping.ts")).ping(args);
    case "inspect":
      return await (await import("./lib/cli/inspect.ts")).inspect(args);
    case "dump":
      return (await import("./lib/cli/dump.ts")).dump(args);
    case "forget":
      return await (await import("./lib/cli/dump.ts")).forget(args);
    case "raise":
      return await (await import("./lib/cli/serve.ts")).raise(args, program);
  }
  throw new UsageError(
    `Unknown subcommand ${
      shown(subcommand)
    }: it is serve, client, ping, inspect, dump, forget or raise, see --help`,
  );
}

/** Calls `stop` at the first signal and resolves when it is done. A later signal ends the program. */
function stopOnSignal(stop: (signal: Deno.Signal) => Promise<void>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let first: number | undefined;
  const listen = (signal: Deno.Signal, exitCode: number) =>
    Deno.addSignalListener(signal, () => {
      if (first === undefined) {
        first = performance.now();
        stop(signal).then(resolve, reject);
      } else if (performance.now() - first > SAME_SIGNAL_MS) Deno.exit(exitCode);
    });
  listen("SIGINT", 130);
  if (Deno.build.os === "windows") return promise;
  listen("SIGTERM", 143);
  // The terminal was closed. `nohup` ignores this signal, but Deno sets it back.
  listen("SIGHUP", 129);
  return promise;
}

/** Ends the program. An error that its user can act on is one line, any other is shown whole. */
function fail(error: unknown): never {
  const told = isMissingModule(error) ? downloadError(error) : error;
  try {
    console.error(told instanceof ExitError ? told.message : told);
  } catch {
    // Where stderr can't be written, the exit code tells it alone.
  }
  Deno.exit(told instanceof ExitError ? told.code : 1);
}

/** Could a package not be downloaded? Deno gives a missing permission the same code. */
function isMissingModule(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND" &&
    !error.message.startsWith("Requires ");
}

/** The error of an import, whose message is a list of causes and places, in one line. */
function downloadError(error: unknown): ExitError {
  const [causes = ""] = messageOf(error).split("\n    at ");
  const [what = "", why] = causes.split(/\n +\d+: /);
  return new ExitError(
    `${sentence(why === undefined ? what : `${what}: ${why}`)} The first start downloads all ` +
      "packages that the program needs; it can't go on without them",
  );
}

try {
  await main(Deno.args);
  Deno.exit();
} catch (error) {
  fail(error);
}
