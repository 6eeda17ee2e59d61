/** A SQLite file that is a journal: opening it for one server alone, its format, its damages. */
import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../../errors.ts";
import { JournalError } from "../journal.ts";

/** "asvt" in ASCII: tells our files from other databases. */
const APPLICATION_ID = 0x61737674;

/** The version of the format. Until a first release is tagged it stays 1, whatever changes. */
const FORMAT = 1;

/**
 * A batch may lie at any place: over one that the snapshot holds. A snapshot is as many rows as it
 * takes; the one of the generation that `current` names counts.
 */
const TABLES = `
   CREATE TABLE batch (place INTEGER PRIMARY KEY, id INTEGER NOT NULL, at INTEGER NOT NULL,
     body TEXT NOT NULL, crc INTEGER NOT NULL) STRICT;
   CREATE TABLE snapshot (generation INTEGER NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL,
     crc INTEGER NOT NULL, PRIMARY KEY (generation, number)) STRICT, WITHOUT ROWID;
   CREATE TABLE current (at INTEGER NOT NULL, generation INTEGER NOT NULL,
     through INTEGER NOT NULL) STRICT;
   INSERT INTO current VALUES (0, 0, 0);`;

/** The batch of 50 clients with a message each fits into a page of so many bytes. */
const PAGE_BYTES = 8_192;
/** SQLite's own log is copied to the file, and written anew from its beginning, after so many pages. */
const LOG_PAGES = 2_000;
/**
 * They fit into so many bytes, below which it is not cut off: a file that grows takes half as long
 * again to sync.
 */
const LOG_BYTES_MAX = 16_777_216;

/** SQLite's codes of a damaged file, and of one that is no database. */
const DAMAGED = 11;
const NO_DATABASE = 26;
/** A database begins with so many bytes; SQLite takes some shorter files for an empty one. */
const HEADER_BYTES = 100;

/** A file that is open for this process alone; other processes may read it meanwhile. */
export interface OpenFile {
  readonly database: DatabaseSync;
  close(): void;
}

/** Opens a journal's file, or makes it. Throws {@link JournalError}. */
export function openFile(path: string): OpenFile {
  const lock = lockFile(path);
  try {
    const isNew = isEmptyFile(path);
    const database = new DatabaseSync(nameOf(path));
    try {
      prepareFile(database, isNew);
      return {
        database,
        close: () => {
          database.close();
          lock.close();
        },
      };
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    lock.close();
    throw toJournalError(path, error);
  }
}

/** Opens a journal's file to read it, even while a server uses it. Throws {@link JournalError}. */
export function openFileToRead(path: string): OpenFile {
  requireThere(path);
  try {
    const database = new DatabaseSync(nameOf(path), { readOnly: true });
    try {
      if (isEmptyDatabase(path, database)) throw noJournal(path);
      // One view of the file, whatever the server does meanwhile.
      database.exec("BEGIN");
      return { database, close: () => database.close() };
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    throw toJournalError(path, error);
  }
}

/** Throws {@link JournalError} where there is no file: opening it to write would make one. */
export function requireThere(path: string): void {
  try {
    Deno.statSync(path);
  } catch {
    throw new JournalError(`Cannot read ${path}: there is no such file`);
  }
}

/** The path as SQLite knows it: some names, as `:memory:`, have a meaning of their own. */
function nameOf(path: string): string {
  return /^([/\\.]|[a-z]:[/\\])/i.test(path) ? path : `./${path}`;
}

/**
 * Is there nothing in the file yet? Throws where it is none of ours, and leaves it as it is: a
 * connection that may write would tidy up when it closes.
 */
function isEmptyFile(path: string): boolean {
  const { size } = Deno.statSync(path);
  if (size === 0) return true;
  if (size < HEADER_BYTES) throw noJournal(path);
  const database = new DatabaseSync(nameOf(path), { readOnly: true });
  try {
    return isEmptyDatabase(path, database);
  } finally {
    database.close();
  }
}

/** What SQLite or the system says of the file as one clear line. */
export function toJournalError(path: string, error: unknown): unknown {
  if (error instanceof JournalError || error instanceof Deno.errors.NotCapable) return error;
  const { message, errcode } = error as Error & { errcode?: number };
  if (errcode === NO_DATABASE) return noJournal(path);
  if (errcode === DAMAGED) return damaged(path);
  return new JournalError(`Cannot use ${path}: ${message}`);
}

function noJournal(path: string): JournalError {
  return new JournalError(`${path} is no journal of this server: choose another --data`);
}

/** The error of a file whose content can't be trusted. */
export function damaged(path: string): JournalError {
  return new JournalError(
    `${path} is damaged: move it away, with -wal and -shm of that name, and put a copy of a good ` +
      "one in its place",
  );
}

/** A lock that ends with the process, however it ends. */
function lockFile(path: string): Deno.FsFile {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true, write: true, create: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new JournalError(`Cannot open ${path}: ${messageOf(error)}`);
  }
  if (file.tryLockSync(true)) return file;
  file.close();
  throw new JournalError(
    `${path} is in use by another server: stop that one, or choose another --data`,
  );
}

function prepareFile(database: DatabaseSync, isNew: boolean): void {
  // Neither can be changed once there is a table.
  if (isNew) database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL`);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  database.exec(
    `PRAGMA wal_autocheckpoint = ${LOG_PAGES}; PRAGMA journal_size_limit = ${LOG_BYTES_MAX}`,
  );
  if (!isNew) return;
  database.exec(
    `BEGIN; ${TABLES} PRAGMA user_version = ${FORMAT};
     PRAGMA application_id = ${APPLICATION_ID}; COMMIT`,
  );
}

/** Has the database no table yet? Throws where it is none of ours, of a newer format, or damaged. */
function isEmptyDatabase(path: string, database: DatabaseSync): boolean {
  const number = (query: string) => Number(Object.values(database.prepare(query).get() ?? {})[0]);
  const version = number("PRAGMA user_version");
  const id = number("PRAGMA application_id");
  if (version === 0 && id === 0 && number("SELECT count(*) FROM sqlite_schema") === 0) return true;
  if (id !== APPLICATION_ID) {
    throw new JournalError(
      `${path} is a database, but no journal of this server: choose another --data`,
    );
  }
  if (version > FORMAT) {
    throw new JournalError(
      `${path} was written by a newer release (format ${version}, this one knows ${FORMAT}): ` +
        "use that release, or choose another --data",
    );
  }
  const [check] = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {});
  if (check !== "ok" || version < 1) throw damaged(path);
  return false;
}
