/**
 * Makes the journals of this release, to be kept for good: `deno run -A tests/journals/make.ts`.
 */
import { createHash } from "node:crypto";
import { type Journal, replay } from "../../lib/journal/journal.ts";
import type { SqliteJournal } from "../../lib/journal/sqlite/sqlite_journal.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import { snapshotRows } from "../../lib/chat/snapshot.ts";
import { serveOn, TempFile } from "../support.ts";
import { parseTranscript, runTranscript } from "../transcripts/transcript.ts";
import config from "../../deno.json" with { type: "json" };

/** How a journal comes to be, and what whoever comes later must find in it. */
interface History {
  /** A server that stops, so this ends as a snapshot. */
  readonly first: string;
  /** The next one, with other limits, is killed: this stays as turns behind the snapshot. */
  readonly second: string;
  /** What a server of any later release answers. */
  readonly later: string;
}

type Mode = "default" | "strict";
export const MODES: readonly Mode[] = ["default", "strict"];

const HISTORIES: Record<Mode, History> = {
  default: {
    first: `
flags: --mailbox-messages-max 3
al: register Al
  Hello, Al
bob: register Bob
  Hello, Bob
cy@127.0.0.2: register Сай👍
  Hello, Сай👍
al: send Bob "Bob's first"
  Message added to storage!
al: sendall "to all from Al"
  Message added to storage!
bob: sendall "to all from Bob"
  Message added to storage!
al: send Bob "Bob's last"
  Message added to storage!
al: send Bob "one too many"
  Mailbox of 'Bob' is full!
cy@127.0.0.2: sendall "to all but Bob"
  Message added to storage! Full mailboxes: 1
cy@127.0.0.2: wait 0
  2
  Al
  to all from Al
  Bob
  to all from Bob
cy@127.0.0.2: ping
  pong
dan@127.0.0.3: register Dan
  Hello, Dan
dan@127.0.0.3: send Сай👍 "from Dan, who leaves"
  Message added to storage!
dan@127.0.0.3: logout
  U've been successfully logouted
dan@127.0.0.3: closes
cy@127.0.0.2: closes
bob: closes
al: closes
`,
    second: `
flags: --mailbox-messages-max 4 --text-symbols-max 20 --messages-max 12 --users-max 4
bob: register Bob
  Nice to see you, Bob
al: register Al
  Nice to see you, Al
al: send Bob "Bob's fourth"
  Message added to storage!
al: sendall "not for Bob"
  Message added to storage! Full mailboxes: 1
al: sendall "longer than 20 symbols"
  Massage is too long! Max length = 20!
bob: wait 0
  4
  Al
  Bob's first
  Al
  to all from Al
  Al
  Bob's last
  Al
  Bob's fourth
bob: sendall "Bob's mailbox is empty"
  Massage is too long! Max length = 20!
bob: sendall "now it is empty"
  Message added to storage!
eve@127.0.0.4: register Eve
  Hello, Eve
eve@127.0.0.4: sendall "Eve's first"
  Message added to storage!
al: sendall 1
  Message added to storage! Full mailboxes: 1
al: sendall 2
  Server is full!
al: receive
  4
  Bob
  to all from Bob
  Сай👍
  to all but Bob
  Bob
  now it is empty
  Eve
  Eve's first
al: sendall 3
  Message added to storage! Full mailboxes: 1
al: sendall 4
  Message added to storage! Full mailboxes: 1
bob: send Al "Al's first"
  Message added to storage!
eve@127.0.0.4: wait 0
  3
  Al
  1
  Al
  3
  Al
  4
eve@127.0.0.4: closes
cy@127.0.0.2: logout
  U've been successfully logouted
cy@127.0.0.2: register Сай
  Hello, Сай
al: sendall 5
  Message added to storage! Full mailboxes: 1
al: sendall 6
  Message added to storage! Full mailboxes: 2
cy@127.0.0.2: closes
bob: closes
al: closes
`,
    later: `
flags: --users-expire-h 0
al: users
  4
  Al
  Bob
  Eve
  Сай
al: register Al
  Nice to see you, Al
al: receive
  1
  Bob
  Al's first
bob: register Bob
  Nice to see you, Bob
bob: receive
  4
  Eve
  Eve's first
  Al
  1
  Al
  3
  Al
  4
eve@127.0.0.4: receive
  4
  Al
  1
  Al
  3
  Al
  4
  Al
  5
cy@127.0.0.2: receive
  2
  Al
  5
  Al
  6
`,
  },
  strict: {
    first: `
flags: --strict --mailbox-messages-max 2
al: register Al
  Hello, Al
bob@127.0.0.2: register Bob
  Hello, Bob
al: sendall "to Bob"
  Message added to storage!
bob@127.0.0.2: send Al "to Al"
  Message added to storage!
al: closes
bob@127.0.0.2: closes
`,
    second: `
flags: --strict --mailbox-messages-max 3 --name-symbols-max 3
again: register Al
  Nice to see you, Al
again: sendall "to Bob again"
  Message added to storage!
cy@127.0.0.3: register Cy
  Hello, Cy
cy@127.0.0.3: sendall "to both"
  Message added to storage!
again: sendall "Bob is full"
  Message added to storage! Full mailboxes: 1
cy@127.0.0.3: receive
  1
  Al
  Bob is full
again: sendall "to Cy"
  Message added to storage! Full mailboxes: 1
cy@127.0.0.3: logout
  U've been successfully logouted
dan@127.0.0.3: register Dan
  Hello, Dan
again: sendall "to Dan"
  Message added to storage! Full mailboxes: 1
cy@127.0.0.3: closes
dan@127.0.0.3: closes
again: closes
`,
    later: `
flags: --strict --users-expire-h 0
al: users
  3
  Al
  Bob
  Dan
al: receive
  2
  Bob
  to Al
  Cy
  to both
bob@127.0.0.2: receive
  3
  Al
  to Bob
  Al
  to Bob again
  Cy
  to both
dan@127.0.0.3: receive
  1
  Al
  to Dan
`,
  },
};

const SETTINGS = settingsOf(parseServerOptions([]));

/** A hash of all that a state is. */
export function stateHash(journal: SqliteJournal): string {
  const hash = createHash("sha256");
  for (const row of snapshotRows(replay(journal.read(), SETTINGS))) hash.update(`${row}\n`);
  return hash.digest("hex");
}

/** Makes a journal in a folder, and the transcript that tells what it holds. */
export async function make(mode: Mode, folder: URL): Promise<void> {
  using file = new TempFile();
  const { first, second, later } = HISTORIES[mode];
  await runTranscript(
    parseTranscript(first),
    "whole",
    (...flags) => serveOn(file.open(), ...flags),
  );
  const journal = file.open();
  const killed: Journal = {
    read: () => journal.read(),
    endTurn: (commit) => journal.endTurn(commit),
    commit: (entries, stored) => journal.commit(entries, stored),
    published: (state) => journal.published(state),
    close: () => Promise.resolve(journal.abandon()),
  };
  await runTranscript(
    parseTranscript(second),
    "whole",
    (...flags) => serveOn(killed, ...flags),
  );
  const made = file.open();
  const hash = stateHash(made);
  made.abandon();
  const name = `${config.version}-${mode}`;
  const isNew = { createNew: true };
  Deno.writeFileSync(new URL(`${name}.db`, folder), Deno.readFileSync(file.path), isNew);
  Deno.writeTextFileSync(new URL(`${name}.txt`, folder), `# The state: ${hash}${later}`, isNew);
}

if (import.meta.main) {
  for (const mode of MODES) await make(mode, new URL("./", import.meta.url));
}
