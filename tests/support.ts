/** What the tests share: skipping with a reason, a server in this process, a raw peer. */
import { it } from "@std/testing/bdd";
import { encodeFrames } from "../lib/protocol/frame.ts";
import { FrameStream, readerOf } from "../lib/protocol/frame_stream.ts";
import { type Journal, memoryJournal } from "../lib/journal/journal.ts";
import {
  type FileListener,
  type Schedule,
  SqliteJournal,
} from "../lib/journal/sqlite/sqlite_journal.ts";
import { Log } from "../lib/log.ts";
import type { Meter } from "../lib/meter.ts";
import { Metrics } from "../lib/http/metrics.ts";
import { parseServerOptions, type ServerOptions } from "../lib/options.ts";
import { settingsOf } from "../lib/chat/settings.ts";
import { Server } from "../lib/server/server.ts";
import { type GroupCommit, openChat } from "../lib/engine/group_commit.ts";
import { HttpServer } from "../lib/http/http_server.ts";

type Permission = "net" | "run" | "read" | "write" | "env";

function isGranted(name: Permission): boolean {
  return Deno.permissions.querySync({ name }).state === "granted";
}

const isCi = isGranted("env") && Deno.env.get("CI") === "true";

function isInstalled(program: string): boolean {
  const [name = "", least = "0"] = program.split(" ");
  try {
    const { stdout } = new Deno.Command(name, { args: ["--version"], stderr: "null" }).outputSync();
    const [version = "0"] = /\d+(\.\d+)+/.exec(new TextDecoder().decode(stdout)) ?? [];
    return version.localeCompare(least, "en", { numeric: true }) >= 0;
  } catch {
    return false;
  }
}

/** What a test can't do without. */
export interface Needs {
  readonly permissions: readonly Permission[];
  /** By name, where it matters with the least version: `nats-server 2.10`. */
  readonly programs?: readonly string[];
}

/** A permission that a plain `deno test` lacks; the network alone is what most tests need. */
export const NET: Needs = { permissions: ["net"] };

/** Why a test can't run here, if it can't. */
export function missing({ permissions, programs = [] }: Needs): string | undefined {
  const denied = permissions.find((permission) => !isGranted(permission));
  if (denied !== undefined) return `needs --allow-${denied}`;
  const absent = programs.find((program) => !isInstalled(program));
  return absent === undefined ? undefined : `needs ${absent}, which is not installed`;
}

/** A test that is skipped where something is missing, with the reason in its name; in CI it fails. */
export function itNeeds(needs: Needs, name: string, test: () => void | Promise<void>): void {
  const reason = missing(needs);
  if (reason === undefined) it(name, test);
  else if (isCi) it(name, () => Promise.reject(new Error(reason)));
  else it.skip(`${name} (skipped: ${reason})`, test);
}

/** Hears nothing of what a journal tells. */
export const SILENT: FileListener = { progress: () => {}, snapshotFailed: () => {} };

/** A journal's file in a folder of its own, which goes with it. */
export class TempFile implements Disposable {
  readonly folder = Deno.makeTempDirSync();
  readonly path = `${this.folder}/chat.db`;

  open(listener = SILENT, schedule?: Schedule): SqliteJournal {
    return SqliteJournal.open(this.path, listener, schedule);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

/** A server on a free port of loopback, and its log. */
export interface TestServer extends AsyncDisposable {
  readonly port: number;
  /** The lines of the log so far. */
  readonly lines: string[];
  readonly server: Server;
}

/** Starts a server with flags; `await using` stops it. */
export function serve(...flags: string[]): TestServer {
  return serveOn(memoryJournal, ...flags);
}

/** A server with its page on a free port of loopback. */
export interface TestWeb extends TestServer {
  /** As in `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly web: HttpServer;
}

/** A log that nobody reads. */
export const SILENT_LOG = new Log(Deno.stderr, { format: "off", linesMax: 0 });

/** Starts a server with a page on a journal; `await using` stops both. */
export function serveWebOn(journal: Journal, ...flags: string[]): TestWeb {
  const options = parseServerOptions(["--http", "0", ...flags]);
  const metrics = new Metrics("0.0.0");
  const plan = planServer(flags);
  const commits = openChat(settingsOf(plan.options), journal, plan.log, metrics);
  const server = startServer(plan, commits, metrics);
  const web = new HttpServer(server.server, options, metrics, SILENT_LOG);
  const dispose = async () => {
    await server[Symbol.asyncDispose]();
    await web.stop();
  };
  return { ...server, web, url: web.url.slice(0, -1), [Symbol.asyncDispose]: dispose };
}

/** Starts a server with a page; `await using` stops both. */
export function serveWeb(...flags: string[]): TestWeb {
  return serveWebOn(memoryJournal, ...flags);
}

/** Where a chat is kept, by one engine of the journal. */
export interface Room extends AsyncDisposable {
  /** Opens the chat; whoever closes it may open it again. */
  open(options: ServerOptions, log: Log): Promise<GroupCommit>;
  /** What a server on it is started with. */
  readonly flags?: readonly string[];
}

/** Starts a server on a journal, which it closes when it stops. */
export function serveOn(journal: Journal, ...flags: string[]): TestServer {
  const plan = planServer(flags);
  return startServer(plan, openChat(settingsOf(plan.options), journal, plan.log));
}

/** Starts a server on the chat of a room. */
export async function serveIn(
  room: Pick<Room, "open" | "flags">,
  ...flags: string[]
): Promise<TestServer> {
  const plan = planServer([...room.flags ?? [], ...flags]);
  return startServer(plan, await room.open(plan.options, plan.log));
}

/** What a server is to be, and the lines of its log. */
interface Plan {
  readonly options: ServerOptions;
  readonly lines: string[];
  readonly log: Log;
}

function planServer(flags: readonly string[]): Plan {
  const options = parseServerOptions(["--hostname", "127.0.0.1", "--port", "0", ...flags]);
  const lines: string[] = [];
  const sink = {
    write: (bytes: Uint8Array) => {
      lines.push(...new TextDecoder().decode(bytes).trimEnd().split("\n"));
      return Promise.resolve(bytes.length);
    },
  };
  return { options, lines, log: new Log(sink, { format: options.log, linesMax: 100_000 }) };
}

function startServer(
  { options, lines, log }: Plan,
  commits: GroupCommit,
  meter?: Meter,
): TestServer {
  const server = new Server(options, log, commits, meter);
  return {
    port: server.address.port,
    lines,
    server,
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      await log.close(100);
    },
  };
}

/** Waits until something holds; fails after 5 s. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries === 1000) throw new Error(`It did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The other end of a connection, as bare as a student's client. */
export class Peer implements Disposable {
  readonly conn: Deno.TcpConn;
  readonly #frames: AsyncGenerator<string>;

  private constructor(conn: Deno.TcpConn) {
    this.conn = conn;
    conn.setNoDelay(true);
    this.#frames = frames(conn);
  }

  /** Connects to a port of loopback. */
  static async connect(port: number): Promise<Peer> {
    return new Peer(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** Sends a command, or whatever these frames are. */
  async send(...payloads: (string | Uint8Array)[]): Promise<void> {
    await this.write(encodeFrames(payloads));
  }

  /** Sends bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let left = bytes; left.length > 0;) left = left.subarray(await this.conn.write(left));
  }

  /** The next frame as text; `undefined` when the server has ended its sending side. */
  async frame(): Promise<string | undefined> {
    const { done, value } = await this.#frames.next();
    return done ? undefined : value;
  }

  /** Sends a command and returns the first frame of its reply. */
  async ask(...payloads: (string | Uint8Array)[]): Promise<string | undefined> {
    await this.send(...payloads);
    return await this.frame();
  }

  /** Sends `receive` or `wait` and returns the mail as `sender: text`. */
  async mail(...payloads: string[]): Promise<string[]> {
    const count = Number(await this.ask(...payloads));
    const mail: string[] = [];
    while (mail.length < count) mail.push(`${await this.frame()}: ${await this.frame()}`);
    return mail;
  }

  close(): void {
    try {
      this.conn.close();
    } catch {
      // It was closed already.
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Takes the bytes when the first frame is asked for: a test may read them itself. */
async function* frames({ readable }: Deno.TcpConn): AsyncGenerator<string> {
  yield* texts(new FrameStream(readerOf(readable), 16_777_216));
}

/** The frames of a stream as texts. */
export async function* texts(stream: FrameStream): AsyncGenerator<string> {
  for await (const { frames } of stream) {
    for (const frame of frames) yield decoder.decode(frame);
  }
}
