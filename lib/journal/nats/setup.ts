/** Finds the stream of a chat in NATS JetStream, or makes it, as soon as JetStream is ready. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  StorageType,
} from "@nats-io/jetstream";
import { TimeoutError } from "@nats-io/transport-node";
import { messageOf } from "../../errors.ts";
import type { ServerOptions } from "../../options.ts";
import { JournalError, LostStreamError } from "../journal.ts";

/** A stream as it was when this server joined it. */
export interface FoundStream {
  readonly name: string;
  /** When it was made (ms since 1970): one that was made anew has another time. */
  readonly createdAt: number;
  /** The most bytes in a message, if the stream has a limit of its own. */
  readonly messageBytesMax: number;
}

/** JetStream may take this long (ms) to get ready. */
const READY_MS = 20_000;
/** The pause between two tries (ms). */
const RETRY_MS = 250;
/** JetStream's error codes while too few of its servers are there, or they have no leader. */
const NOT_READY: readonly number[] = [10005, 10008];

/** Asks again until JetStream is ready. `waiting` is called once, if it is not ready at first. */
export async function askUntilReady<Answer>(
  ask: () => Promise<Answer>,
  waiting: (error: unknown) => void,
): Promise<Answer> {
  const late = performance.now() + READY_MS;
  for (let tries = 1;; tries++) {
    try {
      return await ask();
    } catch (error) {
      const mayHelp = error instanceof TimeoutError ||
        error instanceof JetStreamApiError && NOT_READY.includes(error.code);
      if (!mayHelp || performance.now() > late) throw error;
      if (tries === 1) waiting(error);
      await sleep(RETRY_MS);
    }
  }
}

/**
 * Finds the stream, or makes it unless it must exist. Rejects with a {@link JournalError} if it can't
 * be the stream of this chat, or was purged and the entry that names its snapshot is missing.
 */
export async function ensureStream(
  manager: JetStreamManager,
  { stream: name, replicas }: ServerOptions,
  mustExist: boolean,
): Promise<FoundStream> {
  const found = await findStream(manager, name);
  if (found === undefined && mustExist) {
    throw new JournalError(`There is no stream ${name} in NATS: is --stream right?`);
  }
  const { config, state, created } = found ?? await manager.streams.add({
    name,
    subjects: [subjectOf(name)],
    num_replicas: replicas,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
  });
  if (String(config.subjects) !== subjectOf(name)) {
    throw new JournalError(`The stream ${name} in NATS is no chat: choose another --stream`);
  }
  if (config.num_replicas !== replicas) {
    throw new JournalError(
      `The stream ${name} in NATS has --replicas ${config.num_replicas}, and this server ` +
        `${replicas}: start it with the same`,
    );
  }
  if (state.first_seq <= 1 || await findStream(manager, `KV_${name}`) !== undefined) {
    const { max_msg_size } = config;
    const messageBytesMax = max_msg_size > 0 ? max_msg_size : Infinity;
    return { name, createdAt: Date.parse(created), messageBytesMax };
  }
  throw new JournalError(
    `The stream ${name} in NATS begins at message ${state.first_seq}, and KV_${name}, which says ` +
      "where the snapshot of what came before is, is not there: restore it with the stream",
  );
}

/**
 * The number of the stream's last message. Rejects with a {@link LostStreamError} if it was made anew
 * since `found`.
 */
export async function lastMessage(manager: JetStreamManager, found: FoundStream): Promise<number> {
  const { name, createdAt } = found;
  const { created, state } = await manager.streams.info(name);
  if (Date.parse(created) === createdAt) return state.last_seq;
  throw new LostStreamError(
    `The stream ${name} in NATS was made anew at ${created}, and this server joined one of ` +
      `${new Date(createdAt).toISOString()}: ${afterLoss(name)}`,
  );
}

/** The error of a stream whose last message has this number, where `through` messages were read. */
export function wentBack(name: string, last: number, through: number): LostStreamError {
  return new LostStreamError(
    `The stream ${name} in NATS ends at message ${last}, and this server has read ${through}: NATS ` +
      `lost messages, or an older copy was restored; ${afterLoss(name)}`,
  );
}

/** Says that the server stores nothing any more, and how its operator can mend that. */
function afterLoss(name: string): string {
  return `it stores nothing any more. Stop all servers of ${name}, restore the stream from a copy if ` +
    "there is one, and start them again: they go on with what the stream holds then";
}

/** Turns an error of a message that was not stored into a sentence that says what JetStream needs. */
export function refusalOf(error: unknown, stream: string): string {
  const message = messageOf(error);
  if (error instanceof TimeoutError) return `NATS does not answer (${message})`;
  if (!(error instanceof JetStreamApiError)) return `NATS says "${message}"`;
  const hint = /maximum|exceed|resource|storage/i.test(message)
    ? `: give the stream ${stream} or JetStream more room`
    : "";
  return `JetStream says "${message}"${hint}`;
}

/** The subject of a stream's messages, each of which is a batch. */
export function subjectOf(stream: string): string {
  return `${stream}.turns`;
}

/** Turns an error of JetStream into one that says what it needs. */
export function toSetupError(error: unknown, stream: string): JournalError {
  if (error instanceof JournalError) return error;
  const message = messageOf(error);
  return new JournalError(
    /permissions violation/i.test(message)
      ? `The login in NATS is not allowed what the chat needs: ${message}. It must be able to ` +
        `make and use the stream ${stream}, key-value buckets and object stores`
      : `The stream ${stream} in NATS can't be used: ${message}. JetStream must be on, have ` +
        "room, at least as many servers as --replicas says, and most of them running",
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
