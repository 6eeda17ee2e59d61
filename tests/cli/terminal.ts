/** The terminal client in tmux: a pseudo-terminal whose screen is read. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { RUN } from "./program.ts";

/** A tmux server of our own, apart from other ones on this machine. */
const TMUX = ["-L", `asvt-chat-test-${Deno.pid}`, "-f", "/dev/null"];
const decoder = new TextDecoder();

async function tmux(...args: string[]): Promise<string> {
  const command = new Deno.Command("tmux", { args: [...TMUX, ...args], stdin: "null" });
  const { success, stdout, stderr } = await command.output();
  if (!success) throw new Error(`tmux ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** Asks until the answer is good. After 10 s returns the answer as it is. */
async function poll<Value>(
  ask: () => Promise<Value>,
  isGood: (value: Value) => boolean,
): Promise<Value> {
  const started = performance.now();
  for (;;) {
    const value = await ask();
    if (isGood(value) || performance.now() - started > 10_000) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

let terminals = 0;

/** A client in a terminal; `await using` ends both. */
export class Terminal implements AsyncDisposable {
  readonly #session: string;

  private constructor(session: string) {
    this.#session = session;
  }

  /** Starts a client; `env` are arguments for `env`. */
  static async open(
    { port, name = [], columns = 70, env = ["-u", "NO_COLOR"] }: {
      port: number;
      name?: readonly string[];
      columns?: number;
      env?: readonly string[];
    },
  ): Promise<Terminal> {
    const session = `t${++terminals}`;
    await tmux(
      ...["start-server", ";", "set", "-s", "exit-empty", "off", ";"],
      ...["new-session", "-d", "-s", session, "-x", `${columns}`, "-y", "15"],
      // tmux does not always know the exit code.
      ...["sh", "-c", '"$@"; echo "exit code: $?"; read _', "sh"],
      ...["env", ...env, Deno.execPath(), ...RUN, "client", ...name],
      ...["--connect", `127.0.0.1:${port}`],
    );
    return new Terminal(session);
  }

  /** Starts a client and waits until the server has greeted it by its name. */
  static async enter(port: number, name: string, columns = 70): Promise<Terminal> {
    const terminal = await Terminal.open({ port, name: [name], columns });
    await terminal.showsPart("Hello, " + name.slice(0, 4));
    await terminal.shows(...greeting(name, columns), ">");
    return terminal;
  }

  /** Types characters. */
  async type(text: string): Promise<void> {
    await tmux("send-keys", "-t", `${this.#session}:`, "-l", "--", text);
  }

  /** Pastes a text, as a terminal does: with marks around it if the program has asked for them. */
  async paste(text: string): Promise<void> {
    const buffer = `b${this.#session}`;
    await tmux("set-buffer", "-b", buffer, "--", text);
    // -r keeps line feeds as they are.
    await tmux("paste-buffer", "-p", "-r", "-b", buffer, "-t", `${this.#session}:`);
  }

  /** Presses keys, by their names in tmux. */
  async press(...keys: string[]): Promise<void> {
    await tmux("send-keys", "-t", `${this.#session}:`, ...keys);
  }

  /** Sends a signal to the client. */
  async signal(name: string): Promise<void> {
    const shell = await tmux("display-message", "-p", "-t", `${this.#session}:`, "#{pane_pid}");
    const script = `kill -${name} $(pgrep -P ${shell.trimEnd()})`;
    const { success } = await new Deno.Command("sh", { args: ["-c", script] }).output();
    assert(success, `the client did not get ${name}`);
  }

  /** Types a line and presses Enter. */
  async enter(line: string): Promise<void> {
    await this.type(line);
    await this.press("Enter");
  }

  /** The rows of the screen, without empty ones at its end; `-e` shows colours. */
  async screen(...flags: string[]): Promise<string[]> {
    const rows = await tmux("capture-pane", "-p", ...flags, "-t", `${this.#session}:`);
    return rows.trimEnd().split("\n").map((row) => row.trimEnd());
  }

  /** Waits until the screen is exactly this. */
  async shows(...rows: string[]): Promise<void> {
    const wanted = JSON.stringify(rows);
    const shown = await poll(() => this.screen(), (screen) => JSON.stringify(screen) === wanted);
    assertEquals(shown, rows);
  }

  /** Waits until the screen has this text somewhere; a long line may be broken into rows. */
  async showsPart(text: string): Promise<void> {
    const shown = await poll(() => this.screen("-J"), (screen) => screen.join("\n").includes(text));
    assert(shown.join("\n").includes(text), `no ${JSON.stringify(text)} in:\n${shown.join("\n")}`);
  }

  /** Waits until the screen ends with these rows. */
  async showsLast(...rows: string[]): Promise<void> {
    const last = async () => (await this.screen()).slice(-rows.length);
    const wanted = JSON.stringify(rows);
    assertEquals(await poll(last, (shown) => JSON.stringify(shown) === wanted), rows);
  }

  /** Waits until the client has ended, and returns its exit code. */
  async code(): Promise<number> {
    const ended = /^exit code: (\d+)$/m;
    const screen = async () => (await this.screen()).join("\n");
    const shown = await poll(screen, (text) => ended.test(text));
    assertMatch(shown, ended);
    return Number(ended.exec(shown)?.[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await tmux("kill-session", "-t", this.#session);
  }
}

/** The rows of the greeting. */
export function greeting(name: string, columns = 70): string[] {
  const text = `Hello, ${name}. /help tells what you can type.`;
  return (text.match(new RegExp(`.{1,${columns}}`, "g")) ?? []).map((row) => row.trimEnd());
}

/** Ends tmux, if a terminal was opened. */
export async function closeTerminals(): Promise<void> {
  if (terminals === 0) return;
  const socket = await tmux("display-message", "-p", "#{socket_path}");
  await tmux("kill-server");
  await Deno.remove(socket.trimEnd());
}
