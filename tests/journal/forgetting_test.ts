/** Users whose name no connection has held for a long time. */
import { assert, assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import type { Entry } from "../../lib/chat/entry.ts";
import { memoryJournal } from "../../lib/journal/journal.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveOn, until } from "../support.ts";

describe("a user without a connection", () => {
  itNeeds(
    NET,
    "is away since the latest time that was stored, even if the clock is behind it",
    async () => {
      const stored: Entry[] = [];
      const later = Date.now() + 1e11;
      await using server = serveOn({
        ...memoryJournal,
        read: () => ({ rows: [], batches: [], at: later }),
        commit: (entries) => void stored.push(...entries),
      });
      using al = await Peer.connect(server.port);
      await al.ask("register", "Al");
      al.close();
      await until(() => stored.some(({ kind }) => kind === "end"), "Al has left");
      for (const entry of stored) {
        assert(
          "at" in entry && entry.at === later,
          JSON.stringify(entry),
        );
      }
    },
  );

  itNeeds(
    NET,
    "is forgotten after the time that a flag says",
    async () => {
      await using server = serveOn(memoryJournal, "--users-expire-h", "1");
      const old = await Peer.connect(server.port);
      await old.ask("register", "Old");
      old.close();
      using held = await Peer.connect(server.port);
      await held.ask("register", "Held");
      await until(() => server.lines.some((line) => line.includes("disconnected")), "Old is free");
      server.server.forgetAbsent(Date.now() + 3_599_000);
      assertEquals(await held.ask("users"), "2");
      assertEquals([await held.frame(), await held.frame()], ["Old", "Held"]);
      server.server.forgetAbsent(Date.now() + 3_601_000);
      assertEquals(await held.ask("users"), "1");
      assertEquals(await held.frame(), "Held");
    },
  );

  itNeeds(NET, "is kept for ever if the flag says 0", async () => {
    await using server = serveOn(memoryJournal, "--users-expire-h", "0");
    const old = await Peer.connect(server.port);
    await old.ask("register", "Old");
    old.close();
    await until(() => server.lines.some((line) => line.includes("disconnected")), "Old is free");
    server.server.forgetAbsent(Date.now() + 1e12);
    using peer = await Peer.connect(server.port);
    assertEquals(await peer.ask("users"), "1");
  });

  itNeeds(
    NET,
    "is not forgotten in strict mode while a connection from the address is open",
    async () => {
      await using server = serveOn(memoryJournal, "--strict");
      using peer = await Peer.connect(server.port);
      await peer.ask("register", "Al");
      server.server.forgetAbsent(Date.now() + 1e12);
      assertEquals(await peer.ask("users"), "1");
      assertEquals(await peer.frame(), "Al");
      peer.close();
      await until(() => server.lines.some((line) => line.includes("disconnected")), "it ends");
      server.server.forgetAbsent(Date.now() + 1e12);
      using other = await Peer.connect(server.port);
      assertEquals(await other.ask("users"), "0");
    },
  );
});
