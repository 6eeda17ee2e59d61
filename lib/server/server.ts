/** The server: accepts connections within its limits, has them served, and stops. */
import { Fairness } from "./fairness.ts";
import {
  closeQuietly,
  type Connection,
  type ConnectionContext,
  type ConnectionFacts,
  ConnectionHandler,
} from "./connection.ts";
import { fastDecoder } from "./fast_utf8.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../errors.ts";
import { Engine } from "../engine/engine.ts";
import { encodeFrame } from "../protocol/frame.ts";
import { memoryJournal } from "../journal/journal.ts";
import { listen } from "./listen.ts";
import type { Log } from "../log.ts";
import type { Meter } from "../meter.ts";
import { isWithin, type Network, parseNetworks } from "../protocol/ip.ts";
import { type ServerOptions } from "../options.ts";
import { settingsOf } from "../chat/settings.ts";
import { replyText } from "../protocol/reply.ts";
import { behindHeader, TcpConnection } from "./tcp.ts";
import { type GroupCommit, openChat } from "../engine/group_commit.ts";
import { type SessionId, userOf } from "../chat/users.ts";

/** After a failed `accept` the next is tried after so long, in milliseconds; then twice as long. */
const BACK_OFF_MS = 50;
const BACK_OFF_MS_MAX = 1_000;
/** So many refused connections at once are told why; further ones are only closed. */
const REFUSING_MAX = 100;
/** Who was told why is closed after so long, in milliseconds. */
const REFUSING_MS = 2_000;
/** A stop takes no longer, whatever the clients do, in milliseconds. */
const STOP_MS_MAX = 4_000;

/** A server that is behind the others looks so often whether it still is, in milliseconds. */
const BEHIND_MS = 50;
/** Users are looked through so often for those who were away too long, in milliseconds. */
const EXPIRE_CHECK_MS = 60_000;

/** What a server has and does. */
export interface ServerFacts {
  readonly connections: number;
  readonly users: number;
  /** Messages in all mailboxes. */
  readonly waiting: number;
  /** Of all connections that there ever were. */
  readonly bytes: { readonly in: number; readonly out: number };
  /** It accepts, and what it is told is stored. */
  readonly isServing: boolean;
}

/** A chat on a TCP port. */
export class Server {
  readonly #options: ServerOptions;
  readonly #log: Log;
  readonly #commits: GroupCommit;
  readonly #expireMs: number;
  readonly #engine: Engine;
  readonly #listener: Deno.TcpListener;
  readonly #handlers = new Map<ConnectionHandler, Promise<void>>();
  readonly #perAddress = new Map<string, number>();
  readonly #refusing = new Set<Connection>();
  readonly #proxies: readonly Network[];
  /** Those of proxies whose header has not come. */
  readonly #arriving = new Set<Connection>();
  /** To be called once, with the next connection. */
  readonly onNext = new Set<(handler: ConnectionHandler) => void>();
  /** What it shares with its connections. */
  readonly #context: ConnectionContext;
  readonly #bytesOfThoseWhoLeft = { in: 0, out: 0 };
  #expiring: ReturnType<typeof setInterval> | undefined;
  #stopping = false;

  /** Accepts at once. Throws `ExitError` where it can't listen. */
  constructor(
    options: ServerOptions,
    log: Log,
    commits: GroupCommit = openChat(settingsOf(options), memoryJournal, log),
    meter?: Meter,
    listener: Deno.TcpListener = listen(options),
  ) {
    this.#options = options;
    this.#log = log;
    this.#proxies = parseNetworks(options.proxyProtocol);
    this.#commits = commits;
    const { usersExpireH } = options;
    this.#expireMs = usersExpireH === 0 ? Infinity : 3_600_000 * usersExpireH;
    this.#engine = new Engine(commits, log);
    const fairness = new Fairness(() => this.#handlers.size);
    this.#context = { engine: this.#engine, options, log, fairness, meter, decode: fastDecoder() };
    this.#engine.onEnded = () => {
      for (const handler of this.#handlers.keys()) handler.kill();
    };
    this.#listener = listener;
    this.#accept();
  }

  /** Where it listens. */
  get address(): { readonly hostname: string; readonly port: number } {
    return this.#listener.addr;
  }

  /** From now on forgets users who are away too long, and servers that are gone. */
  expireUsers(): void {
    if (this.#expireMs === Infinity && !this.#commits.isShared) return;
    this.#expiring = setInterval(() => {
      this.#engine.checkPeers();
      if (this.#expireMs < Infinity) this.forgetAbsent(this.#commits.now());
    }, EXPIRE_CHECK_MS);
  }

  /** Forgets users who were away too long at this time, in milliseconds since 1970. */
  forgetAbsent(at: number): void {
    this.#engine.forgetAbsent(at, this.#expireMs);
  }

  /** Stops accepting, answers what has arrived, and closes every connection within 5 s. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#expiring);
    closeQuietly(this.#listener);
    for (const connection of [...this.#refusing, ...this.#arriving]) closeQuietly(connection);
    this.#engine.stop();
    for (const handler of this.#handlers.keys()) handler.stop();
    const timer = setTimeout(() => {
      for (const handler of this.#handlers.keys()) handler.kill();
    }, STOP_MS_MAX);
    await Promise.all(this.#handlers.values());
    clearTimeout(timer);
    await this.#commits.close();
  }

  async #accept(): Promise<void> {
    let backOffMs = BACK_OFF_MS;
    while (!this.#stopping) {
      try {
        const connection = new TcpConnection(await this.#listener.accept());
        // It may be behind only now: who has come waits too.
        while (this.isBehind && !this.#stopping) await sleep(BEHIND_MS);
        this.#receive(connection);
        backOffMs = BACK_OFF_MS;
      } catch (error) {
        if (this.#stopping) return;
        if (isGone(error)) continue;
        const fields = { error: messageOf(error), connections: this.#open };
        this.#log.refused("", "accept-failed", fields);
        await sleep(backOffMs);
        backOffMs = Math.min(2 * backOffMs, BACK_OFF_MS_MAX);
      }
    }
  }

  /** A connection of a proxy is admitted when its header has come; nobody waits for that. */
  #receive(connection: Connection): void {
    const isAwaited = isWithin(this.#proxies, connection.address) && !this.#isFull;
    if (isAwaited && !this.#stopping) this.#awaitHeader(connection);
    else this.admit(connection);
  }

  async #awaitHeader(connection: Connection): Promise<void> {
    this.#arriving.add(connection);
    const result = await behindHeader(connection, this.#options.commandTimeoutS);
    this.#arriving.delete(connection);
    if (!("wrong" in result)) return this.admit(result);
    closeQuietly(connection);
    if (this.#stopping) return;
    const { address, peer } = connection;
    const explanation = `${result.wrong}. ${address} is in --proxy-protocol, so it must begin ` +
      "with a header of the PROXY protocol, version 2: batch that on there (send-proxy-v2 in " +
      "HAProxy), or take the address out of the list";
    this.#log.refused(address, "proxy-header", { peer, explanation });
  }

  /** All connections. */
  get #open(): number {
    return this.#handlers.size + this.#arriving.size;
  }

  /** So much has happened on other servers that nobody new is served. */
  get isBehind(): boolean {
    return this.#commits.isBehind;
  }

  /** Why nobody should be sent here; `undefined` where all is well. */
  get trouble(): string | undefined {
    if (this.#stopping) return "it is being stopped";
    if (this.#commits.isFailing) return "it can't store what it is sent";
    return this.isBehind ? "it has not read yet what other servers did" : undefined;
  }

  get #isFull(): boolean {
    return this.#open >= this.#options.connectionsMax;
  }

  /** Serves a connection, however it was made; one over the limits is told so. */
  admit(connection: Connection): void {
    if (this.#stopping) return closeQuietly(connection);
    const { address, peer } = connection;
    const { connectionsPerAddressMax } = this.#options;
    const neighbours = this.#perAddress.get(address) ?? 0;
    const isFull = this.#isFull;
    if (isFull || (connectionsPerAddressMax > 0 && neighbours >= connectionsPerAddressMax)) {
      const limit = isFull ? "connections-max" : "connections-per-address-max";
      this.#log.refused(address, limit, { peer, connections: this.#open });
      this.#turnAway(connection);
      return;
    }
    // A session without a run could never end.
    if (this.#commits.member === undefined) return closeQuietly(connection);
    const handler = new ConnectionHandler(connection, this.#context);
    this.#perAddress.set(address, neighbours + 1);
    this.#handlers.set(handler, handler.run().then(() => this.#leave(handler, address)));
    for (const greet of this.onNext) greet(handler);
    this.onNext.clear();
  }

  /** What stands in `/metrics`. */
  get facts(): ServerFacts {
    const { users, mailboxes } = this.#commits.published;
    const bytes = { ...this.#bytesOfThoseWhoLeft };
    for (const { facts } of this.#handlers.keys()) {
      bytes.in += facts.bytesIn;
      bytes.out += facts.bytesOut;
    }
    return {
      connections: this.#open,
      users: users.byId.size,
      waiting: mailboxes.waiting,
      bytes,
      isServing: this.trouble === undefined,
    };
  }

  /** The open connections, and who is registered on each. */
  connections(): (ConnectionFacts & { user: string | null })[] {
    const { users } = this.#commits.published;
    return Array.from(this.#handlers.keys(), ({ facts }) => ({
      ...facts,
      user: userOf(users, facts.connection)?.name ?? null,
    }));
  }

  /** The open connection of this number. */
  find(connection: SessionId): ConnectionHandler | undefined {
    return this.#handlers.keys().find(({ facts }) => facts.connection === connection);
  }

  #leave(handler: ConnectionHandler, address: string): void {
    const { bytesIn, bytesOut } = handler.facts;
    this.#bytesOfThoseWhoLeft.in += bytesIn;
    this.#bytesOfThoseWhoLeft.out += bytesOut;
    this.#handlers.delete(handler);
    const left = this.#perAddress.get(address)! - 1;
    if (left === 0) this.#perAddress.delete(address);
    else this.#perAddress.set(address, left);
  }

  /** Says why in default mode, and closes. */
  async #turnAway(connection: Connection): Promise<void> {
    if (this.#options.strict || this.#refusing.size >= REFUSING_MAX) {
      return closeQuietly(connection);
    }
    this.#refusing.add(connection);
    const timer = setTimeout(() => closeQuietly(connection), REFUSING_MS);
    try {
      await connection.write(encodeFrame(replyText({ code: "server-full" })));
      await connection.closeWrite();
      const unread = new Uint8Array(512);
      while (await connection.read(unread) !== null);
    } catch {
      // It is gone, or its time is over.
    }
    clearTimeout(timer);
    closeQuietly(connection);
    this.#refusing.delete(connection);
  }
}

/** The client has left before it was accepted. */
function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.ConnectionReset;
}
