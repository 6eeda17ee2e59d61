/** The stream in NATS of a shared chat: making it, purging it, following it. With real nats-servers. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { JetStreamApiError } from "@nats-io/jetstream";
import { TimeoutError } from "@nats-io/transport-node";
import { setTimeout as sleep } from "node:timers/promises";
import { count } from "../../lib/chat/mailboxes.ts";
import { within } from "../../lib/clock.ts";
import { JournalError } from "../../lib/journal/journal.ts";
import { connectNats } from "../../lib/journal/nats/connection.ts";
import { askUntilReady } from "../../lib/journal/nats/setup.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveIn, SILENT_LOG, until } from "../support.ts";
import { NATS, Nats, NATS_CLUSTER } from "./nats.ts";
import {
  connect,
  events,
  HASTY,
  purged,
  refusal,
  register,
  send,
  startProcess,
  store,
  textOf,
} from "./nats_chat.ts";

const STORED = "Message added to storage!";

/** Listens like a NATS server of this version, which answers pings and nothing else. */
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

/** Does the server end this connection, long before it would for sending nothing (60 s)? */
async function endsSoon(peer: Peer): Promise<boolean> {
  const end = peer.frame().then((frame) => frame === undefined);
  return await within(20_000, end) ?? false;
}

describe("a stream in NATS", () => {
  /** Connects to NATS of this version to keep three copies; returns its version. */
  async function connectForCopies(version: string): Promise<string | undefined> {
    using listener = pretendNats(version);
    const flags = ["--journal", `nats://127.0.0.1:${listener.addr.port}`, "--replicas", "3"];
    const connection = await connectNats(parseServerOptions(flags));
    const { info } = connection;
    await connection.close();
    return info?.version;
  }

  for (const version of ["2.9.25", "1.40.0"]) {
    itNeeds(NET, `is not kept in three copies by NATS ${version}`, async () => {
      const { message } = await assertRejects(() => connectForCopies(version), JournalError);
      assertStringIncludes(message, `NATS is ${version}`);
      assertStringIncludes(message, "must be 2.10 or later");
    });
  }

  itNeeds(NET, "is kept in three copies by NATS 2.10.0", async () => {
    assertEquals(await connectForCopies("2.10.0"), "2.10.0");
  });

  it("is asked for again until JetStream is ready, and its first error is told", async () => {
    const noLeader = new JetStreamApiError({ code: 503, err_code: 10008, description: "" });
    const failures = [noLeader, new TimeoutError()];
    const told: unknown[] = [];
    const ask = () => {
      const failure = failures.shift();
      return failure === undefined ? Promise.resolve("ready") : Promise.reject(failure);
    };
    assertEquals(await askUntilReady(ask, (error) => told.push(error)), "ready");
    assertEquals(told, [noLeader]);
    const noRoom = new JetStreamApiError({ code: 500, err_code: 10047, description: "no room" });
    await assertRejects(
      () => askUntilReady(() => Promise.reject(noRoom), () => {}),
      JetStreamApiError,
      "no room",
    );
  });

  itNeeds(NATS_CLUSTER, "can be opened while its servers look for each other", async () => {
    await using nats = await Nats.start(3);
    for (const node of nats.nodes.slice(1)) await node.end();
    for (const node of nats.nodes.slice(1)) node.start();
    await using _server = await serveIn(nats, "--replicas", "3");
  });

  itNeeds(NATS, "carries a batch of any length, in several messages", async () => {
    await using nats = await Nats.start();
    const options = parseServerOptions(["--mailbox-messages-max", "100000"]);
    const commits = await nats.open(options, SILENT_LOG);
    const numbers = Array.from({ length: 20_000 }, (_, index) => `${index}`);
    await store(commits, [register("Al"), ...numbers.map((text) => send("Al", text.padEnd(60)))]);
    const { users, mailboxes } = commits.published;
    assertEquals(count(mailboxes, users.byName.get("Al")!.id), 20_000);
    const { last } = await nats.stream();
    // One message is the `join`.
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
    await until(() => textOf(first) === textOf(next), "both have the same state");
    await first.close();
    await next.close();
  });

  itNeeds(
    NATS,
    "is refused if it was restored without the entry that names its snapshot",
    async () => {
      await using nats = await Nats.start();
      const commits = await nats.open(parseServerOptions([]), SILENT_LOG, HASTY);
      for (let i = 0; i < 40; i++) await store(commits, [register(`u${i}`)]);
      await purged(nats, 20);
      await commits.close();
      await nats.remove("KV_asvt-chat");
      assertStringIncludes(await refusal(nats), "and KV_asvt-chat, which says where the snapshot");
    },
  );

  itNeeds(NATS, "goes on after a question to a member that names no session", async () => {
    await using nats = await Nats.start();
    const commits = await nats.open(parseServerOptions([]), SILENT_LOG);
    const answering = await serveIn({ open: () => Promise.resolve(commits) });
    const connection = await connectNats(parseServerOptions(["--journal", nats.urls]));
    for (const question of ["", "null", "{", "a b", "0 0"]) {
      await connection.request(`asvt-chat.ask.${commits.sharing!.member}`, question);
    }
    await connection.close();
    await store(commits, [register("Al")]);
    assertEquals(commits.published.users.byId.size, 1);
    await answering[Symbol.asyncDispose]();
  });

  itNeeds(NATS, "is left by a server that stops, which logs no end by others", async () => {
    await using nats = await Nats.start();
    const server = await serveIn(nats);
    await server[Symbol.asyncDispose]();
    assertEquals(events(server).includes("ended-by-others"), false);
  });

  itNeeds(NATS, "can be joined while another server writes, and makes snapshots", async () => {
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
    await until(() => textOf(first) === textOf(next), "both have the same state");
    await first.close();
    await next.close();
  });

  itNeeds(NATS, "is followed by a server that was paused while it was purged", async () => {
    await using nats = await Nats.start();
    await using paused = await startProcess(nats);
    await using here = await serveIn({ open: (...args) => nats.open(...args, HASTY) });
    using bob = await connect(paused, "Bob");
    using al = await connect(here, "Al");
    paused.signal("SIGSTOP");
    // NATS sends at most 100 messages to a server that reads nothing.
    const texts = Array.from({ length: 400 }, (_, number) => `${number}`);
    for (const text of texts) assertEquals(await al.ask("send", "Bob", text), STORED);
    await purged(nats, 300);
    paused.signal("SIGCONT");
    assert(await endsSoon(bob));
    // The server takes part again as another member.
    using again = await Peer.connect(paused.port);
    assertEquals(await again.ask("register", "Bob"), "Nice to see you, Bob");
    assertEquals(await again.mail("receive"), texts.map((text) => `Al: ${text}`));
  });

  itNeeds(NATS, "is followed by a server that was paused while all of it was purged", async () => {
    await using nats = await Nats.start();
    await using paused = await startProcess(nats);
    await using here = await serveIn({ open: (...args) => nats.open(...args, HASTY) });
    using bob = await connect(paused, "Bob");
    using al = await connect(here, "Al");
    paused.signal("SIGSTOP");
    let sent = 0;
    const sendNext = async () => assertEquals(await al.ask("send", "Bob", `${sent++}`), STORED);
    while (sent < 400) await sendNext();
    // Each 10 messages a snapshot is due: one of them holds the last message.
    for (let range = await nats.stream(); range.first <= range.last; range = await nats.stream()) {
      assert(sent < 1_000, "the stream gets empty");
      await sendNext();
      await sleep(50);
    }
    paused.signal("SIGCONT");
    // No message comes that would show what the server has missed.
    assert(await endsSoon(bob));
    using again = await Peer.connect(paused.port);
    assertEquals(await again.ask("register", "Bob"), "Nice to see you, Bob");
    const texts = Array.from({ length: sent }, (_, number) => `Al: ${number}`);
    assertEquals(await again.mail("receive"), texts);
  });
});
