/** The stream in NATS JetStream that carries the batches of a shared journal. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Subscription } from "@nats-io/transport-node";
import { type JetStreamClient, jetstreamManager } from "@nats-io/jetstream";
import type { ChatState } from "../../chat/state.ts";
import type { SessionId } from "../../chat/users.ts";
import type { ServerOptions } from "../../options.ts";
import type { Carrier, SharedJournal } from "../shared_journal.ts";
import { connectNats } from "./connection.ts";
import { followStream, type OpenStream } from "./follower.ts";
import {
  askUntilReady,
  ensureStream,
  lastMessage,
  refusalOf,
  subjectOf,
  toSetupError,
  wentBack,
} from "./setup.ts";
import { NatsSnapshots } from "./snapshots.ts";

/** JetStream answers within this time (ms). */
const ANSWER_MS = 5_000;
/** A batch may be lost if JetStream has not acknowledged it within this time (ms). */
const PUBLISH_MS = 2_000;
/** Another member answers within this time (ms), or not at all. */
const ASK_MS = 1_000;
/** The pause between two questions to a member that is not there (ms). */
const ASK_PAUSE_MS = 100;

export interface StreamListener {
  /** JetStream is not ready yet, and is asked again. */
  waiting(error: unknown): void;
  /** A snapshot could not be written. The batches are all stored. */
  snapshotFailed(error: unknown): void;
  /** NATS does not store what is sent, for this reason. Called when the reason changes. */
  refused(why: string): void;
  /** The stream can't be followed any more. */
  failed(error: unknown): void;
}

/** An open stream, and the snapshots of the chat that it carries. */
export class NatsStream implements Carrier {
  readonly snapshots: NatsSnapshots;
  readonly #stream: OpenStream;
  readonly #client: JetStreamClient;
  readonly #listener: StreamListener;
  #answering: Subscription | undefined;
  #member = "";
  #journal: SharedJournal | undefined;
  /** Why the last message was not stored; `undefined` where it was. */
  #refusal: string | undefined;
  #isSaving = false;
  #isClosed = false;

  private constructor(stream: OpenStream, listener: StreamListener) {
    this.snapshots = stream.snapshots;
    this.#stream = stream;
    this.#client = stream.manager.jetstream();
    this.#listener = listener;
    stream.connection.closed().then((error) => this.#isClosed || listener.failed(error));
  }

  /** Opens the stream, or makes it unless it must exist. Rejects with a {@link JournalError}. */
  static async open(
    options: ServerOptions,
    listener: StreamListener,
    mustExist = false,
  ): Promise<NatsStream> {
    const connection = await connectNats(options);
    const open = async () => {
      const manager = await jetstreamManager(connection, { timeout: ANSWER_MS });
      const found = await ensureStream(manager, options, mustExist);
      const snapshots = await NatsSnapshots.open(manager, options, found);
      return new NatsStream({ ...found, connection, manager, snapshots }, listener);
    };
    try {
      return await askUntilReady(open, (error) => listener.waiting(error));
    } catch (error) {
      await connection.close();
      throw toSetupError(error, options.stream);
    }
  }

  /** The longest text (UTF-16 units) that fits into a message, whatever symbols it holds. */
  get bodyLengthMax(): number {
    const { connection, messageBytesMax } = this.#stream;
    // A unit takes at most 3 bytes in UTF-8. The fourth is room for what NATS itself adds.
    return Math.floor(Math.min(connection.info?.max_payload ?? 0, messageBytesMax) / 4);
  }

  /** The number of the last message. Rejects where the stream was made anew, see `lastMessage`. */
  end(): Promise<number> {
    return lastMessage(this.#stream.manager, this.#stream);
  }

  send(id: string, body: string, sent: (error?: unknown) => void): void {
    const { name } = this.#stream;
    const options = { msgID: id, timeout: PUBLISH_MS, retries: 0 };
    const through = this.#journal?.through ?? 0;
    this.#client.publish(subjectOf(name), body, options).then(({ seq, duplicate }) => {
      this.#refusal = undefined;
      sent();
      if (!duplicate && seq <= through) this.#journal?.lose(wentBack(name, seq, through));
    }, (error) => {
      const why = refusalOf(error, name);
      if (why !== this.#refusal && !this.#isClosed) this.#listener.refused(why);
      this.#refusal = why;
      sent(why);
    });
  }

  async ask(member: string, session: SessionId): Promise<boolean> {
    const question = `${session.member} ${session.count}`;
    const late = performance.now() + ASK_MS;
    for (let left = ASK_MS; left > 0; left = late - performance.now()) {
      try {
        const subject = this.#askSubject(member);
        await this.#stream.connection.request(subject, question, { timeout: left });
        return true;
      } catch {
        // The member is gone, or not yet connected again.
        await sleep(ASK_PAUSE_MS);
      }
    }
    return false;
  }

  answer(member: string, asked: (session: SessionId) => Promise<void>): void {
    this.#member = member;
    this.#answering?.unsubscribe();
    this.#answering = this.#stream.connection.subscribe(this.#askSubject(member), {
      callback: (error, message) => {
        if (error !== null) return;
        // The connection stops reading when this throws, and the text may be anything.
        const [member = 0, count = 0] = message.string().split(" ").map(Number);
        asked({ member, count }).then(() => message.respond());
      },
    });
  }

  save(state: ChatState, through: number): void {
    if (this.#isSaving || this.#isClosed) return;
    this.#isSaving = true;
    this.snapshots.save({ state, through }, this.#member)
      .catch((error) => this.#listener.snapshotFailed(error))
      .finally(() => this.#isSaving = false);
  }

  /** Hands each message to the journal, in their order, until the stream is closed. */
  follow(journal: SharedJournal): void {
    this.#journal = journal;
    followStream(this.#stream, journal).catch((error) => this.#listener.failed(error));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#stream.connection.close();
  }

  /** The subject on which a member is asked about its sessions. */
  #askSubject(member: string): string {
    return `${this.#stream.name}.ask.${member}`;
  }
}
