import { assert, assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { splitFrames } from "../../lib/protocol/frame.ts";
import { IntMap } from "../../lib/chat/persistent.ts";
import type { Reply, WaitingMail } from "../../lib/protocol/reply.ts";
import { encodeReply } from "../../lib/protocol/reply_encoder.ts";
import { packReplies, type PartFrames } from "../../lib/protocol/reply_packer.ts";
import { wholeBelow, withSeed } from "../random.ts";

const SCRATCH_BYTES = 500;
const SCRATCH = new Uint8Array(SCRATCH_BYTES);
/** A part of a list has at most this many users. */
const PART_USERS_MAX = 32;
const LETTERS = ["a", "\0", "Б", "€", "👍", "\ud83d", "\udc4d", "aБ👍"];

function randomText(random: () => number): string {
  const letter = LETTERS[wholeBelow(random, LETTERS.length)]!;
  // A few are longer than a piece.
  return letter.repeat(wholeBelow(random, random() < 0.1 ? SCRATCH_BYTES : 30));
}

function randomMail(random: () => number): Reply {
  const count = wholeBelow(random, random() < 0.2 ? 60 : 4);
  const mail = Array.from({ length: count }, (): WaitingMail => {
    const source = { network: "10.0.0.1" };
    return { from: randomText(random), text: randomText(random), source };
  });
  return { code: "mail", mail: () => mail, count, shown: { user: "Bob", id: 1, through: count } };
}

function randomReply(random: () => number): Reply {
  const names = Array.from({ length: wholeBelow(random, 40) }, () => randomText(random));
  const users = names.reduce((map, name, id) => map.set(id, { name }), IntMap.empty<Named>());
  const text = randomText(random);
  const replies: Reply[] = [
    { code: "sent" },
    { code: "welcome", user: randomText(random) },
    { code: "help", text: () => text },
    { code: "users", users },
    randomMail(random),
  ];
  return replies[wholeBelow(random, replies.length)]!;
}

interface Named {
  readonly name: string;
}

describe("packReplies()", () => {
  it("gives the same bytes as encodeReply(), in pieces that fit into the scratch memory or are one part", () => {
    const partFrames: PartFrames = new WeakMap();
    withSeed((random) => {
      for (let round = 0; round < 1_000; round++) {
        const replies = Array.from({ length: wholeBelow(random, 20) }, () => randomReply(random));
        const pieces: Uint8Array[] = [];
        for (const piece of packReplies(replies, SCRATCH, partFrames)) {
          pieces.push(piece.slice());
        }
        assertEquals(concat(pieces), concat(replies.map(encodeReply)));
        for (const piece of pieces) {
          const { frames } = splitFrames(new Uint8Array(0), piece, piece.length);
          const isPart = frames.length <= PART_USERS_MAX;
          assert(piece.length <= SCRATCH_BYTES || isPart, `${piece.length} bytes`);
        }
      }
    });
  });

  it("reads the name of a user once for all lists that share its part", () => {
    let reads = 0;
    const named = (name: string) => ({
      get name() {
        reads++;
        return name;
      },
    });
    const partFrames: PartFrames = new WeakMap();
    const bytesOf = (users: IntMap<Named>) => {
      const pieces: Uint8Array[] = [];
      for (const piece of packReplies([{ code: "users", users }], SCRATCH, partFrames)) {
        pieces.push(piece.slice());
      }
      return concat(pieces);
    };
    let users = IntMap.empty<Named>();
    for (let id = 0; id < 10_000; id++) users = users.set(id, named(`u${id}`));
    const whole = bytesOf(users);
    assertEquals(whole, encodeReply({ code: "users", users }));
    reads = 0;
    assertEquals(bytesOf(users), whole);
    assertEquals(reads, 0);
    const others = users.set(5_000, undefined).set(10_000, named("new"));
    const bytes = bytesOf(others);
    // Two parts have changed.
    assert(reads <= 4 * PART_USERS_MAX, `${reads} names were read`);
    assertEquals(bytes, encodeReply({ code: "users", users: others }));
  });
});
