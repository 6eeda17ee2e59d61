/** `dump` shows the content of a journal's file; `forget` removes a user from it. */
import { step } from "../chat/step.ts";
import { JournalError, replay } from "../journal/journal.ts";
import { SqliteJournal } from "../journal/sqlite/sqlite_journal.ts";
import { SqliteReader } from "../journal/sqlite/reader.ts";
import * as mailbox from "../chat/mailboxes.ts";
import { UsageError } from "../errors.ts";
import { parseFlags } from "../flags.ts";
import { DUMP_FLAGS, NO_FLAGS } from "../options.ts";
import { DUMP_HELP, FORGET_HELP, print } from "./help.ts";
import { requireFile } from "./permissions.ts";
import { DEFAULT_SETTINGS } from "../chat/settings.ts";
import { openFileToRead, requireExists } from "../journal/sqlite/file.ts";
import { counted } from "../text/phrases.ts";
import { printable } from "../text/printable.ts";

/** Prints the content of a file. Returns the exit code. Throws `ExitError` where it can't be read. */
export function dump(args: string[]): number {
  const { options, positionals: [path, ...more] } = parseFlags(DUMP_FLAGS, args);
  if (options.help) return print(DUMP_HELP);
  if (path === undefined || more.length > 0) throw new UsageError("dump takes one argument, FILE");
  requireFile(path);
  const found = read(path);
  return print(options.json ? JSON.stringify(found, null, 2) : table(found));
}

/**
 * The content of a file, which a server may be using, without the texts of mail. `rules` is the version
 * of the rules that the chat follows.
 */
function read(path: string) {
  const file = openFileToRead(path);
  try {
    const reader = new SqliteReader(path, file.database);
    const { rules, settings, users, mailboxes } = replay(reader.read(), DEFAULT_SETTINGS);
    const { bytes, at } = reader.size();
    return {
      bytes,
      lastEntry: new Date(at).toISOString(),
      strict: settings.strict,
      rules,
      messages: mailboxes.waiting,
      users: users.byId.values().map(({ name, id, address }) => {
        const { session, freeSince } = users.presence.get(id)!;
        const messages = mailbox.count(mailboxes, id);
        // While a session has the name JSON leaves the member out.
        const end = session === undefined ? new Date(freeSince).toISOString() : undefined;
        return { name, address, messages, freeSince: end };
      }),
    };
  } finally {
    file.close();
  }
}

/** The content of a file as a table. */
function table(found: ReturnType<typeof read>): string {
  const { bytes, lastEntry, strict, rules, messages, users } = found;
  const rows = [["user", "address", "mail", "last here"]];
  for (const { name, address, messages, freeSince } of users) {
    rows.push([printable(name), address, String(messages), freeSince ?? "now"]);
  }
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  const padded = rows.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd()
  );
  const mode = strict ? ", strict mode" : "";
  const head = `${counted(users.length, "user")}, ${counted(messages, "message")}, ${bytes} bytes`;
  return [`${head}${mode}, rules ${rules}, last entry ${lastEntry}`, ...padded].join("\n");
}

/**
 * Removes a user and the mail from a file that no server uses, and prints that. Resolves to the exit
 * code. Throws `ExitError` where the file is in use or has no such user.
 */
export async function forget(args: string[]): Promise<number> {
  const { options, positionals: [path, name, ...more] } = parseFlags(NO_FLAGS, args);
  if (options.help) return print(FORGET_HELP);
  if (path === undefined || name === undefined || more.length > 0) {
    throw new UsageError("forget takes two arguments, FILE and NAME");
  }
  requireFile(path);
  requireExists(path);
  // A user at a terminal needs no progress.
  const journal = SqliteJournal.open(path, { progress: () => {}, snapshotFailed: () => {} });
  const state = replay(journal.read(), DEFAULT_SETTINGS);
  const user = state.users.byName.get(name);
  if (user === undefined) {
    journal.abandon();
    throw new JournalError(`${path} has no user '${printable(name)}': dump lists them`);
  }
  const entry = { kind: "forget", user: name, id: user.id } as const;
  journal.commit([entry]);
  await journal.close(step(state, entry).state);
  return print(`'${printable(name)}' is forgotten`);
}
