/** Every kind of journal, for the tests that all of them must pass. */
import { type Journal, memoryJournal } from "../../lib/journal/journal.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import { openChat } from "../../lib/engine/local_commits.ts";
import { NATS, Nats } from "./nats.ts";
import { type Needs, NET } from "../needs.ts";
import { type Room, TempFile } from "../support.ts";

/** A kind of journal. */
interface Kind {
  readonly needs: Needs;
  /** Does the next server find what this one has stored? */
  readonly outlives: boolean;
  /** Makes a new place for a chat. */
  readonly room: () => Room | Promise<Room>;
}

/** The kinds, by the place where they keep a chat. */
export const KINDS: Readonly<Record<string, Kind>> = {
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
