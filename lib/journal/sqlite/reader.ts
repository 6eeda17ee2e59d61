/** Reading a journal's file: where what is, the rows of a snapshot and the batches, each checked. */
import type { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import type { Entry } from "../../chat/entry.ts";
import { damaged, toJournalError } from "./file.ts";
import { decodeEntries } from "../../chat/entry_codec.ts";

/** Reads the database of a journal's file. */
export class SqliteReader {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #progressMs: number;
  readonly #progress: (rows: number) => void;

  /** Every so many milliseconds `progress` hears how many rows were read. */
  constructor(
    path: string,
    database: DatabaseSync,
    progressMs: number,
    progress: (rows: number) => void,
  ) {
    this.#path = path;
    this.#database = database;
    this.#progressMs = progressMs;
    this.#progress = progress;
  }

  /** The size of the file in bytes, and when something was last stored, in milliseconds since 1970. */
  size(): { bytes: number; at: number } {
    const { bytes, at } = this.numbers(
      `SELECT page_count * page_size AS bytes, (SELECT max(at) FROM
         (SELECT at FROM current UNION ALL SELECT max(at) FROM batch)) AS at
       FROM pragma_page_count, pragma_page_size`,
    );
    return { bytes: bytes ?? 0, at: at ?? 0 };
  }

  /** Where batches are, in their order: those up to one, or those behind it. */
  places(which: "up to" | "behind", batch: number): number[] {
    const sign = which === "behind" ? ">" : "<=";
    const query =
      `SELECT json_group_array(place ORDER BY id) AS places FROM batch WHERE id ${sign} ?`;
    const { places } = this.#database.prepare(query).get(batch) as { places: string };
    return JSON.parse(places);
  }

  /** The rows of a snapshot. Throws {@link JournalError}. */
  *snapshot(generation: number): Generator<string> {
    const query = "SELECT number, body, crc FROM snapshot WHERE generation = ? ORDER BY number";
    let rows = 0;
    for (const row of this.#checked(this.#database.prepare(query).iterate(generation), 0)) {
      rows++;
      yield row;
    }
    if (rows === 0 && generation > 0) throw damaged(this.#path);
  }

  /** The batches at these places, of which the first has this number. Throws {@link JournalError}. */
  *batches(places: readonly number[], first: number): Generator<readonly Entry[]> {
    const query =
      "SELECT batch.id AS number, body, crc FROM json_each(?) CROSS JOIN batch ON place = value";
    const rows = this.#database.prepare(query).iterate(JSON.stringify(places));
    for (const body of this.#checked(rows, first)) yield decodeEntries(body);
  }

  /** The numbers of one row, by their names; none where it has no value. */
  numbers(query: string): Record<string, number | undefined> {
    const row = this.#database.prepare(query).get() ?? {};
    return Object.fromEntries(
      Object.entries(row).map((
        [name, value],
      ) => [name, value === null ? undefined : Number(value)]),
    );
  }

  /** The texts of rows, each checked, and that none is missing from the `first` on. */
  *#checked(rows: Iterable<unknown>, first: number): Generator<string> {
    let count = 0;
    let tellAt = performance.now() + this.#progressMs;
    try {
      for (const row of rows) {
        const { number, body, crc } = row as { number: number; body: string; crc: number };
        if (number !== first + count || crc32(body) !== crc) throw damaged(this.#path);
        count++;
        if (performance.now() >= tellAt) {
          this.#progress(count);
          tellAt += this.#progressMs;
        }
        yield body;
      }
    } catch (error) {
      throw toJournalError(this.#path, error);
    }
  }
}
