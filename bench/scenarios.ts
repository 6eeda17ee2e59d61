/** What is measured, scenario by scenario. Each gives figures, some of them with a target. */
import process from "node:process";
import { step } from "../lib/chat/step.ts";
import { type ChatState, emptyChat } from "../lib/chat/state.ts";
import type { Command } from "../lib/protocol/command.ts";
import { encodeFrame } from "../lib/protocol/frame.ts";
import { parseServerOptions } from "../lib/options.ts";
import { settingsOf } from "../lib/chat/settings.ts";
import type { Actor } from "../lib/chat/users.ts";
import { BlockingClient } from "./client.ts";
import { CYCLE, TEXT } from "./dialects.ts";
import { type LoadPlan, type LoadResult, quantile, type Target } from "./load.ts";
import {
  openFilesMax,
  type Peer,
  processorUs,
  residentBytes,
  startChat,
  startDurableChat,
  startDurableRedis,
  startEcho,
  startListener,
  startNats,
  startRedis,
} from "./peers.ts";
import { connect } from "./sockets.ts";

/** One figure, and what it should be. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** A ratio must be at least `must`; with `isCost` the figure must be at most that. */
  readonly must?: number;
  readonly goal?: number;
  readonly isCost?: boolean;
  /** What stands behind the figure, or why there is none. */
  readonly note?: string;
}

/** How much is measured. */
export interface Effort {
  /** Alternating runs of each peer. */
  readonly runs: number;
  readonly seconds: number;
  /** Leaves out what takes long: memory, and starting. */
  readonly isQuick: boolean;
}

/** A measurement is so many times as long as its warm-up. */
const WARM_UPS = 3;
/**
 * What is durable warms up for so long at least, in seconds: SQLite's log grows until it is as long as
 * it may be, and a file that grows takes half as long again to sync.
 */
const DURABLE_WARM_UP_S = 1.5;
/** How long a server with few connections is asked until it is the next one's turn, in seconds. */
const SLICE_S = 0.1;
/** The same with many, of which all are to have their turn several times. */
const CROWD_SLICE_S = 1;
/** A generator that used more of its processor than this may have been what was measured. */
const SATURATED = 0.97;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? sorted[Math.floor(middle)]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

interface Shape extends Pick<LoadPlan, "connections" | "depth" | "sliceS"> {
  /** At least. */
  readonly warmUpS?: number;
}

/** Runs the generator in a process of its own; a result for each target. */
async function load(
  targets: readonly Target[],
  { warmUpS = 0, ...shape }: Shape,
  seconds: number,
): Promise<LoadResult[]> {
  const slices = Math.ceil(seconds / shape.sliceS);
  const warmUpSlices = Math.ceil(Math.max(warmUpS, seconds / WARM_UPS) / shape.sliceS);
  const plan: LoadPlan = { targets, ...shape, slices, warmUpSlices };
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", "bench/load.ts", JSON.stringify(plan)],
    cwd: new URL("..", import.meta.url),
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** What speaks to these peers; several are servers of one chat. */
function target(dialect: Target["dialect"], ...peers: Peer[]): Target {
  return { dialect, hostname: peers[0]!.hostname, ports: peers.map(({ port }) => port) };
}

/** A target under the name that the table gives it. */
interface Rival extends Target {
  readonly name: string;
}

function rival(name: string, dialect: Target["dialect"], ...peers: Peer[]): Rival {
  return { name, ...target(dialect, ...peers) };
}

/** Starts the rivals of a run; what is put on the stack ends with it. */
type Start = (run: AsyncDisposableStack) => Promise<readonly Rival[]>;

/**
 * Loads the rivals side by side, so often. Processes of the same code differ by up to a fifth, in how
 * they were compiled and lie in memory, so each run may start its own.
 */
async function race(
  start: Start,
  shape: Shape,
  { runs, seconds }: Effort,
): Promise<ReadonlyMap<string, LoadResult[]>> {
  const results = new Map<string, LoadResult[]>();
  for (let run = 0; run < runs; run++) {
    await using stack = new AsyncDisposableStack();
    const rivals = await start(stack);
    const loaded = await load(rivals, shape, seconds);
    rivals.forEach(({ name }, i) => {
      results.set(name, [...results.get(name) ?? [], loaded[i]!]);
    });
  }
  return results;
}

/** Redis, where it is installed, and this project's server beside it; both end with the run. */
async function startBoth(
  run: AsyncDisposableStack,
  redis: () => Promise<Peer | undefined>,
  chat: () => Promise<Peer>,
): Promise<Rival[]> {
  const them = run.use(await redis());
  const us = rival("asvt-chat", "chat", run.use(await chat()));
  return them === undefined ? [us] : [rival("Redis", "redis", them), us];
}

const thousands = (value: number) => `${(value / 1000).toFixed(0)} k`;

/** Each slice of one against that of the other beside it. */
function ratio(
  results: ReadonlyMap<string, LoadResult[]>,
  of: string,
  bounds: Pick<Figure, "must" | "goal">,
  what: string,
): Figure {
  const name = `${what}, of ${of}`;
  const ours = results.get("asvt-chat")!;
  const theirs = results.get(of);
  if (theirs === undefined) return { name, value: NaN, unit: "", note: `${of} is not installed` };
  const speeds = (all: LoadResult[]) => median(all.map(({ perS }) => median(perS)));
  const values = ours.map(({ perS }, run) =>
    median(perS.map((value, slice) => value / theirs[run]!.perS[slice]!))
  );
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(2));
  const note = `${thousands(speeds(ours))} of ${thousands(speeds(theirs))} requests/s` +
    (values.length > 1 ? `; ${least} to ${most}` : "");
  const worst = Math.max(...[...ours, ...theirs].map(({ cpuShare }) => cpuShare));
  if (ours.some(({ refused }) => refused > 0)) {
    return { name, value: NaN, unit: "", note: "messages were refused" };
  }
  const caution = worst > SATURATED ? "; the generator was busy, so they may be closer" : "";
  return { name, value: median(values), unit: "", ...bounds, note: note + caution };
}

const STREAM = "an echo through the same stream";
const RAW = "a raw echo";

/** 50 connections, and 1,000: requests a second, fairness. */
export async function speed(
  effort: Effort,
  startServer: () => Promise<Peer>,
  folder: string,
): Promise<Figure[]> {
  const both: Start = (run) => startBoth(run, () => startRedis(folder), startServer);
  const all: Start = async (run) => [
    rival(STREAM, "echo", run.use(await startEcho("frames"))),
    rival(RAW, "echo", run.use(await startEcho("raw"))),
    ...await both(run),
  ];
  const one = await race(all, { connections: 50, depth: 1, sliceS: SLICE_S }, effort);
  const deep = await race(both, { connections: 50, depth: 16, sliceS: SLICE_S }, effort);
  const many = await race(both, { connections: 1000, depth: 1, sliceS: CROWD_SLICE_S }, effort);
  const crowd = many.get("asvt-chat")!;
  return [
    ratio(one, STREAM, { must: 0.85, goal: 0.95 }, "50 connections, 1 at a time"),
    ratio(one, RAW, { must: 0.65, goal: 0.9 }, "50 connections, 1 at a time"),
    ratio(one, "Redis", { must: 0.65, goal: 0.8 }, "50 connections, 1 at a time"),
    ratio(deep, "Redis", { must: 0.75, goal: 1 }, "50 connections, 16 at a time"),
    ratio(many, "Redis", { must: 0.6, goal: 0.8 }, "1,000 connections, 1 at a time"),
    {
      name: "1,000 connections: the slowest-served, of the mean",
      value: median(crowd.map(({ slowestOfMean }) => slowestOfMean)),
      unit: "",
      must: 0.5,
      goal: 0.8,
    },
    {
      name: "1,000 connections: p99.9, of the mean latency",
      value: median(crowd.map(({ p999Ms, meanMs }) => p999Ms / meanMs)),
      unit: "",
      must: 10,
      goal: 5,
      isCost: true,
      note: `mean ${median(crowd.map(({ meanMs }) => meanMs)).toFixed(0)} ms`,
    },
  ];
}

/** The same with what is stored before it is answered. */
export async function durable(effort: Effort, folder: string): Promise<Figure[]> {
  const start: Start = async (run) => {
    const file = await Deno.makeTempFile({ dir: folder, suffix: ".db" });
    const empty = await Deno.makeTempDir({ dir: folder });
    return startBoth(run, () => startDurableRedis(empty), () => startDurableChat(file));
  };
  const figures: Figure[] = [];
  for (const depth of [1, 16]) {
    const shape = { connections: 50, depth, sliceS: SLICE_S, warmUpS: DURABLE_WARM_UP_S };
    const results = await race(start, shape, effort);
    const what = `durable, 50 connections, ${depth} at a time`;
    figures.push(ratio(results, "Redis", { must: 1, goal: 1.5 }, what));
  }
  return figures;
}

/** One, two and three servers that share a chat in NATS, beside one on a file. */
export async function cluster(effort: Effort, folder: string): Promise<Figure[]> {
  const of = "one on a file";
  await using nats = await startNats(folder);
  if (nats === undefined) {
    return [{ name: "servers that share a chat", value: NaN, unit: "", note: "no nats-server" }];
  }
  await using file = await startDurableChat(`${folder}/beside-nats.db`);
  await using servers = new AsyncDisposableStack();
  const chats: Peer[] = [];
  const figures: Figure[] = [];
  while (chats.length < 3) {
    chats.push(servers.use(await startChat("--journal", `nats://${nats.hostname}:${nats.port}`)));
    const rivals = [rival(of, "chat", file), rival("asvt-chat", "chat", ...chats)];
    for (const depth of [1, 16]) {
      const results = await race(() => Promise.resolve(rivals), {
        connections: 48,
        depth,
        sliceS: SLICE_S,
      }, effort);
      const what = `${chats.length} on one NATS, 48 connections, ${depth} at a time`;
      const figure = ratio(results, of, {}, what);
      const mean = median(results.get("asvt-chat")!.map(({ meanMs }) => meanMs));
      figures.push({ ...figure, note: `${figure.note}, mean ${mean.toFixed(1)} ms` });
    }
  }
  return [...figures, ...await costs(chats, effort)];
}

/** What a request costs the server that answers it, and one that only reads of it in the stream. */
async function costs(
  [answering, reading]: readonly Peer[],
  { seconds }: Effort,
): Promise<Figure[]> {
  const pids = [answering!.pid, reading!.pid];
  const before = pids.map(processorUs);
  const shape: Shape = { connections: 48, depth: 16, sliceS: seconds };
  const [loaded] = await load([target("chat", answering!)], shape, seconds);
  // The warm-up is a slice as long as the one that is measured.
  const requests = loaded!.perS[0]! * 2 * seconds;
  const [answer, read] = pids.map((pid, i) => (processorUs(pid) - before[i]!) / requests);
  return [
    { name: "of a processor: a request on a server that shares", value: answer!, unit: "µs" },
    { name: "of a processor: the same on another server", value: read!, unit: "µs" },
  ];
}

/** What a neighbour and a newcomer feel while 200 connections flood the server. */
export async function neighbour(
  { seconds }: Effort,
  startServer: () => Promise<Peer>,
): Promise<Figure[]> {
  await using chat = await startServer();
  const shape: Shape = { connections: 200, depth: 16, sliceS: 1.5 * seconds };
  const flood = load([target("chat", chat)], shape, shape.sliceS);
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  const { neighbours, newcomers } = await listen(chat, 1500 * seconds);
  await flood;
  const p99 = (values: readonly number[]) => quantile(values, 0.99);
  return [
    {
      name: "a neighbour of 200 that flood, p99",
      value: p99(neighbours),
      unit: "ms",
      must: 30,
      goal: 5,
      isCost: true,
      note: `${neighbours.length} questions`,
    },
    {
      name: "a new connection beside them, accepted and answered, p99",
      value: p99(newcomers),
      unit: "ms",
      must: 100,
      goal: 20,
      isCost: true,
      note: `${newcomers.length} connections`,
    },
  ];
}

/** What is refused with one frame, in every mode. */
const QUESTION = encodeFrame("receive");

/** Asks for so long, on one connection and on new ones; in milliseconds. */
async function listen({ hostname, port }: Peer, ms: number) {
  const neighbours: number[] = [];
  const newcomers: number[] = [];
  const buffer = new Uint8Array(64);
  const old = await Deno.connect({ hostname, port });
  const until = performance.now() + ms;
  while (performance.now() < until) {
    const begun = performance.now();
    await old.write(QUESTION);
    await old.read(buffer);
    neighbours.push(performance.now() - begun);
    const next = performance.now();
    const conn = await Deno.connect({ hostname, port });
    await conn.write(QUESTION);
    await conn.read(buffer);
    newcomers.push(performance.now() - next);
    conn.close();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  old.close();
  return { neighbours, newcomers };
}

const ROOMY = ["--mailbox-messages-max", "100000", "--messages-max", "1000000000"];

function* times<Item>(count: number, item: (index: number) => Item): Generator<Item> {
  for (let index = 0; index < count; index++) yield item(index);
}

/** `sendall`, a full mailbox, and the list of 10,000 names. */
export async function big({ runs }: Effort): Promise<Figure[]> {
  await using few = await startChat(...ROOMY);
  await using many = await startChat(...ROOMY);
  const clients = { few: new BlockingClient(few), many: new BlockingClient(many) };
  clients.few.tellAll(times(10, (i) => ["register", `u${i}`]));
  clients.many.tellAll(times(10_000, (i) => ["register", `u${i}`]));
  const costs: number[] = [];
  const sendAll = () => times(5_000, () => ["sendall", TEXT]);
  for (let run = 0; run <= 2 * runs; run++) {
    const cost = (client: BlockingClient) => timeMs(() => client.tellAll(sendAll()));
    const pair = { few: cost(clients.few), many: cost(clients.many) };
    if (run > 0) costs.push(pair.many / pair.few);
  }
  const reader = new BlockingClient(few);
  reader.tellAll([["register", "reader"]]);
  const perS: number[] = [];
  for (let run = 0; run <= 10 * runs; run++) {
    clients.few.tellAll(times(1_000, () => ["send", "reader", TEXT]));
    const ms = timeMs(() => {
      reader.tell("receive");
      reader.skipFrames(2 * reader.readCount());
    });
    if (run > 0) perS.push(1_000 / (ms / 1_000));
  }
  const bytesPerS: number[] = [];
  for (let run = 0; run < 10 * runs; run++) {
    let bytes = 0;
    const ms = timeMs(() => {
      clients.many.tell("users");
      const names = clients.many.readCount();
      for (let i = 0; i < names; i++) bytes += 4 + clients.many.skipFrames(1);
    });
    bytesPerS.push(bytes / (ms / 1_000));
  }
  return [
    {
      name: "`sendall` with 10,000 users, of its cost with 10",
      value: median(costs),
      unit: "",
      must: 1.5,
      goal: 1.1,
      isCost: true,
    },
    {
      name: "`receive` of 1,000 messages",
      value: median(perS) / 1e6,
      unit: "M messages/s",
      must: 1,
      goal: 3,
    },
    { name: "`users` with 10,000", value: median(bytesPerS) / 1e9, unit: "GB/s" },
  ];
}

function timeMs(work: () => void): number {
  const begun = performance.now();
  work();
  return performance.now() - begun;
}

const IDLE = 10_000;
const WAITING = 1_000_000;
const BOXES = 1_000;

/** The server's resident memory: idle connections, waiting messages, and when all is over. */
export async function memory(): Promise<Figure[]> {
  await using chat = await startChat();
  await settle();
  const start = residentBytes(chat.pid);
  return [await idleMemory(chat, start), await messageMemory()];
}

/** Time for the collector, which works when little happens. */
function settle(seconds = 3): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
}

async function idleMemory(chat: Peer, start: number): Promise<Figure> {
  const name = "an idle connection, of 10,000";
  if (openFilesMax() < IDLE + 100) {
    return { name, value: NaN, unit: "KB", note: `needs \`ulimit -n ${IDLE + 100}\`` };
  }
  for (let i = 0; i < IDLE; i++) connect(chat.hostname, chat.port);
  await settle();
  const value = (residentBytes(chat.pid) - start) / IDLE / 1024;
  return { name, value, unit: "KB", must: 12, goal: 6, isCost: true };
}

async function messageMemory(): Promise<Figure> {
  await using chat = await startChat("--mailbox-messages-max", "100000");
  const client = new BlockingClient(chat);
  client.tellAll(times(BOXES, (i) => ["register", `u${i}`]));
  await settle();
  const before = residentBytes(chat.pid);
  client.tellAll(times(WAITING, (i) => ["send", `u${i % BOXES}`, text(i)]));
  await settle(10);
  const value = (residentBytes(chat.pid) - before) / WAITING - text(0).length;
  return {
    name: "a waiting message beyond its text, of 1 million",
    value,
    unit: "B",
    must: 200,
    goal: 100,
    isCost: true,
  };
}

function text(i: number): string {
  return `${TEXT.slice(0, 32)}${String(i).padStart(8, "0")}`;
}

/** What is left when 1,000 users have sent, received and gone. */
export async function leftover(): Promise<Figure[]> {
  await using chat = await startChat();
  await settle();
  const before = residentBytes(chat.pid);
  const client = new BlockingClient(chat);
  client.tellAll(times(BOXES, (i) => ["register", `u${i}`]));
  client.tellAll(times(WAITING / 4, (i) => ["send", `u${i % BOXES}`, text(i)]));
  for (let i = 0; i < BOXES; i++) {
    client.tellAll([["register", `u${i}`]]);
    client.tell("receive");
    client.skipFrames(2 * client.readCount());
    client.tellAll([["logout"]]);
  }
  await settle(30);
  return [{
    name: "resident memory after all have read and left, of the start",
    value: residentBytes(chat.pid) / before,
    unit: "",
    must: 1.5,
    goal: 1.2,
    isCost: true,
    note: `${(before / 2 ** 20).toFixed(0)} MB at the start`,
  }];
}

/** From the command to the line that says that it listens, and to the first answer. */
export async function startUp({ runs }: Effort): Promise<Figure[]> {
  const all: { empty: number; listening: number; answered: number }[] = [];
  for (let run = 0; run <= 2 * runs; run++) {
    const { listening: empty } = await startMs(startListener, () => Promise.resolve());
    const times = { empty, ...await startMs(startChat, answer) };
    if (run > 0) all.push(times);
  }
  const figure = (what: string, name: "listening" | "answered"): Figure => ({
    name: `from the start to ${what}, of a listener that does nothing else`,
    value: median(all.map((times) => times[name] / times.empty)),
    unit: "",
    isCost: true,
    note: `${median(all.map((times) => times[name])).toFixed(0)} ms`,
  });
  return [
    { ...figure("listening", "listening"), must: 1.5, goal: 1.2 },
    figure("the first answer", "answered"),
  ];
}

async function startMs(start: () => Promise<Peer>, ask: (peer: Peer) => Promise<void>) {
  const begun = performance.now();
  await using peer = await start();
  const listening = performance.now() - begun;
  await ask(peer);
  return { listening, answered: performance.now() - begun };
}

/** Waits for an answer. */
async function answer({ hostname, port }: Peer): Promise<void> {
  using conn = await Deno.connect({ hostname, port });
  await conn.write(QUESTION);
  await conn.read(new Uint8Array(64));
}

/** `step` alone, in this process. */
export function core({ seconds }: Effort): Figure[] {
  const settings = settingsOf(parseServerOptions(["--users-per-address-max", "100000"]));
  const figure = (users: number, must: number, goal: number): Figure => {
    const perS = stepsPerS(users, 1000 * seconds, emptyChat(settings));
    return {
      name: `\`step\` alone, ${users.toLocaleString("en")} users`,
      value: perS / 1e6,
      unit: "M entries/s",
      must,
      goal,
    };
  };
  return [figure(50, 2, 3), figure(10_000, 0.8, 1.5)];
}

function stepsPerS(users: number, ms: number, empty: ChatState): number {
  let state = empty;
  const names = Array.from({ length: users }, (_, i) => `u${i}`);
  const actors = names.map((_, i) => ({ session: i + 1, address: "::1", peer: "[::1]:1" }));
  const run = (actor: Actor, command: Command) => {
    state = step(state, { kind: "command", at: 0, actor, command }).state;
  };
  actors.forEach((actor, i) => run(actor, { name: "register", user: names[i]! }));
  const receive = { name: "receive" } as const;
  const batch = (first: number) => {
    for (let i = first; i < first + 10_000; i++) {
      const [from, turn] = [i * 7 % users, Math.floor(i / users) % CYCLE];
      const to = names[(from + 1) % users]!;
      run(actors[from]!, turn === CYCLE - 1 ? receive : { name: "send", to, text: TEXT });
    }
  };
  for (let i = 0; i < 50; i++) batch(10_000 * i);
  const begun = performance.now();
  let steps = 0;
  for (; performance.now() - begun < ms; steps += 10_000) batch(steps);
  return steps / ((performance.now() - begun) / 1000);
}

/** The processor and the system, for whoever compares. */
export function machine(): string {
  return `Deno ${Deno.version.deno}, ${process.platform} ${process.arch}, ` +
    `${navigator.hardwareConcurrency} processors`;
}
