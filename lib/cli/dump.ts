/** `dump` and `forget`: looking into a journal's file, and removing a user from it, by hand. */
import { step } from "../chat/step.ts";
import { committed, JournalError, replay } from "../journal/journal.ts";
import { SqliteJournal, type Teller } from "../journal/sqlite/sqlite_journal.ts";
import * as mailbox from "../chat/mailboxes.ts";
import { parseServerOptions, settingsOf } from "../options.ts";
import { requireThere } from "../journal/sqlite/file.ts";
import { printable } from "../text/printable.js";

/** What a file holds, without the texts of mail. */
export interface Dump {
  readonly bytes: number;
  /** When something was last stored, in ISO 8601. */
  readonly lastEntry: string;
  readonly strict: boolean;
  /** The version of the rules by which the chat decides. */
  readonly rules: number;
  readonly messages: number;
  readonly users: readonly {
    readonly name: string;
    readonly address: string;
    readonly messages: number;
    /** Since when nobody holds the name; not there while somebody does. */
    readonly freeSince?: string;
  }[];
}

/** Somebody at a terminal waits and sees. */
const SILENT: Teller = { progress: () => {}, snapshotFailed: () => {} };

/** A file in which nothing was ever stored has the settings that a server has without flags. */
const SETTINGS = settingsOf(parseServerOptions([]));

/** Reads a file, even while a server uses it. Throws {@link JournalError}. */
export function dump(path: string): Dump {
  const journal = SqliteJournal.openToRead(path, SILENT);
  try {
    const { rules, settings, users, mailboxes } = replay(journal.read(), SETTINGS);
    const { bytes, at } = journal.size();
    return {
      bytes,
      lastEntry: new Date(at).toISOString(),
      strict: settings.strict,
      rules,
      messages: mailboxes.waiting,
      users: users.byId.values().map(({ name, id, address }) => {
        const { session, freeSince } = users.presence.get(id)!;
        const free = session === undefined ? { freeSince: new Date(freeSince).toISOString() } : {};
        return { name, address, messages: mailbox.count(mailboxes, id), ...free };
      }),
    };
  } finally {
    journal.abandon();
  }
}

/** A dump for people. */
export function dumpTable({ bytes, lastEntry, strict, rules, messages, users }: Dump): string {
  const rows = users.map(({ name, address, messages, freeSince }) => [
    printable(name),
    address,
    String(messages),
    freeSince ?? "now",
  ]);
  const table = [["user", "address", "mail", "last here"], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]!.length)));
  const lines = table.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd()
  );
  const mode = strict ? ", strict mode" : "";
  const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;
  const head = `${counted(users.length, "user")}, ${counted(messages, "message")}, ${bytes} bytes`;
  return [`${head}${mode}, rules ${rules}, last entry ${lastEntry}`, ...lines].join("\n");
}

/**
 * Removes a user and the mail from a file that no server uses, and says so. Throws
 * {@link JournalError}.
 */
export async function forget(path: string, name: string): Promise<string> {
  requireThere(path);
  const journal = SqliteJournal.open(path, SILENT);
  const state = replay(journal.read(), SETTINGS);
  const user = state.users.byName.get(name);
  if (user === undefined) {
    journal.abandon();
    throw new JournalError(`${path} has no user '${printable(name)}': dump lists them`);
  }
  const entry = { kind: "forget", user: name, id: user.id } as const;
  await committed(journal, [entry]);
  await journal.close(step(state, entry).state);
  return `'${printable(name)}' is forgotten`;
}
