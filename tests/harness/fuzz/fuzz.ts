/**
 * Sends random and mutated streams of bytes to a live server, half of them in each mode, and checks that
 * the server serves another client meanwhile: `deno task dev:fuzz`.
 */
import { concat } from "@std/bytes";
import net from "node:net";
import { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "../../../lib/client/client.ts";
import { within } from "../../../lib/clock.ts";
import { whole } from "../../../lib/flags.ts";
import { splitFrames } from "../../../lib/protocol/frame.ts";
import { CONTROL, makeStream, type Random, type Stream, type Words } from "./streams.ts";
import { runProgram, seedFlag } from "../command_line.ts";
import { ServerProcess } from "../crash/process.ts";
import { pick, randomFrom, wholeBelow } from "../../random.ts";

const MAIN = new URL("../../../main.ts", import.meta.url);

/** This many streams are sent at the same time. */
const CONCURRENT_STREAMS = 100;
/** The pause between two checks of the control client (ms). */
const CHECK_PAUSE_MS = 20;
/** This many connections are open when the server stops. */
const CONNECTIONS_AT_STOP = 20;
/** The server has to react within this time (ms). */
const PATIENCE_MS = 10_000;
/** The server has to stop within this time (ms). */
const STOP_MS = 5_000;
/** A server that lives longer is killed (ms). */
const LIFE_MS_MAX = 3_600_000;
/**
 * A stream that took longer (ms) may have met a time-out of the server, of which the shortest is 1 s: the
 * machine was busy, so its end is not checked.
 */
const PROMPT_MS = 800;
/** From the first tenth of the streams to the last, memory may grow by this factor, plus GROWTH_MB. */
const GROWTH_FACTOR = 1.5;
const GROWTH_MB = 64;

const FLAGS = ["--command-timeout-s", "1", "--idle-timeout-s", "60"]
  .concat(["--users-max", "50", "--users-per-address-max", "50", "--mailbox-messages-max", "200"]);

/** Throws when a promise takes longer than `ms` milliseconds. */
async function inTime<Value>(ms: number, what: string, promise: Promise<Value>): Promise<Value> {
  const result = await within(ms, promise.then((value) => ({ value })));
  check(result !== undefined, `${what}: not within ${ms} ms`);
  return result.value;
}

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** True for the errors by which one sees that the other end has closed. */
function isLoss(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted || error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.NotConnected;
}

/** Connects; waits while no local port is free, as those of ended connections are not free at once. */
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

/** Is this the explanation of a mistake as a line of text, as HTTP, or with a big-endian length? */
function isExplanation(bytes: Uint8Array): boolean {
  const text = new TextDecoder().decode(bytes);
  if (/^(?:HTTP\/1\.1 400 [^]*\r\n\r\n)?[^\p{Cc}]{20,400}\n$/u.test(text)) return true;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) === bytes.length - 4;
}

/** Throws unless every byte belongs to a whole frame, and every command has its reply. */
function checkReplies(bytes: Uint8Array, words: readonly Words[] | undefined): void {
  const { frames, rest } = splitFrames(new Uint8Array(0), bytes, 65_536);
  const isWhole = rest.length === 0 || (words === undefined && isExplanation(rest));
  check(isWhole, `${rest.length} bytes of the replies are no frame`);
  if (words === undefined) return;
  let at = 0;
  for (const [name] of words) {
    check(at < frames.length, `the reply to '${name}' is missing`);
    const first = new TextDecoder().decode(frames.payload(at));
    const count = /^\d+$/.test(first) ? Number(first) : 0;
    const perItem = name === "users" ? 1 : name === "receive" || name === "wait" ? 2 : 0;
    at += 1 + perItem * count;
  }
  check(at === frames.length, `${frames.length} frames came where ${at} were expected`);
}

/** Sends a stream, ends the sending side, and checks the replies and the end of the server's side. */
async function halfClose(conn: Deno.TcpConn, stream: Stream, random: Random): Promise<void> {
  const started = performance.now();
  try {
    await write(conn, stream.bytes, random);
    await conn.closeWrite();
    const replies = await inTime(PATIENCE_MS, "the end after a half-close", readToEnd(conn));
    if (performance.now() - started < PROMPT_MS) checkReplies(replies, stream.words);
  } catch (error) {
    if (!isLoss(error) || performance.now() - started < PROMPT_MS) throw error;
  }
}

/** Sends a stream and closes: at once, with replies unread (a reset), or after reading for a while. */
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

/** The output of a program. */
async function output(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(program, { args }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** The resident memory of a process, in MB; 0 on Windows, which has no simple command for it. */
async function residentMb(pid: number): Promise<number> {
  if (Deno.build.os === "windows") return 0;
  const kb = Deno.build.os === "linux"
    ? /VmRSS:\s*(\d+)/.exec(await output("cat", `/proc/${pid}/status`))?.[1]
    : await output("ps", "-o", "rss=", "-p", `${pid}`);
  return Number(kb) / 1024;
}

/** The number of files that a process has open; 0 on another system than Linux. */
async function openFiles(pid: number): Promise<number> {
  if (Deno.build.os !== "linux") return 0;
  return (await output("ls", `/proc/${pid}/fd`)).split("\n").length;
}

/** Stops a server: it must end in time, with code 0, and write nothing on stderr. */
async function stop(server: ServerProcess): Promise<void> {
  const said = await inTime(STOP_MS, "the end after SIGTERM", server.stop());
  check(said === "", `the server did not stop cleanly:\n${said}`);
}

/** A client without mistakes, which must be served as if no other client were there. */
class Control implements Disposable {
  /** The number of checks that it has passed. */
  checks = 0;
  readonly #socket: net.Socket;
  readonly #client: Client;
  readonly #strict: boolean;
  /** In strict mode a user is an address: no other client acts as this user, which has its own address. */
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

  /** Pings, sends a message to itself and receives it. */
  async check(): Promise<void> {
    await inTime(PATIENCE_MS, "the check of the control client", this.#check());
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
    // The streams write to this mailbox too: it is emptied first, or it might be full.
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

/** Connects to the server, from the local address if one is given. */
function open(port: number, localAddress?: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: "127.0.0.1", port, localAddress, noDelay: true });
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** How much is sent. */
export interface FuzzOptions {
  /** The number of streams, of both modes together. */
  readonly streams: number;
  /** Decides every byte of the streams. */
  readonly seed: number;
}

/** The streams for the server of one mode: those from number `first` up to, and without, `end`. */
interface Salvo {
  readonly strict: boolean;
  readonly seed: number;
  readonly first: number;
  readonly end: number;
}

/** Sends one stream, which its number and the seed decide. */
async function sendStream(port: number, { strict, seed }: Salvo, index: number): Promise<void> {
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

/** Waits until the server has no more files open than before: it closes some connections late. */
async function awaitClosing({ pid }: ServerProcess, before: number): Promise<void> {
  const started = performance.now();
  for (let open = Infinity; open > before; open = await openFiles(pid)) {
    const isLate = performance.now() - started > PATIENCE_MS;
    check(!isLate, `${open - before} files stay open after all connections have ended`);
    await sleep(CHECK_PAUSE_MS);
  }
}

/** Sends all streams, and checks the control client again and again meanwhile. */
async function sendAll(
  server: ServerProcess,
  control: Control,
  salvo: Salvo,
): Promise<{ warmMb: number; endMb: number }> {
  const filesBefore = await openFiles(server.pid);
  const { first, end } = salvo;
  const warm = first + Math.floor((end - first) / 10);
  let next = first;
  let warmMb = 0;
  const work = async () => {
    while (next < end) {
      const index = next++;
      await sendStream(server.port, salvo, index);
      if (index === warm) warmMb = await residentMb(server.pid);
    }
  };
  const watch = async () => {
    while (next < end) {
      await control.check();
      await sleep(CHECK_PAUSE_MS);
    }
  };
  const all = [watch(), ...Array.from({ length: CONCURRENT_STREAMS }, work)];
  try {
    await Promise.all(all);
  } finally {
    // After a failure the other loops end too.
    next = end;
    await Promise.allSettled(all);
  }
  await control.check();
  await awaitClosing(server, filesBefore);
  return { warmMb, endMb: await residentMb(server.pid) };
}

/** Stops the server while it serves connections that have sent a stream each; checks their replies. */
async function stopWhileServing(
  server: ServerProcess,
  { strict, seed, end }: Salvo,
): Promise<void> {
  const conns = await Promise.all(
    Array.from({ length: CONNECTIONS_AT_STOP }, () => connect(server.port)),
  );
  try {
    const checked = conns.map(async (conn, index) => {
      const random = randomFrom(seed + end + index);
      try {
        await write(conn, makeStream(random, strict).bytes, random);
        checkReplies(await readToEnd(conn), undefined);
      } catch (error) {
        // A stopping server does not accept the connections that are still in its queue.
        if (!isLoss(error)) throw error;
      }
    });
    await Promise.all([stop(server), ...checked]);
  } finally {
    for (const conn of conns) closeQuietly(conn);
  }
}

/** Fuzzes the server of one mode, from its start to its end; returns a summary. */
async function fuzzMode(salvo: Salvo): Promise<string> {
  const { strict, seed } = salvo;
  const server = await ServerProcess.start({
    command: [MAIN],
    flags: strict ? [...FLAGS, "--strict"] : FLAGS,
    lifeMsMax: LIFE_MS_MAX,
  });
  try {
    using control = await Control.connect(server.port, strict);
    const { warmMb, endMb } = await sendAll(server, control, salvo);
    const memory = `${warmMb.toFixed(0)} MB after a tenth, ${endMb.toFixed(0)} MB at the end`;
    check(endMb <= GROWTH_FACTOR * warmMb + GROWTH_MB, `memory grew: ${memory}`);
    await stopWhileServing(server, salvo);
    return `${strict ? "strict" : "default"}: ${memory}, ${control.checks} checks`;
  } catch (error) {
    const stderr = await server.kill();
    throw new Error(
      `${strict ? "strict" : "default"} mode, seed ${seed}; stderr: "${stderr}"`,
      { cause: error },
    );
  }
}

/** Fuzzes a server in each mode; returns a summary. Throws when a server breaks a promise. */
export async function fuzz({ streams, seed }: FuzzOptions): Promise<string> {
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

const SUMMARY =
  `Send random and mutated bytes to a server, which has to serve other clients meanwhile:
deno task dev:fuzz [flags]`;

const CLI_FLAGS = {
  streams: whole(100_000, 1, 1_000_000_000, "streams of bytes; strict mode gets half of them"),
  seed: seedFlag(),
};

if (import.meta.main) {
  await runProgram(SUMMARY, CLI_FLAGS, async (options) => {
    try {
      console.log(await fuzz(options));
      return true;
    } catch (error) {
      console.error("fuzz: failed:", error);
      return false;
    }
  });
}
