/** Users whose name no connection has held for a long time. */
import { assert, assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import type { Entry } from "../../lib/chat/entry.ts";
import { memoryJournal } from "../../lib/journal/journal.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { logHas, serveIn, serveOn, TempFile, type TestServer, until } from "../support.ts";
import { NATS, Nats } from "./nats.ts";

const HOUR_MS = 3_600_000;

/** Clocks that run as the real ones do, until the test sets them. */
class Clocks implements Disposable {
  /** The wall clock, and both clocks, are this much ahead (ms). */
  wallMs = 0;
  bothMs = 0;
  readonly #real = { now: Date.now, steady: performance.now };

  constructor() {
    const { now, steady } = this.#real;
    Date.now = () => now() + this.wallMs + this.bothMs;
    performance.now = () => steady.call(performance) + this.bothMs;
  }

  [Symbol.dispose](): void {
    Date.now = this.#real.now;
    performance.now = this.#real.steady;
  }
}

/** Registers a user who leaves. */
async function registerAndLeave(server: TestServer, name: string): Promise<void> {
  const before = server.lines.filter((line) => line.includes("disconnected")).length;
  const peer = await Peer.connect(server.port);
  await peer.ask("register", name);
  peer.close();
  const isGone = () => server.lines.filter((line) => line.includes("disconnected")).length > before;
  await until(isGone, `${name} has left`);
}

/** The user Old has left before the wall clock jumps by 8 days, and the server has looked at it. */
async function jumpAhead(server: TestServer, clocks: Clocks): Promise<void> {
  await registerAndLeave(server, "Old");
  clocks.wallMs = 8 * 24 * HOUR_MS;
  server.server.check();
}

/** The number of users. */
function countUsers({ server }: TestServer): number {
  return server.facts.users;
}

describe("a clock that jumps ahead", () => {
  itNeeds(NET, "lets no user be forgotten for a day, and the log says why", async () => {
    using clocks = new Clocks();
    await using server = serveOn(memoryJournal);
    await jumpAhead(server, clocks);
    assertEquals(countUsers(server), 1);
    await until(logHas(server, "clock-ahead seconds=691200 "), "the log says it");
    assertEquals(logHas(server, "none is forgotten for 24 hours")(), true);
    for (const hours of [23, 25, 167]) {
      clocks.bothMs = hours * HOUR_MS;
      server.server.check();
      await registerAndLeave(server, `New${hours}`);
    }
    assertEquals(countUsers(server), 4);
    // The clock was right: the user has been away for the whole time since then.
    clocks.bothMs = 169 * HOUR_MS;
    server.server.check();
    await until(() => countUsers(server) === 3, "the user is forgotten");
    assertEquals(server.lines.filter((line) => line.includes("clock-ahead")).length, 1);
  });

  itNeeds(NET, "and back does not count, even a day later or after a restart", async () => {
    using clocks = new Clocks();
    using file = new TempFile();
    {
      await using server = serveOn(file.open());
      await jumpAhead(server, clocks);
      // What is stored now has the wrong time.
      await registerAndLeave(server, "New");
      clocks.wallMs = 0;
      clocks.bothMs = 25 * HOUR_MS;
      server.server.check();
      assertEquals(countUsers(server), 2);
    }
    await using again = serveOn(file.open());
    again.server.check();
    await registerAndLeave(again, "Other");
    assertEquals(countUsers(again), 3);
  });

  itNeeds(NET, "in many small steps lets no user be forgotten either", async () => {
    using clocks = new Clocks();
    await using server = serveOn(memoryJournal, "--users-expire-h", "1");
    await registerAndLeave(server, "Old");
    for (let minutes = 0; minutes < 120; minutes += 5) {
      clocks.wallMs = minutes * 60_000;
      server.server.check();
    }
    await registerAndLeave(server, "New");
    assertEquals(countUsers(server), 2);
  });

  itNeeds(NET, "while no server runs lets no user be forgotten for a day", async () => {
    using clocks = new Clocks();
    using file = new TempFile();
    {
      await using server = serveOn(file.open());
      await registerAndLeave(server, "Old");
    }
    clocks.wallMs = 8 * 24 * HOUR_MS;
    await using again = serveOn(file.open());
    again.server.check();
    await registerAndLeave(again, "New");
    assertEquals(countUsers(again), 2);
    await until(logHas(again, "clock-ahead"), "the log says it");
  });

  itNeeds(NET, "counts for no server that starts while it is ahead", async () => {
    using clocks = new Clocks();
    using file = new TempFile();
    {
      await using server = serveOn(file.open());
      await jumpAhead(server, clocks);
      await registerAndLeave(server, "New");
    }
    await using again = serveOn(file.open());
    again.server.check();
    await registerAndLeave(again, "Other");
    assertEquals(countUsers(again), 3);
  });

  itNeeds(NET, "lets no user be forgotten for a day where users expire after an hour", async () => {
    using clocks = new Clocks();
    await using server = serveOn(memoryJournal, "--users-expire-h", "1");
    await registerAndLeave(server, "Old");
    clocks.wallMs = 2 * HOUR_MS;
    server.server.check();
    clocks.bothMs = 23 * HOUR_MS;
    server.server.check();
    await registerAndLeave(server, "New");
    assertEquals(countUsers(server), 2);
    clocks.bothMs = 25 * HOUR_MS;
    server.server.check();
    await until(() => countUsers(server) === 0, "both are forgotten");
  });

  itNeeds(NATS, "on one of several servers, or under one that starts, counts on none", async () => {
    using clocks = new Clocks();
    await using nats = await Nats.start();
    await using here = await serveIn(nats);
    await using there = await serveIn(nats);
    await jumpAhead(here, clocks);
    await registerAndLeave(here, "New");
    {
      await using starting = await serveIn(nats);
      starting.server.check();
    }
    clocks.wallMs = 0;
    here.server.check();
    there.server.check();
    await registerAndLeave(there, "Other");
    assertEquals([countUsers(here), countUsers(there)], [3, 3]);
  });
});

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
