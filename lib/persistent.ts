/**
 * The persistent collections of the core: changing one gives a new one, which shares what stayed
 * the same. Maps by text come from a library, imported as the ES module, which loads 20 ms faster
 * than the package's default; for numbers and for queues there are lighter ones here.
 */
// @ts-types="npm:immutable@^5.1"
export { Map, OrderedSet } from "immutable";

const NODE_BITS = 4;
const NODE_SIZE = 1 << NODE_BITS;
const PLACE = NODE_SIZE - 1;

type Node<Value> = readonly (Node<Value> | Value | undefined)[];

/** A persistent map from whole numbers below 2^32: a tree that goes down 4 bits at a time. */
export class IntMap<Value> implements Iterable<[number, Value]> {
  readonly #root: Node<Value>;
  /** The bits of a number that its place in the root is not made of. */
  readonly #shift: number;

  private constructor(root: Node<Value>, shift: number) {
    this.#root = root;
    this.#shift = shift;
  }

  static empty<Value>(): IntMap<Value> {
    return new IntMap<Value>([], 0);
  }

  /** The value of a number; `undefined` where it has none. */
  get(key: number): Value | undefined {
    if (key >>> this.#shift >= NODE_SIZE) return undefined;
    let node: Node<Value> | undefined = this.#root;
    for (let shift = this.#shift; shift > 0 && node !== undefined; shift -= NODE_BITS) {
      node = node[key >>> shift & PLACE] as Node<Value> | undefined;
    }
    return node?.[key & PLACE] as Value | undefined;
  }

  /** Gives the number a value; `undefined` takes it away. */
  set(key: number, value: Value | undefined): IntMap<Value> {
    let root = this.#root;
    let shift = this.#shift;
    for (; key >>> shift >= NODE_SIZE; shift += NODE_BITS) root = [root];
    return new IntMap(withValue(root, shift, key, value) ?? [], shift);
  }

  /** The numbers and their values, in the order of the numbers. */
  [Symbol.iterator](): Generator<[number, Value]> {
    return entries(this.#root, this.#shift, 0);
  }
}

function* entries<Value>(
  node: Node<Value>,
  shift: number,
  before: number,
): Generator<[number, Value]> {
  for (const [at, child] of node.entries()) {
    if (child === undefined) continue;
    const key = before + at * 2 ** shift;
    if (shift === 0) yield [key, child as Value];
    else yield* entries(child as Node<Value>, shift - NODE_BITS, key);
  }
}

/** A copy of the node with the value below it; no node where nothing would be left. */
function withValue<Value>(
  node: Node<Value>,
  shift: number,
  key: number,
  value: Value | undefined,
): Node<Value> | undefined {
  const at = key >>> shift & PLACE;
  const copy = node.slice();
  while (copy.length <= at) copy.push(undefined);
  copy[at] = shift === 0
    ? value
    : withValue((copy[at] ?? []) as Node<Value>, shift - NODE_BITS, key, value);
  return copy[at] === undefined && copy.every((child) => child === undefined) ? undefined : copy;
}

/**
 * A persistent queue. Appending copies nothing: the longest version of a queue appends to the items
 * that all share, and an older one sees only its own.
 */
export class Queue<Item> {
  readonly #items: Item[];
  readonly #start: number;
  readonly #end: number;

  private constructor(items: Item[], start: number, end: number) {
    this.#items = items;
    this.#start = start;
    this.#end = end;
  }

  /** A queue of these items; the array is the queue's from now on. */
  static of<Item>(items: Item[]): Queue<Item> {
    return new Queue(items, 0, items.length);
  }

  get size(): number {
    return this.#end - this.#start;
  }

  /** With one more item at the end. */
  push(item: Item): Queue<Item> {
    const isLongest = this.#items.length === this.#end;
    if (!isLongest) return Queue.of(this.toArray()).push(item);
    this.#items.push(item);
    return new Queue(this.#items, this.#start, this.#end + 1);
  }

  /** Without the first `count` items. What is let go of never outweighs what is kept. */
  drop(count: number): Queue<Item> {
    const start = this.#start + count;
    const kept = this.#end - start;
    if (kept >= start) return new Queue(this.#items, start, this.#end);
    return Queue.of(this.#items.slice(start, this.#end));
  }

  toArray(): Item[] {
    return this.#items.slice(this.#start, this.#end);
  }
}
