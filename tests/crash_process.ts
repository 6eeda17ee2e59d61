/** A server of the crash test: a process on a file, which is killed or stopped. */

/** A server that hangs is killed after so long, in milliseconds: so every loop ends. */
const LIFE_MS_MAX = 60_000;

/** What to start. */
export interface Program {
  /** The module to run, and its first arguments. */
  readonly command: readonly [module: URL, ...args: string[]];
  /** The file of the journal. */
  readonly file: string;
  readonly flags: readonly string[];
}

/** A process that serves. */
export class ServerProcess implements AsyncDisposable {
  readonly port: number;
  readonly #child: Deno.ChildProcess;
  readonly #stderr: Promise<string>;
  readonly #timer: ReturnType<typeof setTimeout>;

  private constructor(child: Deno.ChildProcess, port: number, stderr: Promise<string>) {
    this.#child = child;
    this.port = port;
    this.#stderr = stderr;
    this.#timer = setTimeout(() => kill(child), LIFE_MS_MAX);
  }

  /** Starts it with no more permissions than a person would give it, and waits until it listens. */
  static async start({ command: [module, ...args], file, flags }: Program): Promise<ServerProcess> {
    const permissions = ["--allow-net", `--allow-read=${file}`, `--allow-write=${file}`];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", ...permissions, module.href, ...args].concat(
        ["--data", file, "--hostname", "127.0.0.1", "--port", "0", "--log", "off"],
        flags,
      ),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stderr = new Response(child.stderr).text();
    const timer = setTimeout(() => kill(child), LIFE_MS_MAX);
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    clearTimeout(timer);
    await reader.cancel();
    const port = Number(/:(\d+)\n$/.exec(new TextDecoder().decode(value))?.[1]);
    if (port > 0) return new ServerProcess(child, port, stderr);
    kill(child);
    await child.status;
    throw new Error(`The server did not start: ${await stderr}`);
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
