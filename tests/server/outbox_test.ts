import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { IntMap } from "../../lib/chat/persistent.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { Outbox } from "../../lib/server/outbox.ts";

const USERS = 20_000;
/** The frame of the shortest name has this many bytes. */
const FRAME_BYTES_MIN = 9;

/** A list that counts the users of the parts that were asked for. */
class CountedList {
  readonly #users: IntMap<{ name: string }>;
  readonly size: number;
  asked = 0;

  constructor(users: IntMap<{ name: string }>) {
    this.#users = users;
    this.size = users.size;
  }

  *parts() {
    for (const part of this.#users.parts()) {
      this.asked += part.length;
      yield part;
    }
  }
}

describe("an outbox", () => {
  for (const flags of [[], ["--strict"]]) {
    it(`makes of a list of users only the piece that is being written ${flags}`, () => {
      let users = IntMap.empty<{ name: string }>();
      for (let id = 0; id < USERS; id++) users = users.set(id, { name: `user${id}` });
      const list = new CountedList(users);
      const options = parseServerOptions(flags);
      const outbox = new Outbox(options, { answered: () => {} });
      let piece = outbox.first({
        items: [{ kind: "command", command: { name: "users" } }],
        replies: [{ code: "users", users: list }],
        ending: "open",
      });
      let bytes = 0;
      for (; piece !== undefined; piece = outbox.next(piece.length)) {
        assert(piece.length <= 8_192);
        bytes += piece.length;
        // The part behind the piece, of 32 users, may be there.
        assert(list.asked <= bytes / FRAME_BYTES_MIN + 32, `${list.asked} users, ${bytes} bytes`);
      }
      assertEquals(list.asked, USERS);
      const names = Array.from({ length: USERS }, (_, id) => 4 + `user${id}`.length);
      assertEquals(bytes, names.reduce((sum, length) => sum + length, 4 + `${USERS}`.length));
    });
  }
});
