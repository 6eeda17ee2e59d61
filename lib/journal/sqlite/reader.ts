/** Reads a journal's file, and checks every row of it. */
import type { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { decodeEntries } from "../../chat/entry_codec.ts";
import type { Entry } from "../../chat/entry.ts";
import type { Stored } from "../journal.ts";
import { damaged, toJournalError } from "./file.ts";

/** What a file says of its content. */
export interface Summary {
  /** The number of the snapshot that counts; 0 if there is none. */
  readonly generation: number;
  /** The last batch that this snapshot holds. */
  readonly through: number;
  /** The last batch; 0 if there was none yet. */
  readonly last: number;
  /** When something was last stored (ms since 1970). */
  readonly at: number;
  /** The size of the file. */
  readonly bytes: number;
}

/** Reads the database of a journal's file. Its methods throw {@link JournalError}. */
export class SqliteReader {
  readonly #path: string;
  readonly #database: DatabaseSync;

  constructor(path: string, database: DatabaseSync) {
    this.#path = path;
    this.#database = database;
  }

  /** The content of the file. Its rows and batches are read one by one, as they are asked for. */
  read(): Required<Stored> {
    const { generation, through, at } = this.summary();
    return { rows: this.#snapshot(generation), batches: this.#batches(through), at };
  }

  summary(): Summary {
    const query = `SELECT generation, through,
       ifnull((SELECT max(id) FROM batch), through) AS last,
       max(at, ifnull((SELECT max(at) FROM batch), 0)) AS at,
       (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size) AS bytes
       FROM current`;
    try {
      return this.#database.prepare(query).get() as Record<keyof Summary, number>;
    } catch (error) {
      throw toJournalError(this.#path, error);
    }
  }

  *#snapshot(generation: number): Generator<string> {
    const query =
      "SELECT part AS number, body, crc FROM snapshot WHERE generation = ? ORDER BY part";
    const rows = yield* this.#bodies(query, generation, 0);
    if (rows === 0 && generation > 0) throw damaged(this.#path);
  }

  *#batches(through: number): Generator<readonly Entry[]> {
    const query = "SELECT id AS number, body, crc FROM batch WHERE id > ? ORDER BY id";
    for (const body of this.#bodies(query, through, through + 1)) yield decodeEntries(body);
  }

  /**
   * The bodies of rows; returns how many they are. Their numbers must count up from `first`, and their
   * checksums be right.
   */
  *#bodies(query: string, argument: number, first: number): Generator<string, number> {
    let count = 0;
    try {
      for (const row of this.#database.prepare(query).iterate(argument)) {
        const { number, body, crc } = row as { number: number; body: string; crc: number };
        if (number !== first + count || crc32(body) !== crc) throw damaged(this.#path);
        count++;
        yield body;
      }
      return count;
    } catch (error) {
      throw toJournalError(this.#path, error);
    }
  }
}
