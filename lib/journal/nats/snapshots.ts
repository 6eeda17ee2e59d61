/**
 * Snapshots of a chat in NATS. Each is an object store of its own; one key-value entry names the one
 * that counts. The entry is a lease, too: a server that wants to write a snapshot first puts its name
 * there, at the revision that it has read. So one server writes at a time.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import { StorageType } from "@nats-io/jetstream";
import { type KV, type KvEntry, Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import { within } from "../../clock.ts";
import { messageOf } from "../../errors.ts";
import { JournalError } from "../journal.ts";
import type { ChatState } from "../../chat/state.ts";
import { findMember } from "../../chat/members.ts";
import { restoreSnapshot, snapshotRows } from "../../chat/snapshot.ts";

/** The value of the entry. */
interface Current {
  /** The last message of the stream that the snapshot holds; 0 if there is no snapshot. */
  readonly through: number;
  /** The object store of the snapshot. */
  readonly bucket?: string | undefined;
  /** The object store of the snapshot before it, which another server may still be reading. */
  readonly last?: string | undefined;
  /** The server that writes the next snapshot, and the object store of it. */
  readonly writing?: { readonly member: string; readonly bucket: string } | undefined;
}

/** A state, and the number of the last message of the stream that it holds. */
export interface Snapshot {
  readonly state: ChatState;
  readonly through: number;
}

/** The key of the entry. */
const KEY = "snapshot";
/** The name of the only object in a store. */
const OBJECT = "rows";
/** A server that has not finished its snapshot after this time (ms) loses the lease. */
const LEASE_MS = 60_000;
/** A snapshot may be replaced while it is read: it is read this often, with a pause (ms) between. */
const LOADS_MAX = 10;
const LOAD_PAUSE_MS = 500;
/** Reading a snapshot is given up after this long (ms) without data. */
const STALL_MS = 2_000;

/** The snapshots of one stream. */
export class NatsSnapshots {
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #stream: string;
  readonly #replicas: number;
  readonly #kv: KV;
  /** The lease of another server, and since when this one knows it (ms, as `performance.now`). */
  #lease: { readonly revision: number; readonly since: number } | undefined;

  private constructor(
    client: JetStreamClient,
    manager: JetStreamManager,
    { stream, replicas }: { readonly stream: string; readonly replicas: number },
    kv: KV,
  ) {
    this.#client = client;
    this.#manager = manager;
    this.#stream = stream;
    this.#replicas = replicas;
    this.#kv = kv;
  }

  /** Opens the key-value bucket of the stream, or makes it. */
  static async open(
    client: JetStreamClient,
    manager: JetStreamManager,
    options: { readonly stream: string; readonly replicas: number },
  ): Promise<NatsSnapshots> {
    const { stream, replicas } = options;
    const kv = await new Kvm(client).create(stream, { history: 1, replicas, allow_direct: false });
    return new NatsSnapshots(client, manager, options, kv);
  }

  /**
   * Reads the snapshot that counts; `undefined` if there is none. Rejects with a {@link JournalError}
   * if it can't be read.
   */
  async load(): Promise<Snapshot | undefined> {
    for (let tries = 1;; tries++) {
      const { through, bucket } = current(await this.#kv.get(KEY));
      if (bucket === undefined) return undefined;
      let why = "it is not whole";
      try {
        const state = restoreSnapshot(await this.#read(bucket));
        if (state !== undefined) return { state, through };
      } catch (error) {
        // A newer snapshot may have replaced it meanwhile.
        why = messageOf(error);
      }
      if (tries >= LOADS_MAX) {
        throw new JournalError(
          `The snapshot OBJ_${bucket} in NATS, which KV_${this.#stream} names, can't be read: ` +
            `${why}. Where it is lost, restore it with the stream`,
        );
      }
      await sleep(LOAD_PAUSE_MS);
    }
  }

  /**
   * Writes a snapshot that replaces the last, and purges the messages that it holds from the stream.
   * Does nothing if another server writes one, or the last holds as much.
   */
  async save({ state, through }: Snapshot, member: string): Promise<void> {
    const entry = await this.#kv.get(KEY);
    const before = current(entry);
    if (before.through >= through || this.#isLeased(entry, before, state, member)) return;
    // No other server uses this name: a server that fails removes its store.
    const bucket = `${this.#stream}-${through}-${member.slice(0, 8)}`;
    const lease: Current = { ...before, writing: { member, bucket } };
    const revision = await this.#put(lease, entry);
    if (revision === undefined) return;
    try {
      await this.#write(bucket, state);
    } catch (error) {
      await this.#destroy(bucket);
      throw error;
    }
    // If this fails it may still have been done. The next snapshot removes what is left over.
    const next: Current = { through, bucket, last: before.bucket };
    await this.#kv.update(KEY, JSON.stringify(next), revision);
    await this.#manager.streams.purge(this.#stream, { seq: through + 1 });
    await this.#destroy(before.last);
    if (before.writing?.bucket !== bucket) await this.#destroy(before.writing?.bucket);
  }

  /** Has another server the lease, and still time to finish its snapshot? */
  #isLeased(
    entry: KvEntry | null,
    { writing }: Current,
    { members }: ChatState,
    member: string,
  ): boolean {
    const isFree = writing === undefined || writing.member === member ||
      findMember(members, writing.member) === undefined;
    if (isFree || entry === null) return false;
    const now = performance.now();
    if (this.#lease?.revision !== entry.revision) {
      this.#lease = { revision: entry.revision, since: now };
    }
    return now - this.#lease.since < LEASE_MS;
  }

  /** Puts the entry. Returns its revision, or `undefined` if another server was faster. */
  async #put(value: Current, before: KvEntry | null): Promise<number | undefined> {
    const text = JSON.stringify(value);
    try {
      return before === null
        ? await this.#kv.create(KEY, text)
        : await this.#kv.update(KEY, text, before.revision);
    } catch {
      return undefined;
    }
  }

  async #write(bucket: string, state: ChatState): Promise<void> {
    const store = await new Objm(this.#client).create(bucket, {
      replicas: this.#replicas,
      storage: StorageType.File,
    });
    const rows = snapshotRows(state);
    const encoder = new TextEncoder();
    const bytes = new ReadableStream<Uint8Array>({
      pull(controller) {
        const { done, value } = rows.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value + "\n"));
      },
    });
    await store.put({ name: OBJECT }, bytes);
  }

  async #read(bucket: string): Promise<string[]> {
    const store = await new Objm(this.#client).open(bucket);
    const found = await store.get(OBJECT);
    if (found === null) throw new Error(`There is no snapshot in ${bucket}`);
    // Without an error this resolves to `null` or to `undefined`.
    const [text, failed] = await Promise.all([readText(found.data), found.error]);
    if (failed) throw failed;
    const rows = text.split("\n");
    rows.pop();
    return rows;
  }

  async #destroy(bucket: string | undefined): Promise<void> {
    if (bucket === undefined) return;
    try {
      await this.#manager.streams.delete(`OBJ_${bucket}`);
    } catch {
      // It was never made, or was removed already.
    }
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
    const { done, value } = read;
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
  }
}

function current(entry: KvEntry | null): Current {
  return entry === null ? { through: 0 } : entry.json<Current>();
}
