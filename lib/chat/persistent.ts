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

  /**
   * The values in parts of at most 32, in the order of the keys; `undefined` stands for a key without
   * a value. A part never changes, and a map shares its parts with the maps that were made from it.
   */
  parts(): Generator<Part<Value>> {
    return leaves(this.#root, this.#span);
  }
}

/** It is no generator: the few users of an address are asked for by each of its commands. */
function collectValues<Value>(node: IntNode<Value>, span: number, values: Value[]): void {
  for (const child of node) {
    if (child === undefined) continue;
    if (span === 1) values.push(child as Value);
    else collectValues(child as IntNode<Value>, span / NODE_SIZE, values);
  }
}

/** Some neighbouring values of a map. */
type Part<Value> = readonly (Value | undefined)[];

function* leaves<Value>(node: IntNode<Value>, span: number): Generator<Part<Value>> {
  if (span === 1) return yield node as Part<Value>;
  for (const child of node) {
    if (child !== undefined) yield* leaves(child as IntNode<Value>, span / NODE_SIZE);
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

/** A text, its value, and the trees of the texts before and behind it. */
interface TextNode<Value> {
  readonly text: string;
  readonly value: Value;
  readonly left: TextTree<Value>;
  readonly right: TextTree<Value>;
  /** The number of nodes on the longest way down. */
  readonly height: number;
}

/** The heights of left and right differ by at most 1 in each node (an AVL tree). */
type TextTree<Value> = TextNode<Value> | undefined;

/**
 * A persistent map from texts. It is a balanced tree in the order of the texts: whatever texts a
 * client chooses, a look-up compares at most 1.44 times the binary logarithm of their number.
 */
export class TextMap<Value> {
  readonly #tree: TextTree<Value>;

  private constructor(tree: TextTree<Value>) {
    this.#tree = tree;
  }

  static empty<Value>(): TextMap<Value> {
    return new TextMap<Value>(undefined);
  }

  /** The number of texts on the longest way from the top of the tree down. */
  get height(): number {
    return heightOf(this.#tree);
  }

  /** The value of a text; `undefined` if it has none. */
  get(text: string): Value | undefined {
    let tree = this.#tree;
    while (tree !== undefined && tree.text !== text) {
      tree = text < tree.text ? tree.left : tree.right;
    }
    return tree?.value;
  }

  /** A map in which the text has this value; `undefined` removes the text. */
  set(text: string, value: Value | undefined): TextMap<Value> {
    return new TextMap(withText(this.#tree, text, value));
  }
}

function heightOf<Value>(tree: TextTree<Value>): number {
  return tree === undefined ? 0 : tree.height;
}

/** The tree in which the text has this value; `undefined` removes the text. */
function withText<Value>(
  tree: TextTree<Value>,
  text: string,
  value: Value | undefined,
): TextTree<Value> {
  if (tree === undefined) {
    return value === undefined ? undefined : join(undefined, { text, value }, undefined);
  }
  const { left, right } = tree;
  if (text < tree.text) return balance(withText(left, text, value), tree, right);
  if (text > tree.text) return balance(left, tree, withText(right, text, value));
  if (value !== undefined) return join(left, { text, value }, right);
  if (left === undefined || right === undefined) return left ?? right;
  let next = right;
  while (next.left !== undefined) next = next.left;
  return balance(left, next, withText(right, next.text, undefined));
}

/** A tree of both, with the text between them. Their heights differ by at most 1. */
function join<Value>(
  left: TextTree<Value>,
  { text, value }: Pick<TextNode<Value>, "text" | "value">,
  right: TextTree<Value>,
): TextNode<Value> {
  return { text, value, left, right, height: 1 + Math.max(heightOf(left), heightOf(right)) };
}

/** A tree of both, with the text between them. Their heights differ by at most 2. */
function balance<Value>(
  left: TextTree<Value>,
  between: TextNode<Value>,
  right: TextTree<Value>,
): TextNode<Value> {
  const lean = heightOf(left) - heightOf(right);
  if (lean > 1) {
    const { left: outer, right: inner } = left!;
    return heightOf(outer) >= heightOf(inner)
      ? join(outer, left!, join(inner, between, right))
      : join(join(outer, left!, inner!.left), inner!, join(inner!.right, between, right));
  }
  if (lean < -1) {
    const { left: inner, right: outer } = right!;
    return heightOf(outer) >= heightOf(inner)
      ? join(join(left, between, inner), right!, outer)
      : join(join(left, between, inner!.left), inner!, join(inner!.right, right!, outer));
  }
  return join(left, between, right);
}
