/** asvt-chat: a chat server with mailboxes, and the client to it. */
import { type Journal, JournalError, memoryJournal } from "./lib/journal.ts";
import { Log } from "./lib/log.ts";
import { collectAtRest } from "./lib/memory.ts";
import type { Metrics } from "./lib/metrics.ts";
import {
  CLIENT_FLAGS,
  DUMP_FLAGS,
  helpLines,
  INSPECT_FLAGS,
  NO_FLAGS,
  parseFlags,
  parseHostPort,
  parseServerOptions,
  SERVER_FLAGS,
  type ServerOptions,
  settingsOf,
  UsageError,
} from "./lib/options.ts";
import { printable } from "./lib/web/printable.js";
import { Server } from "./lib/server.ts";
import { openTurns, type Turns } from "./lib/turns.ts";
import type { Web } from "./lib/web.ts";
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

/** Why a listener can't be opened; `flag` chooses its port. */
function explainListen(error: unknown, hostname: string, port: number, flag: string): string {
  if (error instanceof Deno.errors.AddrInUse) {
    return `Cannot listen on ${hostname}:${port}: the port is in use. Stop what uses it, or choose another with ${flag}`;
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return `Cannot listen on ${hostname}:${port}: not allowed. Choose a ${flag} above 1023`;
  }
  const message = error instanceof Error ? error.message : String(error);
  return `Cannot listen on ${hostname}:${port}: ${message}`;
}

/** The chat in the journal that the person named, if any; its code is loaded only then. */
async function openChat(options: ServerOptions, log: Log, meter?: Metrics): Promise<Turns> {
  if (options.journal !== "") {
    requireNatsFiles(options);
    const { openNats } = await import("./lib/journal_nats.ts");
    return await openNats(options, { log, meter, failed: ({ message }) => fail(message, 1) });
  }
  return openTurns(settingsOf(options), await openJournal(options, log), log, meter);
}

async function openJournal({ data }: ServerOptions, log: Log): Promise<Journal> {
  if (data === "") return memoryJournal;
  requireFile(data, `main.ts --data ${data}`);
  const { SqliteJournal } = await import("./lib/journal_sqlite.ts");
  return SqliteJournal.open(data, {
    progress: (rows) => log.event("reading", { data, rows }),
    snapshotFailed: (error) =>
      log.event("snapshot-failed", { error: error instanceof Error ? error.message : "" }),
  });
}

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
  const { raiseRules } = await import("./lib/journal_nats.ts");
  const log = new Log(Deno.stderr, { format: options.log, linesMax: options.logLinesMax });
  console.log(await raiseRules(options, { log, failed: ({ message }) => fail(message, 1) }));
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

function fail(message: string, code: number): never {
  console.error(message);
  Deno.exit(code);
}

async function serve(args: string[]): Promise<void> {
  const options = parseServerOptions(args);
  if (options.help) return console.log(help.serve());
  if (options.version) return console.log(config.version);
  const log = new Log(Deno.stderr, { format: options.log, linesMax: options.logLinesMax });
  const meter = await openMeter(options);
  const turns = await openChat(options, log, meter);
  let server: Server;
  try {
    server = new Server(options, log, turns, meter);
  } catch (error) {
    fail(explainListen(error, options.hostname, options.port, "--port"), 1);
  }
  const web = meter === undefined ? undefined : await openWeb(server, options, meter, log);
  stopOnSignals(server, web, log);
  const { hostname, port } = server.address;
  const shown = hostname.includes(":") ? `[${hostname}]` : hostname;
  const page = web === undefined ? "" : `, its page is ${web.url}`;
  await printLine(
    options.log === "json"
      ? JSON.stringify({ event: "listening", hostname, port, page: web?.url })
      : `asvt-chat listens on ${shown}:${port}${page}`,
  );
  server.expireUsers();
  collectAtRest();
}

/** What measures, where there is a page to show it; its code is loaded only then. */
async function openMeter({ http }: ServerOptions): Promise<Metrics | undefined> {
  if (http === "") return undefined;
  const { Metrics } = await import("./lib/metrics.ts");
  return new Metrics(config.version);
}

async function openWeb(
  server: Server,
  options: ServerOptions,
  metrics: Metrics,
  log: Log,
): Promise<Web> {
  const { Web } = await import("./lib/web.ts");
  try {
    return new Web(server, options, metrics, log);
  } catch (error) {
    fail(explainListen(error, options.httpHostname, Number(options.http), "--http"), 1);
  }
}

function stopOnSignals(server: Server, web: Web | undefined, log: Log): void {
  let first: number | undefined;
  const stop = async (signal: Deno.Signal, code: number) => {
    if (first !== undefined) {
      if (performance.now() - first > SAME_SIGNAL_MS) Deno.exit(code);
      return;
    }
    first = performance.now();
    log.event("stopping", { signal });
    await server.stop();
    await web?.stop();
    log.event("stopped", {});
    await log.close(300);
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
      const { chat } = await import("./lib/terminal.ts");
      return await chat(parseHostPort(options.connect), positionals[0]);
    }
    case "ping": {
      const { options, positionals } = parseFlags(NO_FLAGS, args);
      if (options.help) return console.log(help.ping());
      if (positionals.length !== 1) {
        throw new UsageError("ping takes one argument, HOST:PORT, as in ping 127.0.0.1:31337");
      }
      const { ping } = await import("./lib/dialer.ts");
      return await ping(parseHostPort(positionals[0]!));
    }
    case "inspect": {
      const { options, positionals: [path = "-", ...more] } = parseFlags(INSPECT_FLAGS, args);
      if (options.help) return console.log(help.inspect());
      if (more.length > 0) throw new UsageError(`Unexpected "${more[0]}": inspect takes one FILE`);
      if (path !== "-") requireFile(path, `main.ts inspect ${args.join(" ")}`, ["read"]);
      const { inspect } = await import("./lib/inspect.ts");
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
      const { dump, dumpTable } = await import("./lib/dump.ts");
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
      const { forget } = await import("./lib/dump.ts");
      await forget(path, name);
      return console.log(`'${printable(name)}' is forgotten`);
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
  if (error instanceof UsageError) fail(error.message, 2);
  if (error instanceof JournalError) fail(error.message, 1);
  throw error;
}
