/** What every engine of the journal must do, and what the server does with one that fails. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { step } from "../../lib/chat/step.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import { type ChatState, emptyChat, RULES } from "../../lib/chat/state.ts";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import {
  commitAndWait,
  type Journal,
  JournalError,
  memoryJournal,
  replay,
} from "../../lib/journal/journal.ts";
import { openFileToRead } from "../../lib/journal/sqlite/file.ts";
import { SqliteReader } from "../../lib/journal/sqlite/reader.ts";
import { SCHEDULE, SqliteJournal } from "../../lib/journal/sqlite/sqlite_journal.ts";
import { read } from "../../lib/chat/mailboxes.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import { restoreSnapshot, snapshotRows } from "../../lib/chat/snapshot.ts";
import { ENGINES } from "./kinds.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { type Room, serveIn, serveOn, SILENT, SILENT_LOG, TempFile, until } from "../support.ts";

const FILES = { permissions: ["read", "write"] } as const;
const NET_AND_FILES = { permissions: ["net", "read", "write"] } as const;
const SETTINGS = settingsOf(parseServerOptions([]));

function command(session: number, name: "register" | "send" | "sendall", text: string): Entry {
  const actor = { session, address: `10.0.0.${session}`, peer: `10.0.0.${session}:1` };
  const words = {
    register: { name, user: text },
    send: { name, to: "Al", text },
    sendall: { name, text },
  };
  return { kind: "command", at: session, actor, command: words[name] as Entry & never };
}

const BATCHES: readonly (readonly Entry[])[] = [
  [command(1, "register", "Al"), command(2, "register", "Бо👍")],
  [command(2, "send", "one"), command(1, "sendall", "two"), command(2, "send", "three")],
  [{ kind: "end", at: 7, session: 2 }],
];

function stepAll(state: ChatState, batches: readonly (readonly Entry[])[]): ChatState {
  return batches.flat().reduce((before, entry) => step(before, entry).state, state);
}

/** A file and SQLite's log of it, in bytes. */
function sizeWithLog(path: string): number {
  return Deno.statSync(path).size + Deno.statSync(`${path}-wal`).size;
}

function rows(state: ChatState): string[] {
  return [...snapshotRows(state)];
}

/** The users of a chat, each with the mail that waits. */
function usersAndMail({ users, mailboxes }: ChatState): string[] {
  return users.byId.values().map(({ name, id }) =>
    [name, ...Array.from(read(mailboxes, id), ({ text }) => text)].join(" ")
  );
}

for (const [where, { needs, room, outlives }] of Object.entries(ENGINES)) {
  describe(`every journal, such as one ${where}`, () => {
    const open = (chat: Room) => chat.open(parseServerOptions([]), SILENT_LOG);

    itNeeds(needs, "holds nothing at first, and then what outlives a run", async () => {
      await using chat = await room();
      const commits = await open(chat);
      assertEquals(usersAndMail(commits.published), []);
      for (const entries of BATCHES) {
        for (const entry of entries) commits.apply(entry);
        commits.add({});
        await commits.settled();
      }
      const stored = ["Al one three", "Бо👍 two"];
      assertEquals(usersAndMail(commits.published), stored);
      await commits.close();
      const next = await open(chat);
      assertEquals(usersAndMail(next.published), outlives ? stored : []);
      await next.close();
    });

    itNeeds(needs, "says once that a batch is over, and then it is stored", async () => {
      await using chat = await room();
      const commits = await open(chat);
      const said: string[][] = [];
      for (const entry of BATCHES[0]!) commits.apply(entry);
      commits.add({ done: () => said.push(usersAndMail(commits.published)) });
      assertEquals(said, []);
      await commits.settled();
      await new Promise((resolve) => setTimeout(resolve, 20));
      assertEquals(said, [["Al", "Бо👍"]]);
      await commits.close();
    });

    itNeeds(needs, "answers a pipeline in its order, as if there were no journal", async () => {
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

describe("a journal in a file", () => {
  itNeeds(FILES, "gives back what was commitAndWait, in order", async () => {
    using file = new TempFile();
    const journal = file.open();
    for (const entries of BATCHES) await commitAndWait(journal, entries);
    journal.abandon();
    const again = file.open();
    assertEquals([...again.read().batches], BATCHES);
    assertEquals(rows(replay(again.read(), SETTINGS)), rows(stepAll(emptyChat(SETTINGS), BATCHES)));
    again.abandon();
  });

  itNeeds(
    FILES,
    "gives back the state that it was closed with, and what came behind it",
    async () => {
      using file = new TempFile();
      const journal = file.open();
      const state = stepAll(emptyChat(SETTINGS), BATCHES);
      for (const entries of BATCHES) await commitAndWait(journal, entries);
      await journal.close(state);
      const again = file.open();
      assertEquals([...again.read().batches], []);
      const more = [command(1, "sendall", "later")];
      await commitAndWait(again, more);
      again.abandon();
      const third = file.open();
      assertEquals(rows(replay(third.read(), SETTINGS)), rows(stepAll(state, [more])));
      third.abandon();
    },
  );

  it("takes a snapshot the sooner the less is alive, and none that costs more", () => {
    const { snapshotEntries } = SCHEDULE;
    assert(snapshotEntries(100) < snapshotEntries(10_000));
    for (const alive of [0, 100, 10_000, 1_000_000]) assert(snapshotEntries(alive) >= alive);
  });

  itNeeds(
    FILES,
    "writes snapshots in the background, and is at rest as small as what is alive",
    async () => {
      using file = new TempFile();
      const journal = file.open(SILENT, { ...SCHEDULE, restMs: 0 });
      let state = stepAll(emptyChat(SETTINGS), BATCHES.slice(0, 1));
      await commitAndWait(journal, BATCHES[0]!);
      for (let round = 0; round < 3; round++) {
        for (let batch = 0; batch < 101; batch++) {
          const entries = Array.from({ length: 1000 }, () => command(2, "send", "x".repeat(60)));
          // Full mailboxes refuse, and only what changes the state is an entry; here all are stored.
          await commitAndWait(journal, entries);
        }
        state = stepAll(state, [[command(2, "send", `${round}`)]]);
        journal.published(state);
        const isSmall = () => sizeWithLog(file.path) < 100_000;
        assertEquals(isSmall(), false);
        await until(isSmall, "it is as small as what is alive");
      }
      journal.abandon();
      const again = file.open();
      assertEquals(rows(replay(again.read(), SETTINGS)), rows(state));
      again.abandon();
    },
  );

  describe("while it is busy", () => {
    /** A journal that never rests, what a look into its file shows, and rounds of work for it. */
    class Busy implements Disposable {
      readonly file = new TempFile();
      readonly state = stepAll(emptyChat(SETTINGS), BATCHES);
      journal = this.file.open(SILENT, { ...SCHEDULE, restMs: 60_000 });
      #generation = 0;

      look(): { size: number; batches: number; generation: number } {
        using database = new DatabaseSync(this.file.path, { readOnly: true });
        return database.prepare(
          `SELECT page_count AS size, (SELECT count(*) FROM batch) AS batches, generation
           FROM pragma_page_count, current`,
        ).get() as ReturnType<Busy["look"]>;
      }

      /** Stores so many entries in so many batches, and a snapshot that replaces them. */
      async work(batches: number): Promise<void> {
        for (let batch = 0; batch < batches; batch++) {
          const length = 100_000 / batches;
          await commitAndWait(this.journal, Array.from({ length }, () => command(2, "send", "x")));
        }
        await until(() => {
          // It is left out while the journal tidies up behind the snapshot before.
          this.journal.published(this.state);
          return this.look().generation > this.#generation;
        }, "the snapshot is written");
        this.#generation++;
      }

      [Symbol.dispose](): void {
        this.journal.abandon();
        this.file[Symbol.dispose]();
      }
    }

    itNeeds(FILES, "writes batches over those that its snapshot holds", async () => {
      using busy = new Busy();
      await busy.work(100);
      const first = busy.look();
      for (let round = 0; round < 4; round++) await busy.work(100);
      const last = busy.look();
      assertEquals(last.batches, 100);
      // A snapshot is there twice for a moment.
      assert(first.size > 400 && last.size < first.size + 20, `${first.size}, ${last.size} pages`);
    });

    itNeeds(FILES, "finds them in their order when it was killed", async () => {
      using busy = new Busy();
      await busy.work(10);
      const more = Array.from({ length: 15 }, (_, i) => [command(1, "sendall", `${i}`)]);
      for (const entries of more) await commitAndWait(busy.journal, entries);
      assertEquals(busy.look().batches, 15);
      busy.journal.abandon();
      busy.journal = busy.file.open();
      assertEquals([...busy.journal.read().batches], more);
      assertEquals(rows(replay(busy.journal.read(), SETTINGS)), rows(stepAll(busy.state, more)));
    });

    itNeeds(
      FILES,
      "lets go of batches over which none was written until the next one",
      async () => {
        using busy = new Busy();
        await busy.work(1000);
        await busy.work(10);
        await until(() => busy.look().batches === 10, "all others are gone");
      },
    );

    itNeeds(FILES, "keeps what it can, and gives it back at rest", async () => {
      using busy = new Busy();
      await busy.work(100);
      busy.journal.abandon();
      // As who was killed finds it.
      busy.journal = busy.file.open(SILENT, { ...SCHEDULE, restMs: 0 });
      await until(() => busy.look().size < 20, "it is as small as what is alive");
      assertEquals(busy.look().batches, 0);
    });
  });

  itNeeds(FILES, "tells how far it is while much is read", async () => {
    using file = new TempFile();
    const journal = file.open();
    for (const entries of BATCHES) await commitAndWait(journal, entries);
    journal.abandon();
    const read = (progressMs: number): number[] => {
      const told: number[] = [];
      const listener = { ...SILENT, progress: (rows: number) => told.push(rows) };
      const again = file.open(listener, { ...SCHEDULE, progressMs });
      replay(again.read(), SETTINGS);
      again.abandon();
      return told;
    };
    assertEquals(read(0), [1, 2, 3]);
    assertEquals(read(60_000), []);
  });

  itNeeds(FILES, "is for one server alone", () => {
    using file = new TempFile();
    const journal = file.open();
    const { message } = assertThrows(() => file.open(), JournalError);
    assertStringIncludes(message, "is in use by another server");
    journal.abandon();
    file.open().abandon();
  });

  itNeeds(FILES, "can be read while a server uses it, as it was at one moment", async () => {
    using file = new TempFile();
    const journal = file.open();
    for (const entries of BATCHES) await commitAndWait(journal, entries);
    const { database, close } = openFileToRead(file.path);
    await commitAndWait(journal, [command(1, "sendall", "later")]);
    assertEquals([...new SqliteReader(file.path, database).read().batches], BATCHES);
    close();
    journal.abandon();
  });

  itNeeds(FILES, "that is no journal is refused and stays as it is", () => {
    using file = new TempFile();
    const contents = [
      new TextEncoder().encode("These are my notes, and no database. ".repeat(100)),
      new Uint8Array(5000).fill(7),
      Uint8Array.of(7),
    ];
    for (const content of contents) {
      Deno.writeFileSync(file.path, content);
      const { message } = assertThrows(() => file.open(), JournalError);
      assertStringIncludes(message, "is no journal of this server: choose another --data");
      assertEquals(Deno.readFileSync(file.path), content);
    }
  });

  itNeeds(FILES, "that is another database is refused and stays as it is", () => {
    using file = new TempFile();
    const database = new DatabaseSync(file.path);
    database.exec("CREATE TABLE notes (text TEXT)");
    database.close();
    const content = Deno.readFileSync(file.path);
    const { message } = assertThrows(() => file.open(), JournalError);
    assertStringIncludes(message, "is a database, but no journal of this server");
    assertEquals(Deno.readFileSync(file.path), content);
  });

  itNeeds(FILES, "of a newer release is refused", () => {
    using file = new TempFile();
    file.open().abandon();
    const database = new DatabaseSync(file.path);
    database.exec("PRAGMA user_version = 99");
    database.close();
    const { message } = assertThrows(() => file.open(), JournalError);
    assertStringIncludes(message, "was written by a newer release (format 99, this one knows 1)");
  });

  for (const where of ["its snapshot", "a batch"]) {
    itNeeds(FILES, `that has newer rules in ${where} is refused and stays as it is`, async () => {
      using file = new TempFile();
      const journal = file.open();
      const rules = RULES + 1;
      await commitAndWait(journal, [{ kind: "start", at: 1, rules, settings: SETTINGS }]);
      if (where === "a batch") journal.abandon();
      else journal.close({ ...emptyChat(SETTINGS), rules });
      const content = Deno.readFileSync(file.path);
      const newer = file.open();
      const { message } = assertThrows(() => serveOn(newer), JournalError);
      newer.abandon();
      assertEquals(
        message,
        `The stored chat is of a newer release (rules ${rules}, this one knows ${RULES}): ` +
          "use that release, or choose another --data or --stream",
      );
      assertEquals(Deno.readFileSync(file.path), content);
    });
  }

  itNeeds(
    FILES,
    "that is damaged is refused, wherever a byte was changed in what it holds",
    async () => {
      using file = new TempFile();
      const journal = file.open();
      for (const entries of BATCHES) await commitAndWait(journal, entries);
      await journal.close(stepAll(emptyChat(SETTINGS), BATCHES));
      const again = file.open();
      await commitAndWait(again, [command(1, "sendall", "a text to be found")]);
      await again.close(emptyChat(SETTINGS));
      const content = Deno.readFileSync(file.path);
      const latin1 = Array.from(content, (byte) => String.fromCharCode(byte)).join("");
      for (const text of ['"kind":"chat"']) {
        const damaged = content.slice();
        damaged[latin1.indexOf(text) + 3] = 0x58;
        Deno.writeFileSync(file.path, damaged);
        const broken = file.open();
        const { message } = assertThrows(() => replay(broken.read(), SETTINGS), JournalError);
        assertStringIncludes(message, "is damaged: move it away");
        broken.abandon();
        assertEquals(Deno.readFileSync(file.path), damaged);
      }
    },
  );

  for (const missing of ["batch WHERE id = 2", "snapshot"]) {
    itNeeds(FILES, `that has lost rows is refused: no ${missing}`, async () => {
      using file = new TempFile();
      const state = stepAll(emptyChat(SETTINGS), BATCHES);
      let journal = file.open();
      for (const entries of BATCHES) await commitAndWait(journal, entries);
      if (missing === "snapshot") await journal.close(state);
      else journal.abandon();
      using database = new DatabaseSync(file.path);
      database.exec(`DELETE FROM ${missing}`);
      journal = file.open();
      const { message } = assertThrows(() => replay(journal.read(), SETTINGS), JournalError);
      assertStringIncludes(message, "is damaged: move it away");
      journal.abandon();
    });
  }

  itNeeds(
    FILES,
    "that is damaged stays as it is, and what a killed server left beside it",
    async () => {
      using file = new TempFile();
      const journal = file.open();
      for (let i = 0; i < 2000; i++) {
        await commitAndWait(journal, [
          command(1, "sendall", "x".repeat(60)),
        ]);
      }
      const wal = Deno.readFileSync(`${file.path}-wal`);
      const content = Deno.readFileSync(file.path);
      journal.abandon();
      // A page in the middle, of which the log knows nothing.
      const pageBytes = new DataView(content.buffer).getUint16(16);
      content.fill(0x58, pageBytes * 5, pageBytes * 6);
      Deno.writeFileSync(file.path, content);
      Deno.writeFileSync(`${file.path}-wal`, wal.subarray(0, 32 + (24 + pageBytes) * 3));
      const beside = Deno.readFileSync(`${file.path}-wal`);
      const { message } = assertThrows(() => file.open(), JournalError);
      assertStringIncludes(message, "is damaged: move it away");
      assertEquals(Deno.readFileSync(file.path), content);
      assertEquals(Deno.readFileSync(`${file.path}-wal`), beside);
    },
  );

  itNeeds(FILES, "grows by nothing when the server is stopped again and again", async () => {
    using file = new TempFile();
    let state = stepAll(emptyChat(SETTINGS), BATCHES.slice(0, 1));
    const mail = Array.from({ length: 1000 }, () => command(2, "send", "x".repeat(60)));
    state = stepAll(state, [mail]);
    const sizes: number[] = [];
    for (let stops = 0; stops < 4; stops++) {
      const journal = file.open();
      await commitAndWait(
        journal,
        stops === 0 ? [...BATCHES[0]!, ...mail] : [{ kind: "end", at: 1, session: 7 }],
      );
      await journal.close(state);
      sizes.push(Deno.statSync(file.path).size);
    }
    assertEquals(new Set(sizes).size, 1, `${sizes}`);
  });

  itNeeds(FILES, "lets go of what a killed server has left of a snapshot", async () => {
    using file = new TempFile();
    file.open().abandon();
    const database = new DatabaseSync(file.path);
    const insert = database.prepare("INSERT INTO snapshot VALUES (1, ?, ?, 0)");
    for (let row = 0; row < 1000; row++) insert.run(row, "x".repeat(1000));
    database.close();
    const journal = file.open(SILENT, { ...SCHEDULE, restMs: 0 });
    await until(() => Deno.statSync(file.path).size < 100_000, "it is small");
    assertEquals([...journal.read().rows], []);
    journal.abandon();
  });

  itNeeds(FILES, "is a file whatever its name means to SQLite", () => {
    using file = new TempFile();
    const before = Deno.cwd();
    Deno.chdir(file.folder);
    try {
      for (const name of [":memory:", "file:x.db?mode=memory"]) {
        SqliteJournal.open(name, SILENT).abandon();
        assert(Deno.statSync(name).size > 0);
      }
    } finally {
      Deno.chdir(before);
    }
  });

  itNeeds(FILES, "that was cut off is refused", async () => {
    using file = new TempFile();
    const journal = file.open();
    for (let i = 0; i < 200; i++) {
      await commitAndWait(journal, [command(1, "sendall", "x".repeat(60))]);
    }
    await journal.close(stepAll(emptyChat(SETTINGS), BATCHES));
    const content = Deno.readFileSync(file.path);
    Deno.writeFileSync(file.path, content.subarray(0, content.length - 4096));
    const { message } = assertThrows(() => file.open(), JournalError);
    assertStringIncludes(message, "is damaged");
  });
});

describe("the rules", () => {
  itNeeds({ permissions: [] }, "are set by the start of a server, and kept in a snapshot", () => {
    const chat = emptyChat(SETTINGS);
    const { state } = step(chat, { kind: "start", at: 1, rules: 7, settings: SETTINGS });
    assertEquals(state.rules, 7);
    assertEquals(restoreSnapshot(rows(state))?.rules, 7);
  });

  itNeeds(NET, "of a server are stored when it starts", async () => {
    const stored: Entry[] = [];
    const collect: Journal["commit"] = (some, done) => {
      stored.push(...some);
      done();
    };
    const journal = { ...memoryJournal, commit: collect };
    await using _server = serveOn(journal);
    assertEquals(stored.map((entry) => entry.kind === "start" && entry.rules), [RULES]);
  });
});

describe("a snapshot", () => {
  itNeeds({ permissions: [] }, "gives back a state that acts the same", () => {
    const state = stepAll(emptyChat({ ...SETTINGS, mailboxMessagesMax: 2 }), BATCHES);
    const restored = restoreSnapshot(rows(state))!;
    assertEquals(rows(restored), rows(state));
    const next = command(2, "send", "full");
    assertEquals(step(restored, next).reply, step(state, next).reply);
  });
});

/** A journal whose commits fail while it is told to. */
function failingJournal(): Journal & { isFailing: boolean } {
  return {
    ...memoryJournal,
    isFailing: false,
    afterTurn: (commit) => setTimeout(commit),
    commit(_entries, stored) {
      stored(this.isFailing ? new Error("disk full") : undefined);
    },
  };
}

const AWAY = "Storage is not available, try again!";

describe("a server whose journal fails", () => {
  itNeeds(NET, "acknowledges nothing, serves what needs no storage, and recovers", async () => {
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

  itNeeds(NET, "finds out by itself that it can store again, though nobody sends", async () => {
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

  itNeeds(NET, "undoes a whole batch, and says what is true without it", async () => {
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
    assertEquals(await al.frame(), AWAY);
    assertEquals(await al.frame(), AWAY);
  });

  itNeeds(NET, "does not take mail that a wait showed", async () => {
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

  itNeeds(NET, "lets go of the names of connections that ended meanwhile", async () => {
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
  });

  itNeeds(NET, "tells nobody who waits of mail that was not stored", async () => {
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

describe("a user whom nobody holds", () => {
  itNeeds(NET, "was here when the clock was right, though it is years behind now", async () => {
    const stored: Entry[] = [];
    const later = Date.now() + 1e11;
    await using server = serveOn({
      ...memoryJournal,
      read: () => ({ rows: [], batches: [], at: later }),
      commit: (entries, done) => {
        stored.push(...entries);
        done();
      },
    });
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    al.close();
    await until(() => stored.some(({ kind }) => kind === "end"), "Al has left");
    for (const entry of stored) assert("at" in entry && entry.at === later, JSON.stringify(entry));
  });

  itNeeds(
    NET,
    "is forgotten when the time is over, and who waits for the mail hears it",
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

  itNeeds(NET, "is kept for ever with 0", async () => {
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

describe("a server on a file", () => {
  itNeeds(
    NET_AND_FILES,
    "finds users and mail again, and nobody is registered any more",
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

  itNeeds(NET_AND_FILES, "answers a pipeline with one commit", async () => {
    using file = new TempFile();
    const journal = file.open();
    let commits = 0;
    const counting: Journal = {
      read: () => journal.read(),
      commit: (entries, stored) => {
        commits++;
        journal.commit(entries, stored);
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
    "goes on with other limits, and changes no decision of the past",
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

  itNeeds(NET_AND_FILES, "refuses a mode that its users do not fit in", async () => {
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
