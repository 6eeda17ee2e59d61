/** The items of a connection that have come: one read of bytes at a time. */
import type { ServerOptions } from "../options.ts";
import type { Split } from "../protocol/frame.ts";
import { FrameStream } from "../protocol/frame_stream.ts";
import { type Evidence, EVIDENCE_BYTES_MAX, explainSilence } from "../protocol/mistake.ts";
import {
  type Item,
  type MistakeItem,
  RequestReader,
  type Suspicion,
} from "../protocol/request_reader.ts";
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
  /** In strict mode a mistake is judged at once: its explanation is for the log alone. */
  readonly #isStrict: boolean;
  /** Is a read under way? */
  isReading = false;
  bytesRead = 0;
  /** May the last chunk hold commands that were not taken? */
  hasMore = false;
  #observer: Observer | undefined;

  /** `pagePort` is the port of the page, if there is one. */
  constructor(connection: Connection, options: ServerOptions, pagePort?: number) {
    this.#frames = new FrameStream(connection, options.frameBytesMax);
    this.#isStrict = options.strict;
    const { isProxied = false } = connection;
    this.#requests = new RequestReader(options, decodeFast, { isProxied, pagePort });
  }

  /** Has a command begun that is not complete? */
  get isBegun(): boolean {
    return this.#requests.isBegun;
  }

  /** Why the bytes behind the last command may be a mistake: see {@link judge}. */
  get suspicion(): Suspicion | undefined {
    return this.#requests.suspicion;
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

  /** The next commands of the chunks, up to the first mistake that needs no more bytes to be known. */
  take(): Item[] {
    this.hasMore = false;
    const items: Item[] = [];
    for (let item = this.#requests.next(); item !== undefined; item = this.#requests.next()) {
      if (items.push(item) < ITEMS_MAX) continue;
      this.hasMore = true;
      return items;
    }
    const isEnough = this.#isStrict || this.#requests.unreadBytes >= EVIDENCE_BYTES_MAX;
    if (isEnough && this.suspicion === "impossible") items.push(this.judge("impossible"));
    return items;
  }

  /** The mistake in the bytes behind the last command, which will not become one. */
  judge(kind: Evidence["kind"]): MistakeItem {
    this.#observer?.brokenOff(kind);
    return this.#requests.judge(kind);
  }

  /** The mistake of a client that has sent nothing at all for this many seconds. */
  judgeSilence(seconds: number): MistakeItem {
    const mistake = explainSilence(seconds);
    const reply = { code: "mistake", mistake } as const;
    return { kind: "mistake", mistake, reply, mayBeMail: false, explanation: mistake.text };
  }

  /** Drops all that comes until the client closes the connection. */
  async skipRest(): Promise<void> {
    while (!(await this.#frames.read()).done);
  }
}
