/** The connections that have a place at the page's port, by the network that they come from. */
import { shareNetwork } from "../protocol/ip.ts";
import type { TcpStream } from "./tcp_stream.ts";

/** Each connection counts once. Those of a network are in the order in which they were added. */
export class Places {
  readonly #networks = new Map<string, Set<TcpStream>>();
  #size = 0;

  /** The number of connections. */
  get size(): number {
    return this.#size;
  }

  /** Gives a connection a place, behind all others of its network. */
  add(stream: TcpStream): void {
    this.delete(stream);
    const network = shareNetwork(stream.remote.address);
    const streams = this.#networks.get(network) ?? new Set();
    this.#networks.set(network, streams.add(stream));
    this.#size++;
  }

  delete(stream: TcpStream): void {
    const network = shareNetwork(stream.remote.address);
    const streams = this.#networks.get(network);
    if (streams?.delete(stream) !== true) return;
    if (streams.size === 0) this.#networks.delete(network);
    this.#size--;
  }

  /** The number of places that the network of this connection has. */
  besides(stream: TcpStream): number {
    return this.#networks.get(shareNetwork(stream.remote.address))?.size ?? 0;
  }

  /** The connections of the network that has most. */
  get most(): ReadonlySet<TcpStream> {
    let most: ReadonlySet<TcpStream> = new Set();
    for (const streams of this.#networks.values()) if (streams.size > most.size) most = streams;
    return most;
  }
}
