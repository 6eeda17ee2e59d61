/**
 * The simulator of several servers that share a chat: real shared journals, batches and engines
 * over a stream in memory. The steps decide when a message arrives, and when a server reads one.
 * Only promises that are ready are awaited, so the steps decide everything.
 */
import { assertEquals } from "@std/assert";
import { decodeEntries, encodeEntries } from "../../../lib/chat/entry_codec.ts";
import type { Client, Request } from "./client.ts";
import type { ClusterStep, Event, ServerAmount, ServerEvent } from "./cluster_steps.ts";
import { Oracle } from "./oracle.ts";
import { type ClusterFaults, type Environment, Process } from "./server.ts";
import { SETTINGS } from "./steps.ts";
import { type Packet, Stream } from "./stream.ts";

type First = ClusterStep & { readonly kind: "servers" };

/** After this many rounds of the runtime all promises that are ready have run. */
const TICKS = 24;
/** All servers must come to rest within this many rounds. */
const REST_ROUNDS = 120;
/** The time that passes in each of these rounds (ms). */
const REST_MS = 600;
/** After this many checks by its peers a member that does not answer has ended. */
const PEER_CHECKS = 3;
/** A message of another program: it looks like a batch of a member, but its last entry is none. */
const FOREIGN = encodeEntries([{ kind: "batch", at: 1, member: "m1", batch: 1 }])
  .replace("]", ',{"kind":"later"}]');
const FIRST: First = { kind: "servers", count: 2, lengthMax: 100_000, settings: SETTINGS };

/** Executes the steps. Throws if a server differs from the naive chat. */
export async function simulateCluster(
  steps: readonly ClusterStep[],
  faults: ClusterFaults = {},
): Promise<void> {
  const first = steps[0]?.kind === "servers" ? steps[0] : FIRST;
  const { setTimeout, clearTimeout, setImmediate } = globalThis;
  const { now } = Date;
  const world = new World(first, faults);
  Date.now = () => world.clock;
  Object.assign(globalThis, {
    setTimeout: (call: () => void, ms: number) => world.later(ms, call),
    clearTimeout: (cancel?: () => void) => cancel?.(),
    setImmediate: (call: () => void) => world.afterTurn(call),
  });
  try {
    for (const step of steps) await world.do(step);
    await world.rest();
  } finally {
    Date.now = now;
    Object.assign(globalThis, { setTimeout, clearTimeout, setImmediate });
  }
}

/** A server: at most one process at a time, and a clock. */
interface Host {
  process: Process | undefined;
  /** Its clock is this far ahead of the simulated time (ms). */
  skewMs: number;
  /** Is it left out when `all goes on`? */
  isCutOff: boolean;
}

class World implements Environment {
  readonly stream = new Stream();
  readonly oracle: Oracle;
  readonly faults: ClusterFaults;
  readonly lengthMax: number;
  now = 10_000_000;
  readonly #first: First;
  readonly #hosts: readonly Host[];
  readonly #processes: Process[] = [];
  /** By the session's number in the steps. */
  readonly #clients = new Map<number, Client>();
  /** The process whose code runs now. */
  #current!: Process;
  #posts: { readonly process: Process; readonly work: () => void }[] = [];
  #failures: unknown[] = [];
  #ids = 0;

  constructor(first: First, faults: ClusterFaults) {
    this.#first = first;
    this.lengthMax = first.lengthMax;
    this.faults = faults;
    this.oracle = new Oracle(first.settings);
    this.#hosts = Array.from({ length: first.count }, () => {
      return { process: undefined, skewMs: 0, isCutOff: false };
    });
  }

  /** The time on the clock of the current process' server (ms). */
  get clock(): number {
    return this.now + this.#hosts[this.#current.number - 1]!.skewMs;
  }

  later(ms: number, call: () => void): () => void {
    return this.#current.later(ms, call);
  }

  afterTurn(call: () => void): void {
    this.#current.batchEnds.push(call);
  }

  newMemberId(): string {
    return `m${++this.#ids}`;
  }

  post(process: Process, work: () => void): void {
    this.#posts.push({ process, work });
  }

  failed(error: unknown): void {
    this.#failures.push(error);
  }

  async do(step: ClusterStep): Promise<void> {
    switch (step.kind) {
      case "servers":
        return;
      case "time passes":
        return await this.#pass(step.ms);
      case "command":
        return await this.#sendCommand(step);
      case "ends":
      case "breaks": {
        const client = this.#clients.get(step.session);
        if (client === undefined) return;
        this.#clients.delete(step.session);
        const end = () => step.kind === "ends" ? client.end() : client.break();
        return await this.#runIn(client.server as Process, end);
      }
      case "joins as":
        return await this.#start(step.server, step.settings);
      default:
        if ("amount" in step) return await this.#doTimes(step.server, step.kind, step.amount);
        if ("server" in step) return await this.#doTo(step.server, step.kind);
        return await this.#doAll(step.kind);
    }
  }

  /**
   * All messages arrive, and the servers come to rest. Then the oracle checks that nothing is lost.
   */
  async rest(): Promise<void> {
    for (const host of this.#hosts) host.isCutOff = false;
    await this.#settle();
    await this.#takeBackName();
    for (let time = 0; time < PEER_CHECKS; time++) {
      for (const process of this.#living) {
        await this.#runIn(process, () => process.engine.checkPeers());
      }
      await this.#settle();
    }
    this.oracle.checkEnd(this.#processes);
  }

  /** A user whose name a crashed server holds must get it back from another server. */
  async #takeBackName(): Promise<void> {
    const [process] = this.#living;
    const lost = this.oracle.findLostUser(this.#living.flatMap(({ sessions }) => sessions));
    if (process === undefined || lost === undefined) return;
    let request: Request | undefined;
    await this.#runIn(process, () => {
      const client = process.connect(lost.address, ++this.#ids)!;
      request = client.send(["register", lost.name], false);
      this.oracle.requestOf.set(request.command, request);
    });
    await this.#settle();
    assertEquals(request?.got, [`Nice to see you, ${lost.name}`]);
  }

  get #living(): Process[] {
    return this.#processes.filter(({ isOver }) => !isOver);
  }

  async #settle(): Promise<void> {
    for (let round = 0; round < REST_ROUNDS; round++) {
      for (const process of this.#living) await this.#wake(process);
      await this.#doAll("all goes on");
      const isDone = ({ isAtRest, isOver, through }: Process) =>
        isOver || isAtRest && through === this.stream.bodies.length;
      if (this.stream.packets.length === 0 && this.#processes.every(isDone)) return;
      await this.#pass(REST_MS);
    }
    throw new Error("The servers do not come to rest");
  }

  /**
   * Runs `work` in a process, with all that follows from it now. A process that sleeps does it
   * later.
   */
  async #runIn(process: Process | undefined, work: () => void): Promise<void> {
    if (process === undefined || process.isOver) return;
    if (process.isAsleep) return void process.postponed.push(work);
    this.#current = process;
    work();
    for (let tick = 0; tick < TICKS; tick++) await undefined;
    this.oracle.checkState(process);
    if (this.#failures.length > 0) throw this.#failures[0];
    for (let post = this.#posts.shift(); post !== undefined; post = this.#posts.shift()) {
      await this.#runIn(post.process, post.work);
    }
  }

  async #pass(ms: number): Promise<void> {
    this.now += ms;
    for (const process of this.#living) {
      while (!process.isAsleep) {
        const due = process.takeDue();
        if (due === undefined) break;
        await this.#runIn(process, due);
      }
    }
  }

  async #sendCommand({ server, session, address, words, more }: ClusterStep & { kind: "command" }) {
    const process = this.#processOf(session) ?? this.#hosts[server - 1]?.process;
    await this.#runIn(process, () => {
      const client = this.#processOf(session) === process
        ? this.#clients.get(session)
        : process!.connect(address, ++this.#ids);
      if (client === undefined) return;
      this.#clients.set(session, client);
      const request = client.send(words, more);
      this.oracle.requestOf.set(request.command, request);
    });
  }

  /** The process to which the session is connected; `undefined` if its connection has ended. */
  #processOf(session: number): Process | undefined {
    const client = this.#clients.get(session);
    const process = client?.server as Process | undefined;
    return client?.isOver || process?.isOver ? undefined : process;
  }

  async #start(server: number, settings = this.#first.settings): Promise<void> {
    const host = this.#hosts[server - 1];
    if (host === undefined || host.process?.isOver === false) return;
    const process = host.process = new Process(this, server, settings);
    this.#processes.push(process);
    await this.#runIn(process, () => process.joinWhenRead());
  }

  async #doTo(server: number, event: ServerEvent): Promise<void> {
    const host = this.#hosts[server - 1];
    if (host === undefined) return;
    const { process } = host;
    const [oldest] = this.stream.packets.filter((packet) => packet.server === server);
    switch (event) {
      case "starts":
        return await this.#start(server);
      case "is heard":
      case "is heard and not told":
      case "is heard and sends again":
      case "is heard late":
      case "is not heard":
        return await this.#carryPacket(oldest, event);
      case "meets a foreign message":
        this.stream.bodies.push(FOREIGN);
        return this.oracle.appendForeign();
      case "seems to skip a batch":
        return this.#skipBatch();
      case "is cut off":
      case "is connected again":
        host.isCutOff = event === "is cut off";
        return;
    }
    if (process === undefined || process.isOver) return;
    switch (event) {
      case "dies":
        process.end();
        process.isCrashed = true;
        return;
      case "stops":
        return await this.#runIn(process, () => process.stop());
      case "sleeps":
        process.isAsleep = true;
        return;
      case "wakes":
        return await this.#wake(process);
      case "ends its batch":
        return await this.#endBatches(process);
      case "gets its question through":
        return await this.#carryQuestion(process, this.#living);
      case "checks its peers":
        return await this.#runIn(process, () => process.engine.checkPeers());
      case "stores its snapshot":
        if (process.isAsleep || process.saving === undefined) return;
        this.stream.save(process.saving.state, process.saving.through);
        process.saving = undefined;
    }
  }

  async #doTimes(server: number, what: ServerAmount, amount: number): Promise<void> {
    const host = this.#hosts[server - 1];
    if (host === undefined) return;
    const { process } = host;
    if (what === "moves its clock by") host.skewMs += amount;
    else if (what === "forgets after") {
      await this.#runIn(process, () => process!.engine.forgetAbsent(Date.now(), amount));
    } else for (let left = amount; left > 0; left--) await this.#read(process);
  }

  async #doAll(event: Event): Promise<void> {
    if (event === "the stream is purged") return this.stream.purge();
    for (let round = 0; round < 3; round++) {
      for (const process of this.#living) await this.#endBatches(process);
      for (const process of this.#connected) await this.#carryQuestion(process, this.#connected);
      for (const packet of this.stream.packets) {
        if (!this.#isCutOff(packet.server)) await this.#carryPacket(packet, "is heard");
      }
      for (const process of this.#connected) {
        while (!process.isOver && !process.isAsleep && this.#isBehind(process)) {
          await this.#read(process);
        }
      }
    }
  }

  get #connected(): Process[] {
    return this.#living.filter(({ number }) => !this.#isCutOff(number));
  }

  #isCutOff(server: number): boolean {
    return this.#hosts[server - 1]!.isCutOff;
  }

  #isBehind({ through }: Process): boolean {
    return through < this.stream.bodies.length;
  }

  async #read(process: Process | undefined): Promise<void> {
    if (process?.isAsleep || !process || !this.#isBehind(process)) return;
    await this.#runIn(process, () => process.read());
  }

  async #wake(process: Process): Promise<void> {
    process.isAsleep = false;
    for (const work of process.postponed.splice(0)) await this.#runIn(process, work);
  }

  async #endBatches(process: Process): Promise<void> {
    if (process.isAsleep) return;
    for (const end of process.batchEnds.splice(0)) await this.#runIn(process, end);
  }

  /** Carries the oldest question of a process to the one that it asks. */
  async #carryQuestion(process: Process, targets: readonly Process[]): Promise<void> {
    const [question] = process.questions;
    for (const target of question === undefined ? [] : targets) {
      await this.#runIn(target, () => target.hear(question!, process));
    }
  }

  /** Carries a message to the stream, or loses it. */
  async #carryPacket(packet: Packet | undefined, how: ServerEvent): Promise<void> {
    if (packet === undefined) return;
    this.stream.packets = this.stream.packets.filter((other) => other !== packet);
    if (how === "is heard late") return void this.stream.packets.push(packet);
    if (how === "is not heard") return;
    this.stream.bodies.push(packet.body);
    this.oracle.append(packet.body);
    if (how === "is heard and sends again") this.stream.packets.push(packet);
    if (how === "is heard and not told") return;
    packet.sent();
    const post = this.#posts.shift();
    if (post !== undefined) await this.#runIn(post.process, post.work);
  }

  /** Adds a batch to the stream whose number is not the member's next. */
  #skipBatch(): void {
    const last = this.stream.bodies.findLast((text) => text !== FOREIGN);
    const [first, ...rest] = decodeEntries(last ?? "[0]");
    if (first?.kind !== "batch") return;
    const body = encodeEntries([{ ...first, batch: first.batch + 2 }, ...rest]);
    this.stream.bodies.push(body);
    this.oracle.append(body);
  }
}
