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
import { openPort } from "../server/listen.ts";
import { isGone } from "../server/server.ts";
import { closeQuietly } from "../server/transport.ts";
import { lastResponse, plain, writeAnswer } from "./answers.ts";
import { TcpStream } from "./tcp_stream.ts";

/** After a failed accept the next try is this much later (ms). */
const ACCEPT_AGAIN_MS = 200;
/** A stop waits at most this long for answers that are being written, and for close frames (ms). */
const STOP_MS_MAX = 1_000;

/** What an HTTP connection is doing. */
interface Exchange {
  /** Is a request to come? Else one is answered. */
  isAsking: boolean;
  /** Answers the requests that came before this one was answered. Nothing more is read meanwhile. */
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
  /** Those that speak HTTP; the one that has waited longest for a request comes first. */
  readonly #exchanges = new Map<TcpStream, Exchange>();
  /** WebSockets that the chat has left; they end by themselves. */
  readonly #closing = new Set<TcpStream>();
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
    stream.free();
  }

  /** The chat has left the WebSocket: it counts here again, until its close handshake is over. */
  closes(stream: TcpStream): void {
    if (!stream.destroyed) this.#closing.add(stream);
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
    while (!this.#isStopping) {
      try {
        this.#welcome(
          new TcpStream(await this.#listener.accept(), 1_000 * this.#options.writeTimeoutS),
        );
      } catch (error) {
        if (this.#isStopping) return;
        if (isGone(error)) continue;
        this.#log.refused("", "accept-failed", { error: messageOf(error) });
        await sleep(ACCEPT_AGAIN_MS);
      }
    }
  }

  #welcome(stream: TcpStream): void {
    this.#open.add(stream);
    stream.on("close", () => {
      this.#open.delete(stream);
      this.#exchanges.delete(stream);
      this.#closing.delete(stream);
    });
    if (!this.#hasRoom()) return void stream.destroy();
    this.#awaitRequest(stream);
    this.#http.emit("connection", stream);
  }

  /**
   * Makes room for a new connection: over the limit a WebSocket that closes is ended, or else the
   * connection that has waited longest for a request. Is there room?
   */
  #hasRoom(): boolean {
    const { httpConnectionsMax } = this.#options;
    if (this.#exchanges.size + this.#closing.size < httpConnectionsMax) return true;
    const stream = this.#closing.values().next().value ?? this.#longestAsking;
    if (stream === undefined) return false;
    const { address, peer } = stream.remote;
    this.#log.refused(address, "http-connections-max", { peer, connections: httpConnectionsMax });
    this.#closing.delete(stream);
    this.#exchanges.delete(stream);
    stream.destroy();
    return true;
  }

  get #longestAsking(): TcpStream | undefined {
    for (const [stream, { isAsking }] of this.#exchanges) {
      if (isAsking) return stream;
    }
    return undefined;
  }

  #awaitRequest(stream: TcpStream): void {
    if (stream.destroyed) return;
    this.#exchanges.set(stream, { isAsking: true, waiting: [] });
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

  /** A request is answered, or its connection is closed. */
  #answered(stream: TcpStream): void {
    const exchange = this.#exchanges.get(stream);
    if (exchange === undefined) return;
    const next = exchange.waiting.shift();
    if (next !== undefined) return next();
    this.#exchanges.delete(stream);
    this.#awaitRequest(stream);
    if (this.#isStopping) stream.end();
    else stream.readOn();
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
