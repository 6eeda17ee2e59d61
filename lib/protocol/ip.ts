/** IP addresses and networks, to look one up in a list of the others. Pure. */

/** An address as a number of 128 bits; IPv4 is its part `::ffff:0:0/96`. */
export type Address = bigint;

/** All addresses that begin with the same bits. */
export interface Network {
  readonly first: Address;
  /** How many of its 128 bits they share. */
  readonly bits: number;
}

/** What stands above the 32 bits of an IPv4 address. */
const IPV4 = 0xffffn;

function isIPv4(address: Address): boolean {
  return address >> 32n === IPV4;
}

/** The address that these 32 bits are in IPv4. */
export function fromIPv4(bits: number): Address {
  return IPV4 << 32n | BigInt(bits);
}

/** The address that is written so; `undefined` where that is none. */
function parseAddress(text: string): Address | undefined {
  return text.includes(":") ? parseIPv6(text) : parseIPv4(text);
}

function parseIPv4(text: string): Address | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => isWhole(part, 255))) return undefined;
  return parts.reduce((address, part) => address << 8n | BigInt(part), IPV4);
}

/** The rules for `::` and for an IPv4 address at the end are those of a URL. */
function parseIPv6(text: string): Address | undefined {
  const url = `http://[${text}]`;
  if (!/^[0-9a-f:.]+$/i.test(text) || !URL.canParse(url)) return undefined;
  const [before = "", behind = ""] = new URL(url).hostname.slice(1, -1).split("::");
  const [head, tail] = [before, behind].map((part) => part.split(":").filter(Boolean));
  const zeros = Array.from({ length: 8 - head!.length - tail!.length }, () => "0");
  const groups = [...head!, ...zeros, ...tail!].map((group) => group.padStart(4, "0"));
  return BigInt(`0x${groups.join("")}`);
}

function isWhole(text: string, max: number): boolean {
  return /^(0|[1-9]\d{0,2})$/.test(text) && Number(text) <= max;
}

/** The address as the system writes it. */
export function formatAddress(address: Address): string {
  const digits = address.toString(16).padStart(32, "0");
  if (isIPv4(address)) {
    return Array.from(digits.slice(24).match(/../g)!, (pair) => parseInt(pair, 16)).join(".");
  }
  return new URL(`http://[${digits.match(/.{4}/g)!.join(":")}]`).hostname.slice(1, -1);
}

/** What is wrong with a list of networks, as in `10.0.0.5,10.1.0.0/16,fd00::/8`; or nothing is. */
export function wrongNetwork(list: string): string | undefined {
  for (const entry of list.split(",")) {
    const network = parseNetwork(entry);
    if (network === undefined) {
      return `holds "${entry}", which is no IP address and no network, as in ` +
        "10.0.0.5,10.1.0.0/16,fd00::/8";
    }
    const first = firstOf(network.first, network.bits);
    if (first !== network.first) {
      const bits = isIPv4(first) ? network.bits - 96 : network.bits;
      return `holds "${entry}": write that network ${formatAddress(first)}/${bits}`;
    }
  }
  return undefined;
}

/** The networks of a list with which nothing is wrong; none where it is empty. */
export function parseNetworks(list: string): readonly Network[] {
  return list.split(",").filter(Boolean).map((entry) => parseNetwork(entry)!);
}

function parseNetwork(entry: string): Network | undefined {
  const [text = "", prefix, ...more] = entry.split("/");
  const first = parseAddress(text);
  const size = text.includes(":") ? 128 : 32;
  if (first === undefined || more.length > 0) return undefined;
  if (prefix !== undefined && !isWhole(prefix, size)) return undefined;
  return { first, bits: 128 - size + Number(prefix ?? size) };
}

/** The first address of the network of so many bits that the address is in. */
function firstOf(address: Address, bits: number): Address {
  const others = BigInt(128 - bits);
  return address >> others << others;
}

/** Is the address in one of the networks? `::/0` is all of IPv6, but not IPv4. */
export function isWithin(networks: readonly Network[], text: string): boolean {
  const address = networks.length === 0 ? undefined : parseAddress(text);
  return address !== undefined &&
    networks.some(({ first, bits }) =>
      firstOf(address, bits) === first && isIPv4(address) === isIPv4(first)
    );
}
