/** Reads a stream in NATS JetStream from some message on, whatever happens to NATS meanwhile. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  AckPolicy,
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
} from "@nats-io/jetstream";
import { JournalError } from "../journal.ts";
import type { SharedJournal } from "../shared_journal.ts";
import type { NatsSnapshots } from "./snapshots.ts";

/**
 * A reader (a consumer, in NATS) is made within this time (ms), or another one is tried. JetStream
 * puts a reader on a server of its choice; for half a minute that may be one that has died.
 */
export const READER_MADE_MS = 1_000;
/** A reader that sends neither messages nor heartbeats for this long (ms) is lost. */
const SILENCE_MS = 3_000;
/** JetStream removes a reader that was not used for this long (ms). */
const UNUSED_MS = 60_000;
/** A reader that has no messages sends a heartbeat this often (ms). */
const HEARTBEAT_MS = 1_000;
/** The pause before another reader, or another look for a snapshot (ms). */
const RETRY_MS = 250;
/** A snapshot that must be there is looked for this often. */
const RELOADS_MAX = 20;
/** The events of a reader that is lost. */
const LOST = ["heartbeats_missed", "consumer_deleted", "consumer_not_found", "no_responders"];

/** The parts of NATS that a follower uses. */
export interface FollowerOptions {
  readonly stream: string;
  readonly client: JetStreamClient;
  /** Makes the readers: it waits {@link READER_MADE_MS} for an answer. */
  readonly manager: JetStreamManager;
  readonly snapshots: NatsSnapshots;
}

/** Follows one stream. */
export class StreamFollower {
  readonly #options: FollowerOptions;
  #messages: ConsumerMessages | undefined;
  #isStopped = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /**
   * Hands each message to the journal, in their order, until it is stopped. If messages were purged
   * before they were read, the journal goes on with a snapshot. Rejects with a {@link JournalError}
   * if it can't go on.
   */
  async follow(journal: SharedJournal): Promise<void> {
    while (!this.#isStopped) {
      try {
        if (await this.#read(journal) === "purged") {
          await this.#reload(journal);
          continue;
        }
      } catch (error) {
        if (error instanceof JournalError) throw error;
        // NATS is away, and will come back.
      }
      if (!this.#isStopped) await sleep(RETRY_MS);
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#messages?.stop();
  }

  /** Reads with one reader, until it is lost. `purged`: the next message is not in the stream. */
  async #read(journal: SharedJournal): Promise<"purged" | "lost"> {
    const { stream, client, manager } = this.#options;
    const next = journal.through + 1;
    const made = await manager.consumers.add(stream, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: next,
      inactive_threshold: 1e6 * UNUSED_MS,
      mem_storage: true,
      num_replicas: 1,
    });
    // A reader begins with the first message that is still there. It stands before it now.
    if (made.delivered.stream_seq >= next) return "purged";
    const messages = await client.consumers.getConsumerFromInfo(made)
      .consume({ expires: 5 * HEARTBEAT_MS, idle_heartbeat: HEARTBEAT_MS });
    this.#messages = messages;
    let heardAt = performance.now();
    const hear = () => void (heardAt = performance.now());
    const watch = setInterval(() => {
      if (performance.now() - heardAt > SILENCE_MS) messages.stop();
    }, HEARTBEAT_MS);
    stopIfLost(messages, journal, hear);
    try {
      await receiveAll(messages, journal, hear);
      return "lost";
    } finally {
      clearInterval(watch);
      messages.stop();
    }
  }

  /**
   * Goes on with a snapshot that holds the missing messages. A NATS server that was paused may not
   * know it at once.
   */
  async #reload(journal: SharedJournal): Promise<void> {
    const { stream, snapshots } = this.#options;
    for (let tries = 0; tries < RELOADS_MAX; tries++) {
      const snapshot = await snapshots.load();
      if (snapshot !== undefined && snapshot.through > journal.through) {
        return journal.reset(snapshot.state, snapshot.through);
      }
      await sleep(RETRY_MS);
    }
    throw new JournalError(
      `The stream ${stream} begins behind message ${journal.through + 1}, and no snapshot ` +
        `holds what is missing: it was purged by hand, or restored without KV_${stream}`,
    );
  }
}

/** Hands messages to the journal, until they end or one is missing. */
async function receiveAll(
  messages: ConsumerMessages,
  journal: SharedJournal,
  hear: () => void,
): Promise<void> {
  for await (const message of messages) {
    hear();
    const next = journal.through + 1;
    // The message before was lost on its way, or purged just now: another reader finds out.
    if (message.seq > next) return;
    if (message.seq < next) continue;
    try {
      journal.receive(next, message.string(), message.info.pending);
    } catch (error) {
      // The state is not known from here on.
      throw error instanceof JournalError ? error : new JournalError(`${error}`, { cause: error });
    }
  }
}

/**
 * Stops a reader that is lost; the client does not always say so. Stops one, too, that has sent
 * messages which were lost on their way, or skipped messages that were purged: its heartbeat says how
 * far it is, and in a quiet chat no later message would show the gap.
 */
async function stopIfLost(
  messages: ConsumerMessages,
  journal: SharedJournal,
  hear: () => void,
): Promise<void> {
  for await (const event of messages.status()) {
    if (LOST.includes(event.type)) messages.stop();
    if (event.type !== "heartbeat") continue;
    hear();
    const hasHandledAll = messages.getProcessed() === messages.getReceived();
    if (hasHandledAll && event.lastStreamSequence > journal.through) messages.stop();
  }
}
