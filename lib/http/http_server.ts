/** HTTP: the page, WebSockets, the wire view, health and metrics. */
import { createHash, timingSafeEqual } from "node:crypto";
import { within } from "../clock.ts";
import { messageOf } from "../errors.ts";
import { isOrigin } from "../flags.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "./metrics.ts";
import type { ServerOptions } from "../options.ts";
import { openPort } from "../server/listen.ts";
import type { Server } from "../server/server.ts";
import { counted } from "../text/phrases.ts";
import { printable } from "../text/printable.ts";
import { shellWord } from "../text/shell.ts";
import { formatHost, formatHostPort } from "../protocol/ip.ts";
import { remoteOf } from "../server/tcp.ts";
import type { Remote } from "../server/transport.ts";
import { webSocketConnection } from "../server/web_socket.ts";
import { WireView } from "./wire_view.ts";
import { PAGE_FILES } from "./page_files.ts";

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

/** A request with a longer URL is refused. */
const URL_SYMBOLS_MAX = 2_048;
/** After a failed accept the server listens again after this pause (ms). */
const LISTEN_AGAIN_MS = 500;
/** A stop waits at most this long for open requests (ms). */
const STOP_MS_MAX = 1_000;

/** Serves HTTP for a chat server. */
export class HttpServer {
  readonly #server: Server;
  readonly #log: Log;
  readonly #options: ServerOptions;
  readonly #metrics: Metrics;
  readonly #wireView: WireView;
  #http: Deno.HttpServer<Deno.NetAddr>;
  #isStopping = false;
  /** Origins under which a browser may reach this server, as in `http://localhost:8080`. */
  readonly #origins: ReadonlySet<string>;
  /** The number of WebSockets with an open TCP connection, also of those that have left the chat. */
  #openSockets = 0;

  /** Listens at once on the port of `--http`. Throws `ExitError` where it can't. */
  constructor(server: Server, options: ServerOptions, metrics: Metrics, log: Log) {
    this.#server = server;
    this.#log = log;
    this.#options = options;
    this.#metrics = metrics;
    this.#wireView = new WireView(server, options);
    metrics.observe(server);
    this.#http = this.#listen(Number(options.http));
    const { port } = this.#http.addr;
    const hosts = ["localhost", "127.0.0.1", "[::1]", formatHost(options.httpHostname)];
    const own = hosts.map((host) => new URL(`http://${host}:${port}`).origin);
    const given = options.httpOrigins.split(",").filter((origin) => origin !== "");
    this.#origins = new Set([...own, ...given]);
  }

  /** The address of the page, as in `http://127.0.0.1:8080/`. */
  get url(): string {
    return `http://${formatHostPort(this.#http.addr)}/`;
  }

  /** Ends all watchers and requests. To be called when the chat server has stopped. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#wireView.close();
    await within(STOP_MS_MAX, this.#http.shutdown());
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    const hostname = this.#options.httpHostname;
    const http = openPort({ hostname, port }, "--http", (address) =>
      Deno.serve({
        ...address,
        onListen: () => {},
        onError: () => plain(500, "Something went wrong on the server"),
      }, (request, info) => this.#handle(request, remoteOf(info.remoteAddr))));
    // A failed accept, as when no file descriptor is free, rejects this promise.
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

  async #handle(request: Request, remote: Remote): Promise<Response> {
    if (request.url.length > URL_SYMBOLS_MAX) return plain(414, "The address is too long");
    if (request.method !== "GET" && request.method !== "HEAD") {
      return plain(405, "Only GET is answered here", { allow: "GET, HEAD" });
    }
    const url = URL.parse(request.url);
    if (url === null) return plain(400, "The address or the host makes no sense");
    switch (url.pathname) {
      case "/ws":
        return this.#upgrade(request, remote);
      case "/healthz":
        return this.#health();
      case "/settings.json": {
        const { strict, nameSymbolsMax, textSymbolsMax } = this.#options;
        return json({ strict, nameSymbolsMax, textSymbolsMax });
      }
      case "/metrics": {
        const { registry } = this.#metrics;
        return this.#denyAccess(request, url, remote) ??
          respond(200, await registry.metrics(), registry.contentType);
      }
      case "/wire":
        return this.#denyAccess(request, url, remote) ?? this.#watch(request, url.searchParams);
      case "/wire/connections":
        return this.#denyAccess(request, url, remote) ?? json(this.#server.connections());
    }
    const file = PAGE_FILES.get(url.pathname);
    return file === undefined
      ? plain(404, `There is no ${url.pathname} here`)
      : respond(200, file.text, `${file.type}; charset=utf-8`);
  }

  #health(): Response {
    const { trouble } = this.#server;
    return trouble === undefined ? plain(200, "It serves") : plain(503, `Not now: ${trouble}`);
  }

  #upgrade(request: Request, remote: Remote): Response {
    const origin = request.headers.get("origin");
    if (origin !== null && !this.#origins.has(origin)) {
      return plain(
        403,
        `A page from ${printable(origin)} may not chat here: ${adviceOn(origin)}`,
      );
    }
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return plain(426, "This address is for a WebSocket", { upgrade: "websocket" });
    }
    if (this.#openSockets >= this.#options.connectionsMax) return plain(503, "The server is full");
    if (this.#server.isBehind) {
      return plain(503, "The server has not read yet what other servers did: try again");
    }
    try {
      const { socket, response } = Deno.upgradeWebSocket(request);
      this.#admit(socket, remote);
      return response;
    } catch (error) {
      return plain(400, messageOf(error));
    }
  }

  #admit(socket: WebSocket, remote: Remote): void {
    const bytesMax = this.#options.wsBytesMax;
    // A WebSocket whose client has gone before it opened fires no event.
    socket.addEventListener("open", () => {
      this.#openSockets++;
      socket.addEventListener("close", () => this.#openSockets--);
      this.#server.admit(webSocketConnection(socket, { ...remote, bytesMax }));
    });
  }

  #watch({ method }: Request, params: URLSearchParams): Response {
    if (method === "HEAD") return plain(405, "HEAD is not answered here: the events are the body");
    const connection = params.get("connection");
    const { size } = this.#wireView;
    if (size >= this.#options.watchersMax) {
      return plain(503, `${counted(size, "watcher")} already, and --watchers-max allows no more`);
    }
    const watcher = this.#wireView.watch(
      connection === "next" ? connection : Number(connection ?? NaN),
    );
    return watcher === undefined
      ? plain(404, `There is no connection ${connection}: /wire/connections lists them`)
      : respond(200, watcher.stream, "application/x-ndjson");
  }

  /**
   * The refusal of a request for metrics or the wire view; `undefined` where it may see them: with
   * the token of `--admin-token`, or without such a token from this machine.
   */
  #denyAccess({ headers }: Request, { origin }: URL, { address }: Remote): Response | undefined {
    const { adminToken } = this.#options;
    if (adminToken !== "") {
      const given = /^Bearer (.*)$/i.exec(headers.get("authorization") ?? "")?.[1];
      if (given !== undefined && isEqualSecret(given, adminToken)) return undefined;
      const challenge = { "www-authenticate": 'Bearer realm="asvt-chat"' };
      return plain(401, "This needs the token of --admin-token", challenge);
    }
    const isForwarded = headers.has("forwarded") || headers.has("x-forwarded-for");
    if (isForwarded || !/^(127\.|::1$)/.test(address)) {
      const sender = isForwarded ? "A request through a proxy" : address;
      return plain(403, `${sender} may not see this: start the server with --admin-token`);
    }
    // DNS rebinding: a foreign page may let its own host name point to this machine.
    return this.#origins.has(origin)
      ? undefined
      : plain(403, `${origin} is no name of this server: ${adviceOn(origin)}`);
  }
}

/** How a page of this origin may use the server, as the end of a sentence. */
function adviceOn(origin: string): string {
  if (isOrigin(origin)) return `start the server with --http-origins ${shellWord(origin)}`;
  return "no flag allows that, since it is no address of a web server, as http://10.0.0.5:8080 is. " +
    "Load the page from one, instead of a file, a sandbox or an extension, and allow that one; a " +
    "program that is no page leaves the header Origin out";
}

/** Compares in a time that does not depend on how many letters are right. */
function isEqualSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function respond(
  status: number,
  body: BodyInit,
  type: string,
  headers: Record<string, string> = {},
): Response {
  return new Response(body, {
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
