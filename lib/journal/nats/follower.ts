/** Reads a stream in NATS JetStream from some message on, whatever happens to NATS meanwhile. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  AckPolicy,
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamManager,
  type JsMsg,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { within } from "../../clock.ts";
import { JournalError } from "../journal.ts";
import type { SharedJournal } from "../shared_journal.ts";
import type { NatsSnapshots } from "./snapshots.ts";

/**
 * A reader (a consumer, in NATS) is made within this time (ms), or another one is tried: for half a
 * minute JetStream may put readers on a server that has died.
 */
const READER_MADE_MS = 1_000;
/** A reader that sends neither messages nor heartbeats for this long (ms) is lost. */
const SILENCE_MS = 2_000;
/** JetStream removes a reader that was not used for this long (ms). */
const UNUSED_MS = 60_000;
/** A reader that has no messages sends a heartbeat this often (ms). */
const HEARTBEAT_MS = 1_000;
/** The pause before another reader, or another look for a snapshot (ms). */
const RETRY_MS = 250;
/** A snapshot that must be there is looked for this often. */
const RELOADS_MAX = 20;

/** A stream in NATS. */
export interface OpenStream {
  readonly name: string;
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
  readonly snapshots: NatsSnapshots;
}

/**
 * Hands each message to the journal, in their order, until the connection is closed. If messages were
 * purged before they were read, the journal goes on with a snapshot. Rejects with a
 * {@link JournalError} if it can't go on.
 */
export async function followStream(stream: OpenStream, journal: SharedJournal): Promise<void> {
  for (;;) {
    try {
      if (await read(stream, journal) === "purged") await reload(stream, journal);
    } catch (error) {
      if (error instanceof JournalError) throw error;
      // NATS is away, and will come back.
    }
    if (stream.connection.isClosed()) return;
    await sleep(RETRY_MS);
  }
}

/** Reads with one reader, until it is lost or finds that the next message was purged. */
async function read(
  { name, manager }: OpenStream,
  journal: SharedJournal,
): Promise<"purged" | "lost"> {
  const next = journal.through + 1;
  const making = manager.consumers.add(name, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: next,
    inactive_threshold: 1e6 * UNUSED_MS,
    mem_storage: true,
    num_replicas: 1,
  });
  const made = await within(READER_MADE_MS, making);
  if (made === undefined) return "lost";
  // A reader begins with the first message that is still there. It stands before it now.
  if (made.delivered.stream_seq >= next) return "purged";
  const messages = await manager.jetstream().consumers.getConsumerFromInfo(made)
    .consume({ expires: 5 * HEARTBEAT_MS, idle_heartbeat: HEARTBEAT_MS });
  const silence = setTimeout(() => messages.stop(), SILENCE_MS);
  hearHeartbeats(messages, journal, () => silence.refresh());
  try {
    for await (const message of messages) {
      silence.refresh();
      // The message before was lost on its way, or purged just now: another reader finds out.
      if (message.seq > journal.through + 1) return "lost";
      if (message.seq === journal.through + 1) receive(journal, message);
    }
    return "lost";
  } finally {
    clearTimeout(silence);
    messages.stop();
  }
}

function receive(journal: SharedJournal, message: JsMsg): void {
  try {
    journal.receive(message.seq, message.string(), message.info.pending);
  } catch (error) {
    // The state is not known from here on.
    throw error instanceof JournalError ? error : new JournalError(`${error}`, { cause: error });
  }
}

/**
 * Calls `heard` at each heartbeat of a reader. It says how far the reader is. A reader whose messages
 * were lost on their way, or purged, is stopped: in a quiet chat no later message shows the gap.
 */
async function hearHeartbeats(
  messages: ConsumerMessages,
  journal: SharedJournal,
  heard: () => void,
): Promise<void> {
  for await (const event of messages.status()) {
    if (event.type !== "heartbeat") continue;
    heard();
    const hasHandledAll = messages.getProcessed() === messages.getReceived();
    if (hasHandledAll && event.lastStreamSequence > journal.through) messages.stop();
  }
}

/**
 * Goes on with a snapshot that holds the missing messages. A NATS server that was paused may not know
 * it at once.
 */
async function reload({ name, snapshots }: OpenStream, journal: SharedJournal): Promise<void> {
  for (let tries = 0; tries < RELOADS_MAX; tries++) {
    const snapshot = await snapshots.load();
    if (snapshot !== undefined && snapshot.through > journal.through) {
      return journal.reset(snapshot.state, snapshot.through);
    }
    await sleep(RETRY_MS);
  }
  throw new JournalError(
    `The stream ${name} begins behind message ${journal.through + 1}, and no snapshot ` +
      `holds what is missing: it was purged by hand, or restored without KV_${name}`,
  );
}
