/** The stream that the simulated servers share, and all that is on its way to it. */
import type { ChatState } from "../../../lib/chat/state.ts";
import { restoreSnapshot, snapshotRows } from "../../../lib/chat/snapshot.ts";

/** A text that a server has sent. */
export interface Packet {
  readonly server: number;
  readonly body: string;
  /** What the server hears of it. */
  readonly sent: (error?: unknown) => void;
}

/** Outlives the processes that use it. */
export class Stream {
  /** All that was ever put into it. */
  readonly bodies: string[] = [];
  /** What is on its way, the oldest first. */
  packets: Packet[] = [];
  /** So many of the first bodies can't be read any more. */
  purged = 0;
  #snapshot: { readonly rows: readonly string[]; readonly through: number } | undefined;

  /** The state that the snapshot holds, where there is one, and the number of the last body in it. */
  load(): { readonly state: ChatState; readonly through: number } | undefined {
    if (this.#snapshot === undefined) return undefined;
    const { rows, through } = this.#snapshot;
    return { state: restoreSnapshot(rows)!, through };
  }

  /** A newer snapshot replaces the last. */
  save(state: ChatState, through: number): void {
    if (through <= (this.#snapshot?.through ?? 0)) return;
    this.#snapshot = { rows: [...snapshotRows(state)], through };
  }

  /** What the snapshot holds can be read there alone from now on. */
  purge(): void {
    this.purged = this.#snapshot?.through ?? 0;
  }
}
