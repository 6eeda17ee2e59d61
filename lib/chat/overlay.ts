import type { IntMap } from "./persistent.ts";

/**
 * The changes of one batch to a persistent map, beside the map: a batch often sets the same key again
 * and again. `set` changes the overlay itself, so nothing outside of the batch may see it.
 */
export class Overlay<Value> {
  readonly #map: IntMap<Value>;
  readonly #changes = new Map<number, Value | undefined>();
  #size: number;

  constructor(map: IntMap<Value>) {
    this.#map = map;
    this.#size = map.size;
  }

  get size(): number {
    return this.#size;
  }

  get(key: number): Value | undefined {
    const value = this.#changes.get(key);
    return value === undefined && !this.#changes.has(key) ? this.#map.get(key) : value;
  }

  /** Gives the key this value; `undefined` removes the key. Returns this overlay. */
  set(key: number, value: Value | undefined): this {
    this.#size += (value === undefined ? 0 : 1) - (this.get(key) === undefined ? 0 : 1);
    this.#changes.set(key, value);
    return this;
  }

  /** The map with the changes so far. */
  settled(): IntMap<Value> {
    let map = this.#map;
    for (const [key, value] of this.#changes) map = map.set(key, value);
    return map;
  }

  /** The keys that were set. */
  keys(): Iterable<number> {
    return this.#changes.keys();
  }
}
