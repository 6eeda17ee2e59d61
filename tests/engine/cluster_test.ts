/** Servers on a shared journal whose stream is the test itself: it hands over each message. */
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import type { Entry } from "../../lib/chat/entry.ts";
import { Engine } from "../../lib/engine/engine.ts";
import { Metrics } from "../../lib/http/metrics.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import type { SharedCommits } from "../../lib/engine/shared_commits.ts";
import { HttpServer } from "../../lib/http/http_server.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveIn, SILENT_LOG, type TestServer, until } from "../support.ts";
import { join, type Stream } from "./stream.ts";

const SETTINGS = settingsOf(parseServerOptions([]));
const STRICT = settingsOf(parseServerOptions(["--strict"]));
const HOUR_MS = 3_600_000;

const OVER: Entry = { kind: "leave", at: 1, member: "member 1" };
const BATCH = { kind: "batch", at: 1, member: "other", batch: 1 } as const;

describe("a server that is behind the others", () => {
  itNeeds(
    NET,
    "accepts no connection until it has read their batches, and /healthz says so",
    async () => {
      const { stream } = await join(SETTINGS);
      const server = await serveIn({ open: () => Promise.resolve(stream.commits) });
      const options = parseServerOptions(["--http", "0"]);
      const web = new HttpServer(server.server, options, new Metrics("0.0.0"), SILENT_LOG);
      const health = async () => (await fetch(`${web.url}healthz`)).text();
      using old = await Peer.connect(server.port);
      assertEquals(await old.ask("ping"), "pong");
      assertEquals(await health(), "It serves\n");
      stream.pending = 1_000;
      stream.hear(BATCH);
      using al = await Peer.connect(server.port);
      await al.send("ping");
      assertEquals(await old.ask("ping"), "pong");
      assertEquals(await health(), "Not now: it has not read yet what other servers did\n");
      assertEquals(await opens(`${web.url}ws`), false);
      assertEquals(server.server.connections().length, 1);
      stream.pending = 999;
      stream.hear({ ...BATCH, batch: 2 });
      assertEquals(await al.frame(), "pong");
      assertEquals(await health(), "It serves\n");
      assertEquals(await opens(`${web.url}ws`), true);
      old.close();
      al.close();
      await web.stop();
      await stop(server, stream);
    },
  );

  itNeeds(NET, "closes a waiting connection without a reply when it is stopped", async () => {
    const { stream } = await join(SETTINGS);
    const server = await serveIn({ open: () => Promise.resolve(stream.commits) });
    stream.pending = 1_000;
    stream.hear(BATCH);
    using al = await Peer.connect(server.port);
    await al.send("ping");
    // Meanwhile the connection is accepted, and waits.
    await sleep(20);
    await stop(server, stream);
    assertEquals(await al.frame().catch(() => undefined), undefined);
  });
});

describe("a strict server beside others", () => {
  it("notes that a user is here, so that no other member forgets the user", async () => {
    const { stream } = await join(STRICT);
    const engine = new Engine(stream.commits, SILENT_LOG);
    const command = { name: "register", user: "Al" } as const;
    const session = engine.open("10.0.0.1", "10.0.0.1:1");
    const answers = engine.enter(session, [{ kind: "command", command }]);
    await stream.comeBack();
    await answers;
    const later = Date.now() + 2 * HOUR_MS;
    stream.hear({ ...BATCH, at: later });
    engine.forgetAbsent(later, 3 * HOUR_MS);
    await stream.comeBack();
    const { byName, presence } = stream.commits.published.users;
    assertEquals(presence.get(byName.get("Al")!.id)!.freeSince, later);
    engine.forgetAbsent(later + HOUR_MS / 2, 3 * HOUR_MS);
    await sleep(5);
    assertEquals(stream.sent, []);
  });
});

describe("a server whose member another one has ended", () => {
  itNeeds(NET, "serves a client that comes meanwhile as soon as it takes part again", async () => {
    const { stream } = await join(SETTINGS);
    const server = await serveIn({ open: () => Promise.resolve(stream.commits) });
    using old = await Peer.connect(server.port);
    await old.send("register", "Old");
    await stream.comeBack();
    assertEquals(await old.frame(), "Hello, Old");
    stream.hear(OVER);
    assertEquals(await old.frame(), undefined);
    using al = await Peer.connect(server.port);
    await al.send("register", "Al");
    await stream.comeBack();
    await stream.comeBack();
    assertEquals(await al.frame(), "Hello, Al");
    // The name is free when the client has left.
    al.close();
    await stream.comeBack();
    assertEquals(namesHeld(stream.commits), []);
    await stop(server, stream);
  });

  itNeeds(NET, "gives no name to a session of the member before that waits for it", async () => {
    const { stream } = await join(SETTINGS);
    const { commits } = stream;
    const server = await serveIn({ open: () => Promise.resolve(commits) });
    const actor = { session: { member: 2, count: 1 }, address: "127.0.0.1", peer: "" };
    const command = { name: "register", user: "Al" } as const;
    stream.hear(BATCH, { kind: "command", at: 1, actor, command });
    using al = await Peer.connect(server.port);
    await al.send("register", "Al");
    await until(() => stream.asked !== undefined, "the other server is asked to give it away");
    stream.hear(OVER);
    assertEquals(await al.frame(), undefined);
    await stream.comeBack();
    stream.hear({ ...BATCH, batch: 2 }, {
      kind: "end",
      at: 1,
      session: actor.session,
      address: actor.address,
    });
    stream.asked!(true);
    using bob = await Peer.connect(server.port);
    await bob.send("register", "Bob");
    await stream.comeBack();
    assertEquals(await bob.frame(), "Hello, Bob");
    assertEquals(namesHeld(commits), ["Bob"]);
    bob.close();
    await stream.comeBack();
    await stop(server, stream);
  });
});

/** Does the server accept a WebSocket? */
async function opens(url: string): Promise<boolean> {
  const socket = new WebSocket(url);
  const isOpen = await new Promise<boolean>((resolve) => {
    socket.onopen = () => resolve(true);
    socket.onclose = () => resolve(false);
  });
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.close();
  if (isOpen) await closed;
  return isOpen;
}

/** Stops a server, and lets its `leave` come back. */
async function stop(server: TestServer, stream: Stream): Promise<void> {
  const stopped = server[Symbol.asyncDispose]();
  await stream.comeBack();
  await stopped;
}

/** The names that sessions hold. */
function namesHeld({ published: { users } }: SharedCommits): string[] {
  return users.byId.values().filter(({ id }) => users.presence.get(id)!.session !== undefined)
    .map(({ name }) => name);
}
