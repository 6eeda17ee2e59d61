/** Reads the file of a journal, and checks every row of it. */
import type { DatabaseSync } from "node:sqlite";
import { decodeEntries } from "../../chat/entry_codec.ts";
import type { Entry } from "../../chat/entry.ts";
import type { Stored } from "../journal.ts";
import { checksum } from "./checksum.ts";
import { damaged, numberFrom, toJournalError } from "./file.ts";

/** `second` is the generation of a part of the snapshot, or the time of a batch. */
type Row = { number: number; second: number; body: string; crc: number };

/** Reads the content that a file has now. Throws {@link JournalError}, also while its rows are read. */
export class SqliteReader {
  /** The size of the file. */
  readonly bytes: number;
  /** When something was last stored (ms since 1970). */
  readonly at: number;
  /** The last batch that the snapshot holds. */
  readonly through: number;
  /** The places of the batches up to that one, and of those after it, in the batches' order. */
  readonly places: { readonly before: number[]; readonly after: number[] };
  /** The generation of the snapshot; 0 if there is none. */
  readonly #generation: number;
  /** The number of its rows. */
  readonly #parts: number;
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
    const number = (query: string) => numberFrom(database, `SELECT ${query}`);
    try {
      this.bytes = number("page_count * page_size FROM pragma_page_count, pragma_page_size");
      const at = number("at FROM current");
      this.through = number("through FROM current");
      this.#generation = number("generation FROM current");
      this.#parts = number("parts FROM current");
      const crc = checksum("", at, this.#generation, this.through, this.#parts);
      if (number("count(*) FROM current") !== 1 || number("crc FROM current") !== crc) {
        throw damaged(path);
      }
      this.at = Math.max(at, number("max(at) FROM batch"));
      const before = placesOf(database, `id <= ${this.through}`);
      this.places = { before, after: placesOf(database, `id > ${this.through}`) };
    } catch (error) {
      throw toJournalError(path, error);
    }
  }

  /** The content of the file. Rows and batches are read one by one, as they are asked for. */
  read(): Required<Stored> {
    return { rows: this.#snapshot(), batches: this.#batches(), at: this.at };
  }

  *#snapshot(): Generator<string> {
    const query = "SELECT part AS number, generation AS second, body, crc FROM snapshot " +
      "WHERE generation = ? ORDER BY part";
    let rows = 0;
    for (const row of this.#bodies(query, this.#generation, 0)) {
      rows++;
      yield row;
    }
    if (rows !== this.#parts) throw damaged(this.#path);
  }

  *#batches(): Generator<readonly Entry[]> {
    const query = "SELECT batch.id AS number, at AS second, body, crc FROM json_each(?) " +
      "CROSS JOIN batch ON place = value";
    const { before, after } = this.places;
    // A batch that the snapshot holds is not needed, but a changed number may only look so.
    for (const _ of this.#bodies(query, JSON.stringify(before)));
    const bodies = this.#bodies(query, JSON.stringify(after), this.through + 1);
    for (const body of bodies) yield decodeEntries(body);
  }

  /** The bodies of rows, whose numbers must count up from `first` if it is given. */
  *#bodies(query: string, parameter: number | string, first?: number): Generator<string> {
    let count = 0;
    let tellAt = performance.now() + this.#progressMs;
    try {
      for (const row of this.#database.prepare(query).iterate(parameter)) {
        const { number, second, body, crc } = row as Row;
        const isNext = first === undefined || number === first + count;
        if (!isNext || checksum(body, number, second) !== crc) throw damaged(this.#path);
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

/** The places of these batches, in the batches' order. */
function placesOf(database: DatabaseSync, which: string): number[] {
  const query = `SELECT json_group_array(place ORDER BY id) AS places FROM batch WHERE ${which}`;
  return JSON.parse(String(database.prepare(query).get()?.places));
}
