/**
 * Throws random and mutated byte streams at a live server, half of them in each mode:
 * `deno task fuzz [--streams N] [--seed N]`.
 */
import { concat } from "@std/bytes";
import net from "node:net";
import { Duplex } from "node:stream";
import { parseArgs } from "node:util";
import { Client } from "../../../lib/client/client.ts";
import { splitFrames } from "../../../lib/protocol/frame.ts";
import { CONTROL, makeStream, type Random, type Stream, type Words } from "./streams.ts";
import { pick, randomFrom, wholeBelow } from "../../random.ts";

const isWindows = Deno.build.os === "windows";

/** So many connections at once. */
const AT_ONCE = 100;
/** So long from one check of the control connection to the next, in milliseconds. */
const CHECK_PAUSE_MS = 20;
/** While the server stops, so many connections are open. */
const OPEN_AT_STOP = 20;
/** The server has so long for anything, in milliseconds. */
const PATIENCE_MS = 10_000;
/** The server has so long to stop, in milliseconds. */
const STOP_MS = 5_000;
/**
 * A stream that took longer, in milliseconds, may have met a time-out of the server (the shortest
 * is 1 s): the machine was busy, and such an end proves nothing.
 */
const PROMPT_MS = 800;
/** Memory may grow from the first tenth of the streams to the last: by this factor and so much. */
const GROWTH = 1.5;
const GROWTH_MB = 64;

const FLAGS = ["--port", "0", "--hostname", "127.0.0.1", "--log", "off"].concat(
  ["--command-timeout-s", "1", "--idle-timeout-s", "60"],
  ["--users-max", "50", "--mailbox-messages-max", "200"],
);

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Fails where something takes longer than `ms` milliseconds. */
async function within<Value>(ms: number, what: string, promise: Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** The other end has closed: no mistake where it was made to. */
function isLoss(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted || error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.NotConnected;
}

/** Ports of connections that have just ended are not free at once: a little patience. */
async function connect(port: number): Promise<Deno.TcpConn> {
  for (let tries = 0;; tries++) {
    try {
      return await Deno.connect({ hostname: "127.0.0.1", port });
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrNotAvailable) || tries === 100) throw error;
      await sleep(100);
    }
  }
}

/** Writes a stream in one to four pieces. */
async function write(conn: Deno.TcpConn, bytes: Uint8Array, random: Random): Promise<void> {
  const piece = Math.ceil(bytes.length / (1 + wholeBelow(random, 4)));
  for (let at = 0; at < bytes.length; at += piece) {
    if (at > 0) await sleep(0);
    for (let left = bytes.subarray(at, at + piece); left.length > 0;) {
      left = left.subarray(await conn.write(left));
    }
  }
}

async function readToEnd(conn: Deno.TcpConn): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of conn.readable) chunks.push(chunk);
  return concat(chunks);
}

/** Every byte must belong to a whole frame, and every command have its reply. */
function checkReplies(bytes: Uint8Array, words: readonly Words[] | undefined): void {
  const { frames, rest } = splitFrames(new Uint8Array(0), bytes, 16_777_216);
  check(rest.length === 0, `${rest.length} bytes of the replies are no frame`);
  if (words === undefined) return;
  let at = 0;
  for (const [name] of words) {
    check(at < frames.length, `the reply to '${name}' is missing`);
    const first = frames.text(at)!;
    const count = /^\d+$/.test(first) ? Number(first) : 0;
    const perItem = name === "users" ? 1 : name === "receive" || name === "wait" ? 2 : 0;
    at += 1 + perItem * count;
  }
  check(at === frames.length, `${frames.length} frames came where ${at} were to be expected`);
}

/** Sends a stream, ends the sending side, and expects a clean end behind whole replies. */
async function halfClose(conn: Deno.TcpConn, stream: Stream, random: Random): Promise<void> {
  const started = performance.now();
  try {
    await write(conn, stream.bytes, random);
    await conn.closeWrite();
    const replies = await within(PATIENCE_MS, "the end after a half-close", readToEnd(conn));
    if (performance.now() - started < PROMPT_MS) checkReplies(replies, stream.words);
  } catch (error) {
    if (!isLoss(error) || performance.now() - started < PROMPT_MS) throw error;
  }
}

/** Sends a stream and closes: at once, with replies unread (a reset), or after it read for a while. */
async function breakOff(conn: Deno.TcpConn, stream: Stream, random: Random): Promise<void> {
  const how = pick(random, ["at once", "unread", "later"]);
  const ms = random() < 0.01 ? 1_500 : wholeBelow(random, 50);
  try {
    await write(conn, stream.bytes, random);
    if (how === "unread") await sleep(wholeBelow(random, 5));
    if (how !== "later") return;
    const reading = readToEnd(conn).catch((error) => check(isLoss(error), String(error)));
    await sleep(ms);
    closeQuietly(conn);
    await reading;
  } catch (error) {
    if (!isLoss(error)) throw error;
  }
}

function closeQuietly(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // It was closed already.
  }
}

/** What a program prints. */
async function output(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(program, { args }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** A server in a process of its own. */
class ServerProcess {
  readonly port: number;
  readonly #child: Deno.ChildProcess;
  readonly #stderr: Promise<string>;

  private constructor(child: Deno.ChildProcess, port: number, stderr: Promise<string>) {
    this.#child = child;
    this.port = port;
    this.#stderr = stderr;
  }

  static async start(...flags: string[]): Promise<ServerProcess> {
    const main = new URL("../../../main.ts", import.meta.url).href;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-net", main, ...FLAGS, ...flags],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stderr = new Response(child.stderr).text();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    const port = Number(/:(\d+)\n$/.exec(new TextDecoder().decode(value))?.[1]);
    check(port > 0, `the server did not start: ${value === undefined ? await stderr : "no port"}`);
    return new ServerProcess(child, port, stderr);
  }

  /** Resident memory in MB; 0 on Windows, which does not tell so simply. */
  async memoryMb(): Promise<number> {
    if (isWindows) return 0;
    const pid = String(this.#child.pid);
    const kb = Deno.build.os === "linux"
      ? /VmRSS:\s*(\d+)/.exec(await output("cat", `/proc/${pid}/status`))?.[1]
      : await output("ps", "-o", "rss=", "-p", pid);
    return Number(kb) / 1024;
  }

  /** How many files are open; 0 where the system is not Linux, which tells so simply. */
  async openFiles(): Promise<number> {
    if (Deno.build.os !== "linux") return 0;
    return (await output("ls", `/proc/${this.#child.pid}/fd`)).split("\n").length;
  }

  /** Stops it by a signal: in time, with code 0, and without a word on stderr. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const { code } = await within(STOP_MS, "the end after SIGTERM", this.#child.status);
    const said = await this.#stderr;
    check(said === "", `the server wrote on stderr:\n${said}`);
    // There is no SIGTERM on Windows: it ends a process at once.
    check(code === 0 || isWindows, `the server ended with code ${code}`);
  }

  /** Ends it, whatever it does; what it wrote on stderr. */
  async kill(): Promise<string> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
    return await this.#stderr;
  }
}

/** Somebody who behaves, and must be served as if nobody else were there. */
class Control implements Disposable {
  /** How many checks it has passed. */
  checks = 0;
  readonly #socket: net.Socket;
  readonly #client: Client;
  readonly #strict: boolean;
  /** In strict mode a user is an address: on an address of its own nobody else acts as this user. */
  readonly #isApart: boolean;

  private constructor(socket: net.Socket, strict: boolean, isApart: boolean) {
    const { readable, writable } = Duplex.toWeb(socket);
    this.#socket = socket;
    this.#client = new Client({ readable, writable });
    this.#strict = strict;
    this.#isApart = isApart;
  }

  static async connect(port: number, strict: boolean): Promise<Control> {
    const apart = await open(port, "127.0.0.2").catch(() => undefined);
    const control = new Control(apart ?? await open(port), strict, apart !== undefined);
    if (control.#isApart || !strict) {
      const { text } = await control.#client.register(CONTROL);
      check(text === `Hello, ${CONTROL}`, `the control was greeted with: ${text}`);
    }
    return control;
  }

  /** Pings, and sends to itself and receives. */
  async check(): Promise<void> {
    await within(PATIENCE_MS, "the check of the control connection", this.#check());
    this.checks++;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  async #check(): Promise<void> {
    const client = this.#client;
    if (!this.#strict) check((await client.ping()).text === "pong", "no pong");
    const users = await client.users();
    check(users.ok, "no list of users");
    if (this.#strict && !this.#isApart) return;
    check(users.users.includes(CONTROL), "the control is not in the list of users");
    const text = `check ${this.checks}`;
    // Peers write to this mailbox, too: it is emptied, or it might be full.
    const [, sent, received] = await Promise.all([
      client.receive(),
      client.send(CONTROL, text),
      client.receive(),
    ]);
    check(sent.text === "Message added to storage!", `to itself: ${sent.text}`);
    check(received.ok, "no mail");
    const own = received.mail.filter(({ from }) => from === CONTROL);
    check(own.length === 1 && own[0]?.text === text, `its own mail: ${JSON.stringify(own)}`);
  }
}

/** Connects, from an address of this machine where one is given. */
function open(port: number, localAddress?: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: "127.0.0.1", port, localAddress, noDelay: true });
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** What to throw. */
export interface FuzzOptions {
  /** How many streams, both modes together. */
  readonly streams: number;
  /** Decides every byte of them. */
  readonly seed: number;
}

/** What is thrown at the server of one mode: the streams from number `first` up to `end`. */
interface Salvo {
  readonly strict: boolean;
  readonly seed: number;
  readonly first: number;
  readonly end: number;
}

/** Throws a stream at the server; its number and the seed decide what it is. */
async function throwStream(port: number, { strict, seed }: Salvo, index: number): Promise<void> {
  const random = randomFrom(seed + index);
  const { bytes, words } = makeStream(random, strict);
  // A strict server closes after a refusal, so not every command has a reply.
  const stream = { bytes, words: strict ? undefined : words };
  const conn = await connect(port);
  try {
    await (random() < 0.5 ? halfClose : breakOff)(conn, stream, random);
  } catch (error) {
    throw new Error(`stream ${index}, ${words === undefined ? "mutated" : "valid"}`, {
      cause: error,
    });
  } finally {
    closeQuietly(conn);
  }
}

/** Waits until the server has no more files open than before: it lingers on some connections. */
async function awaitClosing(server: ServerProcess, before: number): Promise<void> {
  const started = performance.now();
  for (let open = Infinity; open > before; open = await server.openFiles()) {
    const isLate = performance.now() - started > PATIENCE_MS;
    check(!isLate, `${open - before} files stay open after all connections have ended`);
    await sleep(CHECK_PAUSE_MS);
  }
}

/** Throws the streams from `first` up to `end`, and tries the control again and again meanwhile. */
async function throwAll(
  server: ServerProcess,
  control: Control,
  salvo: Salvo,
): Promise<{ warmMb: number; endMb: number }> {
  const filesBefore = await server.openFiles();
  const { first, end } = salvo;
  const warm = first + Math.floor((end - first) / 10);
  let next = first;
  let warmMb = 0;
  const work = async () => {
    while (next < end) {
      const index = next++;
      await throwStream(server.port, salvo, index);
      if (index === warm) warmMb = await server.memoryMb();
    }
  };
  const watch = async () => {
    while (next < end) {
      await control.check();
      await sleep(CHECK_PAUSE_MS);
    }
  };
  const all = [watch(), ...Array.from({ length: AT_ONCE }, work)];
  try {
    await Promise.all(all);
  } finally {
    // After a failure the others stop, too.
    next = end;
    await Promise.allSettled(all);
  }
  await control.check();
  await awaitClosing(server, filesBefore);
  return { warmMb, endMb: await server.memoryMb() };
}

/** Stops the server while connections are open that have sent a stream each; all of them hear it. */
async function stopAmid(server: ServerProcess, { strict, seed, end }: Salvo): Promise<void> {
  const conns = await Promise.all(
    Array.from({ length: OPEN_AT_STOP }, () => connect(server.port)),
  );
  try {
    const heard = conns.map(async (conn, index) => {
      const random = randomFrom(seed + end + index);
      try {
        await write(conn, makeStream(random, strict).bytes, random);
        checkReplies(await readToEnd(conn), undefined);
      } catch (error) {
        // A stopping server does not accept who still stands in the queue.
        if (!isLoss(error)) throw error;
      }
    });
    await Promise.all([server.stop(), ...heard]);
  } finally {
    for (const conn of conns) closeQuietly(conn);
  }
}

/** One mode, from the start of its server to the end; a summary. */
async function fuzzMode(salvo: Salvo): Promise<string> {
  const { strict, seed } = salvo;
  const server = await ServerProcess.start(...(strict ? ["--strict"] : []));
  try {
    using control = await Control.connect(server.port, strict);
    const { warmMb, endMb } = await throwAll(server, control, salvo);
    const memory = `${warmMb.toFixed(0)} MB after a tenth, ${endMb.toFixed(0)} MB at the end`;
    check(endMb <= GROWTH * warmMb + GROWTH_MB, `memory grew: ${memory}`);
    await stopAmid(server, salvo);
    return `${strict ? "strict" : "default"}: ${memory}, ${control.checks} checks`;
  } catch (error) {
    const stderr = await server.kill();
    throw new Error(
      `${strict ? "strict" : "default"} mode, seed ${seed}; stderr: "${stderr}"`,
      { cause: error },
    );
  }
}

/** Fuzzes a server in each mode and returns a summary; throws where a server misbehaves. */
export async function fuzz({ streams, seed }: FuzzOptions): Promise<string> {
  const areWhole = Number.isSafeInteger(streams) && Number.isSafeInteger(seed);
  check(areWhole && streams > 0, "--streams and --seed take whole numbers");
  console.log(`fuzz: ${streams} streams, seed ${seed}`);
  const started = performance.now();
  const half = Math.floor(streams / 2);
  const modes = [
    await fuzzMode({ strict: false, seed, first: 0, end: half }),
    await fuzzMode({ strict: true, seed, first: half, end: streams }),
  ];
  const seconds = (performance.now() - started) / 1_000;
  const rate = `${seconds.toFixed(1)} s, ${(streams / seconds).toFixed(0)} streams/s`;
  return `fuzz: passed, ${streams} streams, seed ${seed}: ${rate}; ${modes.join("; ")}`;
}

/** A seed by chance. */
export function someSeed(): number {
  return wholeBelow(Math.random, 2 ** 31);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      streams: { type: "string", default: "100000" },
      seed: { type: "string", default: String(someSeed()) },
    },
  });
  try {
    console.log(await fuzz({ streams: Number(values.streams), seed: Number(values.seed) }));
  } catch (error) {
    console.error("fuzz: failed:", error);
    Deno.exit(1);
  }
}
