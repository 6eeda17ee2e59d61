/** A server on a file, over real connections. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { checksum } from "../../lib/journal/sqlite/checksum.ts";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { type Journal, JournalError } from "../../lib/journal/journal.ts";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveOn, TempFile } from "../support.ts";
import { NET_AND_FILES } from "./entries.ts";

describe("a server on a file", () => {
  itNeeds(
    NET_AND_FILES,
    "finds users and mail again after a restart, and all connections are new",
    async () => {
      using file = new TempFile();
      {
        await using server = serveOn(file.open());
        using al = await Peer.connect(server.port);
        using bob = await Peer.connect(server.port);
        await al.ask("register", "Al");
        await bob.ask("register", "Bob");
        await al.ask("sendall", "to all");
        await al.ask("send", "Bob", "to Bob");
        al.close();
        bob.close();
      }
      await using server = serveOn(file.open());
      using peer = await Peer.connect(server.port);
      assertEquals(await peer.ask("receive"), "U aren't registered!");
      assertEquals(await peer.ask("register", "Bob"), "Nice to see you, Bob");
      assertEquals(await peer.mail("receive"), ["Al: to all", "Al: to Bob"]);
    },
  );

  itNeeds(
    NET_AND_FILES,
    "gives each user its own mail after 2^32 users, batches and snapshots",
    async () => {
      using file = new TempFile();
      {
        await using server = serveOn(file.open());
        using alice = await Peer.connect(server.port);
        using bob = await Peer.connect(server.port);
        await alice.ask("register", "Alice");
        await bob.ask("register", "Bob");
        await bob.ask("send", "Alice", "for Alice alone");
      }
      pretendLongUse(file.path);
      for (const greeting of ["Hello, Eve", "Nice to see you, Eve"]) {
        await using server = serveOn(file.open());
        using eve = await Peer.connect(server.port);
        using alice = await Peer.connect(server.port);
        using bob = await Peer.connect(server.port);
        assertEquals(await eve.ask("register", "Eve"), greeting);
        assertEquals(await eve.mail("receive"), []);
        await bob.ask("register", "Bob");
        await bob.ask("send", "Eve", "for Eve");
        await alice.ask("register", "Alice");
        assertEquals(await alice.mail("wait", "0"), ["Bob: for Alice alone"]);
        assertEquals(await eve.mail("receive"), ["Bob: for Eve"]);
        // The connection ends without a further command, so the mail is not taken.
        alice.close();
      }
    },
  );

  itNeeds(NET_AND_FILES, "commits a pipeline as one batch", async () => {
    using file = new TempFile();
    const journal = file.open();
    let commits = 0;
    const counting: Journal = {
      read: () => journal.read(),
      commit: (entries) => {
        commits++;
        journal.commit(entries);
      },
      published: (state) => journal.published(state),
      close: (state) => journal.close(state),
    };
    await using server = serveOn(counting);
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    commits = 0;
    await al.write(encodeFrames(Array.from({ length: 16 }, () => ["send", "Al", "hi"]).flat()));
    for (let i = 0; i < 16; i++) assertEquals(await al.frame(), "Message added to storage!");
    assertEquals(commits, 1);
  });

  itNeeds(
    NET_AND_FILES,
    "goes on with other limits, and keeps what was decided before",
    async () => {
      using file = new TempFile();
      {
        await using server = serveOn(file.open());
        using al = await Peer.connect(server.port);
        await al.ask("register", "Al");
        for (let i = 0; i < 5; i++) await al.ask("send", "Al", `${i}`);
        al.close();
      }
      await using server = serveOn(
        file.open(),
        "--mailbox-messages-max",
        "2",
        "--name-symbols-max",
        "1",
      );
      using al = await Peer.connect(server.port);
      assertEquals(await al.ask("send", "Al", "5"), "Mailbox of 'Al' is full!");
      assertEquals(await al.mail("receive"), ["Al: 0", "Al: 1", "Al: 2", "Al: 3", "Al: 4"]);
      assertEquals(await al.ask("send", "Al", "6"), "Message added to storage!");
    },
  );

  itNeeds(NET_AND_FILES, "does not start in strict mode if an address has two users", async () => {
    using file = new TempFile();
    {
      await using server = serveOn(file.open());
      for (const name of ["Al", "Bob"]) {
        using peer = await Peer.connect(server.port);
        await peer.ask("register", name);
      }
    }
    const journal = file.open();
    const { message } = assertThrows(() => serveOn(journal, "--strict"), JournalError);
    assertStringIncludes(message, "an address has one user, and 127.0.0.1 has 2: Al, Bob");
    journal.abandon();
    await using server = serveOn(file.open());
    using peer = await Peer.connect(server.port);
    assertEquals(await peer.ask("users"), "2");
  });
});

/** Makes a closed file look as if 2^32 users, batches and snapshots had been in it. */
function pretendLongUse(path: string): void {
  const database = new DatabaseSync(path);
  const { body } = database.prepare("SELECT body FROM snapshot WHERE part = 0").get() as {
    body: string;
  };
  const changed = JSON.stringify({ ...JSON.parse(body), nextId: 2 ** 32 + 1 });
  const high = 2 ** 32 + 1;
  database.prepare("UPDATE snapshot SET body = ? WHERE part = 0").run(changed);
  database.exec(`DELETE FROM batch; UPDATE snapshot SET generation = ${high}`);
  for (const { part, body } of database.prepare("SELECT part, body FROM snapshot").all()) {
    database.prepare("UPDATE snapshot SET crc = ? WHERE part = ?")
      .run(checksum(String(body), Number(part), high), Number(part));
  }
  const { at, parts } = database.prepare("SELECT at, parts FROM current").get()!;
  database.prepare("UPDATE current SET generation = ?, through = ?, crc = ?")
    .run(high, high, checksum("", Number(at), high, high, Number(parts)));
  database.close();
}
