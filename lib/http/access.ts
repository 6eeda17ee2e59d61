/** Who may chat over HTTP, and who may see the metrics and the wire. */
import { isOrigin } from "../flags.ts";
import type { Log } from "../log.ts";
import type { ServerOptions } from "../options.ts";
import { formatHost, type Network, parseNetworks } from "../protocol/ip.ts";
import type { Remote } from "../server/transport.ts";
import { printable } from "../text/printable.ts";
import { shellWord } from "../text/shell.ts";
import { AdminToken } from "./admin_token.ts";
import { type Answer, plain } from "./answers.ts";
import { type Arrival, isDirect, isLocal, isLoopback, userEnd } from "./forwarded.ts";

/** The rules of one HTTP server. */
export class Access {
  readonly #log: Log;
  readonly #token: AdminToken | undefined;
  readonly #proxies: readonly Network[];
  /** Origins under which a browser may reach this server, as in `http://localhost:8080`. */
  readonly #origins: ReadonlySet<string>;
  /** The flag that shows that others reach the page, perhaps through a proxy that adds no header. */
  readonly #openedBy: string | undefined;

  /** `port` is the port that the server listens on. */
  constructor(options: ServerOptions, port: number, log: Log) {
    const { adminToken, httpHostname, httpOrigins, httpProxies } = options;
    this.#log = log;
    this.#token = adminToken === "" ? undefined : new AdminToken(adminToken);
    this.#proxies = parseNetworks(httpProxies);
    const hosts = ["localhost", "127.0.0.1", "[::1]", formatHost(httpHostname)];
    const own = hosts.map((host) => new URL(`http://${host}:${port}`).origin);
    const given = httpOrigins.split(",").filter((origin) => origin !== "");
    this.#origins = new Set([...own, ...given]);
    const isOpen = given.some((origin) => !isLocal(new URL(origin)));
    this.#openedBy = isOpen ? "--http-origins" : httpProxies === "" ? undefined : "--http-proxies";
  }

  /** The user's end of the connection with which a request came. */
  userEnd(arrival: Arrival): Remote {
    return userEnd(arrival, this.#proxies);
  }

  /** The refusal of a WebSocket; `undefined` where it may chat. Programs that are no page may. */
  denyChat({ headers }: Arrival): Answer | undefined {
    const origin = headers.get("origin");
    if (origin === null || this.#origins.has(origin)) return undefined;
    return plain(403, `A page from ${printable(origin)} may not chat here: ${adviceOn(origin)}`);
  }

  /**
   * The refusal of a request for the metrics or the wire; `undefined` where it may see them: with the
   * token, or without such a token if it certainly comes from this machine.
   */
  denyAdmin(arrival: Arrival): Answer | undefined {
    const site = arrival.headers.get("sec-fetch-site") ?? "none";
    if (site !== "none" && site !== "same-origin") {
      return plain(403, "A page from elsewhere may not see this");
    }
    return this.#token === undefined
      ? this.#denyStranger(arrival)
      : this.#denyWrongToken(arrival, this.#token);
  }

  #denyWrongToken(arrival: Arrival, token: AdminToken): Answer | undefined {
    const { headers } = arrival;
    const given = /^Bearer (.+)$/i.exec(headers.get("authorization") ?? "")?.[1];
    const { address, peer } = this.userEnd(arrival);
    const verdict = given === undefined ? "absent" : token.judge(given, address, performance.now());
    if (verdict === "right") return undefined;
    if (verdict === "wrong") this.#log.refused(address, "wrong-token", { peer });
    const text = verdict === "paused"
      ? "A wrong token came from your address a moment ago: try again in a second"
      : "This needs the token of --admin-token";
    return plain(401, text, { "www-authenticate": 'Bearer realm="asvt-chat"' });
  }

  #denyStranger(arrival: Arrival): Answer | undefined {
    const { remote: { address }, url: { origin } } = arrival;
    const deny = (why: string) => plain(403, `${why}: start the server with --admin-token-file`);
    if (!isLoopback(address)) return deny(`${address} may not see this`);
    // DNS rebinding: a foreign page may let its own host name point to this machine.
    if (!this.#origins.has(origin)) {
      return plain(403, `${origin} is no name of this server: ${adviceOn(origin)}`);
    }
    if (!isDirect(arrival)) return deny("A request through a proxy may not see this");
    return this.#openedBy === undefined
      ? undefined
      : deny(`With ${this.#openedBy} anybody may send this through a proxy, so it needs a token`);
  }
}

/** How a page of this origin may use the server, as the end of a sentence. */
function adviceOn(origin: string): string {
  if (isOrigin(origin)) return `start the server with --http-origins ${shellWord(origin)}`;
  return "no flag allows that, since it is no address of a web server, as http://10.0.0.5:8080 is. " +
    "Load the page from one, instead of a file, a sandbox or an extension, and allow that one; a " +
    "program that is no page leaves the header Origin out";
}
