/**
 * The part of a request that one batch of a shared journal may hold. The entries of such a batch are
 * sent before it is stepped, so none may depend on a reply in the same batch.
 */
import { isBlocked, isWhole, type Item, type Request } from "./batch.ts";
import { applyCommand } from "./commands.ts";
import type { Entry } from "./entry.ts";
import { type ChatState, isLongUnseen } from "./state.ts";
import type { SessionId } from "./users.ts";
import type { CommandName } from "../protocol/command.ts";

/** The commands that may change the state. */
const CHANGING: ReadonlySet<CommandName> = new Set<CommandName>(
  ["register", "send", "sendall", "receive", "logout"],
);

export interface Plan {
  /** The first items of the request: those that the batch may hold. */
  readonly items: readonly Item[];
  /** The entries of these items. Without any the items only read, and nothing has to be sent. */
  readonly entries: readonly Entry[];
  /** The next item has to wait for this session. */
  readonly blockedBy?: SessionId | undefined;
}

export function mayChange(item: Item): boolean {
  return item.kind === "command" && CHANGING.has(item.command.name);
}

/**
 * Plans a batch at a time (ms since 1970) on the state of now. `isKnown` says whether entries of the
 * session were sent before: only then its end is an entry.
 */
export function plan(
  state: ChatState,
  { session, parked, items }: Request,
  at: number,
  isKnown: boolean,
): Plan {
  const { actor } = session;
  const entries: Entry[] = [];
  let { shown } = session;
  let count = 0;
  // The reply to a parked `wait` may show mail, and the first item takes that.
  for (const item of parked === undefined ? items : []) {
    if (item.kind === "command") {
      const { blockedBy } = applyCommand(state, actor, at, item.command);
      // It waits before it is sent. Items before it may change that.
      if (isBlocked(session, blockedBy)) {
        return { items: items.slice(0, count), entries, blockedBy };
      }
    }
    if (isWhole(item) && shown !== undefined) {
      entries.push({ kind: "take", actor, shown });
      shown = undefined;
    }
    if (item.kind === "command" && mayChange(item)) {
      entries.push({ kind: "command", at, actor, command: item.command });
    }
    if (item.kind === "end") {
      const { session, address } = actor;
      const isEntry = isKnown || entries.length > 0 || isLongUnseen(state, address, at);
      if (isEntry) entries.push({ kind: "end", at, session, address });
    }
    count++;
    if (isDecisive(item, state.settings.strict)) break;
  }
  return { items: items.slice(0, count), entries };
}

/** Does the reply to this item decide what the next one does, or whether there is a next one? */
function isDecisive(item: Item, strict: boolean): boolean {
  return isWhole(item) && strict || item.kind === "command" && item.command.name === "wait";
}
