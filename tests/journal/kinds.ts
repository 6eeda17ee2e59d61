/** Every engine of the journal, for the tests that all of them must pass. */
import { type Journal, memoryJournal } from "../../lib/journal/journal.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import { openChat } from "../../lib/engine/group_commit.ts";
import { NATS, Nats } from "./nats.ts";
import { type Needs, NET } from "../needs.ts";
import { type Room, TempFile } from "../support.ts";

/** One engine. */
interface Engine {
  readonly needs: Needs;
  /** Is what is stored there for the next run? */
  readonly outlives: boolean;
  /** A new place for a chat. */
  readonly room: () => Room | Promise<Room>;
}

/** By where they keep a chat. */
export const ENGINES: Readonly<Record<string, Engine>> = {
  "in memory": {
    needs: NET,
    outlives: false,
    room: () => roomOf(() => memoryJournal, () => {}),
  },
  "in a file": {
    needs: { permissions: ["net", "read", "write"] },
    outlives: true,
    room: () => {
      const file = new TempFile();
      return roomOf(() => file.open(), () => file[Symbol.dispose]());
    },
  },
  "in NATS": { needs: NATS, outlives: true, room: () => Nats.start() },
};

function roomOf(journal: () => Journal, leave: () => void): Room {
  return {
    open: (options, log) => Promise.resolve(openChat(settingsOf(options), journal(), log)),
    [Symbol.asyncDispose]: () => Promise.resolve(leave()),
  };
}
