/**
 * Snapshots of a chat in NATS. Each is an object store of its own; one key-value entry names the one
 * that counts. The entry is a lease, too: a server that writes a snapshot first puts its name there,
 * at the revision that it has read. So one server writes at a time.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type JetStreamManager, StorageType } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import { within } from "../../clock.ts";
import { messageOf } from "../../errors.ts";
import type { ServerOptions } from "../../options.ts";
import { JournalError } from "../journal.ts";
import { type FoundStream, lastMessage } from "./setup.ts";
import type { ChatState } from "../../chat/state.ts";
import { findMember } from "../../chat/members.ts";
import { restoreSnapshot, snapshotRows } from "../../chat/snapshot.ts";

/** The value of the entry. */
interface Current {
  /** The last message of the stream that the snapshot holds; 0 if there is no snapshot. */
  readonly through: number;
  /** Its object store. */
  readonly bucket?: string | undefined;
  /** The object store of the snapshot before it, which another server may still be reading. */
  readonly last?: string | undefined;
  /** The member that writes the next snapshot, and the object store of that. */
  readonly writing?: { readonly member: string; readonly bucket: string } | undefined;
}

/** A state, and the number of the last message of the stream that it holds. */
export interface Snapshot {
  readonly state: ChatState;
  readonly through: number;
}

/** The key of the entry. */
const KEY = "snapshot";
/** The only object in a store. */
const OBJECT = "rows";
/** A member that has not finished its snapshot after this time (ms) loses the lease. */
const LEASE_MS = 60_000;
/** A snapshot may be replaced while it is read: it is read this often, with a pause (ms) between. */
const LOADS_MAX = 10;
const LOAD_PAUSE_MS = 500;
/** Reading a snapshot is given up after this long (ms) without data. */
const STALL_MS = 2_000;

/** The snapshots of one stream. */
export class NatsSnapshots {
  readonly #manager: JetStreamManager;
  readonly #options: ServerOptions;
  readonly #kv: KV;
  readonly #found: FoundStream;
  /** The lease of another member, and since when it is known here (ms, as `performance.now`). */
  #lease = { revision: 0, since: 0 };

  private constructor(
    manager: JetStreamManager,
    options: ServerOptions,
    kv: KV,
    found: FoundStream,
  ) {
    this.#manager = manager;
    this.#options = options;
    this.#kv = kv;
    this.#found = found;
  }

  /** Opens the key-value bucket of the stream, or makes it. */
  static async open(
    manager: JetStreamManager,
    options: ServerOptions,
    found: FoundStream,
  ): Promise<NatsSnapshots> {
    const { stream, replicas } = options;
    const kv = await new Kvm(manager.jetstream())
      .create(stream, { history: 1, replicas, allow_direct: false });
    return new NatsSnapshots(manager, options, kv, found);
  }

  /** Reads the snapshot that counts, if there is one. Rejects with a {@link JournalError}. */
  async load(): Promise<Snapshot | undefined> {
    for (let tries = 1;; tries++) {
      const { current: { through, bucket } } = await this.#look();
      if (bucket === undefined) return undefined;
      try {
        return { state: await this.#read(bucket), through };
      } catch (error) {
        if (tries === LOADS_MAX) {
          throw new JournalError(
            `The snapshot OBJ_${bucket} in NATS, which KV_${this.#options.stream} names, can't be ` +
              `read: ${messageOf(error)}. Where it is lost, restore it with the stream`,
          );
        }
        // A newer snapshot may have replaced it meanwhile.
        await sleep(LOAD_PAUSE_MS);
      }
    }
  }

  /**
   * Writes a snapshot that replaces the last, and purges the messages that it holds from the stream.
   * Does nothing if another server writes one, or the last holds as much. Rejects with a
   * `LostStreamError` if the stream was made anew: the snapshot of another stream would replace its
   * messages.
   */
  async save({ state, through }: Snapshot, member: string): Promise<void> {
    const { current: before, revision } = await this.#look();
    await lastMessage(this.#manager, this.#found);
    const { writing } = before;
    if (before.through >= through) return;
    if (writing && this.#isLeased(writing.member, revision, state, member)) return;
    // No other server uses this name: a server that fails removes its store.
    const bucket = `${this.#options.stream}-${through}-${member.slice(0, 8)}`;
    const lease = this.#put({ ...before, writing: { member, bucket } }, revision);
    const leased = await lease.catch(() => undefined);
    // Another server was faster.
    if (leased === undefined) return;
    try {
      await this.#write(bucket, state);
    } catch (error) {
      await this.#destroy(bucket);
      throw error;
    }
    await lastMessage(this.#manager, this.#found);
    // If this fails it may still have been done. The next snapshot removes what is left over.
    await this.#put({ through, bucket, last: before.bucket }, leased);
    await this.#manager.streams.purge(this.#options.stream, { seq: through + 1 });
    await this.#destroy(before.last);
    if (writing?.bucket !== bucket) await this.#destroy(writing?.bucket);
  }

  /** Has another member the lease, and still time to finish its snapshot? */
  #isLeased(owner: string, revision: number, { members }: ChatState, member: string): boolean {
    if (owner === member || findMember(members, owner) === undefined) return false;
    const now = performance.now();
    if (this.#lease.revision !== revision) this.#lease = { revision, since: now };
    return now - this.#lease.since < LEASE_MS;
  }

  /** The value of the entry, and its revision; 0 if there is no entry yet. */
  async #look(): Promise<{ current: Current; revision: number }> {
    const entry = await this.#kv.get(KEY);
    return entry === null
      ? { current: { through: 0 }, revision: 0 }
      : { current: entry.json<Current>(), revision: entry.revision };
  }

  /** Puts the entry where it has this revision. Returns the new one; rejects if it has another. */
  #put(value: Current, revision: number): Promise<number> {
    return this.#kv.put(KEY, JSON.stringify(value), { previousSeq: revision });
  }

  async #write(bucket: string, state: ChatState): Promise<void> {
    const store = await new Objm(this.#manager.jetstream())
      .create(bucket, { replicas: this.#options.replicas, storage: StorageType.File });
    const encoder = new TextEncoder();
    const lines = snapshotRows(state).map((row) => encoder.encode(`${row}\n`));
    await store.put({ name: OBJECT }, ReadableStream.from(lines));
  }

  async #read(bucket: string): Promise<ChatState> {
    const store = await new Objm(this.#manager.jetstream()).open(bucket);
    const found = await store.get(OBJECT);
    if (found === null) throw new Error(`There is no snapshot in ${bucket}`);
    // Without an error this resolves to `null` or to `undefined`.
    const [text, failed] = await Promise.all([readText(found.data), found.error]);
    if (failed) throw failed;
    const state = restoreSnapshot(text.trimEnd().split("\n"));
    if (state === undefined) throw new Error("it is not whole");
    return state;
  }

  async #destroy(bucket: string | undefined): Promise<void> {
    // It may never have been made, or be removed already.
    if (bucket !== undefined) await this.#manager.streams.delete(`OBJ_${bucket}`).catch(() => {});
  }
}

/** Rejects if the data stops coming, as it does when the object store is removed meanwhile. */
async function readText(data: ReadableStream<Uint8Array>): Promise<string> {
  const reader = data.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const read = await within(STALL_MS, reader.read());
    if (read === undefined) {
      reader.cancel();
      throw new Error("The snapshot stopped coming");
    }
    if (read.done) return text;
    text += decoder.decode(read.value, { stream: true });
  }
}
