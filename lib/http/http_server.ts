/** HTTP: the page, WebSockets, the wire view, health and metrics. */
import { createHash, timingSafeEqual } from "node:crypto";
import { within } from "../clock.ts";
import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "./metrics.ts";
import type { ServerOptions } from "../options.ts";
import type { Server } from "../server/server.ts";
import { formatHost, formatHostPort } from "../protocol/ip.ts";
import { type Remote, remoteOf } from "../server/tcp.ts";
import { webSocketConnection } from "../server/web_socket.ts";
import { Wire } from "./wire_view.ts";
import { pageFile } from "./page_files.ts";

const SECURITY_HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

/** A longer path with its query is refused. */
const URL_SYMBOLS_MAX = 2_048;
/** After a failed accept it listens again after so long, in milliseconds. */
const LISTEN_AGAIN_MS = 500;
/** A stop waits no longer for requests that go on, in milliseconds. */
const STOP_MS_MAX = 1_000;

/** The HTTP side of a server. */
export class HttpServer {
  readonly #server: Server;
  readonly #log: Log;
  readonly #options: ServerOptions;
  readonly #metrics: Metrics;
  readonly #wire: Wire;
  #http: Deno.HttpServer<Deno.NetAddr>;
  #isStopping = false;
  /** What a browser or a proxy may call this server, as in `http://localhost:8080`. */
  readonly #origins: ReadonlySet<string>;
  /** WebSockets whose TCP connections are open, even if they are served no more. */
  #sockets = 0;

  /** Listens at once. Throws what `Deno.serve` throws. */
  constructor(
    server: Server,
    options: ServerOptions,
    metrics: Metrics,
    log: Log,
  ) {
    this.#server = server;
    this.#log = log;
    this.#options = options;
    this.#metrics = metrics;
    this.#wire = new Wire(server, options);
    metrics.observe(server);
    this.#http = this.#listen(Number(options.http));
    const { port } = this.#http.addr;
    const hosts = ["localhost", "127.0.0.1", "[::1]", formatHost(options.httpHostname)];
    const given = options.httpOrigins.split(",").filter((origin) => origin !== "");
    this.#origins = new Set([
      ...hosts.map((host) => new URL(`http://${host}:${port}`).origin),
      ...given,
    ]);
  }

  /** Where the page is, for people. */
  get url(): string {
    return `http://${formatHostPort(this.#http.addr)}/`;
  }

  /** Ends all that goes on; the server itself has stopped already. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#wire.close();
    await within(STOP_MS_MAX, this.#http.shutdown());
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    const http = Deno.serve({
      hostname: this.#options.httpHostname,
      port,
      onListen: () => {},
      onError: () => plain(500, "Something went wrong on the server"),
    }, (request, info) => this.#answer(request, remoteOf(info.remoteAddr)));
    // A failed accept, as without a free file descriptor, ends it: else the process would end too.
    http.finished.catch((error) => {
      this.#log.refused("", "accept-failed", { error: messageOf(error) });
      this.#listenAgain(http.addr.port);
    });
    return http;
  }

  #listenAgain(port: number): void {
    setTimeout(() => {
      if (this.#isStopping) return;
      try {
        this.#http = this.#listen(port);
      } catch {
        this.#listenAgain(port);
      }
    }, LISTEN_AGAIN_MS);
  }

  async #answer(request: Request, remote: Remote): Promise<Response> {
    if (request.url.length > URL_SYMBOLS_MAX) return plain(414, "The address is too long");
    if (request.method !== "GET" && request.method !== "HEAD") {
      return plain(405, "Only GET is answered here", { allow: "GET, HEAD" });
    }
    if (!URL.canParse(request.url)) return plain(400, "The address or the host makes no sense");
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/ws":
        return this.#upgrade(request, remote);
      case "/healthz":
        return this.#health();
      case "/settings.json":
        return json(this.#settings());
      case "/metrics":
        return this.#refusal(request, remote) ?? await this.#measured();
      case "/wire":
        return this.#refusal(request, remote) ?? this.#watched(request, url.searchParams);
      case "/wire/connections":
        return this.#refusal(request, remote) ?? json(this.#server.connections());
    }
    const file = pageFile(url.pathname);
    return file === undefined
      ? plain(404, `There is no ${url.pathname} here`)
      : respond(200, file.text, `${file.type}; charset=utf-8`);
  }

  #health(): Response {
    const { trouble } = this.#server;
    return trouble === undefined ? plain(200, "It serves") : plain(503, `Not now: ${trouble}`);
  }

  /** What the page must know of the chat. */
  #settings() {
    const { strict, nameSymbolsMax, textSymbolsMax } = this.#options;
    return { strict, nameSymbolsMax, textSymbolsMax };
  }

  #upgrade(request: Request, remote: Remote): Response {
    const origin = request.headers.get("origin");
    if (origin !== null && !this.#origins.has(origin)) {
      return plain(
        403,
        `A page from ${origin} may not chat here: start the server with --http-origins ${origin}`,
      );
    }
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return plain(426, "This address is for a WebSocket", { upgrade: "websocket" });
    }
    if (this.#sockets >= this.#options.connectionsMax) return plain(503, "The server is full");
    if (this.#server.isBehind) return plain(503, "The server is behind the others: try again");
    let upgrade: Deno.WebSocketUpgrade;
    try {
      upgrade = Deno.upgradeWebSocket(request);
    } catch (error) {
      return plain(400, messageOf(error));
    }
    this.#admit(upgrade.socket, remote);
    return upgrade.response;
  }

  #admit(socket: WebSocket, remote: Remote): void {
    const bytesMax = this.#options.wsBytesMax;
    // Of one whose client is gone before it is open no event comes.
    socket.addEventListener("open", () => {
      this.#sockets++;
      socket.addEventListener("close", () => this.#sockets--);
      this.#server.admit(webSocketConnection(socket, { ...remote, bytesMax }));
    });
  }

  async #measured(): Promise<Response> {
    return respond(200, await this.#metrics.text(), this.#metrics.contentType);
  }

  #watched({ method }: Request, params: URLSearchParams): Response {
    if (method === "HEAD") return plain(405, "There is nothing to watch without a body");
    const connection = params.get("connection");
    if (this.#wire.size >= this.#options.watchersMax) {
      return plain(503, `${this.#wire.size} watch already, and --watchers-max allows no more`);
    }
    const watcher = connection === "next"
      ? this.#wire.watch("next")
      : this.#wire.watch(Number(connection ?? NaN));
    return watcher === undefined
      ? plain(404, `There is no connection ${connection}: /wire/connections lists them`)
      : respond(200, watcher.stream, "application/x-ndjson");
  }

  /** Why somebody may not see what only those who run the server may; `undefined`: they may. */
  #refusal(request: Request, { address }: Remote): Response | undefined {
    const { adminToken } = this.#options;
    const { headers } = request;
    if (adminToken !== "") {
      const given = /^Bearer (.*)$/i.exec(headers.get("authorization") ?? "")?.[1];
      if (given !== undefined && isEqualSecret(given, adminToken)) return undefined;
      const challenge = { "www-authenticate": 'Bearer realm="asvt-chat"' };
      return plain(401, "This needs the token of --admin-token", challenge);
    }
    const isForwarded = headers.has("forwarded") || headers.has("x-forwarded-for");
    if (isForwarded || !/^(127\.|::1$)/.test(address)) {
      const who = isForwarded ? "Whoever comes by a proxy" : address;
      return plain(403, `${who} may not see this: start the server with --admin-token`);
    }
    // A page elsewhere may have had its own name point here (DNS rebinding).
    const { origin } = new URL(request.url);
    return this.#origins.has(origin)
      ? undefined
      : plain(403, `${origin} is no name of this server: add it by --http-origins ${origin}`);
  }
}

/** Compared in a time that says nothing of how much is right. */
function isEqualSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function respond(
  status: number,
  body: string | ReadableStream<Uint8Array>,
  type: string,
  headers: Record<string, string> = {},
): Response {
  return new Response(body as BodyInit, {
    status,
    headers: { ...SECURITY_HEADERS, "content-type": type, ...headers },
  });
}

function plain(status: number, sentence: string, headers: Record<string, string> = {}): Response {
  return respond(status, `${sentence}\n`, "text/plain; charset=utf-8", headers);
}

function json(value: unknown): Response {
  return respond(200, JSON.stringify(value), "application/json");
}
