/** The wire view: explains what connections send and receive, to all who watch them. */
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
import { type EventSink, NameFilter, Watcher, type WireLine } from "./wire_watcher.ts";

/** Pieces that came at least this far apart (ms) are told; those of one write come together. */
const GAP_MS_MIN = 20;
/** A frame that has begun is shown after this long (ms), if it is not whole by then. */
const PARTIAL_MS = 300;
/** Who follows every connection gets the events of at most this many at once. */
const FOLLOWED_MAX = 50;

/** Which connections a watcher sees. */
export interface WireChoice {
  /** The number of an open connection, the next one, or every next one until the watcher goes. */
  readonly connection: number | "next" | "every";
  /** Of the next ones only those from this address; "": from any. */
  readonly address: string;
  /** Of the next ones only those that register this name first; "": all. */
  readonly user: string;
}

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

  /** Watches connections; `undefined` where none has the number of the choice. */
  watch({ connection, address, user }: WireChoice): Watcher | undefined {
    const watcher = new Watcher(this.#options.wireLinesMax);
    const { onOpen } = this.#server;
    const attached = new Map<ConnectionHandler, () => void>();
    const attach = (handler: ConnectionHandler) => {
      const filter = user === "" ? undefined : new NameFilter(watcher, user);
      const ended = () => {
        attached.delete(handler);
        if (connection !== "every") watcher.end();
      };
      const detach = this.#attach(handler, filter ?? watcher, ended);
      attached.set(handler, detach);
      if (filter === undefined) return;
      filter.onOther = () => {
        attached.delete(handler);
        detach();
      };
    };
    const opened = (handler: ConnectionHandler) => {
      if (address !== "" && handler.facts.address !== address) return;
      if (connection === "next") onOpen.delete(opened);
      if (attached.size < FOLLOWED_MAX) return attach(handler);
      const { connection: number, peer } = handler.facts;
      watcher.add({ kind: "passed-over", connection: number, peer });
    };
    if (typeof connection === "number") {
      const handler = this.#server.find(connection);
      if (handler === undefined) return undefined;
      attach(handler);
    } else onOpen.add(opened);
    this.#watchers.add(watcher);
    watcher.onEnd = () => {
      onOpen.delete(opened);
      for (const detach of attached.values()) detach();
      this.#watchers.delete(watcher);
    };
    return watcher;
  }

  /** Ends all watchers. */
  close(): void {
    for (const watcher of this.#watchers) watcher.end();
  }

  /** Hands the events of a connection to a sink. Returns a function that ends that. */
  #attach(handler: ConnectionHandler, sink: EventSink, ended: () => void): () => void {
    const { connection, peer, isWebSocket } = handler.facts;
    sink.add({ kind: "connected", connection, peer, isWebSocket });
    const known = this.#observers.get(handler);
    const observer = known ?? new WireObserver(connection, this.#options, handler.isProxied);
    observer.sinks.set(sink, ended);
    if (known === undefined) {
      this.#observers.set(handler, observer);
      handler.observe(observer);
    }
    return () => {
      observer.sinks.delete(sink);
      if (observer.sinks.size > 0) return;
      observer.close();
      this.#observers.delete(handler);
      handler.observe(undefined);
    };
  }
}

/** The observer of a connection for all who watch it; texts of mail appear only with `--wire-texts`. */
class WireObserver implements Observer {
  /** Each with a function that is called when the connection has ended. */
  readonly sinks = new Map<EventSink, () => void>();
  readonly #connection: number;
  readonly #options: InspectorOptions;
  #requests: RequestInspector | undefined;
  /** The pieces of the command that has begun, since the last one that was told. */
  #pieces = { count: 0, gapMs: 0 };
  /** When the last bytes came (ms, as `performance.now`). */
  #receivedAt = 0;
  #partialTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(connection: number, options: ServerOptions, isProxied: boolean) {
    this.#connection = connection;
    this.#options = { ...options, showTexts: options.wireTexts, isProxied };
  }

  received(split: Split, offset: number): void {
    this.#requests ??= new RequestInspector(this.#options, offset);
    const now = performance.now();
    const gapMs = this.#requests.isBegun ? Math.round(now - this.#receivedAt) : 0;
    this.#pieces = this.#requests.isBegun
      ? { count: this.#pieces.count + 1, gapMs: Math.max(gapMs, this.#pieces.gapMs) }
      : { count: 1, gapMs: 0 };
    this.#receivedAt = now;
    const [first, ...more] = this.#requests.feed(split);
    if (first !== undefined) {
      const pieces = this.#pieces.gapMs >= GAP_MS_MIN ? { pieces: this.#pieces } : {};
      this.#addLines("in", [{ ...first, ...pieces }, ...more]);
      this.#pieces = { count: 1, gapMs: 0 };
    }
    this.#partialTimer ??= setTimeout(() => this.#addPartial(), PARTIAL_MS);
  }

  brokenOff(kind: Evidence["kind"]): void {
    this.#addLines("in", this.#requests?.breakOff(kind) ?? []);
  }

  sent(replies: readonly Reply[], offset: number): void {
    let end = offset;
    for (const reply of replies) {
      if (reply.code === "welcome" || reply.code === "welcome-back") {
        for (const sink of this.sinks.keys()) sink.registered(reply.user!);
      }
      if (this.sinks.keys().some(({ isFull }) => !isFull)) {
        this.#addLines("out", replyLines(reply, end, this.#options.showTexts));
      } else {
        // Lines that would be dropped are not made: for long replies that would hold up the server.
        const lines = Math.min(replyTexts(reply).length, REPLY_LINES_MAX);
        for (const sink of this.sinks.keys()) sink.drop(lines);
      }
      end += encodeReply(reply).length;
    }
  }

  ended(reason: string): void {
    this.close();
    for (const [sink, ended] of this.sinks) {
      sink.add({ kind: "ended", connection: this.#connection, reason });
      ended();
    }
    this.sinks.clear();
  }

  /** Nobody watches any more. */
  close(): void {
    clearTimeout(this.#partialTimer);
    this.#partialTimer = undefined;
  }

  /** Shows the frame that has begun, as far as it has come. */
  #addPartial(): void {
    this.#partialTimer = undefined;
    const line = this.#requests?.partial;
    if (line !== undefined) this.#addLines("in", [{ ...line, isPartial: true }]);
  }

  #addLines(
    direction: "in" | "out",
    lines: readonly (Line & Pick<WireLine, "isPartial" | "pieces">)[],
  ): void {
    const facts = {
      kind: "line",
      connection: this.#connection,
      at: Date.now(),
      direction,
    } as const;
    for (const sink of this.sinks.keys()) {
      for (const line of lines) sink.add({ ...facts, ...line });
    }
  }
}
