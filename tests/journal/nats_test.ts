/** What several servers that share a chat in NATS do: with real nats-servers. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { encodeEntries } from "../../lib/chat/entry_codec.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import { RULES } from "../../lib/chat/state.ts";
import { NatsStream } from "../../lib/journal/nats/stream.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveIn, SILENT_LOG, until } from "../support.ts";
import { NATS, Nats, NATS_CLUSTER } from "./nats.ts";
import { connect, events, MAIN, refusal, startProcess } from "./nats_chat.ts";

const STORED = "Message added to storage!";
const AWAY = "Storage is not available, try again!";
/** Flags with which a commit is given up soon. */
const SOON = ["--journal-timeout-s", "0.3"];

describe("servers that share a chat", () => {
  itNeeds(NATS, "tell a user who waits on another server of mail at once", async () => {
    await using nats = await Nats.start();
    await using here = await serveIn(nats);
    await using there = await serveIn(nats);
    using al = await connect(here, "Al");
    using bob = await connect(there, "Bob");
    await bob.send("wait", "60");
    assertEquals(await al.ask("send", "Bob", "hi"), STORED);
    assertEquals([await bob.frame(), await bob.frame(), await bob.frame()], ["1", "Al", "hi"]);
  });

  itNeeds(NATS, "refuse a name that a connection to another server holds", async () => {
    await using nats = await Nats.start();
    await using here = await serveIn(nats);
    await using there = await serveIn(nats);
    using al = await connect(here, "Al");
    using other = await Peer.connect(there.port);
    assertEquals(await other.ask("register", "Al"), "'Al' already exists!");
    await until(() => events(there).includes("refused"), "the refusal is logged");
    const line = there.lines.find((line) => line.includes(" refused "))!;
    assertStringIncludes(line, 'holder="a connection of another server" holderServer=');
    al.close();
    await until(() => events(here).includes("disconnected"), "Al has left");
    assertEquals(await other.ask("register", "Al"), "Nice to see you, Al");
  });

  itNeeds(NATS, "give a name back that was held on a server that was killed", async () => {
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

  itNeeds(
    NATS,
    "give a name back that is held on a paused server, whose connections then end",
    async () => {
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
    },
  );

  itNeeds(NATS, "need the same settings: a server with others says what differs", async () => {
    await using nats = await Nats.start();
    await using _first = await serveIn(nats);
    assertStringIncludes(
      await refusal(nats, "--text-symbols-max", "10", "--users-expire-h", "1"),
      "--text-symbols-max is 60 there and 10 here, --users-expire-h is 168 there and 1 here",
    );
  });

  itNeeds(NATS, "may have other settings when all servers before were killed", async () => {
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
  /** Joins as a server that knows these rules would. */
  async function joinAs(nats: Nats, rules: number): Promise<NatsStream> {
    const options = { ...parseServerOptions([]), journal: nats.urls };
    const ignore = () => {};
    const listener = { waiting: ignore, snapshotFailed: ignore, refused: ignore, failed: ignore };
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
    "raises the rules only when all servers know the new ones",
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
        "the server goes on by the new rules",
      );
      await commits.close();
    },
  );

  itNeeds(NATS, "makes no new stream, and says when there is nothing to do", async () => {
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

  itNeeds(NATS, "keeps a server that does not know the new rules from starting", async () => {
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

describe("a server without NATS", () => {
  itNeeds(NATS, "says so, reads on, and loses nothing when NATS is back", async () => {
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
    // The commit that was given up is stored, too: it was sent until it came back.
    assertEquals(await bob.mail("receive"), ["Al: unknown", "Al: after"]);
  });

  itNeeds(NATS_CLUSTER, "goes on when the NATS server that led the stream is killed", async () => {
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

  itNeeds(NATS, "puts mail back that a receive took and whose reply was an error", async () => {
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
