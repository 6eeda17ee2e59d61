/** Requests that come through a proxy: whether they may, and the address of the user behind it. */
import { randomBytes } from "node:crypto";
import { formatHostPort, isWithin, type Network, parseAddress, parseHost } from "../protocol/ip.ts";
import type { Remote } from "../server/transport.ts";

/** The parts of a request that show where it comes from, and what it asks for. */
export interface Arrival {
  readonly url: URL;
  /** The other end of the TCP connection. */
  readonly remote: Remote;
  readonly headers: Headers;
  /** As in `1.1`. */
  readonly httpVersion: string;
}

/**
 * Headers that proxies add: the word alone, beginnings of their makers, and all names that speak of a
 * proxy, or of the address of a client. No browser sends one by itself.
 */
const FORWARDING = new RegExp(
  "^(via|cdn-loop|surrogate-capability|x-varnish|front-end-https)$" +
    "|^(cf|fastly|fly|incap|x-(arr|real|client|cluster|original|envoy|azure|amzn|appengine|akamai|" +
    "remote|nf|vercel|sucuri|nginx))-" +
    "|forwarded|prox(y|ied)|(client|user|real|connecting|remote)[-_]?(ip|addr)",
);
const LOOPBACK = /^(localhost|127\.[\d.]+|::1)$/;
/** Random bytes that tell one connection through a proxy from all others, of any server. */
const ID_BYTES = 8;

/** Is the host of this URL the machine itself? */
export function isLocal({ host }: URL): boolean {
  return isLoopback(parseHost(host));
}

/** Is this host name, or address, the machine itself? */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/**
 * Has the request come without a proxy, as far as it shows? A proxy that adds no header asks by the
 * old version 1.0, or comes from this machine for another host or a page from another host.
 */
export function isDirect({ remote, url, headers, httpVersion }: Arrival): boolean {
  if (httpVersion === "1.0" || [...headers.keys()].some((name) => FORWARDING.test(name))) {
    return false;
  }
  if (!isLoopback(remote.address)) return true;
  const origin = headers.get("origin");
  const page = origin === null ? null : URL.parse(origin);
  return isLocal(url) && (page === null || isLocal(page));
}

/**
 * The user's end of a connection. From one of `proxies` it is the last address in `X-Forwarded-For`.
 * Where the user's address is not known, the address is one that no other connection has, as in
 * `127.0.0.1#5f0c21d49be7a603`: then no user comes back by it, and limits count it to the proxy.
 */
export function userEnd(arrival: Arrival, proxies: readonly Network[]): Remote {
  const { remote, headers } = arrival;
  const { address, peer } = remote;
  if (isWithin(proxies, address)) {
    const last = headers.get("x-forwarded-for")?.split(",").at(-1)?.trim() ?? "";
    const user = parseAddress(parseHost(last));
    if (user !== undefined) {
      const port = Number(/\d+$/.exec(peer));
      return { ...remote, address: user, peer: formatHostPort({ hostname: user, port }) };
    }
  } else if (isDirect(arrival)) {
    return remote;
  }
  return { ...remote, address: `${address}#${randomBytes(ID_BYTES).toString("hex")}` };
}
