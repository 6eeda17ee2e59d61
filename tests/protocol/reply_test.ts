import { assert, assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { readLength } from "../../lib/protocol/frame.ts";
import { IntMap } from "../../lib/chat/persistent.ts";
import type { Reply, WaitingMail } from "../../lib/protocol/reply.ts";
import { encodeReply } from "../../lib/protocol/reply_encoder.ts";
import { packReplies } from "../../lib/protocol/reply_packer.ts";
import { wholeBelow, withSeed } from "../random.ts";

const SCRATCH_BYTES = 500;
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
  const replies: Reply[] = [
    { code: "sent" },
    { code: "welcome", user: randomText(random) },
    { code: "help", text: randomText(random) },
    { code: "users", users },
    randomMail(random),
  ];
  return replies[wholeBelow(random, replies.length)]!;
}

interface Named {
  readonly name: string;
}

describe("packReplies()", () => {
  it("gives the same bytes as encodeReply(), in pieces that fit into the scratch memory or are one frame", () => {
    withSeed((random) => {
      for (let round = 0; round < 1_000; round++) {
        const replies = Array.from({ length: wholeBelow(random, 20) }, () => randomReply(random));
        const pieces: Uint8Array[] = [];
        for (const piece of packReplies(replies, new Uint8Array(SCRATCH_BYTES))) {
          pieces.push(piece.slice());
        }
        assertEquals(concat(pieces), concat(replies.map(encodeReply)));
        for (const piece of pieces) {
          const isFrame = piece.length === 4 + readLength(piece);
          assert(piece.length <= SCRATCH_BYTES || isFrame, `${piece.length} bytes`);
        }
      }
    });
  });
});
