/** A server of the crash tests: a process that is killed, stopped or paused. */

/** A server that hangs is killed after so long, in milliseconds: so every loop ends. */
const LIFE_MS_MAX = 60_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What to start. */
export interface Program {
  /** The module to run, and its first arguments. */
  readonly command: readonly [module: URL, ...args: string[]];
  /** What Deno allows it besides the network. */
  readonly permissions?: readonly string[];
  /** Where its chat is kept, and more. */
  readonly flags: readonly string[];
  readonly lifeMsMax?: number;
}

/** A process that serves. */
export class ServerProcess implements AsyncDisposable {
  readonly port: number;
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
    this.#stderr = stderr;
    this.#timer = setTimeout(() => kill(child), lifeMsMax);
  }

  /** Starts it with no more permissions than a person would give it, and waits until it listens. */
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

  /** Sends a signal to it, such as SIGSTOP. */
  signal(signal: Deno.Signal): void {
    kill(this.#child, signal);
  }

  /** What it answers to a line on its stdin. */
  async ask(line: string): Promise<string> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(encoder.encode(`${line}\n`));
    writer.releaseLock();
    return decoder.decode((await this.#stdout.read()).value);
  }

  /** Kills it as `kill -9` does; what it had to say on stderr. */
  async kill(): Promise<string> {
    kill(this.#child);
    await this.#child.status;
    clearTimeout(this.#timer);
    return await this.#stderr;
  }

  /** Asks it to stop; what is wrong with how it ended. */
  async stop(): Promise<string> {
    kill(this.#child, "SIGTERM");
    const { success, signal, code } = await this.#child.status;
    clearTimeout(this.#timer);
    // Windows knows no SIGTERM: it ends a process at once.
    const isExpected = success || Deno.build.os === "windows";
    return await this.#stderr + (isExpected ? "" : `it ended with ${signal ?? code}`);
  }

  /** Asks it to stop, and does not wait until it has; what it had to say on stderr. */
  async stopAndKill(patienceMs: number): Promise<string> {
    kill(this.#child, "SIGTERM");
    await new Promise((resolve) => setTimeout(resolve, patienceMs));
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
