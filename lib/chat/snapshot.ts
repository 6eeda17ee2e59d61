/** The state of a chat as rows of text, and back. */
import type { ChatState } from "./state.ts";
import { shareNetwork } from "../protocol/ip.ts";
import type { Message } from "./broadcast_log.ts";
import * as boxes from "./mailboxes.ts";
import { mailboxLimits } from "./settings.ts";
import type { Source } from "./shares.ts";
import {
  addUser,
  emptyUsers,
  type Presence,
  type SessionId,
  sessions,
  setSession,
} from "./users.ts";

/** The most users, sessions, messages or ranges of broadcasts in a row. Each row is made and stored in one go. */
const ROW_ITEMS_MAX = 500;

/** The chat without its users and their mail. */
type Frame = Omit<ChatState, "users" | "mailboxes">;

/** A message; its network is named by the place in the list of all networks with users or mail. */
type MessageItem = readonly [network: number, from: string, text: string];

/** A user. `taken` messages were ever taken out of the mailbox. */
interface UserItem extends Presence {
  readonly name: string;
  readonly id: number;
  readonly address: string;
  readonly taken: number;
}

/**
 * Users are named by their ids in the rows of sessions and mail. The positions of broadcasts are
 * counted from the first one that waits.
 */
type Row =
  | Frame & {
    readonly kind: "chat";
    readonly nextId: number;
    /** The position behind the last broadcast. */
    readonly broadcastsEnd: number;
  }
  | { readonly kind: "networks"; readonly networks: readonly string[] }
  | { readonly kind: "users"; readonly users: readonly UserItem[] }
  | {
    readonly kind: "sessions";
    readonly sessions: readonly (readonly [SessionId, user: number | null])[];
  }
  /** The broadcasts that wait. */
  | {
    readonly kind: "broadcasts";
    readonly broadcasts: readonly (readonly [position: number, ...MessageItem])[];
  }
  /**
   * Mail of one mailbox, oldest first: direct messages, and ranges of broadcasts. A long mailbox has
   * several rows, an empty one has none.
   */
  | {
    readonly kind: "mail";
    readonly user: number;
    readonly mail: readonly (MessageItem | readonly [start: number, end: number])[];
  };

/**
 * The rows of a state, made one by one. States that behave alike have the same rows, so the order of
 * all fields is fixed.
 */
export function* snapshotRows(state: ChatState): Generator<string> {
  const { rules, settings, users, mailboxes, members } = state;
  const row = (value: Row) => JSON.stringify(value);
  const broadcasts = [...boxes.waitingBroadcasts(mailboxes)];
  const [firstPosition] = broadcasts[0] ?? [mailboxes.broadcasts.end];
  const broadcastsEnd = mailboxes.broadcasts.end - firstPosition;
  yield row({ kind: "chat", rules, settings, members, nextId: users.nextId, broadcastsEnd });
  const places = new Map<Source, number>();
  for (const slice of slices(boxes.sources(mailboxes))) {
    for (const source of slice) places.set(source, places.size);
    yield row({ kind: "networks", networks: slice.map(({ network }) => network) });
  }
  const describe = ({ source, from, text }: Message): MessageItem => [
    places.get(source)!,
    from,
    text,
  ];
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
  for (const slice of slices(broadcasts)) {
    const described = slice.map(([position, message]) =>
      [position - firstPosition, ...describe(message)] as const
    );
    yield row({ kind: "broadcasts", broadcasts: described });
  }
  for (const { id: user } of users.byId.values()) {
    for (const slice of slices(boxes.readPieces(mailboxes, user))) {
      const mail = slice.map((piece) =>
        "end" in piece
          ? [piece.start - firstPosition, piece.end - firstPosition] as const
          : describe(piece)
      );
      yield row({ kind: "mail", user, mail });
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
  let mailboxes = boxes.emptyMailboxes({ messages: 0, broadcasts: 0 });
  const sources: Source[] = [];
  const messageOf = ([network, from, text]: MessageItem): Message => {
    return { from, text, source: sources[network]! };
  };
  for (const text of rows) {
    const row: Row = JSON.parse(text);
    switch (row.kind) {
      case "chat":
        frame = { rules: row.rules, settings: row.settings, members: row.members };
        users = { ...users, nextId: row.nextId };
        mailboxes = boxes.emptyMailboxes(mailboxLimits(row.settings), row.broadcastsEnd);
        break;
      case "networks":
        for (const network of row.networks) {
          const added = boxes.withSource(mailboxes, network);
          mailboxes = added.mailboxes;
          sources.push(added.source);
        }
        break;
      case "users":
        for (const { name, id, address, session, freeSince, taken } of row.users) {
          const added = boxes.withSource(mailboxes, shareNetwork(address));
          const { source } = added;
          users = addUser(users, { name, id, address, source }, { session, freeSince });
          mailboxes = boxes.openMailbox(added.mailboxes, id, source, taken);
        }
        break;
      case "sessions":
        for (const [session, user] of row.sessions) {
          users = setSession(users, session, user === null ? null : users.byId.get(user)!);
        }
        break;
      case "broadcasts":
        for (const [position, ...item] of row.broadcasts) {
          mailboxes = boxes.restoreBroadcast(mailboxes, position, messageOf(item));
        }
        break;
      case "mail":
        for (const item of row.mail) {
          mailboxes = item.length === 3
            ? boxes.deliver(mailboxes, row.user, messageOf(item))
            : boxes.restoreRange(mailboxes, row.user, { start: item[0], end: item[1] });
        }
        break;
    }
  }
  return frame && { ...frame, users, mailboxes };
}
