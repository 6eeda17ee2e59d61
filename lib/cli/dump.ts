/** `dump` shows the content of a journal's file; `forget` removes a user from it. */
import * as mailbox from "../chat/mailboxes.ts";
import { DEFAULT_SETTINGS } from "../chat/settings.ts";
import { step } from "../chat/step.ts";
import { UsageError } from "../errors.ts";
import { HELP_FLAG, parseFlags, printHelp, toggle } from "../flags.ts";
import { JournalError, replay } from "../journal/journal.ts";
import { openFileToRead, requireExists } from "../journal/sqlite/file.ts";
import { SqliteReader } from "../journal/sqlite/reader.ts";
import { SqliteJournal } from "../journal/sqlite/sqlite_journal.ts";
import { print, PROGRAM } from "../program.ts";
import { counted } from "../text/phrases.ts";
import { parsePrintableName, printable, printableName } from "../text/printable.ts";
import { requireFiles } from "./permissions.ts";

const DUMP_FLAGS = { json: toggle("print JSON"), ...HELP_FLAG };
const ABOUT_DUMP =
  `Show users and counts of a file of --data, never texts: ${PROGRAM} dump FILE [flags]. A server may
be using the file`;
const ABOUT_FORGET =
  `Remove a user and the mail from a file of --data that no server uses: ${PROGRAM} forget FILE NAME.
NAME stands as dump shows it: a\\u000ab for a name with a line feed, -x for one with a dash`;

/** Prints the content of a file. Throws `ExitError` where it can't be read. */
export function dump(args: string[]): void {
  const { options, positionals: [path, ...more] } = parseFlags(DUMP_FLAGS, args);
  if (options.help) return printHelp(ABOUT_DUMP, DUMP_FLAGS);
  if (path === undefined || more.length > 0) throw new UsageError("dump takes one argument, FILE");
  requireFiles({ read: [path], write: [path] });
  const found = read(path);
  print(options.json ? JSON.stringify(found, null, 2) : table(found));
}

/** The content of a file, which a server may be using, without the texts of mail. */
function read(path: string) {
  const file = openFileToRead(path);
  try {
    const reader = new SqliteReader(path, file.database);
    const { rules, settings, users, mailboxes } = replay(reader.read(), DEFAULT_SETTINGS);
    const { bytes, at } = reader;
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
    rows.push([printableName(name), address, String(messages), freeSince ?? "now"]);
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
 * Removes a user and the mail from a file that no server uses, and prints that. Throws `ExitError`
 * where the file is in use or has no such user.
 */
export async function forget(args: string[]): Promise<void> {
  const { options, positionals: [path, shown, ...more] } = parseFlags(HELP_FLAG, forgetArgs(args));
  if (options.help) return printHelp(ABOUT_FORGET, HELP_FLAG);
  if (path === undefined || shown === undefined || more.length > 0) {
    throw new UsageError("forget takes two arguments, FILE and NAME");
  }
  requireFiles({ read: [path], write: [path] });
  requireExists(path);
  const name = parsePrintableName(shown);
  const journal = SqliteJournal.open(path, {
    progress: () => {},
    snapshotFailed: () => {},
    checkpointFailed: () => {},
    logBytes: () => {},
  });
  const state = replay(journal.read(), DEFAULT_SETTINGS);
  const user = state.users.byName.get(name);
  if (user === undefined) {
    journal.abandon();
    throw new JournalError(
      `${printable(path)} has no user '${printableName(name)}': dump lists them`,
    );
  }
  const entry = { kind: "forget", user: name, id: user.id } as const;
  journal.commit([entry]);
  await journal.close(step(state, entry).state);
  print(`'${printableName(name)}' is forgotten`);
}

/** The arguments, with a `--` before a NAME that begins with a dash and is no flag. */
function forgetArgs(args: string[]): string[] {
  const [path = "", name = "", ...more] = args;
  const isName = /^-(?!-help$|h$)/.test(name) && !path.startsWith("-") && more.length === 0;
  return isName ? [path, "--", name] : args;
}
