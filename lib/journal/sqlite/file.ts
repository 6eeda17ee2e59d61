/** The SQLite file of a journal: opens it for one server alone, and checks that it can be trusted. */
import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../../errors.ts";
import { JournalError } from "../journal.ts";

/** "asvt" in ASCII: marks a database as a journal. */
const APPLICATION_ID = 0x61737674;

/** The format's version. It stays 1 until the first release, whatever changes. */
const FORMAT = 1;

/**
 * `id` is the number of a batch; `place` says nothing about its order. A snapshot is all rows of one
 * generation; `current` names the one that counts, and `through`, the last batch that it holds.
 */
const TABLES = `
   CREATE TABLE batch (place INTEGER PRIMARY KEY, id INTEGER NOT NULL, at INTEGER NOT NULL,
     body TEXT NOT NULL, crc INTEGER NOT NULL) STRICT;
   CREATE TABLE snapshot (generation INTEGER NOT NULL, part INTEGER NOT NULL, body TEXT NOT NULL,
     crc INTEGER NOT NULL, PRIMARY KEY (generation, part)) STRICT, WITHOUT ROWID;
   CREATE TABLE current (at INTEGER NOT NULL, generation INTEGER NOT NULL,
     through INTEGER NOT NULL) STRICT;
   INSERT INTO current VALUES (0, 0, 0);
   PRAGMA user_version = ${FORMAT};
   PRAGMA application_id = ${APPLICATION_ID};`;

/** The size of a page: a batch of 50 clients with a message each fits into it. */
const PAGE_BYTES = 8_192;

// Error codes of SQLite.
const DAMAGED = 11;
const NO_DATABASE = 26;
/** The size of a database's header. SQLite takes some files that are shorter for empty databases. */
const HEADER_BYTES = 100;

export interface OpenFile {
  readonly database: DatabaseSync;
  close(): void;
}

/** Opens a file, or creates it. Other processes may only read it. Throws {@link JournalError}. */
export function openFile(path: string): OpenFile {
  return openAll(path, (opened) => {
    opened.use(lockFile(path));
    const isNew = isEmptyFile(path);
    const database = opened.use(new DatabaseSync(nameOf(path)));
    // Both are fixed once the database has a table.
    if (isNew) database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL`);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    if (isNew) database.exec(`BEGIN; ${TABLES} COMMIT`);
    return database;
  });
}

/** Opens a file to read what it holds now, even while a server uses it. Throws {@link JournalError}. */
export function openFileToRead(path: string): OpenFile {
  requireExists(path);
  return openAll(path, (opened) => {
    const database = opened.use(new DatabaseSync(nameOf(path), { readOnly: true }));
    // From its first query on, a transaction sees the file as it is then.
    database.exec("BEGIN");
    if (isEmptyDatabase(path, database)) throw noJournal(path);
    return database;
  });
}

/** Calls `open`. What that adds to `opened` is closed with the file, or at once if it throws. */
function openAll(path: string, open: (opened: DisposableStack) => DatabaseSync): OpenFile {
  using opened = new DisposableStack();
  try {
    const database = open(opened);
    const kept = opened.move();
    return { database, close: () => kept.dispose() };
  } catch (error) {
    throw toJournalError(path, error);
  }
}

/** Throws {@link JournalError} if there is no such file, which `openFile` would create. */
export function requireExists(path: string): void {
  try {
    Deno.statSync(path);
  } catch {
    throw new JournalError(`Cannot read ${path}: there is no such file`);
  }
}

/** The path as SQLite takes it: names such as `:memory:` are special. */
function nameOf(path: string): string {
  return /^([/\\.]|[a-z]:[/\\])/i.test(path) ? path : `./${path}`;
}

/**
 * As {@link isEmptyDatabase}. The file is opened to read, since a connection that may write changes it
 * when it closes.
 */
function isEmptyFile(path: string): boolean {
  const { size } = Deno.statSync(path);
  if (size === 0) return true;
  if (size < HEADER_BYTES) throw noJournal(path);
  using database = new DatabaseSync(nameOf(path), { readOnly: true });
  return isEmptyDatabase(path, database);
}

/** Turns an error of SQLite or the system into a {@link JournalError} of one line. */
export function toJournalError(path: string, error: unknown): JournalError {
  if (error instanceof JournalError) return error;
  const { message, errcode } = error as Error & { errcode?: number };
  if (errcode === NO_DATABASE) return noJournal(path);
  if (errcode === DAMAGED) return damaged(path);
  return new JournalError(`Cannot use ${path}: ${message}`);
}

function noJournal(path: string): JournalError {
  return new JournalError(`${path} is no journal of this server: choose another --data`);
}

/** The error for a file whose content can't be trusted. */
export function damaged(path: string): JournalError {
  return new JournalError(
    `${path} is damaged: move it away, with -wal and -shm of that name, and put a copy of a good ` +
      "one in its place",
  );
}

/** Takes a lock that the system releases when the process ends. */
function lockFile(path: string): Deno.FsFile {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true, write: true, create: true });
  } catch (error) {
    throw new JournalError(`Cannot open ${path}: ${messageOf(error)}`);
  }
  if (file.tryLockSync(true)) return file;
  file.close();
  throw new JournalError(
    `${path} is in use by another server: stop that one, or choose another --data`,
  );
}

/** Has the database no tables? Throws if it is anything else than empty or a whole journal. */
function isEmptyDatabase(path: string, database: DatabaseSync): boolean {
  const format = numberFrom(database, "PRAGMA user_version");
  const id = numberFrom(database, "PRAGMA application_id");
  const tables = numberFrom(database, "SELECT count(*) FROM sqlite_schema");
  if (format === 0 && id === 0 && tables === 0) return true;
  if (id !== APPLICATION_ID) {
    throw new JournalError(
      `${path} is a database, but no journal of this server: choose another --data`,
    );
  }
  if (format > FORMAT) {
    throw new JournalError(
      `${path} was written by a newer release (format ${format}, this one knows ${FORMAT}): ` +
        "use that release, or choose another --data",
    );
  }
  const check = database.prepare("PRAGMA quick_check(1)").get();
  if (check?.quick_check !== "ok" || format < 1) throw damaged(path);
  return false;
}

/** The first value of a query, as a number; 0 if there is none. */
export function numberFrom(database: DatabaseSync, query: string): number {
  const [value] = Object.values(database.prepare(query).get() ?? {});
  return Number(value ?? 0);
}
