/** The server of a harness: a process that is killed, stopped or paused. */
import { setTimeout as sleep } from "node:timers/promises";

/** A server that hangs is killed after this long (ms), so that every harness ends. */
const LIFE_MS_MAX = 60_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A server to start. */
export interface Program {
  /** The module to run, and its first arguments. */
  readonly command: readonly [module: URL, ...args: string[]];
  /** The permissions that it gets besides the network. */
  readonly permissions?: readonly string[];
  /** Its flags besides those of the address and the log. */
  readonly flags: readonly string[];
  /** It is killed after this long (ms). */
  readonly lifeMsMax?: number;
}

/** A server in a process of its own, on a free port of loopback and without a log. */
export class ServerProcess implements AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  readonly #child: Deno.ChildProcess;
  readonly #stdout: ReadableStreamDefaultReader<Uint8Array>;
  readonly #stderr: Promise<string>;
  readonly #timer: ReturnType<typeof setTimeout>;

  private constructor(
    child: Deno.ChildProcess,
    stdout: ReadableStreamDefaultReader<Uint8Array>,
    port: number,
    stderr: Promise<string>,
    lifeMsMax: number,
  ) {
    this.#child = child;
    this.#stdout = stdout;
    this.port = port;
    this.pid = child.pid;
    this.#stderr = stderr;
    this.#timer = setTimeout(() => kill(child), lifeMsMax);
  }

  /** Starts a server, and waits until it listens. Throws if it does not. */
  static async start(
    { command: [module, ...args], permissions = [], flags, lifeMsMax = LIFE_MS_MAX }: Program,
  ): Promise<ServerProcess> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "--allow-net", ...permissions, module.href].concat(
        args,
        ["--hostname", "127.0.0.1", "--port", "0", "--log", "off"],
        flags,
      ),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stderr = new Response(child.stderr).text();
    const timer = setTimeout(() => kill(child), LIFE_MS_MAX);
    const stdout = child.stdout.getReader();
    const { value } = await stdout.read();
    clearTimeout(timer);
    const port = Number(/:(\d+)\n$/.exec(decoder.decode(value))?.[1]);
    if (port > 0) return new ServerProcess(child, stdout, port, stderr, lifeMsMax);
    kill(child);
    await child.status;
    throw new Error(`The server did not start: ${await stderr}`);
  }

  /** Sends a signal to the process, such as SIGSTOP. */
  signal(signal: Deno.Signal): void {
    kill(this.#child, signal);
  }

  /** Sends a line to stdin, and returns what the server answers on stdout. */
  async ask(line: string): Promise<string> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(encoder.encode(`${line}\n`));
    writer.releaseLock();
    return decoder.decode((await this.#stdout.read()).value);
  }

  /** Kills the server as `kill -9` does; returns all that it wrote on stderr. */
  async kill(): Promise<string> {
    kill(this.#child);
    await this.#child.status;
    clearTimeout(this.#timer);
    return await this.#stderr;
  }

  /** Stops the server; returns all that it wrote on stderr, and how it ended if not with code 0. */
  async stop(): Promise<string> {
    kill(this.#child, "SIGTERM");
    const { success, signal, code } = await this.#child.status;
    clearTimeout(this.#timer);
    // Windows knows no SIGTERM: it ends a process at once.
    const isExpected = success || Deno.build.os === "windows";
    return await this.#stderr + (isExpected ? "" : `it ended with ${signal ?? code}`);
  }

  /** Begins to stop the server and kills it `ms` milliseconds later; returns what stderr got. */
  async stopAndKill(ms: number): Promise<string> {
    kill(this.#child, "SIGTERM");
    await sleep(ms);
    return await this.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

function kill(child: Deno.ChildProcess, signal: Deno.Signal = "SIGKILL"): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended already.
  }
}
