/** asvt-chat: a chat server with mailboxes, and the client to it. */
import { ExitError, UsageError } from "./lib/errors.ts";
import type { Service } from "./lib/cli/serve.ts";
import config from "./deno.json" with { type: "json" };

/** A second signal sooner (ms) after the first is the same one, told by `deno task` and the shell. */
const SAME_SIGNAL_MS = 1_000;

/** Runs a subcommand; the exit code of the program. What it needs is loaded now. */
async function main([subcommand = "serve", ...args]: string[]): Promise<number> {
  switch (subcommand) {
    case "serve":
      return await serve(args);
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
      return await (await import("./lib/cli/raise.ts")).raise(args, fail);
    default:
      if (subcommand.startsWith("-")) return await serve([subcommand, ...args]);
      throw new UsageError(
        `Unknown subcommand "${subcommand}": it is serve, client, ping, inspect, dump, forget or raise, see --help`,
      );
  }
}

/** Serves until a signal comes. */
async function serve(args: string[]): Promise<number> {
  const { openService } = await import("./lib/cli/serve.ts");
  const service = await openService(args, { version: config.version, failed: fail });
  if (service === undefined) return 0;
  const stopped = stopOnSignals(service);
  await service.announce();
  return await stopped;
}

/** Resolves to the exit code when the service has stopped; a second signal ends the program at once. */
function stopOnSignals(service: Service): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let first: number | undefined;
  const stop = (signal: Deno.Signal, code: number) => {
    if (first === undefined) {
      first = performance.now();
      service.stop(signal).then(() => resolve(0), reject);
    } else if (performance.now() - first > SAME_SIGNAL_MS) Deno.exit(code);
  };
  Deno.addSignalListener("SIGINT", () => stop("SIGINT", 130));
  if (Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGTERM", () => stop("SIGTERM", 143));
  }
  return promise;
}

/** Ends the program: with one line for what a person can mend, else with all that is known. */
function fail(error: unknown): never {
  console.error(error instanceof ExitError ? error.message : error);
  Deno.exit(error instanceof ExitError ? error.code : 1);
}

try {
  Deno.exit(await main(Deno.args));
} catch (error) {
  fail(error);
}
