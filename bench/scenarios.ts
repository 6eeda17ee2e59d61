/** The scenarios: each measures one subject, and returns its figures. */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { settingsOf } from "../lib/chat/settings.ts";
import { type ChatState, emptyChat } from "../lib/chat/state.ts";
import { step } from "../lib/chat/step.ts";
import type { Actor } from "../lib/chat/users.ts";
import { parseServerOptions } from "../lib/options.ts";
import type { Command } from "../lib/protocol/command.ts";
import { encodeFrame } from "../lib/protocol/frame.ts";
import { counted } from "../lib/text/phrases.ts";
import { BlockingClient } from "./client.ts";
import { CYCLE, TEXT } from "./dialects.ts";
import { type Figure, median, quantile, summarize } from "./figure.ts";
import {
  openFilesMax,
  type Peer,
  processorUs,
  residentBytes,
  startChat,
  startDurableChat,
  startDurableRedis,
  startEcho,
  startMosquitto,
  startNats,
  startRedis,
} from "./peers.ts";
import {
  type Effort,
  load,
  OURS,
  race,
  ratio,
  type Rival,
  rival,
  type Shape,
  type Start,
  target,
} from "./race.ts";
import { connect } from "./sockets.ts";

/** A server with few connections is loaded this long before the next one follows (s). */
const SLICE_S = 0.1;
/** The same for many connections, each of which is to be served several times in a slice (s). */
const CROWD_SLICE_S = 1;
/**
 * The warm-up of a durable server takes this long at least (s): SQLite's log grows until it has its
 * full length, and a file that grows takes half as long again to sync.
 */
const DURABLE_WARM_UP_S = 1.5;

const STREAM = "an echo through the same stream";
const RAW = "a raw echo";
const REDIS = "Redis";
const MOSQUITTO = "mosquitto";

/** Starts Redis, where it is installed, and this project's server; both end with the run. */
async function startBoth(
  run: AsyncDisposableStack,
  redis: () => Promise<Peer | undefined>,
  chat: () => Promise<Peer>,
): Promise<Rival[]> {
  const theirs = run.use(await redis());
  const ours = rival(OURS, "chat", run.use(await chat()));
  return theirs === undefined ? [ours] : [rival(REDIS, "redis", theirs), ours];
}

/** Requests a second of 50 and of 1,000 connections, and how evenly the 1,000 are served. */
export async function speed(
  effort: Effort,
  startServer: () => Promise<Peer>,
  folder: string,
): Promise<Figure[]> {
  const servers: Start = async (run) => {
    const mosquitto = run.use(await startMosquitto(folder));
    const both = await startBoth(run, () => startRedis(folder), startServer);
    return mosquitto === undefined ? both : [rival(MOSQUITTO, "mqtt", mosquitto), ...both];
  };
  const all: Start = async (run) => [
    rival(STREAM, "echo", run.use(await startEcho("frames"))),
    rival(RAW, "echo", run.use(await startEcho("raw"))),
    ...await servers(run),
  ];
  const one = await race(all, { connections: 50, depth: 1, sliceS: SLICE_S }, effort);
  const deep = await race(servers, { connections: 50, depth: 16, sliceS: SLICE_S }, effort);
  const many = await race(servers, { connections: 1000, depth: 1, sliceS: CROWD_SLICE_S }, effort);
  const crowd = many.get(OURS)!;
  return [
    ratio(one, STREAM, "50 connections, 1 at a time", 0.75),
    ratio(one, RAW, "50 connections, 1 at a time", 0.65),
    ratio(one, REDIS, "50 connections, 1 at a time", 0.6),
    ratio(one, MOSQUITTO, "50 connections, 1 at a time"),
    ratio(deep, REDIS, "50 connections, 16 at a time", 0.6),
    ratio(deep, MOSQUITTO, "50 connections, 16 at a time"),
    ratio(many, REDIS, "1,000 connections, 1 at a time", 0.55),
    ratio(many, MOSQUITTO, "1,000 connections, 1 at a time"),
    {
      name: "1,000 connections: the least-served one, of the mean",
      ...summarize(crowd.map(({ slowestOfMean }) => slowestOfMean)),
      unit: "",
      atLeast: 0.5,
    },
    {
      name: "1,000 connections: p99.9 of the latency, of its mean",
      ...summarize(crowd.map(({ p999Ms, meanMs }) => p999Ms / meanMs)),
      unit: "",
      atMost: 10,
      note: `mean ${median(crowd.map(({ meanMs }) => meanMs)).toFixed(0)} ms`,
    },
  ];
}

/** Requests a second of servers that store each request before they reply. */
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
    figures.push(ratio(results, REDIS, `durable, 50 connections, ${depth} at a time`, 0.8));
  }
  return figures;
}

/** Requests a second of one, two and three servers that share a chat in NATS. */
export async function cluster(effort: Effort, folder: string): Promise<Figure[]> {
  const beside = "a server on a file";
  await using nats = await startNats(folder);
  if (nats === undefined) {
    const note = "nats-server is not installed";
    return [{ name: "servers that share a chat", value: NaN, unit: "", beside, note }];
  }
  await using file = await startDurableChat(`${folder}/beside-nats.db`);
  await using servers = new AsyncDisposableStack();
  const chats: Peer[] = [];
  const figures: Figure[] = [];
  while (chats.length < 3) {
    chats.push(servers.use(await startChat("--journal", `nats://${nats.hostname}:${nats.port}`)));
    const rivals = [rival(beside, "chat", file), rival(OURS, "chat", ...chats)];
    for (const depth of [1, 16]) {
      const shape = { connections: 48, depth, sliceS: SLICE_S };
      const results = await race(() => Promise.resolve(rivals), shape, effort);
      const name = `${counted(chats.length, "server")} on NATS, 48 connections, ${depth} at a time`;
      const figure = ratio(results, beside, name);
      const meanMs = median(results.get(OURS)!.map(({ meanMs }) => meanMs));
      figures.push({ ...figure, note: `${figure.note}; mean ${meanMs.toFixed(1)} ms` });
    }
  }
  return [...figures, ...await costs(chats, effort)];
}

/** The processor time of a request on the server that replies, and on one that only reads it. */
async function costs(
  [replying, reading]: readonly Peer[],
  { seconds }: Effort,
): Promise<Figure[]> {
  const pids = [replying!.pid, reading!.pid];
  const before = pids.map(processorUs);
  const shape: Shape = { connections: 48, depth: 16, sliceS: seconds };
  const [loaded] = await load([target("chat", replying!)], shape, seconds);
  // The warm-up is one slice, as long as the one that is measured.
  const requests = loaded!.perS[0]! * 2 * seconds;
  const [reply, read] = pids.map((pid, i) => (processorUs(pid) - before[i]!) / requests);
  const what = "processor time of a request on a shared chat";
  return [
    { name: `${what}: its server`, value: reply!, unit: "µs" },
    { name: `${what}: another server`, value: read!, unit: "µs" },
  ];
}

/** The latency of a client and of new connections while 200 connections flood the server. */
export async function neighbour(
  { seconds }: Effort,
  startServer: () => Promise<Peer>,
): Promise<Figure[]> {
  await using chat = await startServer();
  const shape: Shape = { connections: 200, depth: 16, sliceS: 1.5 * seconds };
  const flood = load([target("chat", chat)], shape, shape.sliceS);
  await sleep(1000 * seconds);
  const { neighboursMs, newcomersMs } = await probe(chat, 1500 * seconds);
  await flood;
  return [
    {
      name: "a client beside 200 that flood: p99 of its latency",
      value: quantile(neighboursMs, 0.99),
      unit: "ms",
      atMost: 30,
      note: `${neighboursMs.length} requests`,
    },
    {
      name: "a new connection beside them: p99 to its first reply",
      value: quantile(newcomersMs, 0.99),
      unit: "ms",
      atMost: 100,
      note: `${newcomersMs.length} connections`,
    },
  ];
}

/** A request whose reply is one frame, in every mode: without a name it is refused. */
const QUESTION = encodeFrame("receive");
const PROBE_PAUSE_MS = 2;

/** Sends requests for `ms` milliseconds, on one connection and on new ones; returns their latencies. */
async function probe({ hostname, port }: Peer, ms: number) {
  const neighboursMs: number[] = [];
  const newcomersMs: number[] = [];
  const buffer = new Uint8Array(64);
  const old = await Deno.connect({ hostname, port });
  const until = performance.now() + ms;
  while (performance.now() < until) {
    const begun = performance.now();
    await old.write(QUESTION);
    await old.read(buffer);
    neighboursMs.push(performance.now() - begun);
    const next = performance.now();
    const conn = await Deno.connect({ hostname, port });
    await conn.write(QUESTION);
    await conn.read(buffer);
    newcomersMs.push(performance.now() - next);
    conn.close();
    await sleep(PROBE_PAUSE_MS);
  }
  old.close();
  return { neighboursMs, newcomersMs };
}

const ROOMY = ["--mailbox-messages-max", "100000", "--messages-max", "1000000000"];

function* times<Item>(count: number, item: (index: number) => Item): Generator<Item> {
  for (let index = 0; index < count; index++) yield item(index);
}

/** `sendall` to many users, a `receive` of a full mailbox, and the list of 10,000 names. */
export async function big({ runs }: Effort): Promise<Figure[]> {
  await using few = await startChat(...ROOMY);
  await using many = await startChat(...ROOMY);
  const clients = { few: new BlockingClient(few), many: new BlockingClient(many) };
  clients.few.sendAll(times(10, (i) => ["register", `u${i}`]));
  clients.many.sendAll(times(10_000, (i) => ["register", `u${i}`]));
  const costs: number[] = [];
  const broadcasts = () => times(5_000, () => ["sendall", TEXT]);
  for (let run = 0; run <= 2 * runs; run++) {
    const cost = (client: BlockingClient) => timeMs(() => client.sendAll(broadcasts()));
    const pair = { few: cost(clients.few), many: cost(clients.many) };
    if (run > 0) costs.push(pair.many / pair.few);
  }
  const reader = new BlockingClient(few);
  reader.sendAll([["register", "reader"]]);
  const perS: number[] = [];
  for (let run = 0; run <= 10 * runs; run++) {
    clients.few.sendAll(times(1_000, () => ["send", "reader", TEXT]));
    const ms = timeMs(() => {
      reader.send("receive");
      reader.skipFrames(2 * reader.readCount());
    });
    if (run > 0) perS.push(1_000 / (ms / 1_000));
  }
  const bytesPerS: number[] = [];
  for (let run = 0; run < 10 * runs; run++) {
    let bytes = 0;
    const ms = timeMs(() => {
      clients.many.send("users");
      const names = clients.many.readCount();
      for (let i = 0; i < names; i++) bytes += 4 + clients.many.skipFrames(1);
    });
    bytesPerS.push(bytes / (ms / 1_000));
  }
  return [
    {
      name: "`sendall` with 10,000 users, of its cost with 10",
      ...summarize(costs),
      unit: "",
      atMost: 1.5,
    },
    {
      name: "`receive` of 1,000 messages",
      ...summarize(perS.map((value) => value / 1e6)),
      unit: "M messages/s",
      atLeast: 1,
    },
    {
      name: "`users` with 10,000 names",
      ...summarize(bytesPerS.map((value) => value / 1e9)),
      unit: "GB/s",
    },
  ];
}

function timeMs(work: () => void): number {
  const begun = performance.now();
  work();
  return performance.now() - begun;
}

const IDLE_CONNECTIONS = 10_000;
const WAITING_MESSAGES = 1_000_000;
const MAILBOXES = 1_000;
/** The server collects garbage when it has rested for 5 to 10 seconds. */
const REST_S = 12;
const LEFTOVER_REST_S = 30;

/** The server's resident memory for idle connections, and for messages that wait. */
export async function memory(): Promise<Figure[]> {
  return [await idleMemory(), await messageMemory()];
}

async function idleMemory(): Promise<Figure> {
  const name = "memory of an idle connection, of 10,000";
  if (openFilesMax() < IDLE_CONNECTIONS + 100) {
    const note = `needs \`ulimit -n ${IDLE_CONNECTIONS + 100}\``;
    return { name, value: NaN, unit: "KB", note };
  }
  await using chat = await startChat("--connections-per-address-max", `${IDLE_CONNECTIONS}`);
  await sleep(1000 * REST_S);
  const before = residentBytes(chat.pid);
  for (let i = 0; i < IDLE_CONNECTIONS; i++) connect(chat.hostname, chat.port);
  await sleep(1000 * REST_S);
  const value = (residentBytes(chat.pid) - before) / IDLE_CONNECTIONS / 1024;
  return { name, value, unit: "KB", atMost: 12 };
}

async function messageMemory(): Promise<Figure> {
  await using chat = await startChat("--mailbox-messages-max", "100000");
  const client = new BlockingClient(chat);
  client.sendAll(times(MAILBOXES, (i) => ["register", `u${i}`]));
  await sleep(1000 * REST_S);
  const before = residentBytes(chat.pid);
  client.sendAll(times(WAITING_MESSAGES, (i) => ["send", `u${i % MAILBOXES}`, text(i)]));
  await sleep(1000 * REST_S);
  const value = (residentBytes(chat.pid) - before) / WAITING_MESSAGES - text(0).length;
  const name = "memory of a waiting message beyond its text, of 1 million";
  return { name, value, unit: "B", atMost: 200 };
}

function text(i: number): string {
  return `${TEXT.slice(0, 32)}${String(i).padStart(8, "0")}`;
}

/** The memory that stays when 1,000 users have sent, received and left. */
export async function leftover(): Promise<Figure[]> {
  await using chat = await startChat("--connections-per-address-max", `${IDLE_CONNECTIONS}`);
  await sleep(1000 * REST_S);
  const before = residentBytes(chat.pid);
  const client = new BlockingClient(chat);
  client.sendAll(times(MAILBOXES, (i) => ["register", `u${i}`]));
  client.sendAll(times(WAITING_MESSAGES / 4, (i) => ["send", `u${i % MAILBOXES}`, text(i)]));
  for (let i = 0; i < MAILBOXES; i++) {
    client.sendAll([["register", `u${i}`]]);
    client.send("receive");
    client.skipFrames(2 * client.readCount());
    client.sendAll([["logout"]]);
  }
  await sleep(1000 * LEFTOVER_REST_S);
  return [{
    name: "resident memory when all have read and left, of the start",
    value: residentBytes(chat.pid) / before,
    unit: "",
    atMost: 1.5,
    note: `${(before / 2 ** 20).toFixed(0)} MB at the start`,
  }];
}

/** `step` alone, in this process. */
export function core({ seconds }: Effort): Figure[] {
  const settings = settingsOf(parseServerOptions(["--users-per-address-max", "100000"]));
  const figure = (users: number, atLeast: number): Figure => ({
    name: `\`step\` alone, ${users.toLocaleString("en")} users`,
    value: stepsPerS(users, 1000 * seconds, emptyChat(settings)) / 1e6,
    unit: "M entries/s",
    atLeast,
  });
  return [figure(50, 2), figure(10_000, 0.8)];
}

const STEPS_PER_ROUND = 10_000;
const WARM_UP_ROUNDS = 50;

function stepsPerS(users: number, ms: number, empty: ChatState): number {
  let state = empty;
  const names = Array.from({ length: users }, (_, i) => `u${i}`);
  const actors = names.map((_, i) => ({
    session: { member: 0, count: i + 1 },
    address: "::1",
    peer: "[::1]:1",
  }));
  const stepCommand = (actor: Actor, command: Command) => {
    state = step(state, { kind: "command", at: 0, actor, command }).state;
  };
  actors.forEach((actor, i) => stepCommand(actor, { name: "register", user: names[i]! }));
  const receive = { name: "receive" } as const;
  const stepRound = (first: number) => {
    for (let i = first; i < first + STEPS_PER_ROUND; i++) {
      const [from, position] = [i * 7 % users, Math.floor(i / users) % CYCLE];
      const to = names[(from + 1) % users]!;
      const send = { name: "send", to, text: TEXT } as const;
      stepCommand(actors[from]!, position === CYCLE - 1 ? receive : send);
    }
  };
  for (let i = 0; i < WARM_UP_ROUNDS; i++) stepRound(STEPS_PER_ROUND * i);
  const begun = performance.now();
  let steps = 0;
  for (; performance.now() - begun < ms; steps += STEPS_PER_ROUND) stepRound(steps);
  return steps / ((performance.now() - begun) / 1000);
}

/** The runtime, the system and the processors on which the figures were measured. */
export function machine(): string {
  return `Deno ${Deno.version.deno}, ${process.platform} ${process.arch}, ` +
    `${navigator.hardwareConcurrency} processors`;
}
