/**
 * IP addresses, ports and networks as texts. `ip-address` parses them; IPv4 that is written as IPv6
 * (`::ffff:10.0.0.5`) counts as IPv4.
 */
import { Address4, Address6 } from "ip-address";

/** An address with the network that it is in: its own, of one address, where no prefix stands behind it. */
export type Network = Address4 | Address6;

/** The IPv6 addresses that stand for IPv4. */
const MAPPED = new Address6("::ffff:0:0/96");

/** The two ends of a socket are written so by the system. */
export interface SocketAddress {
  readonly hostname: string;
  readonly port: number;
}

/** The address or network that is written so; `undefined` where it is none, or names a zone. */
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

/** An address of 4 or 16 bytes as the system writes it. */
export function formatAddress(bytes: Uint8Array): string {
  const [...numbers] = bytes;
  const address = bytes.length === 4
    ? Address4.fromByteArray(numbers)
    : Address6.fromByteArray(numbers);
  return unmapped(address.correctForm());
}

/** An address that the system may have written as IPv6 although it is IPv4. */
export function unmapped(address: string): string {
  return address.startsWith("::ffff:") ? parse(address)?.correctForm() ?? address : address;
}

/** A host as it stands before a port or in a URL: an IPv6 address is put into brackets. */
export function formatHost(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/** `127.0.0.1:31337`, `[::1]:31337`. */
export function formatHostPort({ hostname, port }: SocketAddress): string {
  return `${formatHost(hostname)}:${port}`;
}

/**
 * What is wrong with a list such as `10.0.0.5,10.1.0.0/16,fd00::/8`, as the end of a sentence;
 * `undefined` where nothing is.
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

/** The networks of a list in which nothing is wrong; none where it is empty. */
export function parseNetworks(list: string): readonly Network[] {
  return list.split(",").filter(Boolean).map((entry) => parse(entry)!);
}

/** Is the address in one of the networks? `::/0` is all of IPv6, but not IPv4. */
export function isWithin(networks: readonly Network[], text: string): boolean {
  const address = networks.length === 0 ? undefined : parse(text);
  if (address === undefined) return false;
  return networks.some((network) =>
    address instanceof Address4
      ? network instanceof Address4 && address.isInSubnet(network)
      : network instanceof Address6 && address.isInSubnet(network)
  );
}
