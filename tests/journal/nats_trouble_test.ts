/** What servers do with a stream that is made anew, full, or holds messages of others. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { parseServerOptions } from "../../lib/options.ts";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { logHas, serveIn, SILENT_LOG, type TestServer, until } from "../support.ts";
import { NATS, Nats } from "./nats.ts";
import { connect, events, HASTY, purged, register, store, textOf } from "./nats_chat.ts";

const STORED = "Message added to storage!";
const AWAY = "Storage is not available, try again!";
const SOON = ["--journal-timeout-s", "0.5"];

/** The lines of a server's log with this text. */
function linesWith({ lines }: TestServer, text: string): string[] {
  return lines.filter((line) => line.includes(text));
}

describe("a stream that was made anew under a server, or went back,", () => {
  itNeeds(
    NATS,
    "is served by no member of the one before, and the log says what to do",
    async () => {
      await using nats = await Nats.start();
      await using old = await serveIn(nats, ...SOON);
      using al = await connect(old, "Al");
      assertEquals(await al.ask("send", "Al", "kept here"), STORED);
      await nats.loseStore();
      nats.nodes[0]!.start();
      await nats.ready();
      await using next = await serveIn(nats);
      using bob = await connect(next, "Bob");
      for (let number = 0; number < 20; number++) await bob.ask("send", "Bob", `${number}`);
      await until(logHas(old, "was made anew at"), "it is found out");
      assertStringIncludes(linesWith(old, "was made anew at")[0]!, "Stop all servers of asvt-chat");
      assertStringIncludes(old.server.trouble!, "it can't store what it is sent (The stream ");
      assertEquals(await al.ask("send", "Al", "lost"), AWAY);
      using late = await Peer.connect(old.port);
      assertEquals(await late.ask("register", "Late"), AWAY);
      assertEquals(await late.ask("users"), "1");
      // It has sent nothing that the new stream takes, and its state is not put there.
      old.server.check();
      assertEquals(await bob.ask("users"), "1");
      assertEquals(next.server.facts.users, 1);
      assertEquals(linesWith(old, "was made anew at").length, 1);
      assertEquals(events(old).includes("server-silent"), false);
    },
  );

  itNeeds(NATS, "is found out too while NATS goes on, and where it is longer", async () => {
    await using nats = await Nats.start();
    await using old = await serveIn(nats, ...SOON);
    await nats.remove("asvt-chat");
    await using _next = await serveIn(nats);
    for (let number = 0; number < 20; number++) await nats.publish("x");
    await until(logHas(old, "was made anew at"), "it is found out");
    assertStringIncludes(old.server.trouble!, "it can't store what it is sent (The stream ");
  });

  itNeeds(NATS, "is not gone on with where NATS has lost the last messages", async () => {
    await using nats = await Nats.start();
    await using old = await serveIn(nats, ...SOON);
    using al = await connect(old, "Al");
    const restore = await nats.copyStore();
    while (await al.ask("send", "Al", "0") !== STORED);
    for (const text of ["1", "2", "3"]) assertEquals(await al.ask("send", "Al", text), STORED);
    await restore();
    nats.nodes[0]!.start();
    await nats.ready();
    assertEquals(await al.ask("send", "Al", "4"), AWAY);
    await until(logHas(old, "and this server has read"), "it is found out");
    assertStringIncludes(old.server.trouble!, "it can't store what it is sent (The stream ");
  });
});

describe("a message in the stream that is no batch", () => {
  itNeeds(NATS, "is passed over by all servers, before a snapshot and behind it", async () => {
    await using nats = await Nats.start();
    const options = parseServerOptions([]);
    const first = await nats.open(options, SILENT_LOG, HASTY);
    await using server = await serveIn(nats);
    const endless =
      '[0,{"kind":"batch","at":1,"member":"x","batch":1},[1,1,"a","b",0,"receive","x"]]';
    const garbage = ["x", "", "null", '[{"kind":"command"}]', Uint8Array.of(0xff, 0x00), endless];
    garbage.push('[0,{"kind":"start","at":1,"rules":99,"settings":{}}]', "y".repeat(1_000_000));
    for (const body of garbage) await nats.publish(body);
    await until(logHas(server, "reason=stream-message"), "the log says it");
    for (let number = 0; number < 60; number++) await store(first, [register(`${number}`)]);
    for (const body of garbage) await nats.publish(body);
    await purged(nats, 20);
    const next = await nats.open(options, SILENT_LOG);
    using al = await connect(server, "Al");
    assertEquals(await al.ask("send", "Al", "hi"), STORED);
    await until(() => textOf(first) === textOf(next), "both have the same state");
    assertEquals(next.published.users.byId.size, 61);
    assertEquals(linesWith(server, "message=3 ").length, 1);
    await first.close();
    await next.close();
  });
});

describe("a stream that takes no more", () => {
  for (
    const [config, words] of [
      [{ max_bytes: 1_500 }, "maximum bytes exceeded"],
      [{ max_msgs: 5 }, "maximum messages exceeded"],
    ] as const
  ) {
    itNeeds(NATS, `tells the log of each server in JetStream's words: ${words}`, async () => {
      await using nats = await Nats.start();
      await using server = await serveIn(nats, ...SOON);
      using al = await connect(server, "Al");
      await nats.configure(config);
      while (await al.ask("send", "Al", "y".repeat(60)) === STORED);
      await until(logHas(server, "journal-failed"), "it is logged");
      assertStringIncludes(linesWith(server, "journal-failed")[0]!, words);
      assertStringIncludes(linesWith(server, "journal-failed")[0]!, "more room");
      assertEquals(linesWith(server, "reason=not-stored").length, 1);
      await nats.configure({ max_bytes: -1, max_msgs: -1 });
      await until(() => events(server).includes("journal-recovered"), "it goes on");
      assertEquals(await al.ask("send", "Al", "z"), STORED);
    });
  }
});
