/** HTTP: the page, WebSockets, the wire view, health and metrics. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Log } from "../log.ts";
import type { Metrics } from "./metrics.ts";
import type { ServerOptions } from "../options.ts";
import type { Server } from "../server/server.ts";
import { counted } from "../text/phrases.ts";
import { formatHostPort, type SocketAddress } from "../protocol/ip.ts";
import { Access } from "./access.ts";
import type { Arrival } from "./forwarded.ts";
import { type Answer, json, lastResponse, plain, respond, writeAnswer } from "./answers.ts";
import { HttpListener, streamOf } from "./http_listener.ts";
import { WireView } from "./wire_view.ts";
import { PAGE_FILES } from "./page_files.ts";
import { WebSocketConnection, webSocketUpgrader } from "./web_socket.ts";
import type { Upgrader } from "./ws.ts";

/** A request with a longer URL is refused. */
const URL_SYMBOLS_MAX = 2_048;
/** A request with more headers is refused. */
const HEADERS_MAX = 100;

/** Serves HTTP for a chat server. */
export class HttpServer {
  readonly #server: Server;
  readonly #options: ServerOptions;
  readonly #metrics: Metrics;
  readonly #wireView: WireView;
  readonly #listener: HttpListener;
  readonly #upgrader: Upgrader;
  readonly #access: Access;

  /** Listens at once on the port of `--http`. Throws `ExitError` where it can't. */
  constructor(server: Server, options: ServerOptions, metrics: Metrics, log: Log) {
    this.#server = server;
    this.#options = options;
    this.#metrics = metrics;
    this.#wireView = new WireView(server, options);
    metrics.observe(server);
    this.#upgrader = webSocketUpgrader(options.wsBytesMax);
    this.#upgrader.on("wsClientError", (error, _, request) => {
      const { message } = error;
      this.#respondLast(request, plain(400, message, { "sec-websocket-version": "13" }));
    });
    this.#listener = new HttpListener(options, log, {
      chatPort: server.address.port,
      request: (request, response) => this.#respond(request, response),
      upgrade: (request, head) => this.#upgrade(request, head),
    });
    const { port } = this.#listener.address;
    this.#access = new Access(options, port, log);
    server.pagePort = port;
  }

  /** The address of the page, as in `http://127.0.0.1:8080/`. */
  get url(): string {
    return `http://${formatHostPort(this.#listener.address)}/`;
  }

  /**
   * Ends all watchers, requests and WebSockets, within a bounded time. To be called when the chat
   * server has stopped.
   */
  async stop(): Promise<void> {
    this.#wireView.close();
    await this.#listener.stop();
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Answer;
    try {
      const asked = readRequest(request, this.#listener.address);
      answer = "status" in asked ? asked : await this.#answer(asked);
    } catch {
      answer = plain(500, "Something went wrong on the server");
    }
    await writeAnswer(response, answer);
  }

  /** Answers a request to upgrade; the connection ends with the answer. */
  #respondLast(request: IncomingMessage, answer?: Answer): void {
    const response = lastResponse(request, streamOf(request));
    if (answer === undefined) this.#respond(request, response);
    else writeAnswer(response, answer);
  }

  /** Makes a WebSocket of a request for one. Another is answered as if it did not ask to upgrade. */
  #upgrade(request: IncomingMessage, head: Uint8Array): void {
    const asked = readRequest(request, this.#listener.address);
    if ("status" in asked || !isForWebSocket(asked)) return this.#respondLast(request);
    const refusal = this.#refuseUpgrade(asked);
    if (refusal !== undefined) return this.#respondLast(request, refusal);
    const stream = streamOf(request);
    this.#upgrader.handleUpgrade(request, stream, head, (socket) => {
      this.#listener.leaveHttp(stream);
      const closed = () => this.#listener.closes(stream);
      this.#server.admit(new WebSocketConnection(socket, this.#access.userEnd(asked), closed));
    });
  }

  async #answer(request: HttpRequest): Promise<Answer> {
    const { url } = request;
    switch (url.pathname) {
      case "/ws":
        return this.#refuseUpgrade(request) ??
          plain(426, "This address is for a WebSocket", { upgrade: "websocket" });
      case "/healthz":
        return this.#health();
      case "/settings.json": {
        const { strict, nameSymbolsMax, textSymbolsMax } = this.#options;
        const { port } = this.#server.address;
        return json({ strict, nameSymbolsMax, textSymbolsMax, port });
      }
      case "/metrics": {
        const { registry } = this.#metrics;
        return this.#access.denyAdmin(request) ??
          respond(200, await registry.metrics(), registry.contentType);
      }
      case "/wire":
        return this.#access.denyAdmin(request) ?? this.#watch(request);
      case "/wire/connections":
        return this.#access.denyAdmin(request) ?? json(this.#server.connections());
    }
    const file = PAGE_FILES.get(url.pathname);
    return file === undefined
      ? plain(404, `There is no ${url.pathname} here`)
      : respond(200, file.text, `${file.type}; charset=utf-8`);
  }

  #health(): Answer {
    const { trouble } = this.#server;
    return trouble === undefined ? plain(200, "It serves") : plain(503, `Not now: ${trouble}`);
  }

  /** The refusal of a request for a WebSocket, if any. */
  #refuseUpgrade(request: HttpRequest): Answer | undefined {
    const refusal = this.#access.denyChat(request);
    if (refusal !== undefined) return refusal;
    // Not a WebSocket at all: that comes first.
    if (!isForWebSocket(request)) return undefined;
    return this.#server.isBehind
      ? plain(503, "The server has not read yet what other servers did: try again")
      : undefined;
  }

  #watch({ method, url }: HttpRequest): Answer {
    if (method === "HEAD") return plain(405, "HEAD is not answered here: the events are the body");
    const connection = url.searchParams.get("connection");
    const { size } = this.#wireView;
    if (size >= this.#options.watchersMax) {
      return plain(503, `${counted(size, "watcher")} already, and --watchers-max allows no more`);
    }
    const watcher = this.#wireView.watch({
      connection: connection === "next" || connection === "every" ? connection : Number(connection),
      address: url.searchParams.get("address") ?? "",
      user: url.searchParams.get("user") ?? "",
    });
    return watcher === undefined
      ? plain(404, `There is no connection ${connection}: /wire/connections lists them`)
      : respond(200, watcher.stream, "application/x-ndjson");
  }
}

/** A request that was read. */
interface HttpRequest extends Arrival {
  readonly method: string | undefined;
}

/** Reads a request to the server at `address`; the refusal of one that makes no sense here. */
function readRequest(request: IncomingMessage, address: SocketAddress): HttpRequest | Answer {
  const { method, url: target = "", rawHeaders, httpVersion } = request;
  if (target.length > URL_SYMBOLS_MAX) return plain(414, "The address is too long");
  if (method !== "GET" && method !== "HEAD") {
    return plain(405, "Only GET is answered here", { allow: "GET, HEAD" });
  }
  if (rawHeaders.length > 2 * HEADERS_MAX) return plain(400, `More than ${HEADERS_MAX} headers`);
  const { host = formatHostPort(address) } = request.headers;
  const isPath = target.startsWith("/");
  // A host with a path would move the path of the request behind its own.
  const url = /[/?#@\\]/.test(host) ? null : URL.parse(isPath ? `http://${host}${target}` : target);
  if (url === null || url.host === "") return plain(400, "The address or the host makes no sense");
  const { remote } = streamOf(request);
  return { method, url, httpVersion, headers: headersOf(request), remote };
}

/** The headers of a request. The values of a name that came several times are joined by commas. */
function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let i = 0; i < rawHeaders.length; i += 2) headers.append(rawHeaders[i]!, rawHeaders[i + 1]!);
  return headers;
}

/** Does a request ask for a WebSocket? */
function isForWebSocket({ headers, url }: HttpRequest): boolean {
  return url.pathname === "/ws" && headers.get("upgrade")?.toLowerCase() === "websocket";
}
