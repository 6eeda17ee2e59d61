/**
 * The load generator: keeps so many requests in flight on every connection for some time, and prints
 * what came of it as one line of JSON. A process of its own, so that it never waits for the server.
 */
import process from "node:process";
import { CYCLE, type Dialect, DIALECTS } from "./dialects.ts";
import { connect, Poll, receive, send } from "./sockets.ts";

/** What to load, and how. */
export interface LoadPlan {
  readonly dialect: keyof typeof DIALECTS;
  readonly hostname: string;
  /** Of the servers; the connections are spread over them. */
  readonly ports: readonly number[];
  readonly connections: number;
  /** Requests in flight on each connection: sent at once, and the next when all are answered. */
  readonly depth: number;
  /** What comes in this time, in seconds, is measured, after as long as `warmUpS`. */
  readonly seconds: number;
  readonly warmUpS: number;
}

/** What was measured. Times are in milliseconds, of a batch of `depth` requests. */
export interface LoadResult {
  readonly requestsPerS: number;
  readonly meanMs: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** Requests of the connection that was served least, of the mean of all. */
  readonly slowestOfMean: number;
  /** Messages that the server did not say that it stored. */
  readonly refused: number;
  /** The generator's own use of a processor: near 1 it is the bottleneck. */
  readonly cpuShare: number;
}

type Bytes = Uint8Array<ArrayBuffer>;

const BUFFER_BYTES = 262_144;
const LOOPBACK = /^127\./;

/** One connection of the load. */
class Loader {
  readonly socket: number;
  readonly #dialect: Dialect;
  readonly #depth: number;
  /** The batches of a cycle: all but the last only store. */
  readonly #storing: Bytes;
  readonly #taking: Bytes;
  /** The request of the cycle that is answered next. */
  #position = 0;
  #unanswered = 0;
  #sentAt = 0;
  #rest: Bytes = new Uint8Array(0);
  served = 0;
  refused = 0;

  constructor(plan: LoadPlan, index: number) {
    this.#dialect = DIALECTS[plan.dialect];
    this.#depth = plan.depth;
    // In strict mode a user is an address.
    const from = LOOPBACK.test(plan.hostname) ? `127.1.${index >> 8}.${index & 255}` : undefined;
    this.socket = connect(plan.hostname, plan.ports[index % plan.ports.length]!, from);
    const hello = this.#dialect.hello(index);
    if (hello !== undefined) {
      send(this.socket, hello);
      receive(this.socket, new Uint8Array(256), true);
    }
    const store = this.#dialect.store((index + 1) % plan.connections);
    this.#storing = repeat(store, plan.depth);
    this.#taking = join(repeat(store, plan.depth - 1), this.#dialect.take(index));
  }

  /** Sends the next batch. */
  ask(now: number): void {
    const isLast = this.#position + this.#depth === CYCLE;
    send(this.socket, isLast ? this.#taking : this.#storing);
    this.#unanswered = this.#depth;
    this.#sentAt = now;
  }

  /** Takes what has come; when a batch is answered returns how long that took. */
  hear(buffer: Bytes, now: number): number | undefined {
    const rest = this.#rest.length;
    if (rest > 0) buffer.set(this.#rest);
    const to = rest + receive(this.socket, rest === 0 ? buffer : buffer.subarray(rest));
    let from = 0;
    while (from < to) {
      const end = this.#dialect.replyEnd(buffer, from, to, this.#position === CYCLE - 1);
      if (end < 0) break;
      this.#count(buffer, from, end);
      from = end;
    }
    if (rest > 0 || from < to) this.#rest = buffer.slice(from, to);
    return this.#unanswered === 0 ? now - this.#sentAt : undefined;
  }

  #count(bytes: Bytes, from: number, end: number): void {
    const isTake = this.#position === CYCLE - 1;
    if (!isTake && !this.#dialect.isStored(bytes, from, end)) this.refused++;
    this.#position = (this.#position + 1) % CYCLE;
    this.#unanswered--;
    this.served++;
  }
}

function repeat(bytes: Bytes, times: number): Bytes {
  return join(...Array<Bytes>(times).fill(bytes));
}

function join(...parts: Bytes[]): Bytes {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** Runs the load to its end. */
export function load(plan: LoadPlan): LoadResult {
  const poll = new Poll();
  const loaders = Array.from({ length: plan.connections }, (_, index) => new Loader(plan, index));
  loaders.forEach(({ socket }, index) => poll.add(socket, index));
  loaders.forEach((loader) => loader.ask(performance.now()));
  run(loaders, poll, plan.warmUpS, () => {});
  for (const loader of loaders) loader.served = loader.refused = 0;
  const batches: number[] = [];
  const usedBefore = process.cpuUsage();
  const tookS = run(loaders, poll, plan.seconds, (ms) => batches.push(ms));
  const { user, system } = process.cpuUsage(usedBefore);
  return summarize(loaders, batches, tookS, (user + system) / 1e6 / tookS);
}

/** Asks and hears for so long; returns how long that really was. */
function run(
  loaders: readonly Loader[],
  poll: Poll,
  seconds: number,
  answered: (ms: number) => void,
): number {
  const buffer = new Uint8Array(BUFFER_BYTES);
  const begun = performance.now();
  for (;;) {
    const ready = poll.wait(100);
    let now = performance.now();
    for (let place = 0; place < ready; place++) {
      const loader = loaders[poll.ready(place)]!;
      const ms = loader.hear(buffer, now);
      if (ms === undefined) continue;
      answered(ms);
      loader.ask(now);
      now = performance.now();
    }
    const tookS = (now - begun) / 1000;
    if (tookS > seconds) return tookS;
  }
}

/** The value that so great a share of the values does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  return Float64Array.from(values).sort()[Math.floor(share * (values.length - 1))] ?? NaN;
}

function summarize(
  loaders: readonly Loader[],
  batches: readonly number[],
  seconds: number,
  cpuShare: number,
): LoadResult {
  const sum = (values: Iterable<number>) => Array.from(values).reduce((a, b) => a + b, 0);
  const served = loaders.map((loader) => loader.served);
  const all = sum(served);
  return {
    requestsPerS: all / seconds,
    meanMs: sum(batches) / batches.length,
    p99Ms: quantile(batches, 0.99),
    p999Ms: quantile(batches, 0.999),
    slowestOfMean: Math.min(...served) / (all / loaders.length),
    refused: sum(loaders.map(({ refused }) => refused)),
    cpuShare,
  };
}

if (import.meta.main) console.log(JSON.stringify(load(JSON.parse(Deno.args[0]!))));
