/** Reads the file of a journal, and checks every row of it. */
import type { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { decodeEntries } from "../../chat/entry_codec.ts";
import type { Entry } from "../../chat/entry.ts";
import type { Stored } from "../journal.ts";
import { damaged, numberFrom, toJournalError } from "./file.ts";

/** Its methods throw {@link JournalError}. */
export class SqliteReader {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #progress: (rows: number) => void;
  readonly #progressMs: number;

  /** `progress` is told how many rows were read, at most once in `progressMs` milliseconds. */
  constructor(
    path: string,
    database: DatabaseSync,
    progress = (_rows: number) => {},
    progressMs = Infinity,
  ) {
    this.#path = path;
    this.#database = database;
    this.#progress = progress;
    this.#progressMs = progressMs;
  }

  /** The content of the file. Rows and batches are read one by one, as they are asked for. */
  read(): Required<Stored> {
    const { generation, through } = this.current();
    return {
      rows: this.#snapshot(generation),
      batches: this.#batches(this.places("after", through), through + 1),
      at: this.size().at,
    };
  }

  /** The generation of the snapshot that counts, and the last batch that it holds. */
  current(): { generation: number; through: number } {
    return {
      generation: this.#number("SELECT generation FROM current"),
      through: this.#number("SELECT through FROM current"),
    };
  }

  /** The size of the file, and when something was last stored (ms since 1970). */
  size(): { bytes: number; at: number } {
    return {
      bytes: this.#number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"),
      at: this.#number(
        "SELECT max(at) FROM (SELECT at FROM current UNION ALL SELECT max(at) FROM batch)",
      ),
    };
  }

  /** The places of the batches up to the one of this number, or after it, in the batches' order. */
  places(which: "up to" | "after", batch: number): number[] {
    const sign = which === "after" ? ">" : "<=";
    const query =
      `SELECT json_group_array(place ORDER BY id) AS places FROM batch WHERE id ${sign} ?`;
    return this.#checked(() => {
      const { places } = this.#database.prepare(query).get(batch) as { places: string };
      return JSON.parse(places);
    });
  }

  #number(query: string): number {
    return this.#checked(() => numberFrom(this.#database, query));
  }

  *#snapshot(generation: number): Generator<string> {
    const query =
      "SELECT part AS number, body, crc FROM snapshot WHERE generation = ? ORDER BY part";
    let rows = 0;
    for (const row of this.#bodies(this.#database.prepare(query).iterate(generation), 0)) {
      rows++;
      yield row;
    }
    if (rows === 0 && generation > 0) throw damaged(this.#path);
  }

  /** The batches at these places; the first of them has the number `first`. */
  *#batches(places: readonly number[], first: number): Generator<readonly Entry[]> {
    const query =
      "SELECT batch.id AS number, body, crc FROM json_each(?) CROSS JOIN batch ON place = value";
    const rows = this.#database.prepare(query).iterate(JSON.stringify(places));
    for (const body of this.#bodies(rows, first)) yield decodeEntries(body);
  }

  /** The bodies of rows, whose numbers must count up from `first`. */
  *#bodies(rows: Iterable<unknown>, first: number): Generator<string> {
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

  #checked<Value>(read: () => Value): Value {
    try {
      return read();
    } catch (error) {
      throw toJournalError(this.#path, error);
    }
  }
}
