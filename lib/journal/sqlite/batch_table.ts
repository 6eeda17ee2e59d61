/** The batches in a file, a row each. A new one overwrites a row that the snapshot holds. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { encodeEntries } from "../../chat/entry_codec.ts";
import type { Entry } from "../../chat/entry.ts";
import { checksum } from "./checksum.ts";
import type { SqliteReader } from "./reader.ts";

/** Knows the place of every batch: the key of its row. */
export class BatchTable {
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;
  /** The last batch that the snapshot holds. */
  #through: number;
  /** The places of the batches after the snapshot, in their order. */
  #used: number[];
  /** Places of batches that the snapshot holds, for the next batches. */
  #free: number[];
  /** Places that were free for too long: their rows are to be deleted. */
  #surplus: number[] = [];

  constructor(database: DatabaseSync, { through, places }: SqliteReader) {
    this.#insert = database.prepare("INSERT OR REPLACE INTO batch VALUES (?, ?, ?, ?, ?)");
    this.#delete = database.prepare(
      "DELETE FROM batch WHERE place IN (SELECT value FROM json_each(?))",
    );
    this.#through = through;
    this.#used = [...places.after];
    this.#free = [...places.before];
  }

  /** The number of the last batch; 0 before the first. */
  get last(): number {
    return this.#through + this.#used.length;
  }

  /** Does this connection see the last batch where it was stored? */
  isSeenBy(reader: DatabaseSync): boolean {
    const place = this.#used.at(-1);
    if (place === undefined) return true;
    const row = reader.prepare("SELECT id FROM batch WHERE place = ?").get(place);
    return row?.id === this.last;
  }

  /** Stores the next batch, at this time (ms since 1970). Throws SQLite's errors. */
  insert(entries: readonly Entry[], at: number): void {
    const body = encodeEntries(entries);
    // Where no place is free, SQLite adds a row behind the last one.
    const place = this.#free.at(-1) ?? null;
    const id = this.last + 1;
    const { lastInsertRowid } = this.#insert.run(place, id, at, body, checksum(body, id, at));
    this.#free.pop();
    this.#used.push(Number(lastInsertRowid));
  }

  /** A new snapshot holds the batches up to this one. */
  free(through: number): void {
    this.discardFree();
    this.#free = this.#used.splice(0, through - this.#through);
    this.#through = through;
  }

  /** The rows of the places that are free now are to be deleted. */
  discardFree(): void {
    this.#surplus = this.#surplus.concat(this.#free);
    this.#free = [];
  }

  /** Deletes at most `max` of these rows. Returns how many it deleted. */
  deleteSurplus(max: number): number {
    const places = this.#surplus.slice(-max);
    if (places.length > 0) this.#delete.run(JSON.stringify(places));
    this.#surplus.length -= places.length;
    return places.length;
  }
}
