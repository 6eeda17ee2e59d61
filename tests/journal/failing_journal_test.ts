/** What a server does while its journal can't store. */
import { assert, assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { describe } from "@std/testing/bdd";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { type Journal, memoryJournal } from "../../lib/journal/journal.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveOn, until } from "../support.ts";

/** A journal in memory whose commits fail while `isFailing` is true. */
function failingJournal(): Journal & { isFailing: boolean } {
  return {
    ...memoryJournal,
    isFailing: false,
    commit() {
      if (this.isFailing) throw new Error("disk full");
    },
  };
}

const AWAY = "Storage is not available, try again!";

describe("a server whose journal fails", () => {
  itNeeds(NET, "refuses what must be stored, serves the rest, and recovers", async () => {
    const journal = failingJournal();
    await using server = serveOn(journal);
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await al.ask("send", "Al", "before");
    journal.isFailing = true;
    assertEquals(await al.ask("send", "Al", "lost"), AWAY);
    assertEquals(
      await al.ask("sendall", "nobody else, nothing stored"),
      "Message added to storage!",
    );
    assertEquals(await al.ask("receive"), AWAY);
    assertEquals(await al.ask("logout"), AWAY);
    assertEquals(await al.ask("register", "Bob"), AWAY);
    assertEquals(await al.ask("ping"), "pong");
    assertEquals(await al.ask("users"), "1");
    assertEquals(await al.frame(), "Al");
    assertEquals(await al.mail("wait", "0"), ["Al: before"]);
    journal.isFailing = false;
    assertEquals(await al.ask("send", "Al", "after"), "Message added to storage!");
    assertEquals(await al.mail("receive"), ["Al: after"]);
    const events = server.lines.map((line) => line.split(" ")[1]);
    assertEquals(events.filter((event) => event?.startsWith("journal")), [
      "journal-failed",
      "journal-recovered",
    ]);
  });

  itNeeds(NET, "finds out that it can store again, even if no client sends", async () => {
    const journal = failingJournal();
    await using server = serveOn(journal);
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    journal.isFailing = true;
    assertEquals(await al.ask("send", "Al", "lost"), AWAY);
    assert(server.server.trouble !== undefined);
    journal.isFailing = false;
    await until(() => server.server.trouble === undefined, "it serves");
    assertEquals(await al.mail("receive"), []);
  });

  itNeeds(NET, "drops a whole batch, and its replies say what is true without it", async () => {
    const journal = failingJournal();
    await using server = serveOn(journal);
    using al = await Peer.connect(server.port);
    journal.isFailing = true;
    await al.write(concat([
      encodeFrames(["register", "Al"]),
      encodeFrames(["users"]),
      encodeFrames(["send", "Al", "hi"]),
      encodeFrames(["receive"]),
    ]));
    assertEquals(await al.frame(), AWAY);
    assertEquals(await al.frame(), "0");
    assertEquals(await al.frame(), "U aren't registered!");
    assertEquals(await al.frame(), "U aren't registered!");
  });

  itNeeds(NET, "removes mail that a `wait` has shown when it can store again", async () => {
    const journal = failingJournal();
    await using server = serveOn(journal);
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await al.ask("send", "Al", "1");
    assertEquals(await al.mail("wait", "5"), ["Al: 1"]);
    journal.isFailing = true;
    assertEquals(await al.ask("ping"), "pong");
    journal.isFailing = false;
    assertEquals(await al.ask("ping"), "pong");
    assertEquals(await al.mail("receive"), []);
  });

  itNeeds(
    NET,
    "frees the names of connections that ended meanwhile when it can store again",
    async () => {
      const journal = failingJournal();
      await using server = serveOn(journal);
      const old = await Peer.connect(server.port);
      await old.ask("register", "Al");
      journal.isFailing = true;
      old.close();
      await until(() => server.lines.some((line) => line.includes("disconnected")), "it ends");
      journal.isFailing = false;
      using again = await Peer.connect(server.port);
      assertEquals(await again.ask("register", "Al"), "Nice to see you, Al");
    },
  );

  itNeeds(NET, "does not tell a user who waits of mail that was not stored", async () => {
    const journal = failingJournal();
    await using server = serveOn(journal);
    using al = await Peer.connect(server.port);
    using bob = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await bob.ask("register", "Bob");
    await al.send("wait", "60");
    await until(() => server.lines.length >= 4, "both are there");
    journal.isFailing = true;
    assertEquals(await bob.ask("send", "Al", "lost"), AWAY);
    journal.isFailing = false;
    await bob.ask("send", "Al", "kept");
    assertEquals([await al.frame(), await al.frame(), await al.frame()], ["1", "Bob", "kept"]);
  });
});
