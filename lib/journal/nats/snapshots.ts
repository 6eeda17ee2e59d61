/**
 * Snapshots of a chat in NATS: an object store each, and one entry that says which of them counts.
 * The entry is a lease too: who wants to write a snapshot says so there first, at the revision that
 * was read, so that one server does at a time.
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

/** The entry. */
interface Current {
  /** The last message of the stream that the snapshot holds; 0: there is none. */
  readonly through: number;
  /** Where it is. */
  readonly bucket?: string | undefined;
  /** Where the one before is, which somebody may be reading still. */
  readonly last?: string | undefined;
  /** Another one is being written. */
  readonly writing?: { readonly member: string; readonly bucket: string } | undefined;
}

/** A state, and the last message of the stream that it holds. */
export interface Snapshot {
  readonly state: ChatState;
  readonly through: number;
}

const KEY = "snapshot";
const OBJECT = "rows";
/** Who has not finished a snapshot for so long is not waited for, in milliseconds. */
const LEASE_MS = 60_000;
/** One that was replaced while it was read is looked for again so often. */
const LOADS_MAX = 10;
const LOAD_PAUSE_MS = 500;
/** One of which nothing comes for so long is not read on, in milliseconds. */
const STALL_MS = 2_000;

/** The snapshots of one stream. */
export class NatsSnapshots {
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #stream: string;
  readonly #replicas: number;
  readonly #kv: KV;
  /** Somebody else's lease, and since when this server knows it. */
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

  /** Opens them, or makes room for them. */
  static async open(
    client: JetStreamClient,
    manager: JetStreamManager,
    options: { readonly stream: string; readonly replicas: number },
  ): Promise<NatsSnapshots> {
    const { stream, replicas } = options;
    const kv = await new Kvm(client).create(stream, { history: 1, replicas, allow_direct: false });
    return new NatsSnapshots(client, manager, options, kv);
  }

  /** The snapshot that counts, where there is one. */
  async load(): Promise<Snapshot | undefined> {
    for (let tries = 1;; tries++) {
      const { through, bucket } = current(await this.#kv.get(KEY));
      if (bucket === undefined) return undefined;
      let why = "it is not whole";
      try {
        const state = restoreSnapshot(await this.#read(bucket));
        if (state !== undefined) return { state, through };
      } catch (error) {
        // Perhaps a newer one has replaced it meanwhile.
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
   * Writes a snapshot that replaces the last, and lets go of what it holds of the stream; does
   * nothing where another server writes one.
   */
  async save({ state, through }: Snapshot, member: string): Promise<void> {
    const entry = await this.#kv.get(KEY);
    const before = current(entry);
    if (before.through >= through || this.#isTaken(entry, before, state, member)) return;
    // Nobody else's, who may give up at any time and remove it.
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
    // Where this fails it may have been done: who comes next removes what is left over.
    const next: Current = { through, bucket, last: before.bucket };
    await this.#kv.update(KEY, JSON.stringify(next), revision);
    await this.#manager.streams.purge(this.#stream, { seq: through + 1 });
    await this.#destroy(before.last);
    if (before.writing?.bucket !== bucket) await this.#destroy(before.writing?.bucket);
  }

  /** Does another server write one at this moment? */
  #isTaken(
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

  /** The revision of the entry; none where another server was faster. */
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
    // The error of what went well is `null`, or nothing.
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
      // It was never made, or is gone already.
    }
  }
}

/** Throws where nothing comes any more, as when it is removed meanwhile. */
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
