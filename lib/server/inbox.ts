/** The items of a connection that have come: one read of bytes at a time. */
import type { ServerOptions } from "../options.ts";
import type { Split } from "../protocol/frame.ts";
import { FrameStream } from "../protocol/frame_stream.ts";
import { type Item, type MistakeItem, RequestReader } from "../protocol/request_reader.ts";
import { decodeFast } from "./fast_utf8.ts";
import type { Observer } from "./outbox.ts";
import type { Connection } from "./transport.ts";

/**
 * At most this many commands of a chunk are taken at a time; the others when these are answered. A reply
 * that the client does not read takes 200 bytes, and a chunk may hold 8,000 commands.
 */
const ITEMS_MAX = 500;

/** The commands of one connection. */
export class Inbox {
  readonly #frames: FrameStream;
  readonly #requests: RequestReader;
  /** Is a read under way? */
  isReading = false;
  bytesRead = 0;
  /** May the last chunk hold commands that were not taken? */
  hasMore = false;
  #observer: Observer | undefined;

  constructor(connection: Connection, options: ServerOptions) {
    this.#frames = new FrameStream(connection, options.frameBytesMax);
    const { isProxied = false } = connection;
    this.#requests = new RequestReader(options, decodeFast, { isProxied });
  }

  /** Has a command begun that is not complete? */
  get isBegun(): boolean {
    return this.#requests.isBegun;
  }

  /** Sets the observer, or removes it. It gets the bytes of the command that has begun. */
  observe(observer: Observer | undefined): void {
    this.#observer = observer;
    const { pending } = this.#requests;
    observer?.received(pending, this.bytesRead - pending.size);
  }

  /** Resolves to the next chunk. Rejects with the error of the connection, or when it is given up. */
  read(): Promise<ReadableStreamReadResult<Split>> {
    this.isReading = true;
    // The chunk before lies in memory that this read uses again.
    this.#requests.copyUnread();
    return this.#frames.read();
  }

  /** Gives up the read that is under way. What comes for it is read by the next one. */
  giveUp(): void {
    if (this.isReading) this.#frames.giveUp();
  }

  /** Adds a chunk. */
  add(split: Split): void {
    this.#observer?.received(split, this.bytesRead);
    this.bytesRead += split.size;
    this.#requests.feed(split);
  }

  /** The next commands of the chunks, up to the first mistake. */
  take(): Item[] {
    this.hasMore = false;
    const items: Item[] = [];
    for (let item = this.#requests.next(); item !== undefined; item = this.#requests.next()) {
      items.push(item);
      if (item.kind === "mistake") break;
      if (items.length === ITEMS_MAX) {
        this.hasMore = true;
        break;
      }
    }
    return items;
  }

  /** The mistake of a command that will not be completed. */
  breakOff(kind: "stalled" | "cut-off"): MistakeItem {
    this.#observer?.brokenOff(kind);
    return this.#requests.breakOff(kind);
  }

  /** Drops all that comes until the client closes the connection. */
  async skipRest(): Promise<void> {
    while (!(await this.#frames.read()).done);
  }
}
