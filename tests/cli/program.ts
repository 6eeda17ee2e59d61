/** The program as a process, to its end or as a server. */
import { serve } from "../support.ts";

export const ROOT = new URL("../..", import.meta.url).pathname;
export const MAIN = `${ROOT}main.ts`;
/** The arguments of Deno that run the program; it has no other permission and asks for none. */
export const RUN = ["run", "--no-prompt", "--allow-net", MAIN];
const decoder = new TextDecoder();

/** A process that has ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Deno to its end, with an input. */
export async function runDeno(
  args: readonly string[],
  input: string | Uint8Array = "",
  options: Deno.CommandOptions = {},
): Promise<Ended> {
  await using child = command(args, {
    stdout: "piped",
    stderr: "piped",
    ...options,
    stdin: "piped",
  })
    .spawn();
  // The program may end before it has read its input.
  new Response(input as BodyInit).body!.pipeTo(child.stdin).catch(() => {});
  const { code, stdout, stderr } = await child.output();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Runs the program to its end. */
export async function run(...args: string[]): Promise<Ended> {
  return await runDeno([...RUN, ...args]);
}

function command(args: readonly string[], options: Deno.CommandOptions): Deno.Command {
  return new Deno.Command(Deno.execPath(), { cwd: ROOT, args: [...args], ...options });
}

/** The text of a stream, up to and with the chunk that completes `text`. */
export async function readUntil(stream: ReadableStream<Uint8Array>, text: string): Promise<string> {
  let read = "";
  for await (const chunk of stream) {
    read += decoder.decode(chunk);
    if (read.includes(text)) break;
  }
  return read;
}

/** A server process that has printed its first line; `await using` kills it. */
export class ServerProcess implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  /** The line that says where it listens. */
  readonly line: string;

  private constructor(child: Deno.ChildProcess, line: string) {
    this.child = child;
    this.line = line;
  }

  /** Starts the program on a free port, unless the flags name one. */
  static async start(...flags: string[]): Promise<ServerProcess> {
    return await ServerProcess.startDeno([...RUN, "--port", "0", ...flags]);
  }

  static async startDeno(
    args: readonly string[],
    options: Deno.CommandOptions = {},
  ): Promise<ServerProcess> {
    return await ServerProcess.of(
      command(args, { stdin: "null", stdout: "piped", stderr: "null", ...options }).spawn(),
    );
  }

  /** Waits for the first line of a child, which is a server, or a shell or task that becomes one. */
  static async of(child: Deno.ChildProcess): Promise<ServerProcess> {
    return new ServerProcess(child, (await readUntil(child.stdout, "\n")).trimEnd());
  }

  get port(): number {
    return Number(/(\d+)\}?$/.exec(this.line)![1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.child.status;
  }
}

/** A port of loopback on which no server listens. */
export async function closedPort(): Promise<number> {
  await using server = serve();
  return server.port;
}
