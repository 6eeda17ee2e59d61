/** What every kind of journal does. */
import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { describe } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { KINDS } from "./kinds.ts";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { type Room, serveIn, SILENT_LOG } from "../support.ts";
import { BATCHES, usersAndMail } from "./entries.ts";

for (const [where, { needs, room, outlives }] of Object.entries(KINDS)) {
  describe(`every journal, such as one ${where}`, () => {
    const open = (chat: Room) => chat.open(parseServerOptions([]), SILENT_LOG);

    itNeeds(
      needs,
      "holds nothing at first, and keeps what is stored if it outlives a server",
      async () => {
        await using chat = await room();
        const commits = await open(chat);
        assertEquals(usersAndMail(commits.published), []);
        for (const entries of BATCHES) {
          await commits.store(...entries);
        }
        const stored = ["Al one three", "Бо👍 two"];
        assertEquals(usersAndMail(commits.published), stored);
        await commits.close();
        const next = await open(chat);
        assertEquals(usersAndMail(next.published), outlives ? stored : []);
        await next.close();
      },
    );

    itNeeds(needs, "says once that a batch is over, and only when it is stored", async () => {
      await using chat = await room();
      const commits = await open(chat);
      const said: string[][] = [];
      const over = commits.store(...BATCHES[0]!);
      over.then(() => said.push(usersAndMail(commits.published)));
      assertEquals([said, usersAndMail(commits.published)], [[], []]);
      await over;
      await sleep(20);
      assertEquals(said, [["Al", "Бо👍"]]);
      await commits.close();
    });

    itNeeds(needs, "answers a pipeline in its order", async () => {
      await using chat = await room();
      await using server = await serveIn(chat);
      using al = await Peer.connect(server.port);
      await al.write(concat([
        encodeFrames(["register", "Al"]),
        encodeFrames(["send", "Al", "1"]),
        encodeFrames(["sendall", "nobody else is here"]),
        encodeFrames(["send", "Nobody", "2"]),
        encodeFrames(["ping"]),
        encodeFrames(["receive"]),
        encodeFrames(["logout"]),
      ]));
      const replies: unknown[] = [];
      while (replies.length < 9) replies.push(await al.frame());
      assertEquals(replies, [
        "Hello, Al",
        "Message added to storage!",
        "Message added to storage!",
        "User 'Nobody' doesn't exist!",
        "pong",
        ...["1", "Al", "1"],
        "U've been successfully logouted",
      ]);
    });
  });
}
