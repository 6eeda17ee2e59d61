/**
 * The state of a chat as rows of text, and back. A journal decides when it stores them:
 * `entriesPerSnapshot` in `journal/journal`.
 */
import { type ChatState, RULES } from "./state.ts";
import * as boxes from "./mailboxes.ts";
import type { Mail } from "../protocol/reply.ts";
import { type Members, NO_MEMBERS } from "./members.ts";
import type { Settings } from "./settings.ts";
import {
  emptyUsers,
  type Presence,
  restoreSession,
  restoreUser,
  type SessionId,
  sessions,
  type User,
  type Users,
} from "./users.ts";

/** The most users, sessions or messages in a row. Each row is made and stored in one go. */
const ROW_ITEMS_MAX = 500;

type Row =
  | {
    readonly kind: "chat";
    readonly rules: number;
    readonly settings: Settings;
    readonly nextId: number;
  }
  | { readonly kind: "users"; readonly users: readonly (User & Presence)[] }
  /** Only if the chat was ever shared. */
  | { readonly kind: "members"; readonly members: Members }
  | {
    readonly kind: "sessions";
    readonly sessions: readonly (readonly [SessionId, string | null])[];
  }
  /** Mail of one mailbox, oldest first. A long mailbox has several rows, an empty one has one. */
  | {
    readonly kind: "mail";
    readonly user: string;
    readonly taken: number;
    readonly mail: readonly (readonly [from: string, text: string])[];
  };

/** The rows of a state, made one by one. States that behave alike have the same rows. */
export function* snapshotRows(state: ChatState): Generator<string> {
  const { rules, settings, users, mailboxes, members } = state;
  const row = (value: Row) => JSON.stringify(value);
  yield row({ kind: "chat", rules, settings, nextId: users.nextId });
  for (const slice of slices(users.byId.values())) {
    yield row({ kind: "users", users: slice.map((user) => rowOf(users, user)) });
  }
  if (members.next > 1) yield row({ kind: "members", members });
  for (const slice of slices(sessions(users))) {
    const held = slice.map(([session, user]) => [session, user?.name ?? null] as const);
    yield row({ kind: "sessions", sessions: held });
  }
  for (const { name: user, id } of users.byId.values()) {
    const taken = boxes.taken(mailboxes, id);
    const all = boxes.read(mailboxes, id);
    if (all.length === 0) yield row({ kind: "mail", user, taken, mail: [] });
    for (const mail of slices(all)) {
      yield row({ kind: "mail", user, taken, mail: mail.map(({ from, text }) => [from, text]) });
    }
  }
}

function* slices<Item>(items: Iterable<Item>): Generator<Item[]> {
  let slice: Item[] = [];
  for (const item of items) {
    slice.push(item);
    if (slice.length < ROW_ITEMS_MAX) continue;
    yield slice;
    slice = [];
  }
  if (slice.length > 0) yield slice;
}

/** The state from which the rows were made; `undefined` if there are none. */
export function restoreSnapshot(rows: Iterable<string>): ChatState | undefined {
  let rules = RULES;
  let settings: Settings | undefined;
  let users = emptyUsers();
  let mailboxes = boxes.emptyMailboxes(0);
  let members = NO_MEMBERS;
  /** A mailbox of which more rows may follow. */
  let box: { user: string; taken: number; mail: Mail[] } | undefined;
  const restoreBox = () => {
    if (box === undefined) return;
    const { id } = users.byName.get(box.user)!;
    mailboxes = boxes.restoreMailbox(mailboxes, id, box.mail, box.taken);
    box = undefined;
  };
  for (const text of rows) {
    const row: Row = JSON.parse(text);
    switch (row.kind) {
      case "chat":
        rules = row.rules;
        settings = row.settings;
        users = { ...users, nextId: row.nextId };
        mailboxes = boxes.emptyMailboxes(settings.mailboxMessagesMax);
        break;
      case "users":
        users = row.users.reduce(withUser, users);
        break;
      case "members":
        members = row.members;
        break;
      case "sessions":
        users = row.sessions.reduce(withSession, users);
        break;
      case "mail":
        if (box?.user !== row.user) restoreBox();
        box ??= { user: row.user, taken: row.taken, mail: [] };
        for (const [from, text] of row.mail) box.mail.push({ from, text });
        break;
    }
  }
  restoreBox();
  return settings && { rules, settings, users, mailboxes, members };
}

/**
 * A user as it stands in a row. The order of the fields is fixed, as rows are compared as texts.
 */
function rowOf(users: Users, { name, id, address }: User): User & Presence {
  const { session, freeSince } = users.presence.get(id)!;
  return { name, id, address, session, freeSince };
}

function withUser(users: Users, { name, id, address, session, freeSince }: User & Presence): Users {
  return restoreUser(users, { name, id, address }, { session, freeSince });
}

function withSession(users: Users, [session, name]: readonly [SessionId, string | null]): Users {
  return restoreSession(users, session, name === null ? null : users.byName.get(name)!);
}
