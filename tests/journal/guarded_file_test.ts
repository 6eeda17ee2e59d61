/** A journal's file is private, and damage or loss of it or of its log is found. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { DatabaseSync } from "node:sqlite";
import { emptyChat } from "../../lib/chat/state.ts";
import { JournalError, replay } from "../../lib/journal/journal.ts";
import { isLogDamaged } from "../../lib/journal/sqlite/log_check.ts";
import { SCHEDULE } from "../../lib/journal/sqlite/sqlite_journal.ts";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveOn, SILENT, TempFile, until } from "../support.ts";
import { BATCHES, command, FILES, rows, SETTINGS, stepAll } from "./entries.ts";

const SUFFIXES = ["", "-wal", "-shm"];
const AWAY = "Storage is not available, try again!";
const mail = [command(1, "sendall", "x".repeat(60))];

/** Copies the files as a server that is killed leaves them. */
function copyOf(path: string, copy: string): void {
  for (const suffix of ["", "-wal"]) Deno.copyFileSync(path + suffix, copy + suffix);
}

/** Changes one byte of a file. */
function change(path: string, offset: number): void {
  const bytes = Deno.readFileSync(path);
  bytes[offset]! ^= 0x41;
  Deno.writeFileSync(path, bytes);
}

/** What a file holds, as rows of a snapshot; `undefined` if it is refused. */
function contentOf(file: TempFile): string | undefined {
  try {
    const journal = file.open();
    try {
      return JSON.stringify(rows(replay(journal.read(), SETTINGS)));
    } finally {
      journal.abandon();
    }
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    assert(!error.message.includes("\n"));
    return undefined;
  }
}

describe("the file of a journal", () => {
  itNeeds(FILES, "and the files beside it are for their owner alone, even if they were not", () => {
    using file = new TempFile();
    for (const mode of [undefined, 0o644]) {
      if (mode !== undefined) Deno.chmodSync(file.path, mode);
      const journal = file.open();
      journal.commit(mail);
      const modes = SUFFIXES.map((suffix) => Deno.statSync(file.path + suffix).mode! & 0o777);
      assertEquals(modes, [0o600, 0o600, 0o600]);
      journal.abandon();
    }
  });

  itNeeds(FILES, "holds the same or is refused, whichever of its bytes has changed", async () => {
    using file = new TempFile();
    const state = stepAll(emptyChat(SETTINGS), BATCHES);
    let journal = file.open();
    for (const entries of BATCHES) journal.commit(entries);
    await journal.close(state);
    journal = file.open();
    journal.commit(mail);
    journal.commit(mail);
    journal.abandon();
    const content = Deno.readFileSync(file.path);
    const expected = contentOf(file);
    const used = Array.from(content.keys()).filter((offset) => content[offset] !== 0);
    const step = Math.ceil(used.length / 150);
    let refused = 0;
    for (const [i, offset] of used.entries()) {
      // Each byte of SQLite's header; of the others some.
      if (offset >= 100 && i % step > 0) continue;
      Deno.writeFileSync(file.path, content);
      change(file.path, offset);
      const found = contentOf(file);
      assert(found === undefined || found === expected, `byte ${offset}`);
      if (found === undefined) refused++;
      for (const suffix of ["-wal", "-shm"]) {
        await Deno.remove(file.path + suffix).catch(() => {});
      }
    }
    assert(refused > 50, `${refused}`);
  });

  itNeeds(FILES, "is refused if a byte of its log has changed, and stays as it is", () => {
    using file = new TempFile();
    using killed = new TempFile();
    const journal = file.open();
    for (let i = 0; i < 20; i++) journal.commit(mail);
    copyOf(file.path, killed.path);
    const log = `${killed.path}-wal`;
    const { size } = Deno.statSync(log);
    const frame = 8192 + 24;
    const whole = Deno.readFileSync(log);
    const last = size - 3 * frame;
    for (
      const offset of [1, 10, 17, 26, 32, 36, 41, 50, 100, 32 + 2 * frame, 32 + 5 * frame + 900]
    ) {
      if (offset >= last) continue;
      Deno.writeFileSync(log, whole);
      change(log, offset);
      const before = Deno.readFileSync(log);
      const content = Deno.readFileSync(killed.path);
      assertThrows(() => killed.open(), JournalError, "is damaged", `byte ${offset}`);
      assertEquals(Deno.readFileSync(log), before);
      assertEquals(Deno.readFileSync(killed.path), content);
    }
    // A power failure may tear the last commit, which was not acknowledged.
    for (const cut of [size - 1, size - frame + 1, size - frame]) {
      Deno.writeFileSync(log, whole.subarray(0, cut));
      assertEquals(isLogDamaged(log), false);
    }
    journal.abandon();
  });

  itNeeds(FILES, "is refused if its log was removed or cut, unless it is a copy", () => {
    using file = new TempFile();
    using kept = new TempFile();
    const journal = file.open();
    for (let i = 0; i < 5; i++) journal.commit(mail);
    copyOf(file.path, kept.path);
    journal.abandon();
    // Into the same file, as a server that is killed leaves it.
    Deno.writeFileSync(file.path, Deno.readFileSync(kept.path));
    const log = Deno.readFileSync(`${kept.path}-wal`);
    for (const bytes of [new Uint8Array(), log.subarray(0, log.length - 1)]) {
      Deno.writeFileSync(`${file.path}-wal`, bytes);
      assertThrows(() => file.open(), JournalError);
      assertEquals(Deno.readFileSync(file.path), Deno.readFileSync(kept.path));
    }
    Deno.writeFileSync(`${kept.path}-wal`, log.subarray(0, log.length - 1));
    kept.open().abandon();
    Deno.writeFileSync(`${file.path}-wal`, log);
    const again = file.open();
    assertEquals([...again.read().batches].length, 5);
    again.abandon();
  });

  for (const suffixes of [SUFFIXES, [""], ["-wal"]]) {
    itNeeds(
      FILES,
      `is missed when ${suffixes.map((suffix) => `chat.db${suffix}`)} moved, and found again`,
      async () => {
        using file = new TempFile();
        await using server = serveOn(file.open());
        using al = await Peer.connect(server.port);
        await al.ask("register", "Al");
        const move = (from: string, to: string) => {
          for (const suffix of suffixes) {
            Deno.renameSync(`${file.path}${from}${suffix}`, `${file.path}${to}${suffix}`);
          }
        };
        move("", ".moved");
        await until(() => server.server.trouble !== undefined, "it is missed");
        assertMatch(server.server.trouble!, /put it back|was the -wal/);
        assertEquals(await al.ask("send", "Al", "hi"), AWAY);
        move(".moved", "");
        await until(() => server.server.trouble === undefined, "it is found");
        assertEquals(await al.ask("send", "Al", "hi"), "Message added to storage!");
        const told = server.lines.filter((line) => line.includes("journal-"));
        assertEquals(told.length, 2, `${told}`);
      },
    );
  }

  itNeeds(FILES, "is missed when another file is in its place", () => {
    using file = new TempFile();
    const journal = file.open();
    journal.commit(mail);
    journal.check();
    Deno.copyFileSync(file.path, `${file.path}.copy`);
    Deno.renameSync(`${file.path}.copy`, file.path);
    assertThrows(() => journal.check(), JournalError, "was replaced by another file");
    assertThrows(() => journal.commit(mail), JournalError, "was replaced by another file");
    journal.abandon();
  });

  itNeeds(FILES, "stores no more while a reader keeps its log from being emptied", () => {
    using file = new TempFile();
    const told: string[] = [];
    const sizes: number[] = [];
    const listener = {
      ...SILENT,
      checkpointFailed: (error: string) => told.push(error),
      logBytes: (bytes: number) => sizes.push(bytes),
    };
    const limits = { emptyBytes: 50_000, bytesMax: 400_000 };
    const journal = file.open(listener, { ...SCHEDULE, ...limits });
    journal.commit(mail);
    const reader = new DatabaseSync(file.path, { readOnly: true });
    reader.exec("BEGIN; SELECT count(*) FROM batch");
    for (let i = 0; i < 20; i++) journal.commit(mail);
    journal.check();
    journal.check();
    assertEquals(told, ["another program reads the file all the time"]);
    for (let i = 0; i < 40; i++) journal.commit(mail);
    assertThrows(() => journal.check(), JournalError, "is larger than 400000 bytes");
    assertThrows(() => journal.commit(mail), JournalError, "is larger than 400000 bytes");
    reader.close();
    journal.check();
    journal.commit(mail);
    assertEquals(sizes.at(-1), 0);
    journal.abandon();
  });

  itNeeds(FILES, "can't be a device, a folder, or another user's log: one line says so", () => {
    using file = new TempFile();
    const refusalOf = (path: string) => {
      const place = Object.assign(new TempFile(), { path });
      const { message } = assertThrows(() => place.open(), JournalError);
      Deno.removeSync(place.folder);
      return message;
    };
    for (const path of ["/dev/full", "/dev/null", "/proc/self/status", file.folder]) {
      assertMatch(refusalOf(path), /^Cannot (use|open) [^\n]+$/);
    }
    assertMatch(refusalOf(`${file.path}/chat.db`), /^Cannot open [^\n]+$/);
    const absent = `${file.folder}/none/chat.db`;
    assertEquals(refusalOf(absent), `Cannot open ${absent}: its folder does not exist`);
  });
});
