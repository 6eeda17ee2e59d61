/** The state of a chat as rows of text and back: what a journal stores of it. Pure. */
import { type ChatState, RULES } from "./state.ts";
import * as mailbox from "./mailboxes.ts";
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

/** So many users, or messages, stand in a row at most: a row is made and stored at once. */
const ROW_ITEMS = 500;

type Row =
  | {
    readonly kind: "chat";
    readonly rules: number;
    readonly settings: Settings;
    readonly nextId: number;
  }
  | { readonly kind: "users"; readonly users: readonly (User & Presence)[] }
  /** Only where servers share the chat. */
  | { readonly kind: "members"; readonly members: Members }
  | {
    readonly kind: "sessions";
    readonly sessions: readonly (readonly [SessionId, string | null])[];
  }
  /** More mail of a mailbox; the first row of it opens it. */
  | {
    readonly kind: "mail";
    readonly user: string;
    readonly taken: number;
    readonly mail: readonly (readonly [from: string, text: string])[];
  };

/** The rows of a state, each made when it is asked for. States that act alike have the same rows. */
export function* snapshotRows(state: ChatState): Generator<string> {
  const { rules, settings, users, mailboxes, members } = state;
  const row = (value: Row) => JSON.stringify(value);
  yield row({ kind: "chat", rules, settings, nextId: users.nextId });
  for (const slice of slices(users.byId.values())) {
    yield row({ kind: "users", users: slice.map((user) => stored(users, user)) });
  }
  if (members.next > 1) yield row({ kind: "members", members });
  for (const slice of slices(sessions(users))) {
    const held = slice.map(([session, user]) => [session, user?.name ?? null] as const);
    yield row({ kind: "sessions", sessions: held });
  }
  for (const { name: user, id } of users.byId.values()) {
    const taken = mailbox.taken(mailboxes, id);
    let isOpen = false;
    for (const mail of slices(mailbox.read(mailboxes, id))) {
      yield row({ kind: "mail", user, taken, mail: mail.map(({ from, text }) => [from, text]) });
      isOpen = true;
    }
    if (!isOpen) yield row({ kind: "mail", user, taken, mail: [] });
  }
}

function* slices<Item>(items: Iterable<Item>): Generator<Item[]> {
  let slice: Item[] = [];
  for (const item of items) {
    slice.push(item);
    if (slice.length < ROW_ITEMS) continue;
    yield slice;
    slice = [];
  }
  if (slice.length > 0) yield slice;
}

/** The state that the rows were made of; `undefined` where there are none. */
export function restoreSnapshot(rows: Iterable<string>): ChatState | undefined {
  let rules = RULES;
  let settings: Settings | undefined;
  let users = emptyUsers();
  let mailboxes = mailbox.emptyMailboxes(0);
  let members = NO_MEMBERS;
  let pending: { user: string; taken: number; mail: Mail[] } | undefined;
  const open = () => {
    if (pending === undefined) return;
    const { id } = users.byName.get(pending.user)!;
    mailboxes = mailbox.restoreMailbox(mailboxes, id, pending.mail, pending.taken);
    pending = undefined;
  };
  for (const text of rows) {
    const row: Row = JSON.parse(text);
    switch (row.kind) {
      case "chat":
        rules = row.rules;
        settings = row.settings;
        users = { ...users, nextId: row.nextId };
        mailboxes = mailbox.emptyMailboxes(settings.mailboxMessagesMax);
        break;
      case "users":
        users = row.users.reduce(restored, users);
        break;
      case "members":
        members = row.members;
        break;
      case "sessions":
        users = row.sessions.reduce(resumed, users);
        break;
      case "mail":
        if (pending?.user !== row.user) open();
        pending ??= { user: row.user, taken: row.taken, mail: [] };
        for (const [from, text] of row.mail) pending.mail.push({ from, text });
        break;
    }
  }
  open();
  return settings && { rules, settings, users, mailboxes, members };
}

/** A user as a row holds it; the fields always in this order, as rows are compared as texts. */
function stored(users: Users, { name, id, address }: User): User & Presence {
  const { session, freeSince } = users.presence.get(id)!;
  return { name, id, address, session, freeSince };
}

function restored(users: Users, { name, id, address, session, freeSince }: User & Presence): Users {
  return restoreUser(users, { name, id, address }, { session, freeSince });
}

function resumed(users: Users, [session, name]: readonly [SessionId, string | null]): Users {
  return restoreSession(users, session, name === null ? null : users.byName.get(name)!);
}
