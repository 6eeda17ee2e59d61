/**
 * The load generator: keeps a number of requests in flight on every connection, and prints the results
 * as one line of JSON. It is a process of its own, so that it never waits for the server. Servers that
 * are compared are loaded alternately, in slices of time, so that they see the same machine.
 */
import process from "node:process";
import { CYCLE, type Dialect, DIALECTS } from "./dialects.ts";
import { quantile } from "./figure.ts";
import { connect, Poll, receive, send } from "./sockets.ts";

/** What to load, and how. */
export interface LoadPlan {
  readonly targets: readonly Target[];
  /** Connections to each target. */
  readonly connections: number;
  /** Requests of a pipeline: they are sent at once, and the next ones when all are answered. */
  readonly depth: number;
  /** Seconds for which a target is loaded before the next one follows. */
  readonly sliceS: number;
  /** Slices that are measured, after those of the warm-up. */
  readonly slices: number;
  readonly warmUpSlices: number;
}

/** A server, or several of one chat, over which the connections are spread. */
export interface Target {
  readonly dialect: keyof typeof DIALECTS;
  readonly hostname: string;
  readonly ports: readonly number[];
}

/** What was measured on one target. A latency is the time (ms) until a whole pipeline is answered. */
export interface LoadResult {
  /** Requests a second, of each slice. */
  readonly perS: readonly number[];
  readonly meanMs: number;
  readonly p999Ms: number;
  /** Requests of the connection that was served least, divided by the mean of all connections. */
  readonly slowestOfMean: number;
  /** Messages that the server did not acknowledge as stored. */
  readonly refused: number;
  /** Messages that the server acknowledged and did not deliver, where it delivers them by itself. */
  readonly undelivered: number;
  /** The generator's own use of a processor: near 1 it is the bottleneck. */
  readonly cpuShare: number;
}

type Bytes = Uint8Array<ArrayBuffer>;

const BUFFER_BYTES = 262_144;
const POLL_MS = 100;
const LOOPBACK = /^127\./;

/** One connection of the load. */
class Loader {
  readonly socket: number;
  readonly #dialect: Dialect;
  readonly #depth: number;
  /** A pipeline of messages. */
  readonly #storing: Bytes;
  /** The last pipeline of a cycle: its last request takes the messages. */
  readonly #taking: Bytes;
  /** The place in the cycle of the request that is answered next. */
  #position = 0;
  #unanswered = 0;
  #sentAt = 0;
  /** The beginning of a reply whose rest has not arrived. */
  #rest: Bytes = new Uint8Array(0);
  served = 0;
  refused = 0;
  delivered = 0;

  constructor(plan: LoadPlan, { dialect, hostname, ports }: Target, index: number) {
    this.#dialect = DIALECTS[dialect];
    this.#depth = plan.depth;
    // In strict mode each address is one user.
    const from = LOOPBACK.test(hostname) ? `127.1.${index >> 8}.${index & 255}` : undefined;
    this.socket = connect(hostname, ports[index % ports.length]!, from);
    for (const request of this.#dialect.hello(index)) {
      send(this.socket, request);
      receive(this.socket, new Uint8Array(256), true);
    }
    const to = (index + 1) % plan.connections;
    const last = plan.depth - 1;
    const stores = Array.from({ length: last }, (_, place) => this.#dialect.store(to, place));
    this.#storing = join(...stores, this.#dialect.store(to, last));
    this.#taking = join(...stores, this.#dialect.take(index, last));
  }

  /** Sends the next pipeline. */
  sendNext(now: number): void {
    const isLast = this.#position + this.#depth === CYCLE;
    send(this.socket, isLast ? this.#taking : this.#storing);
    this.#unanswered = this.#depth;
    this.#sentAt = now;
  }

  /** Reads what has arrived; returns the latency (ms) if the pipeline is answered now. */
  readReplies(buffer: Bytes, now: number): number | undefined {
    const wasWaiting = this.#unanswered > 0;
    const rest = this.#rest.length;
    if (rest > 0) buffer.set(this.#rest);
    const to = rest + receive(this.socket, rest === 0 ? buffer : buffer.subarray(rest));
    let from = 0;
    while (from < to) {
      const end = this.#dialect.replyEnd(buffer, from, to, this.#position === CYCLE - 1);
      if (end < 0) break;
      if (this.#dialect.isDelivery?.(buffer, from)) this.delivered++;
      else this.#count(buffer, from, end);
      from = end;
    }
    if (rest > 0 || from < to) this.#rest = buffer.slice(from, to);
    return wasWaiting && this.#unanswered === 0 ? now - this.#sentAt : undefined;
  }

  #count(bytes: Bytes, from: number, end: number): void {
    const isTake = this.#position === CYCLE - 1;
    if (!isTake && !this.#dialect.isStored(bytes, from, end)) this.refused++;
    this.#position = (this.#position + 1) % CYCLE;
    this.#unanswered--;
    this.served++;
  }
}

function join(...parts: Bytes[]): Bytes {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** The connections to one target, and their results. */
class Load {
  readonly #loaders: readonly Loader[];
  /** The server delivers messages by itself. */
  readonly #delivers: boolean;
  readonly #poll = new Poll();
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #perS: number[] = [];
  readonly #latenciesMs: number[] = [];
  /** Processor time of the generator, in seconds, in the slices that were measured. */
  #usedS = 0;
  #tookS = 0;

  constructor(plan: LoadPlan, target: Target) {
    this.#delivers = DIALECTS[target.dialect].isDelivery !== undefined;
    const indexes = Array.from({ length: plan.connections }, (_, index) => index);
    this.#loaders = indexes.map((index) => new Loader(plan, target, index));
    this.#loaders.forEach(({ socket }, index) => this.#poll.add(socket, index));
  }

  /** Loads the target for a time that does not count. */
  warmUp(seconds: number): void {
    this.#load(seconds, () => {});
    for (const loader of this.#loaders) loader.served = loader.refused = loader.delivered = 0;
  }

  /** Loads the target for one slice, and keeps the results. */
  measure(seconds: number): void {
    const begun = performance.now();
    const usedBefore = process.cpuUsage();
    this.#perS.push(this.#load(seconds, (ms) => this.#latenciesMs.push(ms)));
    const { user, system } = process.cpuUsage(usedBefore);
    this.#usedS += (user + system) / 1e6;
    this.#tookS += (performance.now() - begun) / 1000;
  }

  /**
   * Loads the target for these seconds, then waits until every request is answered and every message
   * that the server delivers by itself has arrived. Returns the requests a second that were answered
   * while all connections were sending.
   */
  #load(seconds: number, answered: (ms: number) => void): number {
    const before = this.#served();
    const begun = performance.now();
    for (const loader of this.#loaders) loader.sendNext(performance.now());
    let perS: number | undefined;
    for (let busy = this.#loaders.length; busy > 0;) {
      const ready = this.#poll.wait(POLL_MS);
      let now = performance.now();
      if (now - begun >= 1000 * seconds) perS ??= (this.#served() - before) * 1000 / (now - begun);
      for (let place = 0; place < ready; place++) {
        const loader = this.#loaders[this.#poll.ready(place)]!;
        const ms = loader.readReplies(this.#buffer, now);
        if (ms === undefined) continue;
        answered(ms);
        if (perS === undefined) loader.sendNext(now);
        else busy--;
        now = performance.now();
      }
    }
    this.#readDeliveries();
    return perS!;
  }

  /** Reads until every message has arrived. Gives up when none arrives for {@link POLL_MS}. */
  #readDeliveries(): void {
    while (this.#undelivered() > 0) {
      const ready = this.#poll.wait(POLL_MS);
      if (ready === 0) return;
      for (let place = 0; place < ready; place++) {
        this.#loaders[this.#poll.ready(place)]!.readReplies(this.#buffer, performance.now());
      }
    }
  }

  #undelivered(): number {
    if (!this.#delivers) return 0;
    return this.#served() - sum(this.#loaders.map(({ delivered }) => delivered));
  }

  #served(): number {
    return sum(this.#loaders.map(({ served }) => served));
  }

  /** The results of all slices so far. */
  get result(): LoadResult {
    const served = this.#loaders.map((loader) => loader.served);
    return {
      perS: this.#perS,
      meanMs: sum(this.#latenciesMs) / this.#latenciesMs.length,
      p999Ms: quantile(this.#latenciesMs, 0.999),
      slowestOfMean: Math.min(...served) / (sum(served) / served.length),
      refused: sum(this.#loaders.map(({ refused }) => refused)),
      undelivered: this.#undelivered(),
      cpuShare: this.#usedS / this.#tookS,
    };
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** Loads the targets by the plan; returns a result for each. */
export function load(plan: LoadPlan): LoadResult[] {
  const loads = plan.targets.map((target) => new Load(plan, target));
  for (let slice = 0; slice < plan.warmUpSlices + plan.slices; slice++) {
    // There and back, so that no target always comes behind the same one.
    for (const load of slice % 2 === 0 ? loads : loads.toReversed()) {
      if (slice < plan.warmUpSlices) load.warmUp(plan.sliceS);
      else load.measure(plan.sliceS);
    }
  }
  return loads.map(({ result }) => result);
}

if (import.meta.main) console.log(JSON.stringify(load(JSON.parse(Deno.args[0]!))));
