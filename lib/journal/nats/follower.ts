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
import { JournalError, LostStreamError } from "../journal.ts";
import type { SharedJournal } from "../shared_journal.ts";
import { type FoundStream, lastMessage, wentBack } from "./setup.ts";
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

/**
 * A stream that ends before what was read of it for this long (ms) has lost messages. A NATS server
 * that was paused may take itself for the leader for a moment, and not know the last ones.
 */
const SHORT_MS = 10_000;

/** A stream in NATS. */
export interface OpenStream extends FoundStream {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
  readonly snapshots: NatsSnapshots;
}

/**
 * Hands each message to the journal, in their order, until the connection is closed. If messages were
 * purged before they were read, the journal goes on with a snapshot. If the stream is not the one
 * that was opened, the journal is told, and nothing is read any more. Rejects with a
 * {@link JournalError} if it can't go on otherwise.
 */
export async function followStream(stream: OpenStream, journal: SharedJournal): Promise<void> {
  let short: { readonly since: number; readonly error: LostStreamError } | undefined;
  while (journal.lost === undefined) {
    try {
      const result = await read(stream, journal);
      if (result === "purged") await reload(stream, journal);
      if (!(result instanceof LostStreamError)) short = undefined;
      else short ??= { since: performance.now(), error: result };
    } catch (error) {
      if (error instanceof LostStreamError) return journal.lose(error);
      if (error instanceof JournalError) throw error;
      // NATS is away, and will come back.
    }
    if (short !== undefined && performance.now() - short.since > SHORT_MS) {
      return journal.lose(short.error);
    }
    if (stream.connection.isClosed()) return;
    await sleep(RETRY_MS);
  }
}

/**
 * Reads with one reader, until it is lost or finds that the next message was purged; or not at all
 * where the stream is shorter than what was read.
 */
async function read(
  stream: OpenStream,
  journal: SharedJournal,
): Promise<"purged" | "lost" | LostStreamError> {
  const { name, manager } = stream;
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
  // The reader ends with its stream: one that is older than this look reads the stream of before.
  const last = await lastMessage(manager, stream);
  if (last < journal.through) return wentBack(name, last, journal.through);
  // A reader begins with the first message that is still there. It stands before it now.
  if (made.delivered.stream_seq >= next) return "purged";
  const messages = await manager.jetstream().consumers.getConsumerFromInfo(made)
    .consume({ expires: 5 * HEARTBEAT_MS, idle_heartbeat: HEARTBEAT_MS });
  const silence = setTimeout(() => messages.stop(), SILENCE_MS);
  hearHeartbeats(messages, journal, () => silence.refresh());
  try {
    for await (const message of messages) {
      if (journal.lost !== undefined) return "lost";
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
async function reload(stream: OpenStream, journal: SharedJournal): Promise<void> {
  const { name, manager, snapshots } = stream;
  for (let tries = 0; tries < RELOADS_MAX; tries++) {
    const snapshot = await snapshots.load();
    await lastMessage(manager, stream);
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
