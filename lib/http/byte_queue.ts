/** Bytes in the order in which they came. */

const NOTHING = new Uint8Array(0);

/** Puts chunks together: any number of small ones takes no more memory than about twice their bytes. */
export class ByteQueue {
  #bytes = NOTHING;
  #start = 0;
  #end = 0;

  /** The number of bytes that wait. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Adds a copy of the bytes. */
  push(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#bytes.length) this.#move(chunk.length);
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** Moves the first bytes into `p`, as many as wait and fit. Returns their number. */
  shift(p: Uint8Array): number {
    const length = Math.min(p.length, this.length);
    p.set(this.#bytes.subarray(this.#start, this.#start + length));
    this.#start += length;
    if (this.length === 0) this.clear();
    return length;
  }

  /** Drops all bytes. */
  clear(): void {
    this.#bytes = NOTHING;
    this.#start = this.#end = 0;
  }

  /** Moves the bytes to new memory that has room for as many again, and for `more`. */
  #move(more: number): void {
    const bytes = new Uint8Array(2 * this.length + more);
    bytes.set(this.#bytes.subarray(this.#start, this.#end));
    this.#end = this.length;
    this.#start = 0;
    this.#bytes = bytes;
  }
}
