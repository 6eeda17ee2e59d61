/** The stream of NATS JetStream that carries the batches of a shared journal. */
import { setTimeout as sleep } from "node:timers/promises";
import { type NatsConnection, type Subscription, TimeoutError } from "@nats-io/transport-node";
import {
  AckPolicy,
  type ConsumerMessages,
  DeliverPolicy,
  DiscardPolicy,
  jetstream,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager,
  StorageType,
} from "@nats-io/jetstream";
import type { ChatState } from "../../chat/state.ts";
import { messageOf } from "../../errors.ts";
import { JournalError } from "../journal.ts";
import { connectNats } from "./connection.ts";
import { NatsSnapshots } from "./snapshots.ts";
import type { ServerOptions } from "../../options.ts";
import type { Carrier, SharedJournal } from "../shared_journal.ts";
import type { SessionId } from "../../chat/users.ts";

/** A question to JetStream takes no longer, in milliseconds. */
const ANSWER_MS = 5_000;
/** A message that was not acknowledged for so long may be lost, in milliseconds. */
const PUBLISH_MS = 2_000;
/** Between two tries to read on, in milliseconds. */
const AGAIN_MS = 250;
/** A snapshot that must be there is looked for so often. */
const RELOADS_MAX = 20;
/** At the start JetStream has so long to come to itself, in milliseconds. */
const START_MS = 20_000;
/** JetStream's errors while its servers look for each other: there are too few yet, or no leader. */
const NOT_YET: readonly number[] = [10005, 10008];
/** Another member has so long to answer, in milliseconds. */
const ASK_MS = 1_000;
const ASK_AGAIN_MS = 100;
/**
 * A reader is made within so long, or another one is tried, in milliseconds: JetStream puts one where
 * it likes, for half a minute even on a server that has died.
 */
const READER_MADE_MS = 1_000;
/** A reader that says nothing for so long is lost, in milliseconds. */
const SILENCE_MS = 3_000;
/** Who reads nothing for so long, in milliseconds, is forgotten by JetStream. */
const READER_MS = 60_000;
/** JetStream says so often that it is still there, in milliseconds. */
const HEARTBEAT_MS = 1_000;

/** What a stream tells whoever members the server. */
export interface StreamListener {
  /** JetStream is not ready for it yet. */
  waiting(error: unknown): void;
  /** A snapshot could not be written; the batches are all there. */
  snapshotFailed(error: unknown): void;
  /** The journal can't be followed any more. */
  failed(error: unknown): void;
}

/** A stream, and the snapshots of what it has carried. */
export class NatsStream implements Carrier {
  readonly snapshots: NatsSnapshots;
  readonly #connection: NatsConnection;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  /** The same, for what is answered at once or never. */
  readonly #readers: JetStreamManager;
  readonly #name: string;
  readonly #listener: StreamListener;
  #answering: Subscription | undefined;
  #member = "";
  #isSaving = false;
  #isClosed = false;
  #messages: ConsumerMessages | undefined;
  /** When JetStream was heard of last. */
  #heardAt = 0;

  private constructor(
    connection: NatsConnection,
    manager: JetStreamManager,
    readers: JetStreamManager,
    snapshots: NatsSnapshots,
    name: string,
    listener: StreamListener,
  ) {
    this.#connection = connection;
    this.#client = jetstream(connection, { timeout: ANSWER_MS });
    this.#manager = manager;
    this.#readers = readers;
    this.snapshots = snapshots;
    this.#name = name;
    this.#listener = listener;
  }

  /** Opens the stream; makes it, unless it must exist. Throws {@link JournalError}. */
  static async open(
    options: ServerOptions,
    listener: StreamListener,
    mustExist = false,
  ): Promise<NatsStream> {
    const { stream, replicas } = options;
    const connection = await connectNats(options);
    try {
      const opened = await patiently(listener, async () => {
        const manager = await jetstreamManager(connection, { timeout: ANSWER_MS });
        await ensureStream(manager, options, mustExist);
        const readers = await jetstreamManager(connection, { timeout: READER_MADE_MS });
        const client = jetstream(connection, { timeout: ANSWER_MS });
        const snapshots = await NatsSnapshots.open(client, manager, { stream, replicas });
        return new NatsStream(connection, manager, readers, snapshots, stream, listener);
      });
      connection.closed().then((error) => opened.#isClosed || listener.failed(error));
      return opened;
    } catch (error) {
      await connection.close();
      if (error instanceof JournalError) throw error;
      const message = messageOf(error);
      throw new JournalError(
        /permissions violation/i.test(message)
          ? `The login in NATS is not allowed what the chat needs: ${message}. It must be able to ` +
            `make and use the stream ${stream}, key-value buckets and object stores`
          : `The stream ${stream} in NATS can't be used: ${message}. JetStream must be on, have ` +
            "room, at least as many servers as --replicas says, and most of them running",
      );
    }
  }

  /** The longest text that fits into a message, whatever symbols it has. */
  get bodyLengthMax(): number {
    return Math.floor((this.#connection.info?.max_payload ?? 0) / 4);
  }

  /** The number of the last message. */
  async end(): Promise<number> {
    return (await this.#manager.streams.info(this.#name)).state.last_seq;
  }

  send(id: string, body: string, sent: (error?: unknown) => void): void {
    this.#client.publish(`${this.#name}.batches`, body, {
      msgID: id,
      timeout: PUBLISH_MS,
      retries: 0,
    })
      .then(() => sent(), sent);
  }

  async ask(member: string, session: SessionId): Promise<boolean> {
    const late = performance.now() + ASK_MS;
    for (let left = ASK_MS; left > 0; left = late - performance.now()) {
      try {
        await this.#connection.request(this.#subject(member), String(session), { timeout: left });
        return true;
      } catch {
        // Nobody there, it seems; or not yet, after a break.
        await sleep(ASK_AGAIN_MS);
      }
    }
    return false;
  }

  answer(member: string, asked: (session: SessionId) => Promise<void>): void {
    this.#member = member;
    this.#answering?.unsubscribe();
    this.#answering = this.#connection.subscribe(this.#subject(member), {
      callback: (error, message) => {
        if (error === null) asked(Number(message.string())).then(() => message.respond());
      },
    });
  }

  save(state: ChatState, through: number): void {
    if (this.#isSaving) return;
    this.#isSaving = true;
    this.snapshots.save({ state, through }, this.#member)
      .catch((error) => this.#listener.snapshotFailed(error))
      .finally(() => this.#isSaving = false);
  }

  /** Hands every message to the journal, from now on and in their order. */
  async follow(journal: SharedJournal): Promise<void> {
    while (!this.#isClosed) {
      try {
        if (await this.#read(journal) === "gap") {
          await this.#reload(journal);
          continue;
        }
      } catch (error) {
        if (error instanceof JournalError) return this.#listener.failed(error);
        // JetStream is away, or has lost the reader: another one goes on.
      }
      if (!this.#isClosed) await sleep(AGAIN_MS);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#messages?.stop();
    await this.#connection.close();
  }

  #subject(member: string): string {
    return `${this.#name}.ask.${member}`;
  }

  /** Reads until JetStream is away, or a message is missing for good. */
  async #read(journal: SharedJournal): Promise<"gap" | "away"> {
    const messages = this.#messages = await this.#consume(journal.through + 1);
    this.#listen(messages);
    this.#heardAt = performance.now();
    const watch = setInterval(() => {
      if (performance.now() - this.#heardAt > SILENCE_MS) messages.stop();
    }, HEARTBEAT_MS);
    try {
      return await this.#hear(messages, journal);
    } finally {
      clearInterval(watch);
      messages.stop();
    }
  }

  /** A new reader, from this message on. */
  async #consume(from: number): Promise<ConsumerMessages> {
    const made = await this.#readers.consumers.add(this.#name, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: from,
      inactive_threshold: 1e6 * READER_MS,
      mem_storage: true,
      num_replicas: 1,
    });
    return await this.#client.consumers.getConsumerFromInfo(made)
      .consume({ expires: 5 * HEARTBEAT_MS, idle_heartbeat: HEARTBEAT_MS });
  }

  async #hear(messages: ConsumerMessages, journal: SharedJournal): Promise<"gap" | "away"> {
    let isFirst = true;
    for await (const message of messages) {
      this.#heardAt = performance.now();
      const next = journal.through + 1;
      // What was lost on its way is still in the stream: another reader finds it.
      if (message.seq > next) return isFirst ? "gap" : "away";
      isFirst = false;
      if (message.seq !== next) continue;
      try {
        journal.receive(next, message.string(), message.info.pending);
      } catch (error) {
        // Nobody knows what the state is now.
        throw error instanceof JournalError
          ? error
          : new JournalError(`${error}`, { cause: error });
      }
    }
    return "away";
  }

  /** Hears that the reader is there, or lost: the client says the latter only sometimes. */
  async #listen(messages: ConsumerMessages): Promise<void> {
    const LOST = ["heartbeats_missed", "consumer_deleted", "consumer_not_found", "no_responders"];
    for await (const { type } of messages.status()) {
      if (type === "heartbeat") this.#heardAt = performance.now();
      if (LOST.includes(type)) messages.stop();
    }
  }

  /** What is missing is in a snapshot, of which a NATS server that was paused may not know yet. */
  async #reload(journal: SharedJournal): Promise<void> {
    for (let tries = 0; tries < RELOADS_MAX; tries++) {
      const snapshot = await this.snapshots.load();
      if (snapshot !== undefined && snapshot.through > journal.through) {
        return journal.reset(snapshot.state, snapshot.through);
      }
      await sleep(AGAIN_MS);
    }
    throw new JournalError(
      `The stream ${this.#name} begins behind message ${journal.through + 1}, and no snapshot ` +
        `holds what is missing: it was purged by hand, or restored without KV_${this.#name}`,
    );
  }
}

/** Asks JetStream for what its servers may not be ready for yet. */
async function patiently<T>(listener: StreamListener, ask: () => Promise<T>): Promise<T> {
  const late = performance.now() + START_MS;
  for (let tries = 1;; tries++) {
    try {
      return await ask();
    } catch (error) {
      const isSoon = error instanceof TimeoutError ||
        error instanceof JetStreamApiError && NOT_YET.includes(error.code);
      if (!isSoon || performance.now() > late) throw error;
      if (tries === 1) listener.waiting(error);
      await sleep(AGAIN_MS);
    }
  }
}

/** Makes the stream where it is not there. What was purged of it must be in a snapshot. */
async function ensureStream(
  manager: JetStreamManager,
  { stream: name, replicas }: ServerOptions,
  mustExist: boolean,
): Promise<void> {
  const { config, state } = await findStream(manager, name) ??
    await makeStream(manager, name, replicas, mustExist);
  if (String(config.subjects) !== String(subjectsOf(name))) {
    throw new JournalError(`The stream ${name} in NATS is no chat: choose another --stream`);
  }
  if (config.num_replicas !== replicas) {
    throw new JournalError(
      `The stream ${name} in NATS has --replicas ${config.num_replicas}, and this server ` +
        `${replicas}: start it with the same`,
    );
  }
  if (state.first_seq <= 1 || await findStream(manager, `KV_${name}`) !== undefined) return;
  throw new JournalError(
    `The stream ${name} in NATS begins at message ${state.first_seq}, and KV_${name}, which says ` +
      "where the snapshot of what came before is, is not there: restore it with the stream",
  );
}

async function findStream(manager: JetStreamManager, name: string) {
  try {
    return await manager.streams.info(name);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.status === 404) return undefined;
    throw error;
  }
}

async function makeStream(
  manager: JetStreamManager,
  name: string,
  replicas: number,
  mustExist: boolean,
) {
  if (mustExist) throw new JournalError(`There is no stream ${name} in NATS: is --stream right?`);
  return await manager.streams.add({
    ...{ name, subjects: subjectsOf(name), num_replicas: replicas },
    ...{ storage: StorageType.File, discard: DiscardPolicy.New },
  });
}

function subjectsOf(name: string): string[] {
  return [`${name}.batches`];
}
