/** The stream that the simulated servers share, and the messages on their way to it. */
import type { ChatState } from "../../../lib/chat/state.ts";
import { restoreSnapshot, snapshotRows } from "../../../lib/chat/snapshot.ts";

/** A message that a server has sent to the stream. */
export interface Packet {
  readonly server: number;
  readonly body: string;
  /** Tells the server that the message was stored, or the error. */
  readonly sent: (error?: unknown) => void;
}

/** Outlives the processes of the servers. */
export class Stream {
  /** All messages that were ever stored. The first one has the number 1. */
  readonly bodies: string[] = [];
  /** The messages on their way, oldest first. */
  packets: Packet[] = [];
  /** Messages up to this number can't be read any more. */
  purged = 0;
  #snapshot: { readonly rows: readonly string[]; readonly through: number } | undefined;

  /** The snapshot, if there is one: a state, and the number of the last message in it. */
  load(): { readonly state: ChatState; readonly through: number } | undefined {
    if (this.#snapshot === undefined) return undefined;
    const { rows, through } = this.#snapshot;
    return { state: restoreSnapshot(rows)!, through };
  }

  /** Stores a snapshot, if it is newer than the last. */
  save(state: ChatState, through: number): void {
    if (through <= (this.#snapshot?.through ?? 0)) return;
    this.#snapshot = { rows: [...snapshotRows(state)], through };
  }

  /** Removes the messages that the snapshot contains. */
  purge(): void {
    this.purged = this.#snapshot?.through ?? 0;
  }
}
