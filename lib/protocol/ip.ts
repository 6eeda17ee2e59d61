/**
 * IP addresses, ports and networks as texts. `ip-address` parses them. An IPv4 address that is
 * written as IPv6 (`::ffff:10.0.0.5`) counts as IPv4. Pure.
 */
import { Address4, Address6 } from "ip-address";

/** A network of addresses; without a prefix length, as in `10.0.0.5`, it has a single one. */
export type Network = Address4 | Address6;

/** The network of all IPv4 addresses that are written as IPv6. */
const MAPPED = new Address6("::ffff:0:0/96");

/** One end of a connection, or the address of a server. */
export interface SocketAddress {
  /** A name, or an IP address without brackets. */
  readonly hostname: string;
  /** The TCP port. */
  readonly port: number;
}

/** Parses an address or a network; `undefined` if it is wrong or has a zone (`fe80::1%eth0`). */
function parse(text: string): Network | undefined {
  try {
    if (!text.includes(":")) return new Address4(text);
    const address = new Address6(text);
    if (address.zone !== "") return undefined;
    if (!address.isInSubnet(MAPPED)) return address;
    const bits = address.subnetMask - MAPPED.subnetMask;
    return new Address4(`${address.to4().correctForm()}/${bits}`);
  } catch {
    return undefined;
  }
}

/** The text of an address of 4 or 16 bytes, as Deno writes it. */
export function formatAddress(bytes: Uint8Array): string {
  const [...numbers] = bytes;
  const address = bytes.length === 4
    ? Address4.fromByteArray(numbers)
    : Address6.fromByteArray(numbers);
  return unmapped(address.correctForm());
}

/** The address; as IPv4 if it is an IPv4 address that is written as IPv6. */
export function unmapped(address: string): string {
  return address.startsWith("::ffff:") ? parse(address)?.correctForm() ?? address : address;
}

/** The address as IP addresses are written here; `undefined` if the text is none. */
export function parseAddress(text: string): string | undefined {
  return text.includes("/") ? undefined : parse(text)?.correctForm();
}

/** The host of `host`, `host:port`, `[host]` or `[host]:port`. */
export function parseHost(text: string): string {
  return /^\[(.*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([^:]*):\d+$/.exec(text)?.[1] ?? text;
}

/** A host as it stands in a URL or before a port: an IPv6 address gets brackets. */
export function formatHost(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/** A host and its port: `127.0.0.1:31337`, `[::1]:31337`. */
export function formatHostPort({ hostname, port }: SocketAddress): string {
  return `${formatHost(hostname)}:${port}`;
}

/**
 * Checks a list of networks such as `10.0.0.5,10.1.0.0/16,fd00::/8`. Returns what is wrong with it,
 * as the end of a sentence that begins with its name; `undefined` if it is valid.
 */
export function wrongNetwork(list: string): string | undefined {
  for (const entry of list.split(",")) {
    const network = parse(entry);
    if (network === undefined || /\/0\d/.test(entry)) {
      return `holds "${entry}", which is no IP address and no network, as in ` +
        "10.0.0.5,10.1.0.0/16,fd00::/8";
    }
    const first = network.startAddress().correctForm();
    if (first !== network.correctForm()) {
      return `holds "${entry}": write that network ${first}/${network.subnetMask}`;
    }
  }
  return undefined;
}

/** The networks of a valid list; an empty list has none. See {@link wrongNetwork}. */
export function parseNetworks(list: string): readonly Network[] {
  return list.split(",").filter(Boolean).map((entry) => parse(entry)!);
}

/** Is the address in one of the networks? `::/0` holds all of IPv6, but no IPv4. */
export function isWithin(networks: readonly Network[], text: string): boolean {
  const address = networks.length === 0 ? undefined : parse(text);
  if (address === undefined) return false;
  return networks.some((network) =>
    address instanceof Address4
      ? network instanceof Address4 && address.isInSubnet(network)
      : network instanceof Address6 && address.isInSubnet(network)
  );
}

/**
 * The network that limits for one sender count: an IPv4 address alone, the /64 of an IPv6 address,
 * since one machine may have all of its addresses. `address` is as the system writes it; what stands
 * behind a `#` tells users of one address apart, and does not count.
 */
export function shareNetwork(address: string): string {
  const end = address.indexOf("#");
  if (end >= 0) return shareNetwork(address.slice(0, end));
  if (!address.includes(":")) return address;
  const groupsOf = (text = "") => text.split(":").filter((group) => group !== "");
  const [head, tail] = address.split("::").map(groupsOf) as [string[], string[]?];
  // An IPv4 address at the end takes the place of two groups.
  const size = head.length + (tail ?? []).length + (address.includes(".") ? 1 : 0);
  const zeros = tail === undefined ? 0 : 8 - size;
  const groups = [...head, ...Array<string>(zeros).fill("0"), ...tail ?? []].slice(0, 4);
  return `${groups.join(":")}::/64`;
}
