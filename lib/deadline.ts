/** One deadline that is moved all the time: a timer is set anew only when it fires too early. */
export class Deadline {
  #at = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #firesAt = Infinity;
  readonly #expire: () => void;

  /** `expire` is called when the deadline has passed; it is then off until it is set again. */
  constructor(expire: () => void) {
    this.#expire = expire;
  }

  /** The deadline is `ms` milliseconds from `now`. */
  set(ms: number, now = performance.now()): void {
    this.#at = now + ms;
    if (this.#at < this.#firesAt) this.#arm(ms);
  }

  /** There is none until it is set again. */
  clear(): void {
    this.#at = Infinity;
  }

  /** Turns it off and lets go of the timer. */
  close(): void {
    clearTimeout(this.#timer);
    this.#at = Infinity;
    this.#firesAt = Infinity;
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer);
    this.#firesAt = performance.now() + ms;
    this.#timer = setTimeout(() => this.#fire(), ms);
  }

  #fire(): void {
    this.#firesAt = Infinity;
    const left = this.#at - performance.now();
    if (left === Infinity) return;
    if (left > 1) return this.#arm(left);
    this.#at = Infinity;
    this.#expire();
  }
}
