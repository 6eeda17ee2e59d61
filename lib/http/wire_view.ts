/** The wire view: explains what a connection sends and receives, to all who watch it. */
import type { ConnectionHandler } from "../server/connection.ts";
import type { Split } from "../protocol/frame.ts";
import {
  type InspectorOptions,
  type Line,
  REPLY_LINES_MAX,
  replyLines,
  RequestInspector,
} from "../protocol/inspector.ts";
import type { Evidence } from "../protocol/mistake.ts";
import type { ServerOptions } from "../options.ts";
import type { Observer } from "../server/outbox.ts";
import type { Reply } from "../protocol/reply.ts";
import { encodeReply, replyTexts } from "../protocol/reply_encoder.ts";
import type { Server } from "../server/server.ts";

/** An event of a watched connection. */
export type WireEvent =
  | { readonly kind: "connected"; readonly connection: number; readonly peer: string }
  | ({ readonly kind: "line"; readonly at: number; readonly direction: "in" | "out" } & Line)
  | { readonly kind: "dropped"; readonly lines: number }
  | { readonly kind: "ended"; readonly reason: string };

/** The watchers of a server's connections. */
export class WireView {
  readonly #server: Server;
  readonly #options: ServerOptions;
  readonly #observers = new WeakMap<ConnectionHandler, WireObserver>();
  readonly #watchers = new Set<Watcher>();

  constructor(server: Server, options: ServerOptions) {
    this.#server = server;
    this.#options = options;
  }

  /** The number of watchers. */
  get size(): number {
    return this.#watchers.size;
  }

  /** Watches an open connection, or the next one; `undefined` where none has this number. */
  watch(connection: number | "next"): Watcher | undefined {
    const watcher = new Watcher(this.#options.wireLinesMax);
    const { onNext } = this.#server;
    const attach = (handler: ConnectionHandler) => this.#attach(handler, watcher);
    if (connection === "next") onNext.add(attach);
    else {
      const handler = this.#server.find(connection);
      if (handler === undefined) return undefined;
      attach(handler);
    }
    this.#watchers.add(watcher);
    watcher.onEnd.push(() => onNext.delete(attach), () => this.#watchers.delete(watcher));
    return watcher;
  }

  /** Ends all watchers. */
  close(): void {
    for (const watcher of this.#watchers) watcher.end();
  }

  #attach(handler: ConnectionHandler, watcher: Watcher): void {
    const { connection, peer } = handler.facts;
    watcher.add({ kind: "connected", connection, peer });
    const known = this.#observers.get(handler);
    const observer = known ?? new WireObserver(this.#options, handler.isProxied);
    observer.watchers.add(watcher);
    if (known === undefined) {
      this.#observers.set(handler, observer);
      handler.observe(observer);
    }
    watcher.onEnd.push(() => {
      observer.watchers.delete(watcher);
      if (observer.watchers.size > 0) return;
      this.#observers.delete(handler);
      handler.observe(undefined);
    });
  }
}

/** A watcher: a stream of events. Lines that come faster than they are read are dropped and counted. */
export class Watcher {
  /** The {@link WireEvent}s, one JSON object per line. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Called once, when the connection ends or the reader has gone. */
  readonly onEnd: (() => void)[] = [];
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

  /** A line that is added now would be dropped. */
  get isFull(): boolean {
    return this.#events.length >= this.#linesMax;
  }

  /** Counts lines as dropped. */
  drop(lines: number): void {
    this.#dropped += lines;
  }

  /** Adds an event to the stream. A line is dropped where too many wait; other events are not. */
  add(event: WireEvent): void {
    if (this.#isOver) return;
    if (event.kind === "line" && this.isFull) return this.drop(1);
    this.#addDropped();
    this.#events.push(event);
    this.#wake?.();
  }

  /** Ends the stream behind the events that wait. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const notify of this.onEnd) notify();
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

/** The observer of a connection for all who watch it; texts of mail appear only with `--wire-texts`. */
class WireObserver implements Observer {
  readonly watchers = new Set<Watcher>();
  readonly #options: InspectorOptions;
  #requests: RequestInspector | undefined;

  constructor(options: ServerOptions, isProxied: boolean) {
    this.#options = { ...options, showTexts: options.wireTexts, isProxied };
  }

  received(split: Split, offset: number): void {
    this.#requests ??= new RequestInspector(this.#options, offset);
    this.#addLines("in", this.#requests.feed(split));
  }

  brokenOff(kind: Evidence["kind"]): void {
    this.#addLines("in", this.#requests?.breakOff(kind) ?? []);
  }

  sent(replies: readonly Reply[], offset: number): void {
    let end = offset;
    for (const reply of replies) {
      if (this.watchers.values().some(({ isFull }) => !isFull)) {
        this.#addLines("out", replyLines(reply, end, this.#options.showTexts));
      } else {
        // Lines that would be dropped are not made: for long replies that would hold up the server.
        const lines = Math.min(replyTexts(reply).length, REPLY_LINES_MAX);
        for (const watcher of this.watchers) watcher.drop(lines);
      }
      end += encodeReply(reply).length;
    }
  }

  ended(reason: string): void {
    for (const watcher of this.watchers) {
      watcher.add({ kind: "ended", reason });
      watcher.end();
    }
  }

  #addLines(direction: "in" | "out", lines: readonly Line[]): void {
    const at = Date.now();
    for (const watcher of this.watchers) {
      for (const line of lines) watcher.add({ kind: "line", at, direction, ...line });
    }
  }
}
