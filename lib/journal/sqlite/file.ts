/** The SQLite file of a journal: opens it for one server alone, and checks that it can be trusted. */
import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../../errors.ts";
import { JournalError } from "../journal.ts";
import { counted } from "../../text/phrases.ts";
import { checksum } from "./checksum.ts";
import { isLogDamaged } from "./log_check.ts";
import { Mark } from "./mark.ts";

/** "asvt" in ASCII: marks a database as a journal. */
const APPLICATION_ID = 0x61737674;

/** The format's version. It stays 1 until the first release, whatever changes. */
const FORMAT = 1;

/**
 * `id` is the number of a batch; `place` says nothing about its order. A snapshot is all rows of one
 * generation; `current` names the one that counts, the number of its rows (`parts`), and `through`,
 * the last batch that it holds. The `crc` of each row is that of `checksum`.
 */
const TABLES = `
   CREATE TABLE batch (place INTEGER PRIMARY KEY, id INTEGER NOT NULL, at INTEGER NOT NULL,
     body TEXT NOT NULL, crc INTEGER NOT NULL) STRICT;
   CREATE TABLE snapshot (generation INTEGER NOT NULL, part INTEGER NOT NULL, body TEXT NOT NULL,
     crc INTEGER NOT NULL, PRIMARY KEY (generation, part)) STRICT, WITHOUT ROWID;
   CREATE TABLE current (at INTEGER NOT NULL, generation INTEGER NOT NULL,
     through INTEGER NOT NULL, parts INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;
   INSERT INTO current VALUES (0, 0, 0, 0, ${checksum("", 0, 0, 0, 0)});
   PRAGMA user_version = ${FORMAT};
   PRAGMA application_id = ${APPLICATION_ID};`;

/** The size of a page: a batch of 50 clients with a message each fits into it. */
const PAGE_BYTES = 8_192;

/** The owner alone may read the file. SQLite gives the same mode to -wal and -shm. */
const PRIVATE_MODE = 0o600;

/** SQLite's codes for errors of locks and of shared memory, which all have the same message. */
const NO_LOCKS_IO = [2058, 2314, 3850, 4618, 4874, 5130, 5386];

/** The size of a database's header. SQLite takes some files that are shorter for empty databases. */
const HEADER_BYTES = 100;

export interface OpenFile {
  readonly database: DatabaseSync;
  readonly mark: Mark;
  close(): void;
}

/** Opens a file, or creates it. Other processes may only read it. Throws {@link JournalError}. */
export function openFile(path: string): OpenFile {
  return openAll(path, (opened) => {
    if (isThere(path)) requireFile(path);
    const file = opened.use(lockFile(path));
    const mark = new Mark(file);
    const isNew = isEmptyFile(path, mark);
    if (makePrivate(path)) {
      using database = new DatabaseSync(nameOf(path));
      numberFrom(database, "SELECT count(*) FROM sqlite_schema");
    }
    const database = opened.use(new DatabaseSync(nameOf(path)));
    // Both are fixed once the database has a table.
    if (isNew) database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL`);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    // This fails where the file or its log can only be read.
    database.exec("BEGIN IMMEDIATE");
    if (isNew) database.exec(TABLES);
    database.exec("COMMIT");
    return { database, mark };
  });
}

/** Opens a file to read what it holds now, even while a server uses it. Throws {@link JournalError}. */
export function openFileToRead(path: string): OpenFile {
  requireExists(path);
  return openAll(path, (opened) => {
    // A lock of SQLite ends when its process closes the file: this one stays open as long.
    const mark = new Mark(opened.use(Deno.openSync(path)));
    const acknowledged = mark.read();
    const database = opened.use(openReader(path));
    // From its first query on, a transaction sees the file as it is then.
    database.exec("BEGIN");
    if (isEmptyDatabase(path, database)) throw noJournal(path);
    requireBatches(path, database, acknowledged);
    return { database, mark };
  });
}

/** Opens a connection that only reads. It sees what any other program would see. */
export function openReader(path: string): DatabaseSync {
  return new DatabaseSync(nameOf(path), { readOnly: true });
}

/** Calls `open`. What that adds to `opened` is closed with the file, or at once if it throws. */
function openAll(
  path: string,
  open: (opened: DisposableStack) => Omit<OpenFile, "close">,
): OpenFile {
  using opened = new DisposableStack();
  try {
    const file = open(opened);
    const kept = opened.move();
    return { ...file, close: () => kept.dispose() };
  } catch (error) {
    throw toJournalError(path, error);
  }
}

/** Throws {@link JournalError} if there is no such file, which `openFile` would create. */
export function requireExists(path: string): void {
  if (!isThere(path)) throw new JournalError(`Cannot read ${path}: there is no such file`);
  requireFile(path);
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw new JournalError(`Cannot use ${path}: ${messageOf(error)}`);
  }
}

/** Throws {@link JournalError} for a folder, a device or a pipe. */
function requireFile(path: string): void {
  const { isFile, isDirectory } = Deno.statSync(path);
  if (isFile) return;
  throw new JournalError(
    isDirectory
      ? `Cannot open ${path}: Is a directory, where a file is needed`
      : `Cannot use ${path}: it is a device or a pipe, where a file is needed`,
  );
}

/**
 * Takes the file from the reach of other users. Returns whether it was in their reach: then -wal and
 * -shm are, too, and SQLite makes them anew when it has closed the file once.
 */
function makePrivate(path: string): boolean {
  const { mode } = Deno.statSync(path);
  if (Deno.build.os === "windows" || mode === null || (mode & 0o077) === 0) return false;
  try {
    Deno.chmodSync(path, PRIVATE_MODE);
    return true;
  } catch {
    // The file of another user, who has let this one write it.
    return false;
  }
}

/** The path as SQLite takes it: names such as `:memory:` are special. */
function nameOf(path: string): string {
  return /^([/\\.]|[a-z]:[/\\])/i.test(path) ? path : `./${path}`;
}

/**
 * As {@link isEmptyDatabase}, and throws where acknowledged batches are missing. The file is opened
 * to read, since a connection that may write changes it when it closes.
 */
function isEmptyFile(path: string, mark: Mark): boolean {
  const { size } = Deno.statSync(path);
  if (size === 0) return true;
  if (size < HEADER_BYTES) throw noJournal(path);
  if (isLogDamaged(`${path}-wal`)) throw damaged(path);
  using database = openReader(path);
  const acknowledged = mark.read();
  const isEmpty = isEmptyDatabase(path, database);
  if (!isEmpty) requireBatches(path, database, acknowledged);
  // The log, which is lost, had all that there was.
  else if (acknowledged > 0) throw lacking(path, acknowledged);
  return isEmpty;
}

/** Throws {@link JournalError} if batches up to this one were acknowledged, and are not all there. */
function requireBatches(path: string, database: DatabaseSync, acknowledged: number): void {
  const last = numberFrom(
    database,
    "SELECT max(through, ifnull((SELECT max(id) FROM batch), 0)) FROM current",
  );
  if (last < acknowledged) throw lacking(path, acknowledged - last);
}

function lacking(path: string, count: number): JournalError {
  return new JournalError(
    `${path} lacks ${
      counted(count, "commit")
    } that clients were told of: ${path}-wal is damaged or ` +
      "was removed. Put that file or a good copy of both in place, or start on a copy of this file " +
      "(cp) and give up what is missing",
  );
}

/** Turns an error of SQLite or the system into a {@link JournalError} of one line. */
export function toJournalError(path: string, error: unknown): JournalError {
  if (error instanceof JournalError) return error;
  // Only some errors of SQLite have a code.
  const { message, errcode = 0 } = error as Error & { errcode?: number };
  if (message.includes("not a database")) return noJournal(path);
  if (message.includes("malformed")) return damaged(path);
  return new JournalError(`Cannot use ${path}: ${adviceOf(path, message, errcode)}`);
}

/** The cause of an error of SQLite and how to mend it, or else its own message. */
function adviceOf(path: string, message: string, code: number): string {
  if (message.includes("locking protocol") || NO_LOCKS_IO.includes(code)) {
    return "its file system has no locks or no shared memory: choose a folder on a local disk";
  }
  if (message.includes("locked")) return "another program writes it: end that program";
  if (/readonly|unable to open/.test(message)) {
    return needsAccess(path);
  }
  return message;
}

function needsAccess(path: string): string {
  return `this user must be able to read and write it, ${path}-wal and ${path}-shm, and to create ` +
    "files in its folder (ls -l shows whose they are)";
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
    file = Deno.openSync(path, { read: true, write: true, create: true, mode: PRIVATE_MODE });
  } catch (error) {
    const why = error instanceof Deno.errors.PermissionDenied
      ? needsAccess(path)
      : error instanceof Deno.errors.NotFound
      ? "its folder does not exist"
      : messageOf(error);
    throw new JournalError(`Cannot open ${path}: ${why}`);
  }
  let isLocked: boolean;
  try {
    isLocked = file.tryLockSync(true);
  } catch (error) {
    file.close();
    throw new JournalError(
      `Cannot lock ${path} (${messageOf(error)}): choose a folder on a local disk`,
    );
  }
  if (isLocked) return file;
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
