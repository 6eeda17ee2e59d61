/**
 * The persistent collections of the core: changing one gives a new one, which shares what stayed
 * the same. The maps are trees that go down a few bits of the key at a time. A node is an array of
 * its children, as long as its last one needs.
 */

const NODE_BITS = 5;
const NODE_SIZE = 1 << NODE_BITS;
const PLACE = NODE_SIZE - 1;

/** A copy of the node with room for so many children. */
function copyOf<Child>(node: readonly Child[], length: number): (Child | undefined)[] {
  const copy: (Child | undefined)[] = node.slice();
  while (copy.length < length) copy.push(undefined);
  return copy;
}

function isEmpty(node: readonly unknown[]): boolean {
  return node.every((child) => child === undefined);
}

type IntNode<Value> = readonly (IntNode<Value> | Value | undefined)[];

/** No number. */
const NO_KEY = -1;

/**
 * A persistent map from whole numbers below 2^32, in the order of the numbers. What was set last
 * stands beside the tree until the tree is needed whole: to set the same number again, as in a
 * burst, copies nothing.
 */
export class IntMap<Value> implements Iterable<[number, Value]> {
  readonly size: number;
  #root: IntNode<Value>;
  /** The bits of a number that its place in the root is not made of. */
  #shift: number;
  /** The number that was set last, where the tree does not know it yet. */
  #lastKey: number;
  #lastValue: Value | undefined;

  private constructor(
    root: IntNode<Value>,
    shift: number,
    size: number,
    lastKey: number,
    lastValue: Value | undefined,
  ) {
    this.#root = root;
    this.#shift = shift;
    this.size = size;
    this.#lastKey = lastKey;
    this.#lastValue = lastValue;
  }

  static empty<Value>(): IntMap<Value> {
    return new IntMap<Value>([], 0, 0, NO_KEY, undefined);
  }

  /** The value of a number; `undefined` where it has none. */
  get(key: number): Value | undefined {
    if (key === this.#lastKey) return this.#lastValue;
    if (key >>> this.#shift >= NODE_SIZE) return undefined;
    let node: IntNode<Value> | undefined = this.#root;
    for (let shift = this.#shift; shift > 0 && node !== undefined; shift -= NODE_BITS) {
      node = node[key >>> shift & PLACE] as IntNode<Value> | undefined;
    }
    return node?.[key & PLACE] as Value | undefined;
  }

  /** Gives the number a value; `undefined` takes it away. */
  set(key: number, value: Value | undefined): IntMap<Value> {
    const size = this.size + (value === undefined ? 0 : 1) - (this.get(key) === undefined ? 0 : 1);
    if (key !== this.#lastKey) this.#settle();
    return new IntMap(this.#root, this.#shift, size, key, value);
  }

  /** Puts what was set last into the tree: it is the same map, and this is done once. */
  #settle(): void {
    const key = this.#lastKey;
    if (key === NO_KEY) return;
    for (; key >>> this.#shift >= NODE_SIZE; this.#shift += NODE_BITS) this.#root = [this.#root];
    this.#root = withValue(this.#root, this.#shift, key, this.#lastValue) ?? [];
    this.#lastKey = NO_KEY;
    this.#lastValue = undefined;
  }

  /** The numbers and their values. */
  [Symbol.iterator](): Generator<[number, Value]> {
    this.#settle();
    return entries(this.#root, this.#shift, 0);
  }

  /** The values, in the order of the numbers. */
  values(): Value[] {
    this.#settle();
    const values: Value[] = [];
    collectValues(this.#root, this.#shift, values);
    return values;
  }
}

function collectValues<Value>(node: IntNode<Value>, shift: number, values: Value[]): void {
  for (const child of node) {
    if (child === undefined) continue;
    if (shift === 0) values.push(child as Value);
    else collectValues(child as IntNode<Value>, shift - NODE_BITS, values);
  }
}

function* entries<Value>(
  node: IntNode<Value>,
  shift: number,
  before: number,
): Generator<[number, Value]> {
  for (const [at, child] of node.entries()) {
    if (child === undefined) continue;
    const key = before + at * 2 ** shift;
    if (shift === 0) yield [key, child as Value];
    else yield* entries(child as IntNode<Value>, shift - NODE_BITS, key);
  }
}

/** A copy of the node with the value below it; no node where nothing would be left. */
function withValue<Value>(
  node: IntNode<Value>,
  shift: number,
  key: number,
  value: Value | undefined,
): IntNode<Value> | undefined {
  const place = key >>> shift & PLACE;
  const copy = copyOf(node, place + 1);
  copy[place] = shift === 0
    ? value
    : withValue((copy[place] ?? []) as IntNode<Value>, shift - NODE_BITS, key, value);
  return copy[place] === undefined && isEmpty(copy) ? undefined : copy;
}

const HASH_BITS = 32;

/** Two children for each place: a text and its value, or no text and the node below. */
type TextNode<Value> = readonly (string | Value | TextNode<Value> | undefined)[];

/**
 * A persistent map from texts, in no order: a tree that goes down the bits of the text's hash until
 * no other text is in the way. Below the last bit texts of one hash stand side by side.
 */
export class TextMap<Value> {
  readonly #root: TextNode<Value>;

  private constructor(root: TextNode<Value>) {
    this.#root = root;
  }

  static empty<Value>(): TextMap<Value> {
    return new TextMap<Value>([]);
  }

  /** The value of a text; `undefined` where it has none. */
  get(text: string): Value | undefined {
    const hash = hashOf(text);
    let node: TextNode<Value> | undefined = this.#root;
    for (let shift = 0; node !== undefined; shift += NODE_BITS) {
      const place: number = placeOf(node, shift, hash, text);
      const there = node[place];
      if (there === text) return node[place + 1] as Value;
      if (there !== undefined) return undefined;
      node = node[place + 1] as TextNode<Value> | undefined;
    }
    return undefined;
  }

  /** Gives the text a value; `undefined` takes it away. */
  set(text: string, value: Value | undefined): TextMap<Value> {
    if (value === undefined && this.get(text) === undefined) return this;
    return new TextMap(withText(this.#root, 0, hashOf(text), text, value) ?? []);
  }
}

/** Where in the node a text is, or would be. */
function placeOf<Value>(
  node: TextNode<Value>,
  shift: number,
  hash: number,
  text: string,
): number {
  if (shift < HASH_BITS) return 2 * (hash >>> shift & PLACE);
  for (let place = 0; place < node.length; place += 2) if (node[place] === text) return place;
  const free = node.indexOf(undefined);
  return free === -1 ? node.length : free;
}

/** A copy of the node with the text below it, or without it; no node where nothing would be left. */
function withText<Value>(
  node: TextNode<Value>,
  shift: number,
  hash: number,
  text: string,
  value: Value | undefined,
): TextNode<Value> | undefined {
  const place = placeOf(node, shift, hash, text);
  const copy = copyOf(node, place + 2);
  const [there, below] = [copy[place] as string | undefined, copy[place + 1]];
  if (there === text || below === undefined) {
    copy[place] = value === undefined ? undefined : text;
    copy[place + 1] = value;
  } else {
    const next = shift + NODE_BITS;
    // A text that is in the way goes down too.
    const child = there === undefined
      ? below as TextNode<Value>
      : withText([], next, hashOf(there), there, below as Value)!;
    copy[place] = undefined;
    copy[place + 1] = withText(child, next, hash, text, value);
  }
  return copy[place + 1] === undefined && isEmpty(copy) ? undefined : copy;
}

/** 32 bits that stand for a text (FNV-1a of its UTF-16). */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
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
