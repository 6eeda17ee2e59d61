/** Watching connections: what goes over the wire, explained, for whoever looks. */
import type { ConnectionHandler } from "../server/connection.ts";
import type { Split } from "../protocol/frame.ts";
import { type Line, REPLY_LINES_MAX, replyLines, RequestInspector } from "../protocol/inspector.ts";
import type { ServerOptions } from "../options.ts";
import type { Tap } from "../server/outbox.ts";
import { type Reply } from "../protocol/reply.ts";
import { replyFrames, replySize } from "../protocol/reply_encoder.ts";
import type { Server } from "../server/server.ts";
import type { SessionId } from "../chat/users.ts";

/** What a watcher is told, a JSON object a line. */
export type WireEvent =
  | { readonly kind: "connected"; readonly connection: SessionId; readonly peer: string }
  | ({ readonly kind: "line"; readonly at: number; readonly direction: "in" | "out" } & Line)
  | { readonly kind: "dropped"; readonly lines: number }
  | { readonly kind: "ended"; readonly reason: string };

/** The connections of a server, to be watched. */
export class Wire {
  readonly #server: Server;
  readonly #options: ServerOptions;
  readonly #taps = new WeakMap<ConnectionHandler, WireTap>();
  readonly #watchers = new Set<Watcher>();

  constructor(server: Server, options: ServerOptions) {
    this.#server = server;
    this.#options = options;
  }

  /** How many watch. */
  get size(): number {
    return this.#watchers.size;
  }

  /** Watches a connection; `undefined` where there is none of this number. */
  watch(connection: SessionId | "next"): Watcher | undefined {
    const watcher = new Watcher(this.#options.wireLinesMax);
    const { onNext } = this.#server;
    const attach = (handler: ConnectionHandler) => this.#attach(handler, watcher);
    const handler = connection === "next" ? undefined : this.#server.find(connection);
    if (handler !== undefined) attach(handler);
    else if (connection !== "next") return undefined;
    else onNext.add(attach);
    this.#watchers.add(watcher);
    watcher.onEnd.push(() => onNext.delete(attach), () => this.#watchers.delete(watcher));
    return watcher;
  }

  /** Nobody watches any more. */
  close(): void {
    for (const watcher of this.#watchers) watcher.end();
  }

  #attach(handler: ConnectionHandler, watcher: Watcher): void {
    const { connection, peer } = handler.facts;
    watcher.tell({ kind: "connected", connection, peer });
    const known = this.#taps.get(handler);
    if (known !== undefined) known.watchers.add(watcher);
    else handler.tap((offset) => this.#newTap(handler, watcher, offset));
    watcher.onEnd.push(() => this.#detach(handler, watcher));
  }

  #newTap(handler: ConnectionHandler, watcher: Watcher, offset: number): WireTap {
    const tap = new WireTap(this.#options, offset);
    tap.watchers.add(watcher);
    this.#taps.set(handler, tap);
    return tap;
  }

  #detach(handler: ConnectionHandler, watcher: Watcher): void {
    const tap = this.#taps.get(handler);
    tap?.watchers.delete(watcher);
    if (tap?.watchers.size !== 0) return;
    this.#taps.delete(handler);
    handler.tap(undefined);
  }
}

/** One who watches: reads a stream of lines, of which those are dropped that come too fast. */
export class Watcher {
  /** {@link WireEvent}s as lines of JSON. */
  readonly stream: ReadableStream<Uint8Array>;
  /** To be called when nothing more comes, or nobody reads any more. */
  readonly onEnd: (() => void)[] = [];
  readonly #linesMax: number;
  #events: WireEvent[] = [];
  #dropped = 0;
  #isOver = false;
  #wake: (() => void) | undefined;

  /** Keeps at most so many lines that were not read. */
  constructor(linesMax: number) {
    this.#linesMax = linesMax;
    this.stream = new ReadableStream({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.end(),
    }, { highWaterMark: 0 });
  }

  /** Would a line be dropped? */
  get isFull(): boolean {
    return this.#events.length >= this.#linesMax;
  }

  /** So many lines are not even made. */
  drop(lines: number): void {
    this.#dropped += lines;
  }

  tell(event: WireEvent): void {
    if (this.#isOver) return;
    if (event.kind === "line" && this.isFull) return this.drop(1);
    this.#tellDropped();
    this.#events.push(event);
    this.#wake?.();
  }

  /** Nothing more comes. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const notify of this.onEnd) notify();
    this.#wake?.();
  }

  #tellDropped(): void {
    if (this.#dropped > 0) this.#events.push({ kind: "dropped", lines: this.#dropped });
    this.#dropped = 0;
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (this.#events.length === 0 && !this.#isOver) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    this.#tellDropped();
    const events = this.#events;
    this.#events = [];
    if (events.length === 0) return controller.close();
    const text = events.map((event) => `${JSON.stringify(event)}\n`).join("");
    controller.enqueue(new TextEncoder().encode(text));
  }
}

/** The tap of a connection for all who watch it; texts of mail appear only with `--wire-texts`. */
class WireTap implements Tap {
  readonly watchers = new Set<Watcher>();
  readonly #requests: RequestInspector;
  readonly #showTexts: boolean;

  /** The next bytes that come are at this place of all that has come. */
  constructor(options: ServerOptions, offset: number) {
    this.#showTexts = options.wireTexts;
    this.#requests = new RequestInspector({ ...options, showTexts: this.#showTexts }, offset);
  }

  received(split: Split): void {
    this.#tell("in", this.#requests.feed(split));
  }

  brokenOff(kind: "stalled" | "cut-off"): void {
    this.#tell("in", this.#requests.breakOff(kind));
  }

  sent(replies: readonly Reply[], offset: number): void {
    let end = offset;
    for (const reply of replies) {
      if (this.watchers.values().some(({ isFull }) => !isFull)) {
        this.#tell("out", replyLines(reply, end, this.#showTexts));
      } else {
        // To explain long replies to nobody would hold up the server.
        const lines = Math.min(replyFrames(reply), REPLY_LINES_MAX);
        for (const watcher of this.watchers) watcher.drop(lines);
      }
      end += replySize(reply);
    }
  }

  ended(reason: string): void {
    for (const watcher of this.watchers) {
      watcher.tell({ kind: "ended", reason });
      watcher.end();
    }
  }

  #tell(direction: "in" | "out", lines: readonly Line[]): void {
    const at = Date.now();
    for (const watcher of this.watchers) {
      for (const line of lines) watcher.tell({ kind: "line", at, direction, ...line });
    }
  }
}
