/** Real nats-servers for the tests, on loopback, with their store in a temporary folder. */
import { setTimeout as sleep } from "node:timers/promises";
import { jetstream, jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { openNats } from "../../lib/engine/cluster.ts";
import type { Log } from "../../lib/log.ts";
import type { ServerOptions } from "../../lib/options.ts";
import type { SharingOptions } from "../../lib/journal/shared_journal.ts";
import type { Commits } from "../../lib/engine/commits.ts";
import { wholeBelow } from "../random.ts";
import type { Needs } from "../needs.ts";

/** What a test with one nats-server needs. */
export const NATS: Needs = {
  permissions: ["net", "run", "read", "write"],
  programs: ["nats-server"],
};

/** What a test with several of them needs: older ones may have copies that differ after a kill. */
export const NATS_CLUSTER: Needs = { ...NATS, programs: ["nats-server 2.10"] };

/** Ports below those that the system gives to clients, and to servers that ask for any port. */
const PORT_MIN = 10_000;
const PORT_MAX = 32_000;
/** The pause between two looks whether a server is ready (ms). */
const LOOK_MS = 20;
/** A server that is not ready after this long (ms) is started again, and the third time given up. */
const READY_MS = 20_000;
const READY_STARTS_MAX = 3;
/** Servers that start together sometimes leave one out for good: then others are started. */
const STARTS_MAX = 5;
/** They find each other within this time (ms), or never. */
const MEET_MS = 5_000;
/** The monitoring port answers within this time (ms). */
const ANSWER_MS = 1_000;

function freePort(): number {
  for (;;) {
    const port = PORT_MIN + wholeBelow(Math.random, PORT_MAX - PORT_MIN);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** One server. Its ports and its store outlive its processes. */
export class NatsNode {
  readonly name: string;
  readonly port = freePort();
  readonly #monitor = freePort();
  readonly #folder: string;
  readonly #flags: readonly string[];
  #process: Deno.ChildProcess | undefined;
  /** Has its process ended by itself, as it does when another program has taken its port? */
  #hasFailed = false;

  constructor(folder: string, name: string, flags: readonly string[]) {
    this.#folder = folder;
    this.name = name;
    this.#flags = flags;
  }

  /** Starts it on its store. */
  start(): void {
    const process = new Deno.Command("nats-server", {
      args: [
        ...["--name", this.name, "--addr", "127.0.0.1", "--port", `${this.port}`],
        ...["--http_port", `${this.#monitor}`],
        ...["--jetstream", "--store_dir", this.#folder, "--log", `${this.#folder}/log`],
        ...this.#flags,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#process = process;
    this.#hasFailed = false;
    process.status.then(() => this.#hasFailed = this.#process === process);
  }

  /** Ends it, by default as `kill -9` does. */
  async end(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    const process = this.#process;
    this.signal(signal);
    this.#process = undefined;
    await process?.status;
  }

  /** Sends a signal to its process, if there is one. */
  signal(signal: Deno.Signal): void {
    try {
      this.#process?.kill(signal);
    } catch {
      // It has ended already.
    }
  }

  /** Waits until it serves, and the copies of what it leads are up to date. */
  async ready(): Promise<void> {
    for (let starts = 1;; starts++) {
      const late = performance.now() + READY_MS;
      while (performance.now() < late && !this.#hasFailed) {
        if (await this.#isReady()) return;
        await sleep(LOOK_MS);
      }
      if (starts === READY_STARTS_MAX || this.#hasFailed) break;
      // 2.10.27 sometimes does not hear the others after a start, and logs "Duplicate Route".
      await this.end();
      this.start();
    }
    const log = await Deno.readTextFile(`${this.#folder}/log`);
    throw new Error(`A nats-server does not get ready: ${log.slice(-1_000)}`);
  }

  /** Asks its monitoring port. */
  look(path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.#monitor}/${path}`, {
      signal: AbortSignal.timeout(ANSWER_MS),
    });
  }

  /**
   * Its own `/healthz` does not help: it may stay unhealthy without the reader of a killed server.
   * Streams that were removed while it was away are in no group for a while, and do not count.
   */
  async #isReady(): Promise<boolean> {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port: this.port })).close();
      const { account_details: accounts = [], meta_cluster: meta }: Facts =
        await (await this.look("jsz?streams=true")).json();
      const groups = accounts.flatMap(({ stream_detail }) => stream_detail ?? [])
        .map(({ cluster }) => cluster).filter((group) => group?.raft_group !== undefined);
      return [meta, ...groups].every((group) => group === undefined || this.#isWhole(group));
    } catch {
      return false;
    }
  }

  /** Only the leader of a group knows how far the others are. */
  #isWhole({ leader, replicas = [] }: Group): boolean {
    if (leader !== this.name) return leader !== undefined;
    return replicas.length > 0 && replicas.every(({ current }) => current);
  }
}

/** Servers with copies of the same stream. */
interface Group {
  readonly leader?: string;
  /** The name of the group; the group of all servers has none. */
  readonly raft_group?: string;
  /** The members, without the server that was asked. */
  readonly replicas?: readonly { readonly current: boolean }[];
}

/** What a server tells about its JetStream. */
interface Facts {
  readonly account_details?: readonly { readonly stream_detail?: readonly StreamFacts[] }[];
  readonly meta_cluster?: Group;
}

/** What a server tells about a stream. */
interface StreamFacts {
  readonly name: string;
  readonly state: { readonly first_seq: number; readonly last_seq: number };
  readonly cluster?: Group;
}

/** One server, or several that form a cluster. */
export class Nats implements AsyncDisposable {
  readonly nodes: readonly NatsNode[];
  readonly #folder = Deno.makeTempDirSync();

  private constructor(count: number, flags: readonly string[]) {
    const routes = Array.from({ length: count }, () => `nats://127.0.0.1:${freePort()}`);
    this.nodes = routes.map((route, index) => {
      const cluster = ["--cluster_name", "asvt", "--cluster", route, "--routes", routes.join(",")];
      return new NatsNode(`${this.#folder}/${index}`, `n${index}`, [
        ...count > 1 ? cluster : [],
        ...flags,
      ]);
    });
  }

  /** Starts this many, and waits until they are ready. */
  static async start(count = 1, ...flags: string[]): Promise<Nats> {
    for (let starts = 1;; starts++) {
      const nats = new Nats(count, flags);
      try {
        await nats.#begin();
        return nats;
      } catch (error) {
        await nats[Symbol.asyncDispose]();
        if (starts === STARTS_MAX) throw error;
      }
    }
  }

  async #begin(): Promise<void> {
    for (const [index, node] of this.nodes.entries()) {
      await Deno.mkdir(`${this.#folder}/${index}`);
      node.start();
    }
    await this.ready();
    const late = performance.now() + MEET_MS;
    while (!await this.#haveMet()) {
      if (performance.now() > late) throw new Error("The nats-servers do not find each other");
      await sleep(LOOK_MS);
    }
  }

  /** Do all of them take part? Only the leader knows. */
  async #haveMet(): Promise<boolean> {
    const counts = await Promise.all(this.nodes.map(async (node) => {
      const { meta_cluster: meta }: Facts = await (await node.look("jsz")).json();
      return 1 + (meta?.replicas ?? []).length;
    }));
    return Math.max(...counts) === this.nodes.length;
  }

  /** The value of `--journal`. */
  get urls(): string {
    return this.nodes.map(({ port }) => `nats://127.0.0.1:${port}`).join(",");
  }

  get flags(): readonly string[] {
    return ["--journal", this.urls];
  }

  /** Waits until all of them serve, and their copies are up to date. */
  async ready(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.ready()));
  }

  /** Opens the chat that is stored here, as one more server does. */
  async open(
    options: ServerOptions,
    log: Log,
    snapshotEntries?: SharingOptions["snapshotEntries"],
  ): Promise<Commits> {
    const failed = (error: Error) => log.event("failed", { error: error.message });
    const context = { log, failed, ...snapshotEntries && { snapshotEntries } };
    return await openNats({ ...options, journal: this.urls }, context);
  }

  /** The numbers of the first and the last message in the stream; `first` is larger if it is empty. */
  async stream(): Promise<{ readonly first: number; readonly last: number }> {
    const { state } = await this.#look();
    return { first: state.first_seq, last: state.last_seq };
  }

  /** The server that leads the copies of the stream. */
  async leader(): Promise<NatsNode> {
    const { cluster } = await this.#look();
    return this.nodes.find(({ name }) => name === cluster?.leader)!;
  }

  async #look(): Promise<StreamFacts> {
    const { account_details: accounts = [] }: Facts =
      await (await this.nodes[0]!.look("jsz?streams=true")).json();
    return accounts[0]!.stream_detail!.find(({ name }) => name === "asvt-chat")!;
  }

  /** Publishes a message in the stream, as another program might. */
  async publish(body: string | Uint8Array): Promise<void> {
    const connection = await connect({ servers: this.urls });
    await jetstream(connection).publish("asvt-chat.turns", body);
    await connection.close();
  }

  /** Changes the configuration of the stream. */
  async configure(config: Partial<StreamConfig>): Promise<void> {
    const connection = await connect({ servers: this.urls });
    await (await jetstreamManager(connection)).streams.update("asvt-chat", config);
    await connection.close();
  }

  /** The folder in which the first server keeps its streams. */
  get #store(): string {
    return `${this.#folder}/0/jetstream`;
  }

  /** Ends the only server, and removes all that it keeps. */
  async loseStore(): Promise<void> {
    await this.nodes[0]!.end();
    await Deno.remove(this.#store, { recursive: true });
  }

  /** Copies what the only server keeps. Returns a function that ends it and puts the copy back. */
  async copyStore(): Promise<() => Promise<void>> {
    const copy = `${this.#folder}/copy`;
    const copying = new Deno.Command("cp", { args: ["-a", this.#store, copy] });
    await this.nodes[0]!.end("SIGTERM");
    await copying.output();
    this.nodes[0]!.start();
    await this.ready();
    return async () => {
      await this.loseStore();
      await Deno.rename(copy, this.#store);
    };
  }

  /** Removes a stream. */
  async remove(stream: string): Promise<void> {
    const connection = await connect({ servers: this.urls });
    await (await jetstreamManager(connection)).streams.delete(stream);
    await connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.end()));
    await Deno.remove(this.#folder, { recursive: true });
  }
}
