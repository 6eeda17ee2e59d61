/** What the journal in NATS does that no other has to: with real nats-servers. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe } from "@std/testing/bdd";
import type { Entry } from "../../lib/chat/entry.ts";
import { RULES } from "../../lib/chat/state.ts";
import { JournalError } from "../../lib/journal/journal.ts";
import { count } from "../../lib/chat/mailboxes.ts";
import { connectNats } from "../../lib/journal/nats/connection.ts";
import { NatsStream } from "../../lib/journal/nats/stream.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import { snapshotRows } from "../../lib/chat/snapshot.ts";
import { encodeEntries } from "../../lib/chat/entry_codec.ts";
import type { GroupCommit } from "../../lib/engine/group_commit.ts";
import { ServerProcess } from "../harness/crash/process.ts";
import { NATS, Nats, NATS_CLUSTER } from "./nats.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveIn, SILENT_LOG, type TestServer, until } from "../support.ts";

const STORED = "Message added to storage!";
const AWAY = "Storage is not available, try again!";
/** A commit is given up soon. */
const SOON = ["--journal-timeout-s", "0.3"];
const MAIN = new URL("../../main.ts", import.meta.url);

/** The server itself, as a process that can be killed. */
function startProcess(nats: Nats, ...flags: string[]): Promise<ServerProcess> {
  return ServerProcess.start({ command: [MAIN], flags: ["--journal", nats.urls, ...flags] });
}

async function connect({ port }: { port: number }, name: string): Promise<Peer> {
  const peer = await Peer.connect(port);
  await peer.ask("register", name);
  return peer;
}

function events({ lines }: TestServer): (string | undefined)[] {
  return lines.map((line) => line.split(" ")[1]);
}

/** Stores entries as one batch. */
async function store(commits: GroupCommit, entries: readonly Entry[]): Promise<void> {
  for (const entry of entries) commits.apply(entry);
  commits.add({});
  await commits.settled();
}

const AL = { session: 1, address: "10.0.0.1", peer: "10.0.0.1:1" };

function register(user: string): Entry {
  return { kind: "command", at: 1, actor: AL, command: { name: "register", user } };
}

function send(to: string, text: string): Entry {
  return { kind: "command", at: 1, actor: AL, command: { name: "send", to, text } };
}

/** A snapshot is due all the time. */
const HASTY = () => 20;

/** Waits until so many messages of the stream are gone. */
async function purged(nats: Nats, messages: number): Promise<void> {
  let begin = 1;
  await until(() => {
    nats.stream().then(({ first }) => begin = first);
    return begin > messages;
  }, "the stream is purged");
}

function rows(commits: GroupCommit): string[] {
  return [...snapshotRows(commits.published)];
}

describe("servers that share a chat", () => {
  itNeeds(NATS, "tell who waits on another server of mail at once", async () => {
    await using nats = await Nats.start();
    await using here = await serveIn(nats);
    await using there = await serveIn(nats);
    using al = await connect(here, "Al");
    using bob = await connect(there, "Bob");
    await bob.send("wait", "60");
    assertEquals(await al.ask("send", "Bob", "hi"), STORED);
    assertEquals([await bob.frame(), await bob.frame(), await bob.frame()], ["1", "Al", "hi"]);
  });

  itNeeds(NATS, "do not give a name away that is held on another server", async () => {
    await using nats = await Nats.start();
    await using here = await serveIn(nats);
    await using there = await serveIn(nats);
    using al = await connect(here, "Al");
    using other = await Peer.connect(there.port);
    assertEquals(await other.ask("register", "Al"), "'Al' already exists!");
    al.close();
    await until(() => events(here).includes("disconnected"), "Al has left");
    assertEquals(await other.ask("register", "Al"), "Nice to see you, Al");
  });

  itNeeds(NATS, "give a name away that was held on a server that is dead", async () => {
    await using nats = await Nats.start();
    await using dead = await startProcess(nats);
    await using alive = await serveIn(nats);
    using al = await connect(dead, "Al");
    assertEquals(await al.ask("send", "Al", "kept"), STORED);
    await dead.kill();
    using again = await Peer.connect(alive.port);
    assertEquals(await again.ask("register", "Al"), "Nice to see you, Al");
    assertEquals(await again.mail("receive"), ["Al: kept"]);
    assertEquals(events(alive).filter((event) => event === "server-silent"), ["server-silent"]);
  });

  itNeeds(NATS, "give a name away that is held on one that is paused, which hears it", async () => {
    await using nats = await Nats.start();
    await using paused = await startProcess(nats);
    await using alive = await serveIn(nats);
    using al = await connect(paused, "Al");
    paused.signal("SIGSTOP");
    using again = await Peer.connect(alive.port);
    assertEquals(await again.ask("register", "Al"), "Nice to see you, Al");
    paused.signal("SIGCONT");
    assertEquals(await al.frame(), undefined);
    using bob = await Peer.connect(paused.port);
    assertEquals(await bob.ask("register", "Bob"), "Hello, Bob");
    assertEquals(await bob.ask("send", "Al", "hi"), STORED);
    assertEquals(await again.mail("wait", "5"), ["Bob: hi"]);
  });

  itNeeds(NATS, "have the same settings: another one says what differs", async () => {
    await using nats = await Nats.start();
    await using _first = await serveIn(nats);
    const { message } = await assertRejects(
      () => serveIn(nats, "--text-symbols-max", "10", "--users-expire-h", "1"),
      JournalError,
    );
    assertStringIncludes(
      message,
      "--text-symbols-max is 60 there and 10 here, --users-expire-h is 168 there and 1 here",
    );
  });

  itNeeds(NATS, "that were all killed are in nobody's way with other settings", async () => {
    await using nats = await Nats.start();
    await using first = await startProcess(nats);
    await first.kill();
    await using next = await serveIn(nats, "--text-symbols-max", "2");
    using al = await connect(next, "Al");
    assertEquals(
      await al.ask("send", "Al", "long"),
      "Massage is too long! Max length = 2!",
    );
  });
});

describe("main.ts raise", () => {
  /** A server of another release, as far as the others see it. */
  async function joinAs(nats: Nats, rules: number): Promise<NatsStream> {
    const options = { ...parseServerOptions([]), journal: nats.urls };
    const nobody = () => {};
    const listener = { waiting: nobody, snapshotFailed: nobody, failed: nobody };
    const other = await NatsStream.open(options, listener);
    other.answer("other", () => Promise.resolve());
    const join: Entry = {
      ...{ kind: "join", at: 1, member: "other", rules, settings: settingsOf(options) },
    };
    await new Promise((resolve) => other.send("join", encodeEntries([join]), resolve));
    return other;
  }

  /** Runs main.ts to its end. */
  async function run(nats: Nats, ...args: string[]): Promise<{ code: number; said: string }> {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-net", MAIN.href, ...args, "--journal", nats.urls],
    }).output();
    return { code, said: new TextDecoder().decode(code === 0 ? stdout : stderr) };
  }

  itNeeds(
    NATS,
    "waits until all servers know the new rules; until then the old ones count",
    async () => {
      await using nats = await Nats.start();
      const old = await joinAs(nats, RULES - 1);
      const commits = await nats.open(parseServerOptions([]), SILENT_LOG);
      assertEquals(commits.published.rules, RULES - 1);
      const refused = await run(nats, "raise");
      assertEquals(refused.code, 1);
      assertStringIncludes(
        refused.said,
        `stay ${RULES - 1}: 1 of 2 servers do not know ${RULES}. Upgrade them first`,
      );
      assertEquals(commits.published.rules, RULES - 1);
      await old.close();
      assertEquals(await run(nats, "raise"), {
        code: 0,
        said: `The rules of asvt-chat were ${RULES - 1}, and are ${RULES} now\n`,
      });
      await until(
        () => commits.published.rules === RULES,
        "who takes part goes on by the new rules",
      );
      await commits.close();
    },
  );

  itNeeds(NATS, "makes no new chat, and says where there is nothing to do", async () => {
    await using nats = await Nats.start();
    const { code, said } = await run(nats, "raise", "--stream", "typo");
    assertEquals(code, 1);
    assertStringIncludes(said, "There is no stream typo in NATS: is --stream right?");
    await using _server = await serveIn(nats);
    assertEquals(await run(nats, "raise"), {
      code: 0,
      said: `The rules of asvt-chat are ${RULES} already: there is nothing to raise\n`,
    });
  });

  itNeeds(NATS, "keeps a server of an older release out from then on", async () => {
    await using nats = await Nats.start();
    const newer = await joinAs(nats, RULES + 1);
    const { code, said } = await run(nats, "serve", "--port", "0");
    assertEquals(code, 1);
    assertStringIncludes(
      said,
      `is of a newer release (rules ${RULES + 1}, this one knows ${RULES})`,
    );
    await newer.close();
  });
});

describe("a server whose NATS is down", () => {
  itNeeds(NATS, "says so, reads, goes on when NATS is back, and loses nothing", async () => {
    await using nats = await Nats.start();
    await using server = await serveIn(nats, ...SOON);
    using al = await connect(server, "Al");
    using bob = await connect(server, "Bob");
    assertEquals(await al.ask("send", "Bob", "before"), STORED);
    const [node] = nats.nodes;
    await node!.end("SIGTERM");
    assertEquals(await al.ask("send", "Bob", "unknown"), AWAY);
    assertEquals(await al.ask("ping"), "pong");
    assertEquals(await al.ask("users"), "2");
    assertEquals([await al.frame(), await al.frame()], ["Al", "Bob"]);
    assertEquals(await bob.mail("wait", "0"), ["Al: before"]);
    node!.start();
    await until(() => events(server).includes("journal-recovered"), "it goes on");
    assertEquals(await al.ask("send", "Bob", "after"), STORED);
    // What nobody was told of is stored too, as it was sent until it came back.
    assertEquals(await bob.mail("receive"), ["Al: unknown", "Al: after"]);
  });

  itNeeds(NATS_CLUSTER, "goes on without the NATS server that led, which stays away", async () => {
    await using nats = await Nats.start(3);
    await using server = await serveIn(nats, "--replicas", "3", "--journal-timeout-s", "20");
    using al = await connect(server, "Al");
    for (const text of ["one", "two"]) {
      const leader = await nats.leader();
      await leader.end();
      assertEquals(await al.ask("send", "Al", text), STORED);
      leader.start();
      await nats.ready();
    }
    assertEquals(await al.mail("receive"), ["Al: one", "Al: two"]);
  });

  itNeeds(NATS, "puts mail back that a receive took whose reply was the error", async () => {
    await using nats = await Nats.start();
    await using server = await serveIn(nats, ...SOON);
    await using other = await serveIn(nats);
    using al = await connect(server, "Al");
    for (const text of ["1", "2", "3"]) await al.ask("send", "Al", text);
    const [node] = nats.nodes;
    await node!.end("SIGTERM");
    assertEquals(await al.ask("receive"), AWAY);
    node!.start();
    await until(() => events(server).includes("journal-recovered"), "it goes on");
    al.close();
    using again = await connect(other, "Al");
    assertEquals(await again.mail("wait", "5"), ["Al: 1", "Al: 2", "Al: 3"]);
  });
});

/** Tells who connects that it is NATS of this version, and no more. */
function pretendNats(version: string): Deno.TcpListener {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const info = { server_id: "x", version, proto: 1, max_payload: 1_048_576, headers: true };
  const greet = async () => {
    for await (const connection of listener) {
      const read = new Uint8Array(1_024);
      await connection.write(new TextEncoder().encode(`INFO ${JSON.stringify(info)}\r\n`));
      while (await connection.read(read) !== null) {
        await connection.write(new TextEncoder().encode("PONG\r\n"));
      }
      connection.close();
    }
  };
  greet();
  return listener;
}

describe("a stream in NATS", () => {
  for (const [version, isTaken] of [["2.9.25", false], ["1.40.0", false], ["2.10.0", true]]) {
    itNeeds(NET, `is ${isTaken ? "" : "not "}kept in three copies by NATS ${version}`, async () => {
      using listener = pretendNats(`${version}`);
      const flags = ["--journal", `nats://127.0.0.1:${listener.addr.port}`, "--replicas", "3"];
      const opening = connectNats(parseServerOptions(flags));
      if (isTaken) return await (await opening).close();
      const error = await assertRejects(() => opening, JournalError);
      assertStringIncludes(error.message, `NATS is ${version}`);
      assertStringIncludes(error.message, "must be 2.10 or later");
    });
  }

  itNeeds(NATS_CLUSTER, "is waited for while its servers look for each other", async () => {
    await using nats = await Nats.start(3);
    for (const node of nats.nodes.slice(1)) await node.end();
    for (const node of nats.nodes.slice(1)) node.start();
    await using _server = await serveIn(nats, "--replicas", "3");
  });

  itNeeds(NATS, "has room for a batch of any length, in parts", async () => {
    await using nats = await Nats.start();
    const options = parseServerOptions(["--mailbox-messages-max", "100000"]);
    const commits = await nats.open(options, SILENT_LOG);
    const numbers = Array.from({ length: 20_000 }, (_, index) => `${index}`);
    await store(commits, [register("Al"), ...numbers.map((text) => send("Al", text.padEnd(60)))]);
    const { users, mailboxes } = commits.published;
    assertEquals(count(mailboxes, users.byName.get("Al")!.id), 20_000);
    const { last } = await nats.stream();
    // One is the beginning of the run.
    assert(last > 2, `${last} messages`);
    await commits.close();
  });

  itNeeds(NATS, "is purged up to a snapshot, from which the next server starts", async () => {
    await using nats = await Nats.start();
    const options = parseServerOptions([]);
    const first = await nats.open(options, SILENT_LOG, HASTY);
    await store(first, [register("Al")]);
    for (let number = 0; number < 50; number++) await store(first, [send("Al", `${number}`)]);
    await purged(nats, 10);
    const next = await nats.open(options, SILENT_LOG);
    await until(() => rows(first).join() === rows(next).join(), "both know the same");
    await first.close();
    await next.close();
  });

  itNeeds(NATS, "is refused where it was restored without what names its snapshot", async () => {
    await using nats = await Nats.start();
    const commits = await nats.open(parseServerOptions([]), SILENT_LOG, HASTY);
    for (let i = 0; i < 40; i++) await store(commits, [register(`u${i}`)]);
    await purged(nats, 20);
    await commits.close();
    await nats.remove("KV_asvt-chat");
    const { message } = await assertRejects(() => serveIn(nats), JournalError);
    assertStringIncludes(message, "and KV_asvt-chat, which says where the snapshot");
  });

  itNeeds(NATS, "is left without a word of others by who stops", async () => {
    await using nats = await Nats.start();
    const server = await serveIn(nats);
    await server[Symbol.asyncDispose]();
    assertEquals(events(server).includes("ended-by-others"), false);
  });

  itNeeds(NATS, "can be joined while others write, and make snapshots", async () => {
    await using nats = await Nats.start();
    const options = parseServerOptions([]);
    const first = await nats.open(options, SILENT_LOG, HASTY);
    let isJoined = false;
    const write = async () => {
      for (let number = 0; number < 10_000 && !isJoined; number++) {
        await store(first, [register(`${number}`)]);
      }
    };
    const written = write();
    await purged(nats, 10);
    const next = await nats.open(options, SILENT_LOG);
    isJoined = true;
    await written;
    await until(() => rows(first).join() === rows(next).join(), "both know the same");
    await first.close();
    await next.close();
  });

  itNeeds(NATS, "is followed by who was paused while it was purged", async () => {
    await using nats = await Nats.start();
    await using paused = await startProcess(nats);
    await using here = await serveIn({ open: (...args) => nats.open(...args, HASTY) });
    using bob = await connect(paused, "Bob");
    using al = await connect(here, "Al");
    paused.signal("SIGSTOP");
    // More than the nats-server has on its way to one that reads nothing.
    const texts = Array.from({ length: 400 }, (_, number) => `${number}`);
    for (const text of texts) assertEquals(await al.ask("send", "Bob", text), STORED);
    await purged(nats, 300);
    paused.signal("SIGCONT");
    // Its sessions are over, and it takes part again.
    assertEquals(await bob.frame(), undefined);
    using again = await Peer.connect(paused.port);
    assertEquals(await again.ask("register", "Bob"), "Nice to see you, Bob");
    assertEquals(await again.mail("receive"), texts.map((text) => `Al: ${text}`));
  });
});
