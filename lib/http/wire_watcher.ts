/** The streams of events that watchers of the wire read. */
import type { Line } from "../protocol/inspector.ts";

/** A line of the wire view. */
export interface WireLine extends Line {
  /** The number of its connection. */
  readonly connection: number;
  /** When it was made (ms since 1970). */
  readonly at: number;
  readonly direction: "in" | "out";
  /** The frame is not whole yet: a later line with the same offset takes its place. */
  readonly isPartial?: boolean;
  /** The frame, or what belongs to its command before it, came in so many pieces. */
  readonly pieces?: { readonly count: number; readonly gapMs: number };
}

/** An event of a watched connection. */
export type WireEvent =
  | {
    readonly kind: "connected";
    readonly connection: number;
    readonly peer: string;
    readonly isWebSocket: boolean;
  }
  | ({ readonly kind: "line" } & WireLine)
  | {
    /** A connection that is not followed, since too many are. */
    readonly kind: "passed-over";
    readonly connection: number;
    readonly peer: string;
  }
  | { readonly kind: "dropped"; readonly lines: number }
  | { readonly kind: "ended"; readonly connection: number; readonly reason: string };

/** Takes the events of one connection. */
export interface EventSink {
  /** A line that is added now would be dropped. */
  readonly isFull: boolean;
  add(event: WireEvent): void;
  /** Counts lines as dropped. */
  drop(lines: number): void;
  /** The connection has registered this name. */
  registered(user: string): void;
}

/** A watcher: a stream of events. Lines that come faster than they are read are dropped and counted. */
export class Watcher implements EventSink {
  /** The {@link WireEvent}s, one JSON object per line. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Called once, when the stream ends or its reader has gone. */
  onEnd = () => {};
  readonly #linesMax: number;
  #events: WireEvent[] = [];
  #dropped = 0;
  #isOver = false;
  #wake: (() => void) | undefined;

  /** `linesMax` is the most lines that wait to be read. */
  constructor(linesMax: number) {
    this.#linesMax = linesMax;
    this.stream = new ReadableStream({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.end(),
    }, { highWaterMark: 0 });
  }

  get isFull(): boolean {
    return this.#events.length >= this.#linesMax;
  }

  drop(lines: number): void {
    this.#dropped += lines;
  }

  registered(): void {}

  /**
   * Adds an event to the stream. It is dropped where too many wait: a line first, so that the beginning
   * and the end of a connection are told while its lines are not.
   */
  add(event: WireEvent): void {
    if (this.#isOver) return;
    const most = event.kind === "line" ? this.#linesMax : 2 * this.#linesMax;
    if (this.#events.length >= most) return this.drop(1);
    this.#addDropped();
    this.#events.push(event);
    this.#wake?.();
  }

  /** Ends the stream behind the events that wait. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onEnd();
    this.#wake?.();
  }

  #addDropped(): void {
    if (this.#dropped > 0) this.#events.push({ kind: "dropped", lines: this.#dropped });
    this.#dropped = 0;
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (this.#events.length === 0 && !this.#isOver) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    this.#addDropped();
    const events = this.#events;
    this.#events = [];
    if (events.length === 0) return controller.close();
    const text = events.map((event) => `${JSON.stringify(event)}\n`).join("");
    controller.enqueue(new TextEncoder().encode(text));
  }
}

/** At most this many events wait until it is known whose they are. */
const HELD_MAX = 200;

/**
 * Hands on the events of a connection whose first name is a certain one, also those that came before
 * the name.
 */
export class NameFilter implements EventSink {
  /** Called when the connection has registered another name first. */
  onOther = () => {};
  readonly #watcher: Watcher;
  readonly #name: string;
  /** The events before; `undefined` when the connection has that name. */
  #held: WireEvent[] | undefined = [];
  #heldDropped = 0;

  constructor(watcher: Watcher, name: string) {
    this.#watcher = watcher;
    this.#name = name;
  }

  get isFull(): boolean {
    return this.#held === undefined ? this.#watcher.isFull : this.#held.length >= HELD_MAX;
  }

  add(event: WireEvent): void {
    if (this.#held === undefined) this.#watcher.add(event);
    else if (this.isFull) this.drop(1);
    else this.#held.push(event);
  }

  drop(lines: number): void {
    if (this.#held === undefined) this.#watcher.drop(lines);
    else this.#heldDropped += lines;
  }

  registered(user: string): void {
    if (this.#held === undefined) return;
    if (user !== this.#name) return this.onOther();
    for (const event of this.#held) this.#watcher.add(event);
    this.#watcher.drop(this.#heldDropped);
    this.#held = undefined;
  }
}
