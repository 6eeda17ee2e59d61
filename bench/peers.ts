/** The servers that are measured, each in a process of its own, and what the system tells of them. */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, UsageError } from "../lib/errors.ts";
import { parseHostPort } from "../lib/flags.ts";

const HOST = "127.0.0.1";
/** A program that does not listen after this long has failed (ms). */
const START_MS = 15_000;
const START_POLL_MS = 20;
/** Linux counts the processor time of a process in ticks of this length (µs). */
const TICK_US = 10_000;
const PAGE_BYTES = 4_096;

/** A server that was started here, or was there already. */
export interface Peer extends AsyncDisposable {
  readonly hostname: string;
  readonly port: number;
  /** The id of its process; 0 for a server that was there already. */
  readonly pid: number;
}

const decoder = new TextDecoder();

/** Reads a process's output until the line that says where it listens; returns the port. */
async function listensOn(stdout: ReadableStream<Uint8Array>): Promise<number> {
  let text = "";
  for await (const chunk of stdout.values({ preventCancel: true })) {
    text += decoder.decode(chunk);
    const port = /listens on \S+:(\d+)/.exec(text)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`The server did not start: ${text}`);
}

/** Starts a Deno program of this project that says where it listens. */
async function startDeno(...args: string[]): Promise<Peer> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...args],
    cwd: new URL("..", import.meta.url),
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const port = await listensOn(child.stdout);
  const dispose = async () => {
    await end(child);
    await child.stdout.cancel();
  };
  return { hostname: HOST, port, pid: child.pid, [Symbol.asyncDispose]: dispose };
}

async function end(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended by itself.
  }
  await child.status;
}

/** The flags of a measured server: no log, and room for many users and much mail of one address. */
const FLAGS = ["--port", "0", "--hostname", HOST, "--log", "off"]
  .concat(["--users-per-address-max", "1000000", "--users-max", "1000000"])
  .concat(["--messages-per-address-max", "1000000000", "--mailbox-broadcasts-max", "10000000"]);

/** Starts this project's server. */
export function startChat(...flags: string[]): Promise<Peer> {
  return startDeno("--allow-net", "main.ts", "serve", ...FLAGS, ...flags);
}

/** Starts this project's server with its chat in a file. */
export function startDurableChat(file: string): Promise<Peer> {
  const permissions = ["--allow-net", `--allow-read=${file}`, `--allow-write=${file}`];
  return startDeno(...permissions, "main.ts", "serve", ...FLAGS, "--data", file);
}

/** Starts a server that sends every byte back: `raw`, or through the server's stream of `frames`. */
export function startEcho(kind: "raw" | "frames"): Promise<Peer> {
  return startDeno("--allow-net", "bench/echo.ts", kind);
}

/** A port that was free a moment ago. */
function freePort(): number {
  using listener = Deno.listen({ hostname: HOST, port: 0 });
  return listener.addr.port;
}

/** Starts Redis, which stores nothing; `undefined` if it is not installed. */
export function startRedis(folder: string): Promise<Peer | undefined> {
  return startRedisWith(folder, "--appendonly", "no");
}

/** Starts Redis, which stores everything in an empty folder before it replies. */
export function startDurableRedis(folder: string): Promise<Peer | undefined> {
  return startRedisWith(folder, "--appendonly", "yes", "--appendfsync", "always");
}

function startRedisWith(folder: string, ...storage: string[]): Promise<Peer | undefined> {
  const port = freePort();
  const options = ["--port", `${port}`, "--bind", HOST, "--protected-mode", "no", "--save", ""];
  return startProgram("redis-server", port, [...options, ...storage, "--dir", folder]);
}

/** Starts NATS with JetStream in `folder`; `undefined` if it is not installed. */
export function startNats(folder: string): Promise<Peer | undefined> {
  const port = freePort();
  const options = ["--addr", HOST, "--port", `${port}`, "--jetstream", "--store_dir", folder];
  return startProgram("nats-server", port, options);
}

/**
 * The broker keeps everything in memory, and drops no message: 0 is no limit. It writes no log, and
 * sends without Nagle's delay, as the other servers do.
 */
const MOSQUITTO_SETTINGS = [
  "allow_anonymous true",
  "persistence false",
  "max_inflight_messages 0",
  "max_queued_messages 0",
  "set_tcp_nodelay true",
  "log_dest none",
];

/**
 * Starts mosquitto, which stores nothing; `undefined` if it is not installed. Its config file, with
 * these settings too, is written to `folder`.
 */
export async function startMosquitto(
  folder: string,
  ...settings: string[]
): Promise<Peer | undefined> {
  const port = freePort();
  const file = await Deno.makeTempFile({ dir: folder, suffix: ".conf" });
  const lines = [`listener ${port} ${HOST}`, ...MOSQUITTO_SETTINGS, ...settings];
  await Deno.writeTextFile(file, lines.join("\n"));
  return startProgram("mosquitto", port, ["-c", file]);
}

async function startProgram(
  program: string,
  port: number,
  args: readonly string[],
): Promise<Peer | undefined> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args: [...args],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  await untilListening(port);
  return { hostname: HOST, port, pid: child.pid, [Symbol.asyncDispose]: () => end(child) };
}

async function untilListening(port: number): Promise<void> {
  const late = performance.now() + START_MS;
  while (performance.now() < late) {
    try {
      (await Deno.connect({ hostname: HOST, port })).close();
      return;
    } catch {
      await sleep(START_POLL_MS);
    }
  }
  throw new Error(`Nothing listens on port ${port} after ${START_MS} ms`);
}

/** A server that was there already, at `host:port`. Throws {@link UsageError} if none listens. */
export async function serverAt(address: string): Promise<Peer> {
  const target = parseHostPort(address);
  try {
    (await Deno.connect(target)).close();
  } catch (error) {
    throw new UsageError(`No server listens at ${address}: ${messageOf(error)}`);
  }
  return { ...target, pid: 0, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** The resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  const pages = Deno.readTextFileSync(`/proc/${pid}/statm`).split(" ")[1];
  return PAGE_BYTES * Number(pages);
}

/** The processor time that a process has used, in microseconds. */
export function processorUs(pid: number): number {
  const [, fields = ""] = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ");
  const [user = 0, system = 0] = fields.split(" ").slice(11, 13).map(Number);
  return TICK_US * (user + system);
}

/** The number of files that this process may have open. */
export function openFilesMax(): number {
  const line = Deno.readTextFileSync(`/proc/${process.pid}/limits`).split("\n")
    .find((line) => line.startsWith("Max open files"))!;
  return Number(line.trim().split(/ +/)[3]);
}
