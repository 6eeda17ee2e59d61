/** The state of a chat as rows of text, and back. */
import type { ChatState } from "./state.ts";
import * as boxes from "./mailboxes.ts";
import {
  addUser,
  emptyUsers,
  type Presence,
  type SessionId,
  sessions,
  setSession,
  type User,
} from "./users.ts";

/** The most users, sessions or messages in a row. Each row is made and stored in one go. */
const ROW_ITEMS_MAX = 500;

/** The chat without its users and their mail. */
type Frame = Omit<ChatState, "users" | "mailboxes">;

/** Users are named by their ids in the rows of sessions and mail. */
type Row =
  | Frame & { readonly kind: "chat"; readonly nextId: number }
  /** With the number of messages that were ever taken out of each mailbox. */
  | { readonly kind: "users"; readonly users: readonly (User & Presence & { taken: number })[] }
  | {
    readonly kind: "sessions";
    readonly sessions: readonly (readonly [SessionId, user: number | null])[];
  }
  /** Mail of one mailbox, oldest first. A long mailbox has several rows, an empty one has none. */
  | {
    readonly kind: "mail";
    readonly user: number;
    readonly mail: readonly (readonly [from: string, text: string])[];
  };

/**
 * The rows of a state, made one by one. States that behave alike have the same rows, so the order of
 * all fields is fixed.
 */
export function* snapshotRows(state: ChatState): Generator<string> {
  const { rules, settings, users, mailboxes, members } = state;
  const row = (value: Row) => JSON.stringify(value);
  yield row({ kind: "chat", rules, settings, members, nextId: users.nextId });
  for (const slice of slices(users.byId.values())) {
    const described = slice.map(({ name, id, address }) => {
      const { session, freeSince } = users.presence.get(id)!;
      return { name, id, address, session, freeSince, taken: boxes.taken(mailboxes, id) };
    });
    yield row({ kind: "users", users: described });
  }
  for (const slice of slices([...sessions(users)])) {
    const held = slice.map(([session, user]) => [session, user?.id ?? null] as const);
    yield row({ kind: "sessions", sessions: held });
  }
  for (const { id: user } of users.byId.values()) {
    for (const slice of slices(boxes.read(mailboxes, user))) {
      yield row({ kind: "mail", user, mail: slice.map(({ from, text }) => [from, text]) });
    }
  }
}

function* slices<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let at = 0; at < items.length; at += ROW_ITEMS_MAX) {
    yield items.slice(at, at + ROW_ITEMS_MAX);
  }
}

/** The state from which the rows were made; `undefined` if there are none. */
export function restoreSnapshot(rows: Iterable<string>): ChatState | undefined {
  let frame: Frame | undefined;
  let users = emptyUsers();
  let mailboxes = boxes.emptyMailboxes(0);
  for (const text of rows) {
    const row: Row = JSON.parse(text);
    switch (row.kind) {
      case "chat":
        frame = { rules: row.rules, settings: row.settings, members: row.members };
        users = { ...users, nextId: row.nextId };
        mailboxes = boxes.emptyMailboxes(row.settings.mailboxMessagesMax);
        break;
      case "users":
        for (const { name, id, address, session, freeSince, taken } of row.users) {
          users = addUser(users, { name, id, address }, { session, freeSince });
          mailboxes = boxes.openMailbox(mailboxes, id, [], taken);
        }
        break;
      case "sessions":
        for (const [session, user] of row.sessions) {
          users = setSession(users, session, user === null ? null : users.byId.get(user)!);
        }
        break;
      case "mail":
        for (const [from, text] of row.mail) {
          mailboxes = boxes.deliver(mailboxes, row.user, { from, text });
        }
        break;
    }
  }
  return frame && { ...frame, users, mailboxes };
}
