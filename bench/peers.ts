/** The servers that are measured, each in a process of its own, and what is known of one from outside. */
import process from "node:process";
import config from "../deno.json" with { type: "json" };

const HOST = "127.0.0.1";
const START_MS = 15_000;

/** A server that was started, or that was there already. */
export interface Peer extends AsyncDisposable {
  readonly hostname: string;
  readonly port: number;
  /** Of its process; 0 if it runs elsewhere. */
  readonly pid: number;
}

const decoder = new TextDecoder();

/** Reads a process's output until the line that says where it listens. */
async function listensOn(stdout: ReadableStream<Uint8Array>): Promise<number> {
  let text = "";
  for await (const chunk of stdout.values({ preventCancel: true })) {
    text += decoder.decode(chunk);
    const port = /listens on \S+:(\d+)/.exec(text)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`It did not start: ${text}`);
}

/** How V8 compiles what `deno task start` starts; the echoes of a benchmark are to have it no worse. */
const V8_FLAGS = config.tasks.start.command.split(" ").filter((word) =>
  word.startsWith("--v8-flags=")
);

/** Starts a Deno program of this project that says where it listens. */
async function startDeno(...args: string[]): Promise<Peer> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...V8_FLAGS, ...args],
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

/** For a benchmark: no log, and users without end. */
const FLAGS = ["--port", "0", "--hostname", HOST, "--log", "off"]
  .concat(["--users-per-address-max", "1000000", "--users-max", "1000000"]);

/** This project's server, without a log. */
export function startChat(...flags: string[]): Promise<Peer> {
  return startDeno("--allow-net", "main.ts", "serve", ...FLAGS, ...flags);
}

/** The same with its chat in a file. */
export function startDurableChat(file: string): Promise<Peer> {
  const permissions = ["--allow-net", `--allow-read=${file}`, `--allow-write=${file}`];
  return startDeno(...permissions, "main.ts", "serve", ...FLAGS, "--data", file);
}

/** Sends back what comes: `raw`, or through the server's stream of `frames`. */
export function startEcho(kind: "raw" | "frames"): Promise<Peer> {
  return startDeno("--allow-net", "bench/echo.ts", kind);
}

/** Listens, and nothing else. */
export function startListener(): Promise<Peer> {
  return startDeno("--allow-net", "bench/listener.ts");
}

/** A free port, as far as one can know. */
function freePort(): number {
  using listener = Deno.listen({ hostname: HOST, port: 0 });
  return listener.addr.port;
}

/** Redis, which keeps nothing; `undefined` if it isn't installed. */
export function startRedis(folder: string): Promise<Peer | undefined> {
  return startRedisWith(folder, "--appendonly", "no");
}

/** The same, which keeps all in an empty `folder` before it answers. */
export function startDurableRedis(folder: string): Promise<Peer | undefined> {
  return startRedisWith(folder, "--appendonly", "yes", "--appendfsync", "always");
}

function startRedisWith(folder: string, ...keeping: string[]): Promise<Peer | undefined> {
  const port = freePort();
  const options = ["--port", `${port}`, "--bind", HOST, "--protected-mode", "no", "--save", ""];
  return startProgram("redis-server", port, [...options, ...keeping, "--dir", folder]);
}

/** NATS with JetStream in `folder`; `undefined` if it isn't installed. */
export async function startNats(folder: string): Promise<Peer | undefined> {
  const port = freePort();
  const options = ["--addr", HOST, "--port", `${port}`, "--jetstream", "--store_dir", folder];
  return await startProgram("nats-server", port, options);
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
  await untilItListens(port);
  return { hostname: HOST, port, pid: child.pid, [Symbol.asyncDispose]: () => end(child) };
}

async function untilItListens(port: number): Promise<void> {
  const late = performance.now() + START_MS;
  while (performance.now() < late) {
    try {
      (await Deno.connect({ hostname: HOST, port })).close();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  throw new Error(`Nothing listens on port ${port} after ${START_MS} ms`);
}

/** A server that somebody else has started. */
export function serverAt(address: string): Peer {
  const [hostname = HOST, port] = address.split(":");
  return { hostname, port: Number(port), pid: 0, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** The resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  const pages = Deno.readTextFileSync(`/proc/${pid}/statm`).split(" ")[1];
  return 4096 * Number(pages);
}

/** The processor time that a process has used, in microseconds. */
export function processorUs(pid: number): number {
  const [, fields = ""] = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ");
  const [user = 0, system = 0] = fields.split(" ").slice(11, 13).map(Number);
  return 10_000 * (user + system);
}

/** The open files that a process may have: a measurement with 10,000 connections needs more. */
export function openFilesMax(): number {
  const line = Deno.readTextFileSync(`/proc/${process.pid}/limits`).split("\n")
    .find((line) => line.startsWith("Max open files"))!;
  return Number(line.trim().split(/ +/)[3]);
}
