/**
 * Persistent collections: a change gives a new collection, which shares the unchanged parts with
 * the old one.
 */

const NODE_SIZE = 32;
const PLACE = NODE_SIZE - 1;

/** The children of a node of the tree, by 5 bits of the key. The array ends with the last child. */
type IntNode<Value> = readonly (IntNode<Value> | Value | undefined)[];

/** The index in a node of the child with this key, where each child holds `span` keys. */
function indexOf(key: number, span: number): number {
  return Math.floor(key / span) & PLACE;
}

/** A persistent map from whole numbers below 2^53, in the order of the numbers. */
export class IntMap<Value> implements Iterable<[number, Value]> {
  readonly size: number;
  readonly #root: IntNode<Value>;
  /** Each child of the root holds this many keys. It is 1 where the children are the values. */
  readonly #span: number;

  private constructor(root: IntNode<Value>, span: number, size: number) {
    this.#root = root;
    this.#span = span;
    this.size = size;
  }

  static empty<Value>(): IntMap<Value> {
    return new IntMap<Value>([], 1, 0);
  }

  /** The value of a key; `undefined` if it has none. */
  get(key: number): Value | undefined {
    if (key >= NODE_SIZE * this.#span) return undefined;
    let node: IntNode<Value> | undefined = this.#root;
    for (let span = this.#span; span > 1 && node !== undefined; span /= NODE_SIZE) {
      node = node[indexOf(key, span)] as IntNode<Value> | undefined;
    }
    return node?.[key & PLACE] as Value | undefined;
  }

  /** A map in which the key has this value; `undefined` removes the key. */
  set(key: number, value: Value | undefined): IntMap<Value> {
    const before = this.get(key);
    if (before === undefined && value === undefined) return this;
    const size = this.size + (value === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
    let root = this.#root;
    let span = this.#span;
    for (; key >= NODE_SIZE * span; span *= NODE_SIZE) root = [root];
    return new IntMap(withValue(root, span, key, value) ?? [], span, size);
  }

  /** The keys and their values, in the order of the keys. */
  [Symbol.iterator](): Generator<[number, Value]> {
    return entries(this.#root, this.#span, 0);
  }

  /** The values, in the order of the keys. */
  values(): Value[] {
    const values: Value[] = [];
    collectValues(this.#root, this.#span, values);
    return values;
  }
}

function collectValues<Value>(node: IntNode<Value>, span: number, values: Value[]): void {
  for (const child of node) {
    if (child === undefined) continue;
    if (span === 1) values.push(child as Value);
    else collectValues(child as IntNode<Value>, span / NODE_SIZE, values);
  }
}

function* entries<Value>(
  node: IntNode<Value>,
  span: number,
  before: number,
): Generator<[number, Value]> {
  for (const [at, child] of node.entries()) {
    if (child === undefined) continue;
    const key = before + at * span;
    if (span === 1) yield [key, child as Value];
    else yield* entries(child as IntNode<Value>, span / NODE_SIZE, key);
  }
}

/** A copy of the node with the value below it; `undefined` if the copy would be empty. */
function withValue<Value>(
  node: IntNode<Value>,
  span: number,
  key: number,
  value: Value | undefined,
): IntNode<Value> | undefined {
  const place = indexOf(key, span);
  const copy = node.slice();
  while (copy.length <= place) copy.push(undefined);
  copy[place] = span === 1
    ? value
    : withValue((copy[place] ?? []) as IntNode<Value>, span / NODE_SIZE, key, value);
  return copy[place] === undefined && copy.every((child) => child === undefined) ? undefined : copy;
}

/** A text and its value. */
interface TextEntry<Value> {
  readonly text: string;
  readonly value: Value;
}

/** A persistent map from texts, in no order. */
export class TextMap<Value> {
  /** By {@link bucketOf}: the few texts that share a bucket. */
  readonly #buckets: IntMap<readonly TextEntry<Value>[]>;

  private constructor(buckets: IntMap<readonly TextEntry<Value>[]>) {
    this.#buckets = buckets;
  }

  static empty<Value>(): TextMap<Value> {
    return new TextMap<Value>(IntMap.empty());
  }

  /** The value of a text; `undefined` if it has none. */
  get(text: string): Value | undefined {
    const bucket = this.#buckets.get(bucketOf(text));
    if (bucket === undefined) return undefined;
    for (const entry of bucket) if (entry.text === text) return entry.value;
    return undefined;
  }

  /** A map in which the text has this value; `undefined` removes the text. */
  set(text: string, value: Value | undefined): TextMap<Value> {
    const key = bucketOf(text);
    const bucket = (this.#buckets.get(key) ?? []).filter((entry) => entry.text !== text);
    if (value !== undefined) bucket.push({ text, value });
    return new TextMap(this.#buckets.set(key, bucket.length === 0 ? undefined : bucket));
  }
}

/** The last 15 bits of the hash: three levels of the tree, and 32,768 buckets. */
function bucketOf(text: string): number {
  return hashOf(text) & 0x7fff;
}

/** A 32-bit hash of a text (FNV-1a of its UTF-16 units). */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
