/** asvt-chat: a chat server with mailboxes, and the client to it. */
import { listen } from "./lib/server/listen.ts";
import {
  CLIENT_FLAGS,
  DUMP_FLAGS,
  ExitError,
  helpLines,
  INSPECT_FLAGS,
  NO_FLAGS,
  parseFlags,
  parseHostPort,
  parseServerOptions,
  SERVER_FLAGS,
  type ServerOptions,
  UsageError,
} from "./lib/options.ts";
import type { Service } from "./lib/cli/serve.ts";
import config from "./deno.json" with { type: "json" };

/** The text of `--help`. */
const help = {
  serve: () =>
    `asvt-chat ${config.version}: a chat server with mailboxes

Usage:
  main.ts [serve] [flags]                      serve
  main.ts client [name] [--connect HOST:PORT]  chat in the terminal
  main.ts ping HOST:PORT                       exit code 0 if a server answers there
  main.ts inspect [FILE] [--hex]               what the bytes of a client mean, and what is wrong
  main.ts dump FILE [--json]                   what a file of --data holds, without texts
  main.ts forget FILE NAME                     remove a user from a file that no server uses
  main.ts raise --journal URLS                 after an upgrade of all servers: use its new rules

Flags of serve:
${helpLines(SERVER_FLAGS)}`,
  client: () =>
    `Chat in the terminal: main.ts client [name] [flags]

${helpLines(CLIENT_FLAGS)}`,
  ping: () =>
    `Ask whether a server answers: main.ts ping HOST:PORT. The exit code is 0 if it does, else 1

${helpLines(NO_FLAGS)}`,
  raise: () =>
    `Decide by the rules of this release from now on, on all servers that share a chat in NATS, if all
know them: main.ts raise --journal URLS, with the flags that the servers were started with`,
  inspect: () =>
    `Explain the bytes of a client, frame by frame: main.ts inspect [FILE] [flags]. Without FILE, or
for -, they come from stdin. The exit code is 0 if all are whole commands, else 1

${helpLines(INSPECT_FLAGS)}`,
};

/** A second signal sooner after the first is the same one, told by `deno task` and the shell. */
const SAME_SIGNAL_MS = 1_000;

/** The files that the person named for NATS must be readable. */
function requireNatsFiles({ natsCreds, natsCa, natsCert, natsKey }: ServerOptions): void {
  const paths = [natsCreds, natsCa, natsCert, natsKey].filter((path) => path !== "");
  const denied = paths.filter((path) =>
    Deno.permissions.querySync({ name: "read", path }).state !== "granted"
  );
  if (denied.length === 0) return;
  throw new UsageError(
    `Not allowed to read ${denied.join(", ")}. Run: deno run --allow-net --allow-read=${paths} ` +
      `main.ts ${Deno.args.join(" ")}`,
  );
}

/** Raises the rules of a chat that several servers share. */
async function raise(args: string[]): Promise<void> {
  const options = parseServerOptions(args);
  if (options.help) return console.log(help.raise());
  if (options.journal === "") throw new UsageError("raise needs --journal: where the chat is");
  requireNatsFiles(options);
  const service = await import("./lib/cli/serve.ts");
  console.log(await service.raise({ options, failed: fail }));
}

/** Never prompts for a permission: says what to type. Throws {@link UsageError}. */
function requireFile(
  path: string,
  command: string,
  names: readonly ("read" | "write")[] = ["read", "write"],
): void {
  const denied = names.filter((name) =>
    Deno.permissions.querySync({ name, path }).state !== "granted"
  );
  if (denied.length === 0) return;
  // Who only reads needs no network.
  const network = names.includes("write") ? ["--allow-net"] : [];
  const flags = [...network, ...names.map((name) => `--allow-${name}=${path}`)].join(" ");
  throw new UsageError(
    `Not allowed to ${denied.join(" and ")} ${path}. Run: deno run ${flags} ${command}`,
  );
}

async function printLine(line: string): Promise<void> {
  try {
    await Deno.stdout.write(new TextEncoder().encode(line + "\n"));
  } catch {
    // Nobody reads it.
  }
}

/** Ends the program: with one line for what a person can mend, else with all that is known. */
function fail(error: unknown): never {
  console.error(error instanceof ExitError ? error.message : error);
  Deno.exit(error instanceof ExitError ? error.code : 1);
}

async function serve(args: string[]): Promise<void> {
  const options = parseServerOptions(args);
  if (options.help) return console.log(help.serve());
  if (options.version) return console.log(config.version);
  if (options.data !== "") requireFile(options.data, `main.ts --data ${options.data}`);
  if (options.journal !== "") requireNatsFiles(options);
  // In memory nothing can go wrong once the port is open, so that is said at once: whoever comes
  // while the rest is loaded, some milliseconds, waits in the system's queue.
  const isSimple = [options.data, options.journal, options.http].every((value) => value === "");
  const listener = isSimple ? listen(options) : undefined;
  const opened = once(async () => {
    const { openService } = await import("./lib/cli/serve.ts");
    return openService({ options, version: config.version, failed: fail, listener });
  });
  const { addr, page }: Pick<Service, "addr" | "page"> = listener ?? await opened();
  stopOnSignals(opened);
  await announce(options, addr, page);
  (await opened()).keepTidy();
}

/** Makes something when it is first asked for. */
function once<Thing>(make: () => Promise<Thing>): () => Promise<Thing> {
  let made: Promise<Thing> | undefined;
  return () => made ??= make();
}

async function announce(
  { log }: ServerOptions,
  { hostname, port }: Deno.NetAddr,
  page?: string,
): Promise<void> {
  const shown = hostname.includes(":") ? `[${hostname}]` : hostname;
  const behind = page === undefined ? "" : `, its page is ${page}`;
  await printLine(
    log === "json"
      ? JSON.stringify({ event: "listening", hostname, port, page })
      : `asvt-chat listens on ${shown}:${port}${behind}`,
  );
}

function stopOnSignals(opened: () => Promise<Service>): void {
  let first: number | undefined;
  const stop = async (signal: Deno.Signal, code: number) => {
    if (first !== undefined) {
      if (performance.now() - first > SAME_SIGNAL_MS) Deno.exit(code);
      return;
    }
    first = performance.now();
    await (await opened()).stop(signal);
    Deno.exit(0);
  };
  Deno.addSignalListener("SIGINT", () => stop("SIGINT", 130));
  if (Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGTERM", () => stop("SIGTERM", 143));
  }
}

async function main([subcommand, ...args]: string[]): Promise<void> {
  switch (subcommand) {
    case "client": {
      const { options, positionals } = parseFlags(CLIENT_FLAGS, args);
      if (options.help) return console.log(help.client());
      if (positionals.length > 1) {
        throw new UsageError(`Unexpected "${positionals[1]}": client takes one name`);
      }
      const { chat } = await import("./lib/cli/terminal.ts");
      return await chat(parseHostPort(options.connect), positionals[0]);
    }
    case "ping": {
      const { options, positionals } = parseFlags(NO_FLAGS, args);
      if (options.help) return console.log(help.ping());
      if (positionals.length !== 1) {
        throw new UsageError("ping takes one argument, HOST:PORT, as in ping 127.0.0.1:31337");
      }
      const { ping } = await import("./lib/client/dialer.ts");
      return await ping(parseHostPort(positionals[0]!));
    }
    case "inspect": {
      const { options, positionals: [path = "-", ...more] } = parseFlags(INSPECT_FLAGS, args);
      if (options.help) return console.log(help.inspect());
      if (more.length > 0) throw new UsageError(`Unexpected "${more[0]}": inspect takes one FILE`);
      if (path !== "-") requireFile(path, `main.ts inspect ${args.join(" ")}`, ["read"]);
      const { inspect } = await import("./lib/cli/inspect.ts");
      if (!await inspect(path, options)) Deno.exitCode = 1;
      return;
    }
    case "dump": {
      const { options, positionals: [path, ...more] } = parseFlags(DUMP_FLAGS, args);
      if (options.help) return console.log(help.serve());
      if (path === undefined || more.length > 0) {
        throw new UsageError("dump takes one argument, FILE");
      }
      requireFile(path, `main.ts dump ${path}`);
      const { dump, dumpTable } = await import("./lib/cli/dump.ts");
      const found = dump(path);
      return console.log(options.json ? JSON.stringify(found, null, 2) : dumpTable(found));
    }
    case "forget": {
      const { options, positionals: [path, name, ...more] } = parseFlags(NO_FLAGS, args);
      if (options.help) return console.log(help.serve());
      if (path === undefined || name === undefined || more.length > 0) {
        throw new UsageError("forget takes two arguments, FILE and NAME");
      }
      requireFile(path, `main.ts forget ${path} ${name}`);
      const { forget } = await import("./lib/cli/dump.ts");
      return console.log(await forget(path, name));
    }
    case "raise":
      return await raise(args);
    case "serve":
      return await serve(args);
    case undefined:
      return await serve([]);
    default:
      if (subcommand.startsWith("-")) return await serve([subcommand, ...args]);
      throw new UsageError(
        `Unknown subcommand "${subcommand}": it is serve, client, ping, inspect, dump, forget or raise, see --help`,
      );
  }
}

try {
  await main(Deno.args);
} catch (error) {
  fail(error);
}
