/**
 * The simulator of several servers that share a chat: real journals, batches and engines over a stream
 * of arrays. What is sent arrives when the steps say so, and each server reads as fast as they say.
 * Nothing is awaited but what is ready, so the steps decide everything.
 */
import { assertEquals } from "@std/assert";
import { decodeEntries, encodeEntries } from "../../../lib/chat/entry_codec.ts";
import type { Client, Said } from "./client.ts";
import type { ClusterStep, Event, ServerAmount, ServerEvent } from "./cluster_steps.ts";
import { Oracle } from "./oracle.ts";
import { type ClusterFaults, Process, type Surroundings } from "./server.ts";
import { SETTINGS } from "./steps.ts";
import { type Packet, Stream } from "./stream.ts";

type First = ClusterStep & { readonly kind: "servers" };

/** Promises that are ready are done after so many rounds of the runtime. */
const TICKS = 24;
/** In so many rounds all servers must have come to rest. */
const REST_ROUNDS = 120;
/** A round of rest takes so long, in milliseconds. */
const REST_MS = 600;
/** A run that is silent so often is over. */
const SILENCES = 3;
const FIRST: First = { kind: "servers", count: 2, lengthMax: 100_000, settings: SETTINGS };

/** Does the steps, and throws where the servers are not what the naive chat is. */
export async function simulateCluster(
  steps: readonly ClusterStep[],
  faults: ClusterFaults = {},
): Promise<void> {
  const first = steps[0]?.kind === "servers" ? steps[0] : FIRST;
  const { setTimeout, clearTimeout, setImmediate } = globalThis;
  const { now } = Date;
  const world = new World(first, faults);
  Date.now = () => world.clock;
  globalThis.setTimeout =
    ((call: () => void, ms: number) => world.later(ms, call)) as unknown as typeof setTimeout;
  globalThis.clearTimeout = ((cancel?: () => void) => cancel?.()) as typeof clearTimeout;
  globalThis.setImmediate =
    ((call: () => void) => world.afterTurn(call)) as unknown as typeof setImmediate;
  try {
    for (const step of steps) await world.do(step);
    await world.rest();
  } finally {
    Date.now = now;
    Object.assign(globalThis, { setTimeout, clearTimeout, setImmediate });
  }
}

/** A server: at most one process at a time, and a clock. */
interface Place {
  process: Process | undefined;
  /** So far is the clock from the time of the world, in milliseconds. */
  skew: number;
  /** Nothing comes and goes between it and the others by itself. */
  isCutOff: boolean;
}

class World implements Surroundings {
  readonly stream = new Stream();
  readonly oracle: Oracle;
  readonly faults: ClusterFaults;
  readonly lengthMax: number;
  now = 10_000_000;
  readonly #first: First;
  readonly #places: readonly Place[];
  readonly #processes: Process[] = [];
  /** By the numbers of the steps. */
  readonly #clients = new Map<number, Client>();
  /** Whose code runs. */
  #current!: Process;
  #posts: { readonly process: Process; readonly work: () => void }[] = [];
  #failures: unknown[] = [];
  #ids = 0;

  constructor(first: First, faults: ClusterFaults) {
    this.#first = first;
    this.lengthMax = first.lengthMax;
    this.faults = faults;
    this.oracle = new Oracle(first.settings);
    this.#places = Array.from({ length: first.count }, () => {
      return { process: undefined, skew: 0, isCutOff: false };
    });
  }

  /** What the clock of the server says whose code runs. */
  get clock(): number {
    return this.now + this.#places[this.#current.number - 1]!.skew;
  }

  later(ms: number, call: () => void): () => void {
    return this.#current.later(ms, call);
  }

  afterTurn(call: () => void): void {
    this.#current.batchEnds.push(call);
  }

  newId(): string {
    return `run${++this.#ids}`;
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
      case "say":
        return await this.#say(step);
      case "ends":
      case "breaks": {
        const client = this.#clients.get(step.session);
        if (client === undefined) return;
        this.#clients.delete(step.session);
        const end = () => step.kind === "ends" ? client.end() : client.break();
        return await this.#act(client.server as Process, end);
      }
      case "joins as":
        return await this.#start(step.server, step.settings);
      default:
        if ("amount" in step) return await this.#doSo(step.server, step.kind, step.amount);
        if ("server" in step) return await this.#doTo(step.server, step.kind);
        return await this.#doAll(step.kind);
    }
  }

  /** All that is on its way arrives, and everybody comes to an end; then nothing may be lost. */
  async rest(): Promise<void> {
    for (const place of this.#places) place.isCutOff = false;
    await this.#settle();
    await this.#comeBack();
    for (let time = 0; time < SILENCES; time++) {
      for (const process of this.#living) {
        await this.#act(process, () => process.engine.checkPeers());
      }
      await this.#settle();
    }
    this.oracle.checkEnd(this.#processes);
  }

  /** Whose name is held by a server that died gets it back from another one. */
  async #comeBack(): Promise<void> {
    const [process] = this.#living;
    const lost = this.oracle.heldByNobody(this.#living.flatMap(({ sessions }) => sessions));
    if (process === undefined || lost === undefined) return;
    let said: Said | undefined;
    await this.#act(process, () => {
      const client = process.connect(lost.address, ++this.#ids)!;
      said = client.say(["register", lost.name], false);
      this.oracle.saidOf.set(said.command, said);
    });
    await this.#settle();
    assertEquals(said?.got, [`Nice to see you, ${lost.name}`]);
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
    throw new Error("It does not come to rest");
  }

  /** Something happens in a process, with all that follows at once. One that sleeps does it later. */
  async #act(process: Process | undefined, work: () => void): Promise<void> {
    if (process === undefined || process.isOver) return;
    if (process.isAsleep) return void process.postponed.push(work);
    this.#current = process;
    work();
    for (let tick = 0; tick < TICKS; tick++) await undefined;
    this.oracle.checkState(process);
    if (this.#failures.length > 0) throw this.#failures[0];
    for (let post = this.#posts.shift(); post !== undefined; post = this.#posts.shift()) {
      await this.#act(post.process, post.work);
    }
  }

  async #pass(ms: number): Promise<void> {
    this.now += ms;
    for (const process of this.#living) {
      while (!process.isAsleep) {
        const due = process.takeDue();
        if (due === undefined) break;
        await this.#act(process, due);
      }
    }
  }

  async #say({ server, session, address, words, more }: ClusterStep & { kind: "say" }) {
    const process = this.#processOf(session) ?? this.#places[server - 1]?.process;
    await this.#act(process, () => {
      const client = this.#processOf(session) === process
        ? this.#clients.get(session)
        : process!.connect(address, ++this.#ids);
      if (client === undefined) return;
      this.#clients.set(session, client);
      const said = client.say(words, more);
      this.oracle.saidOf.set(said.command, said);
    });
  }

  /** Where the session is connected; nowhere if that is over. */
  #processOf(session: number): Process | undefined {
    const client = this.#clients.get(session);
    const process = client?.server as Process | undefined;
    return client?.isOver || process?.isOver ? undefined : process;
  }

  async #start(server: number, settings = this.#first.settings): Promise<void> {
    const place = this.#places[server - 1];
    if (place === undefined || place.process?.isOver === false) return;
    const process = place.process = new Process(this, server, settings);
    this.#processes.push(process);
    await this.#act(process, () => process.joinWhenRead());
  }

  async #doTo(server: number, event: ServerEvent): Promise<void> {
    const place = this.#places[server - 1];
    if (place === undefined) return;
    const { process } = place;
    const [oldest] = this.stream.packets.filter((packet) => packet.server === server);
    switch (event) {
      case "starts":
        return await this.#start(server);
      case "is heard":
      case "is heard and not told":
      case "is heard and sends again":
      case "is heard late":
      case "is not heard":
        return await this.#carry(oldest, event);
      case "seems to skip a batch":
        return this.#skip();
      case "is cut off":
      case "is connected again":
        place.isCutOff = event === "is cut off";
        return;
    }
    if (process === undefined || process.isOver) return;
    switch (event) {
      case "dies":
        process.end();
        process.isCrashed = true;
        return;
      case "stops":
        return await this.#act(process, () => process.stop());
      case "sleeps":
        process.isAsleep = true;
        return;
      case "wakes":
        return await this.#wake(process);
      case "ends its batch":
        return await this.#afterTurn(process);
      case "gets its question through":
        return await this.#question(process, this.#living);
      case "checks its peers":
        return await this.#act(process, () => process.engine.checkPeers());
      case "stores its snapshot":
        if (process.isAsleep || process.saving === undefined) return;
        this.stream.save(process.saving.state, process.saving.through);
        process.saving = undefined;
    }
  }

  async #doSo(server: number, what: ServerAmount, amount: number): Promise<void> {
    const place = this.#places[server - 1];
    if (place === undefined) return;
    const { process } = place;
    if (what === "moves its clock by") place.skew += amount;
    else if (what === "forgets after") {
      await this.#act(process, () => process!.engine.forgetAbsent(Date.now(), amount));
    } else for (let left = amount; left > 0; left--) await this.#read(process);
  }

  async #doAll(event: Event): Promise<void> {
    if (event === "the stream is purged") return this.stream.purge();
    for (let round = 0; round < 3; round++) {
      for (const process of this.#living) await this.#afterTurn(process);
      for (const process of this.#connected) await this.#question(process, this.#connected);
      for (const packet of this.stream.packets) {
        if (!this.#isCutOff(packet.server)) await this.#carry(packet, "is heard");
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
    return this.#places[server - 1]!.isCutOff;
  }

  #isBehind({ through }: Process): boolean {
    return through < this.stream.bodies.length;
  }

  async #read(process: Process | undefined): Promise<void> {
    if (process?.isAsleep || !process || !this.#isBehind(process)) return;
    await this.#act(process, () => process.read());
  }

  async #wake(process: Process): Promise<void> {
    process.isAsleep = false;
    for (const work of process.postponed.splice(0)) await this.#act(process, work);
  }

  async #afterTurn(process: Process): Promise<void> {
    if (process.isAsleep) return;
    for (const end of process.batchEnds.splice(0)) await this.#act(process, end);
  }

  /** The oldest question of a process gets to whom it is for. */
  async #question(process: Process, others: readonly Process[]): Promise<void> {
    const [question] = process.questions;
    for (const other of question === undefined ? [] : others) {
      await this.#act(other, () => other.hear(question!, process));
    }
  }

  /** A message comes to the stream, or not. */
  async #carry(packet: Packet | undefined, how: ServerEvent): Promise<void> {
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
    if (post !== undefined) await this.#act(post.process, post.work);
  }

  /** A batch comes that is not the next. */
  #skip(): void {
    const [first, ...others] = decodeEntries(this.stream.bodies.at(-1) ?? "[0]");
    if (first?.kind !== "batch") return;
    const body = encodeEntries([{ ...first, batch: first.batch + 2 }, ...others]);
    this.stream.bodies.push(body);
    this.oracle.append(body);
  }
}
