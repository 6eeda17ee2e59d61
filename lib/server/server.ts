/**
 * The server: accepts connections within its limits, serves them, and stops. A stop takes at most
 * STOP_MS_MAX, and then 2 s each for a last batch and a last snapshot of the journal.
 */
import { Fairness } from "./fairness.ts";
import { type ConnectionContext, ConnectionHandler } from "./connection.ts";
import { ClockWatch } from "../clock.ts";
import { closeQuietly, type Connection } from "./transport.ts";
import { Deadline } from "./deadline.ts";
import { drain } from "./drain.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../errors.ts";
import { Engine } from "../engine/engine.ts";
import { encodeFrame } from "../protocol/frame.ts";
import { accepted, openPort } from "./listen.ts";
import type { Log } from "../log.ts";
import type { Meter } from "../meter.ts";
import {
  isWithin,
  type Network,
  parseNetworks,
  shareNetwork,
  type SocketAddress,
} from "../protocol/ip.ts";
import type { ServerOptions } from "../options.ts";
import { replyText } from "../protocol/reply.ts";
import { readProxyHeader, TcpConnection } from "./tcp.ts";
import type { Commits } from "../engine/commits.ts";
import { shareMax } from "../chat/settings.ts";
import { userOf } from "../chat/users.ts";

/** At most this many connections wait to be accepted: all clients of a class may start at once. */
const BACKLOG_MAX = 4_096;
/** At most this many refused connections are open; the next one takes the place of the oldest. */
const REFUSING_MAX = 100;
/** A refused connection is closed this long after it was told why (ms). */
const REFUSING_MS = 2_000;
/** At most this many connections of proxies are open whose header has not come. */
const ARRIVING_MAX = 1_000;
/** When the server stops, connections that are still open after this long are closed (ms). */
const STOP_MS_MAX = 4_000;
/** A server that is behind the other members checks at this interval whether it still is (ms). */
const BEHIND_CHECK_MS = 50;
/** After a jump of the clock users are not forgotten for this long (ms). */
const KEEP_MS = 24 * 3_600_000;
/** Users who were absent too long, and members that are gone, are looked for at this interval (ms). */
const CHECK_MS = 60_000;

/** A chat on a TCP port. */
export class Server {
  readonly #context: ConnectionContext;
  readonly #commits: Commits;
  readonly #listener: Deno.TcpListener;
  readonly #handlers = new Map<ConnectionHandler, Promise<void>>();
  /** Open connections of each network that has a share of its own. */
  readonly #perNetwork = new Map<string, number>();
  /** The share: at most this many connections come from one network. */
  readonly #networkMax: number;
  readonly #refusing = new Set<Connection>();
  readonly #proxies: readonly Network[];
  /** Connections of proxies whose header has not come yet. */
  readonly #arriving = new Set<Connection>();
  /** Called with each new connection. */
  readonly onOpen = new Set<(handler: ConnectionHandler) => void>();
  /** The bytes of connections that have ended. */
  readonly #endedBytes = { in: 0, out: 0 };
  readonly #checking: ReturnType<typeof setInterval>;
  readonly #clock = new ClockWatch();
  /** No user is forgotten before this time (ms, as `performance.now`). */
  #keepsUntil = 0;
  #stopping = false;

  /** Serves the chat of `commits` from now on. Throws `ExitError` where it can't listen. */
  constructor(options: ServerOptions, log: Log, commits: Commits, meter?: Meter) {
    const engine = new Engine(commits, log);
    const fairness = new Fairness(() => this.#handlers.size);
    this.#context = { engine, options, log, fairness, meter, pagePort: undefined };
    this.#commits = commits;
    this.#proxies = parseNetworks(options.proxyProtocol);
    const { connectionsMax, connectionsPerAddressMax } = options;
    this.#networkMax = shareMax(connectionsMax, connectionsPerAddressMax);
    engine.onEnded = () => {
      for (const handler of this.#handlers.keys()) handler.kill();
    };
    this.#listener = openPort(options, "--port", ({ hostname, port }) => {
      return Deno.listen({ hostname, port, tcpBacklog: BACKLOG_MAX });
    });
    this.#accept();
    const downMs = Date.now() - commits.storedAt;
    const expireMs = 3_600_000 * options.usersExpireH;
    if (commits.storedAt > 0 && downMs > Math.min(KEEP_MS, expireMs)) this.#keepUsers(downMs);
    this.#checking = setInterval(() => this.check(), CHECK_MS);
  }

  /** Tells the port of the page, which a client that asks for it on the chat's port is told. */
  set pagePort(port: number) {
    this.#context.pagePort = port;
  }

  /** The address that the server listens on. */
  get address(): SocketAddress {
    return this.#listener.addr;
  }

  /** Looks for members that are gone, and for users who have been absent too long. */
  check(): void {
    this.#context.engine.checkPeers();
    const jumpMs = this.#clock.look();
    if (jumpMs > 0) this.#keepUsers(jumpMs);
    // Not the time of entries, which stays ahead for as long as a clock was once ahead.
    this.forgetAbsent(Date.now());
  }

  /** Forgets users who have been absent too long at this time (ms since 1970). */
  forgetAbsent(at: number): void {
    const { engine, options: { usersExpireH } } = this.#context;
    const ms = performance.now() < this.#keepsUntil ? Infinity : 3_600_000 * usersExpireH;
    if (usersExpireH > 0) engine.forgetAbsent(at, ms);
  }

  /** The clock is this much later (ms) than it was, and that may be wrong: no user is forgotten now. */
  #keepUsers(ms: number): void {
    const { engine, log, options: { usersExpireH } } = this.#context;
    if (usersExpireH === 0) return;
    this.#keepsUntil = performance.now() + KEEP_MS;
    // It is stored, so that the other servers know it, and this one when it starts again.
    engine.keepAbsent(this.#commits.now());
    const explanation =
      "The clock is later by this many seconds than when it was looked at before, " +
      "or than the last thing that was stored. It may be wrong, so all absent users count as " +
      "here now, and none is forgotten for 24 hours. If it is wrong, set it right";
    log.event("clock-ahead", { seconds: Math.round(ms / 1_000), explanation });
  }

  /** Stops accepting, answers commands that have arrived, closes all connections and the journal. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#checking);
    closeQuietly(this.#listener);
    for (const connection of [...this.#refusing, ...this.#arriving]) closeQuietly(connection);
    this.#context.engine.stop();
    for (const handler of this.#handlers.keys()) handler.drain();
    const deadline = new Deadline(() => {
      for (const handler of this.#handlers.keys()) handler.kill();
    });
    deadline.set(STOP_MS_MAX);
    const over = Promise.all(this.#handlers.values());
    await drain(() => this.#context.fairness.events, over);
    for (const handler of this.#handlers.keys()) handler.finish();
    await over;
    deadline.close();
    await this.#commits.close();
  }

  async #accept(): Promise<void> {
    const { log, options: { strict } } = this.#context;
    const failed = (error: unknown) => {
      const fields = { error: messageOf(error), connections: this.#connectionCount };
      log.refused("", "accept-failed", fields);
    };
    for await (const conn of accepted(this.#listener, failed)) {
      const connection = new TcpConnection(conn, !strict);
      // This server may have fallen behind while it waited for a connection: that one waits too.
      while (this.isBehind && !this.#stopping) await sleep(BEHIND_CHECK_MS);
      this.#welcome(connection);
    }
  }

  /** Admits a connection, but one of a proxy only when its header has come. */
  #welcome(connection: Connection): void {
    if (!isWithin(this.#proxies, connection.address) || this.#stopping) this.admit(connection);
    else if (this.#isFull) this.#refuse(connection, "connections-max");
    else if (this.#arriving.size >= ARRIVING_MAX) this.#refuse(connection, "arriving-max");
    else this.#awaitHeader(connection);
  }

  async #awaitHeader(connection: Connection): Promise<void> {
    const { log, options: { commandTimeoutS } } = this.#context;
    this.#arriving.add(connection);
    const result = await readProxyHeader(connection, commandTimeoutS);
    this.#arriving.delete(connection);
    if (!("wrong" in result)) return this.admit(result);
    closeQuietly(connection);
    if (this.#stopping) return;
    const { address, peer } = connection;
    const explanation = `${result.wrong}. ${address} is in --proxy-protocol, so it must begin ` +
      "with a header of the PROXY protocol, version 2: switch that on there (send-proxy-v2 in " +
      "HAProxy), or take the address out of the list";
    log.refused(address, "proxy-header", { peer, explanation });
  }

  /** Open connections, with those of proxies whose header has not come yet. */
  get #connectionCount(): number {
    return this.#handlers.size + this.#arriving.size;
  }

  /** Is this server so far behind the other members that it accepts no connections? */
  get isBehind(): boolean {
    return this.#commits.isBehind;
  }

  /** Why a proxy should send no clients here; `undefined` where all is well. */
  get trouble(): string | undefined {
    if (this.#stopping) return "it is being stopped";
    if (this.#commits.isFailing) {
      return `it can't store what it is sent (${this.#commits.failure})`;
    }
    return this.isBehind ? "it has not read yet what other servers did" : undefined;
  }

  get #isFull(): boolean {
    return this.#connectionCount >= this.#context.options.connectionsMax;
  }

  /** Serves a connection. One over a limit is told so, and closed. */
  admit(connection: Connection): void {
    if (this.#stopping) return closeQuietly(connection);
    const network = shareNetwork(connection.address);
    const open = this.#perNetwork.get(network) ?? 0;
    if (this.#isFull) return this.#refuse(connection, "connections-max");
    if (open >= this.#networkMax) return this.#refuse(connection, "connections-per-address-max");
    // A session without a member could never end.
    if (this.#commits.member === undefined) return closeQuietly(connection);
    const handler = new ConnectionHandler(connection, this.#context);
    this.#perNetwork.set(network, open + 1);
    this.#handlers.set(handler, handler.run().then(() => this.#remove(handler, network)));
    for (const notify of this.onOpen) notify(handler);
  }

  /** The numbers of `/metrics`: `waiting` messages are in mailboxes, `bytes` count since the start. */
  get facts() {
    const { users, mailboxes } = this.#commits.published;
    const bytes = { ...this.#endedBytes };
    for (const { facts } of this.#handlers.keys()) {
      bytes.in += facts.bytesIn;
      bytes.out += facts.bytesOut;
    }
    const { waiting } = mailboxes;
    return { connections: this.#connectionCount, users: users.byId.size, waiting, bytes };
  }

  /** The open connections, each with the name of its user. */
  connections() {
    const { users } = this.#commits.published;
    return Array.from(this.#handlers.keys(), ({ facts, session }) => ({
      ...facts,
      user: userOf(users, session)?.name ?? null,
    }));
  }

  /** The open connection with this number, if any. */
  find(connection: number): ConnectionHandler | undefined {
    return this.#handlers.keys().find(({ facts }) => facts.connection === connection);
  }

  #remove(handler: ConnectionHandler, network: string): void {
    const { bytesIn, bytesOut } = handler.facts;
    this.#endedBytes.in += bytesIn;
    this.#endedBytes.out += bytesOut;
    this.#handlers.delete(handler);
    const left = this.#perNetwork.get(network)! - 1;
    if (left === 0) this.#perNetwork.delete(network);
    else this.#perNetwork.set(network, left);
  }

  /** Closes a connection over a limit; in default mode its client is told that the server is full. */
  #refuse(connection: Connection, limit: string): void {
    const { log, options: { strict } } = this.#context;
    const { address, peer } = connection;
    log.refused(address, limit, { peer, connections: this.#connectionCount });
    if (strict) return closeQuietly(connection);
    const [oldest] = this.#refusing;
    if (this.#refusing.size >= REFUSING_MAX) {
      this.#refusing.delete(oldest!);
      closeQuietly(oldest!);
    }
    this.#tellFull(connection);
  }

  async #tellFull(connection: Connection): Promise<void> {
    this.#refusing.add(connection);
    const deadline = new Deadline(() => closeQuietly(connection));
    deadline.set(REFUSING_MS);
    try {
      await connection.write(encodeFrame(replyText({ code: "server-full" })));
      await connection.closeWrite();
      const unread = new Uint8Array(512);
      while (await connection.read(unread) !== null);
    } catch {
      // The client is gone, or its time is over.
    }
    deadline.close();
    closeQuietly(connection);
    this.#refusing.delete(connection);
  }
}
