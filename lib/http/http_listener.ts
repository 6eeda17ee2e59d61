/**
 * Listens for HTTP: connections, their number and their time limits. `node:http` reads the requests.
 *
 * `Deno.listen` accepts: the listener of `node:http` hears of no connection any more, and says
 * nothing, once an accept has failed because no file descriptor was free.
 */
import { createServer, IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { within } from "../clock.ts";
import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import type { ServerOptions } from "../options.ts";
import type { Socket } from "node:net";
import type { SocketAddress } from "../protocol/ip.ts";
import { explainWrongPort } from "../protocol/mistake.ts";
import { encodeMistake } from "../protocol/reply_encoder.ts";
import { accepted, openPort } from "../server/listen.ts";
import { closeQuietly } from "../server/transport.ts";
import { lastResponse, plain, writeAnswer } from "./answers.ts";
import { Places } from "./places.ts";
import { TcpStream } from "./tcp_stream.ts";

/** A stop waits at most this long for answers that are being written, and for close frames (ms). */
const STOP_MS_MAX = 1_000;

/** What an HTTP connection is doing. */
interface Exchange {
  /** Is a request to come? Else one is answered. */
  isAsking: boolean;
  /** Answers the requests that came before this one was answered. With any, nothing more is read. */
  readonly waiting: (() => void)[];
}

/** Called with each request. */
export interface HttpHandlers {
  /** The port of the chat, for clients that speak its protocol here. */
  readonly chatPort: number;
  /** Answers it. */
  request(request: IncomingMessage, response: ServerResponse): void;
  /**
   * Takes over the connection of a request to upgrade, or answers by a `lastResponse`. `head` is what
   * has come behind the request.
   */
  upgrade(request: IncomingMessage, head: Uint8Array): void;
}

/** An open port for HTTP. */
export class HttpListener {
  readonly #options: ServerOptions;
  readonly #log: Log;
  readonly #handlers: HttpHandlers;
  readonly #listener: Deno.TcpListener;
  readonly #http = createServer({ keepAliveTimeout: 0 });
  /** All open connections. */
  readonly #open = new Set<TcpStream>();
  /**
   * Those that `--http-connections-max` limits: all but the WebSockets of the chat. The one of a
   * network that has waited longest for a request comes before those that have waited less.
   */
  readonly #places = new Places();
  /** Those that speak HTTP. */
  readonly #exchanges = new Map<TcpStream, Exchange>();
  /** Resolves when the port is free again. */
  readonly #accepting: Promise<void>;
  #isStopping = false;

  /** Listens at once on the port of `--http`. Throws `ExitError` where it can't. */
  constructor(options: ServerOptions, log: Log, handlers: HttpHandlers) {
    this.#options = options;
    this.#log = log;
    this.#handlers = handlers;
    const address = { hostname: options.httpHostname, port: Number(options.http) };
    this.#listener = openPort(address, "--http", (at) => Deno.listen({ ...at, transport: "tcp" }));
    // A client may end its side when it has asked. (The types do not know this property.)
    Object.assign(this.#http, { httpAllowHalfOpen: true });
    // A server that does not listen itself would end each connection after its first answer.
    Object.defineProperty(this.#http, "listening", { get: () => !this.#isStopping });
    this.#http.on("request", (request, response) => this.#enter(request, response));
    this.#http.on("upgrade", (request, _, head) => {
      const stream = streamOf(request);
      if (this.#exchanges.get(stream)?.isAsking !== true) stream.destroy();
      else this.#handlers.upgrade(request, head);
    });
    this.#http.on("clientError", (error, stream) => {
      this.#refuse(error, stream as unknown as TcpStream);
    });
    this.#accepting = this.#accept();
  }

  /** The address that it listens on. */
  get address(): SocketAddress {
    return this.#listener.addr;
  }

  /** From now on the connection is a WebSocket of the chat: no limit of HTTP applies. */
  leaveHttp(stream: TcpStream): void {
    this.#exchanges.delete(stream);
    this.#places.delete(stream);
    stream.free();
  }

  /** The chat has left the WebSocket: it counts here again, until its close handshake is over. */
  closes(stream: TcpStream): void {
    if (!stream.destroyed) this.#places.add(stream);
  }

  /** Accepts no more, and ends all connections: those that are busy after STOP_MS_MAX at the latest. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    closeQuietly(this.#listener);
    for (const [stream, { isAsking }] of this.#exchanges) {
      if (isAsking) stream.end();
    }
    const closed = [...this.#open].map((stream) =>
      new Promise((resolve) => stream.once("close", resolve))
    );
    await within(STOP_MS_MAX, Promise.all([this.#accepting, ...closed]));
    for (const stream of this.#open) stream.destroy();
  }

  async #accept(): Promise<void> {
    const failed = (error: unknown) => {
      this.#log.refused("", "accept-failed", { error: messageOf(error) });
    };
    for await (const conn of accepted(this.#listener, failed)) {
      this.#welcome(new TcpStream(conn, 1_000 * this.#options.writeTimeoutS));
    }
  }

  #welcome(stream: TcpStream): void {
    this.#open.add(stream);
    stream.on("close", () => {
      this.#open.delete(stream);
      this.#exchanges.delete(stream);
      this.#places.delete(stream);
    });
    const { httpConnectionsMax } = this.#options;
    if (this.#places.size >= httpConnectionsMax) {
      const { remote: { address, peer } } = this.#makeRoom(stream);
      this.#log.refused(address, "http-connections-max", { peer, connections: httpConnectionsMax });
    }
    if (stream.destroyed) return;
    this.#awaitRequest(stream);
    this.#http.emit("connection", stream);
  }

  /**
   * Ends a connection of the network that has most: the one that has waited longest for a request,
   * or a WebSocket that closes, or else the oldest; but the newcomer, where its network would have as
   * many. Returns the connection that it has ended.
   */
  #makeRoom(newcomer: TcpStream): TcpStream {
    const { most } = this.#places;
    const idle = most.values().find((stream) => this.#exchanges.get(stream)?.isAsking !== false);
    const [oldest] = this.#places.besides(newcomer) + 1 < most.size ? most : [newcomer];
    const stream = idle ?? oldest!;
    this.#exchanges.delete(stream);
    this.#places.delete(stream);
    stream.destroy();
    return stream;
  }

  #awaitRequest(stream: TcpStream): void {
    this.#exchanges.set(stream, { isAsking: true, waiting: [] });
    this.#places.add(stream);
    stream.limit(1_000 * this.#options.commandTimeoutS);
  }

  /** A request has come. It is answered when those before it on its connection are. */
  #enter(request: IncomingMessage, response: ServerResponse): void {
    const stream = streamOf(request);
    const exchange = this.#exchanges.get(stream);
    if (exchange === undefined) return;
    const answer = () => {
      response.on("close", () => this.#answered(stream));
      this.#handlers.request(request, response);
    };
    if (exchange.isAsking) {
      exchange.isAsking = false;
      stream.limit(Infinity);
      answer();
    } else {
      stream.hold();
      exchange.waiting.push(answer);
    }
  }

  /**
   * A request is answered, or its connection is closed. If the next one has come already, the event
   * loop turns first: a client that sends many at once lets others go before.
   */
  async #answered(stream: TcpStream): Promise<void> {
    const exchange = this.#exchanges.get(stream);
    if (exchange === undefined) return;
    const next = exchange.waiting.shift();
    if (next === undefined) {
      this.#awaitRequest(stream);
      if (this.#isStopping) stream.end();
      return;
    }
    await sleep(0);
    // Behind the last request it is read whether the client leaves.
    if (exchange.waiting.length === 0) stream.readOn();
    if (!stream.destroyed) next();
  }

  /** Answers bytes that are no request. */
  #refuse(error: Error, stream: TcpStream): void {
    hangUp(stream);
    if (!stream.writable || this.#exchanges.get(stream)?.isAsking !== true) {
      return void stream.destroy();
    }
    const { rawPacket } = error as { rawPacket?: Uint8Array };
    const mistake = explainWrongPort(rawPacket?.[0], this.#handlers.chatPort);
    if (mistake !== undefined) return void stream.end(encodeMistake(mistake));
    const isTooLong = "code" in error && error.code === "HPE_HEADER_OVERFLOW";
    writeAnswer(
      lastResponse(new IncomingMessage(stream as unknown as Socket), stream),
      isTooLong
        ? plain(431, "The headers are too long")
        : plain(400, `This is no request of HTTP: ${error.message}`),
    );
  }
}

/** The connection of a request. */
export function streamOf(request: IncomingMessage): TcpStream {
  return request.socket as unknown as TcpStream;
}

/** Reads no further request. What still comes is dropped, until the time limit of a request. */
function hangUp(stream: TcpStream): void {
  stream.removeAllListeners("data").removeAllListeners("end").resume();
}
