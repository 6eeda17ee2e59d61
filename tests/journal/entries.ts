/** The entries that the tests of journals store, and what a state holds after them. */
import { step } from "../../lib/chat/step.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import type { ChatState } from "../../lib/chat/state.ts";
import { read } from "../../lib/chat/mailboxes.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import { snapshotRows } from "../../lib/chat/snapshot.ts";

/** What a test with a journal's file needs. */
export const FILES = { permissions: ["read", "write"] } as const;
/** What a test with a server on such a file needs. */
export const NET_AND_FILES = { permissions: ["net", "read", "write"] } as const;

export const SETTINGS = settingsOf(parseServerOptions([]));

/** A command of a session. A `send` goes to Al. */
export function command(
  session: number,
  name: "register" | "send" | "sendall",
  text: string,
): Entry {
  const address = `10.0.0.${session}`;
  const actor = { session: { member: 0, count: session }, address, peer: `${address}:1` };
  const words = {
    register: { name, user: text },
    send: { name, to: "Al", text },
    sendall: { name, text },
  };
  return { kind: "command", at: session, actor, command: words[name] as Entry & never };
}

/** Two users, their mail, and the end of a session. */
export const BATCHES: readonly (readonly Entry[])[] = [
  [command(1, "register", "Al"), command(2, "register", "Бо👍")],
  [command(2, "send", "one"), command(1, "sendall", "two"), command(2, "send", "three")],
  [{ kind: "end", at: 7, session: { member: 0, count: 2 }, address: "10.0.0.2" }],
];

/** The state after these batches. */
export function stepAll(state: ChatState, batches: readonly (readonly Entry[])[]): ChatState {
  return batches.flat().reduce((before, entry) => step(before, entry).state, state);
}

/** The size of a file and of its log (bytes). */
export function sizeWithLog(path: string): number {
  return Deno.statSync(path).size + Deno.statSync(`${path}-wal`).size;
}

/** A state as rows of text: equal for equal states. */
export function rows(state: ChatState): string[] {
  return [...snapshotRows(state)];
}

/** The users of a chat, each with the texts in the mailbox. */
export function usersAndMail({ users, mailboxes }: ChatState): string[] {
  return users.byId.values().map(({ name, id }) =>
    [name, ...Array.from(read(mailboxes, id), ({ text }) => text)].join(" ")
  );
}
