/** The events that a watcher of a connection gets. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes";
import { describe } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { NameFilter, Watcher, type WireEvent } from "../../lib/http/wire_watcher.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveWeb, type TestWeb, until } from "../support.ts";

/** A watcher. */
class Viewer implements AsyncDisposable {
  readonly #events: AsyncGenerator<WireEvent>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  private constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
    this.#events = eventsOf(this.#reader);
  }

  static async watch(
    { url }: TestWeb,
    connection: number | "next" | "every",
    query = "",
  ): Promise<Viewer> {
    const response = await fetch(`${url}/wire?connection=${connection}${query}`);
    assertEquals(response.headers.get("content-type"), "application/x-ndjson");
    return new Viewer(response.body!);
  }

  /** The next event; `undefined` at the end of the stream. */
  async next(): Promise<WireEvent | undefined> {
    const { done, value } = await this.#events.next();
    return done ? undefined : value;
  }

  /** The next event, which must tell of a connection. */
  async connected(): Promise<WireEvent & { kind: "connected" }> {
    const event = await this.next();
    if (event?.kind === "connected") return event;
    throw new Error(`Expected a connection, not ${JSON.stringify(event)}`);
  }

  /** The next event, which must be a line. */
  async line(): Promise<WireEvent & { kind: "line" }> {
    const event = await this.next();
    if (event?.kind === "line") return event;
    throw new Error(`Expected a line, not ${JSON.stringify(event)}`);
  }

  /** The next lines, as `in 4: the command 'ping' "ping"`. */
  async lines(count: number): Promise<string[]> {
    const lines: string[] = [];
    while (lines.length < count) {
      const { direction, offset, meaning, text } = await this.line();
      lines.push(`${direction} ${offset}: ${meaning} ${text}`.trim());
    }
    return lines;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel();
  }
}

async function* eventsOf(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): AsyncGenerator<WireEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield JSON.parse(line);
  }
}

/** The number of the only connection of a server. */
async function numberOf({ url }: TestWeb): Promise<number> {
  const [{ connection }] = await (await fetch(`${url}/wire/connections`)).json();
  return connection;
}

/** The events of a watcher are few, and with those that it dropped they are all. */
async function assertSum(
  { stream }: Watcher,
  { most, sum }: { most: number; sum: number },
): Promise<void> {
  const events = await Array.fromAsync(eventsOf(stream.getReader()));
  assert(events.length <= most, `${events.length} events`);
  assertEquals(
    events.reduce((all, event) => all + (event.kind === "dropped" ? event.lines : 1), 0),
    sum,
  );
}

describe("the wire", () => {
  itNeeds(NET, "shows the next connection from its first byte to its end", async () => {
    await using server = serveWeb("--wire-texts");
    await using viewer = await Viewer.watch(server, "next");
    const al = await Peer.connect(server.port);
    assertEquals((await viewer.next())?.kind, "connected");
    await al.ask("register", "Al");
    assertEquals(await viewer.lines(3), [
      "in 0: the command 'register' \"register\"",
      "in 12: the name of 'register' \"Al\"",
      'out 0: reply: done "Hello, Al"',
    ]);
    await al.ask("send", "Al", "hi");
    assertEquals(await viewer.lines(4), [
      "in 18: the command 'send' \"send\"",
      "in 26: the receiver of 'send' \"Al\"",
      "in 32: the text of 'send' \"hi\"",
      'out 13: reply: done "Message added to storage!"',
    ]);
    await al.mail("receive");
    assertEquals((await viewer.lines(4)).slice(1), [
      'out 42: reply: the number of messages "1"',
      'out 47: reply: the sender of message 1 "Al"',
      'out 53: reply: the text of message 1 "hi"',
    ]);
    al.close();
    assertEquals(await viewer.next(), {
      kind: "ended",
      connection: 1,
      reason: "closed by the client",
    });
    assertEquals(await viewer.next(), undefined);
  });

  itNeeds(NET, "explains a mistake at the byte where it is", async () => {
    await using server = serveWeb();
    await using viewer = await Viewer.watch(server, "next");
    using al = await Peer.connect(server.port);
    await viewer.next();
    await al.ask("ping");
    await viewer.lines(2);
    await al.write(Uint8Array.of(0, 0, 0, 5));
    const { offset, hex, mistake } = await viewer.line();
    assertEquals([offset, hex, mistake?.code], [8, "00 00 00 05", "big-endian"]);
    assert(mistake?.text.includes("little-endian"));
    assert((await viewer.lines(1))[0]!.startsWith("out 8: reply: what is wrong (big-endian)"));
    al.close();
    assertEquals(await viewer.next(), { kind: "ended", connection: 1, reason: "mistake" });
  });

  itNeeds(NET, "explains a command that was begun and not completed", async () => {
    await using server = serveWeb();
    await using viewer = await Viewer.watch(server, "next");
    using al = await Peer.connect(server.port);
    await viewer.next();
    await al.write(Uint8Array.of(4, 0, 0, 0, 0x70));
    await al.conn.closeWrite();
    const { offset, mistake } = await viewer.line();
    assertEquals([offset, mistake?.code], [0, "incomplete-frame"]);
  });

  itNeeds(NET, "hides texts of mail in both directions", async () => {
    await using server = serveWeb();
    await using viewer = await Viewer.watch(server, "next");
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await al.ask("send", "Al", "a secret");
    await al.ask("sendall", "a secret");
    await al.mail("wait", "1");
    await al.write(encodeFrames(["send", "Al"]));
    await al.write(Uint8Array.of(0, 0, 0, 8, ...new TextEncoder().encode("a secret")));
    await until(() => server.lines.some((line) => line.includes("refused")), "it is refused");
    al.close();
    const seen: WireEvent[] = [];
    for (let event = await viewer.next(); event; event = await viewer.next()) seen.push(event);
    assertEquals(seen.filter((event) => JSON.stringify(event).includes("secret")), []);
    const meanings = seen.map((event) => event.kind === "line" ? event.meaning : "");
    assertEquals(meanings.filter((meaning) => meaning.endsWith(", hidden")).length, 4);
    assert(!JSON.stringify(seen).includes("61 20 73 65"), "not in hex either");
  });

  for (const cut of [1, 4, 7, 8, 9, 12, 14, 18, 20]) {
    itNeeds(
      NET,
      `shows a whole command when the watcher comes after ${cut} bytes of it`,
      async () => {
        await using server = serveWeb();
        using al = await Peer.connect(server.port);
        await al.ask("register", "Al");
        const bytes = encodeFrames(["send", "Al", "a text"]);
        await al.write(bytes.slice(0, cut));
        await until(() => server.server.facts.bytes.in === 18 + cut, "it has come");
        await using viewer = await Viewer.watch(server, await numberOf(server));
        assertEquals((await viewer.next())?.kind, "connected");
        await al.write(bytes.slice(cut));
        assertEquals(await viewer.lines(4), [
          "in 18: the command 'send' \"send\"",
          "in 26: the receiver of 'send' \"Al\"",
          "in 32: the text of 'send', hidden",
          'out 13: reply: done "Message added to storage!"',
        ]);
      },
    );
  }

  itNeeds(NET, "has several watchers, who come and leave", async () => {
    await using server = serveWeb();
    using al = await Peer.connect(server.port);
    await al.ask("ping");
    const number = await numberOf(server);
    await using one = await Viewer.watch(server, number);
    {
      await using two = await Viewer.watch(server, number);
      await al.ask("ping");
      for (const viewer of [one, two]) {
        await viewer.next();
        assertEquals(await viewer.lines(2), [
          "in 8: the command 'ping' \"ping\"",
          'out 8: reply: done "pong"',
        ]);
      }
    }
    await al.ask("ping");
    assertEquals((await one.lines(2)).length, 2);
  });

  itNeeds(NET, "frees the place of each watcher that leaves", async () => {
    await using server = serveWeb("--watchers-max", "1");
    using al = await Peer.connect(server.port);
    await al.ask("ping");
    const number = await numberOf(server);
    for (const connection of [number, "next", number] as const) {
      {
        await using viewer = await Viewer.watch(server, connection);
        if (connection !== "next") await viewer.next();
        const response = await fetch(`${server.url}/wire?connection=${number}`);
        assertEquals([response.status, await response.text()], [
          503,
          "1 watcher already, and --watchers-max allows no more\n",
        ]);
      }
      // The server notices with a later write that the watcher has gone.
      const isFree = async () => {
        const response = await fetch(`${server.url}/wire?connection=999`);
        await response.body?.cancel();
        return response.status === 404;
      };
      for (let tries = 0; !await isFree(); tries++) assert(tries < 1000, "the place is free again");
    }
    assertEquals(server.server.onOpen.size, 0);
    assertEquals(await al.ask("ping"), "pong");
  });

  itNeeds(NET, "drops lines for a watcher that does not read, and says how many", async () => {
    await using server = serveWeb("--wire-lines-max", "10");
    await using viewer = await Viewer.watch(server, "next");
    using al = await Peer.connect(server.port);
    const pings = encodeFrames(Array.from({ length: 100 }, () => "ping"));
    let sent = 0;
    const flood = async () => {
      await al.write(pings);
      sent += 100;
      for (let i = 0; i < 100; i++) assertEquals(await al.frame(), "pong");
    };
    await flood();
    assertEquals((await viewer.next())?.kind, "connected");
    await flood();
    al.close();
    let lines = 0;
    let dropped = 0;
    for (let event = await viewer.next(); event; event = await viewer.next()) {
      if (event.kind === "line") lines++;
      if (event.kind === "dropped") dropped += event.lines;
    }
    assert(dropped > 0);
    assertEquals(lines + dropped, 2 * sent);
  });

  itNeeds(
    NET,
    "drops and counts the lines of long replies that a full watcher would not get",
    async () => {
      await using server = serveWeb("--wire-lines-max", "10");
      using al = await Peer.connect(server.port);
      for (let i = 0; i < 150; i++) await al.ask("register", `user${i}`);
      await using viewer = await Viewer.watch(server, await numberOf(server));
      await al.write(encodeFrames(Array.from({ length: 50 }, () => "users")));
      for (let i = 0; i < 50 * 151; i++) await al.frame();
      al.close();
      let lines = 0;
      for (let event = await viewer.next(); event; event = await viewer.next()) {
        lines += event.kind === "line" ? 1 : event.kind === "dropped" ? event.lines : 0;
      }
      assertEquals(lines, 50 * (1 + 100));
    },
  );

  itNeeds(NET, "lists the connections and who is registered on them", async () => {
    await using server = serveWeb();
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    using guest = await Peer.connect(server.port);
    await guest.ask("ping");
    const list = await (await fetch(`${server.url}/wire/connections`)).json();
    const { port } = al.conn.localAddr;
    assertEquals(list.map(({ since: _, ...rest }: { since: number }) => rest), [
      {
        connection: 1,
        address: "127.0.0.1",
        peer: `127.0.0.1:${port}`,
        isWebSocket: false,
        bytesIn: 18,
        bytesOut: 13,
        user: "Al",
      },
      {
        connection: 2,
        address: "127.0.0.1",
        isWebSocket: false,
        peer: `127.0.0.1:${guest.conn.localAddr.port}`,
        bytesIn: 8,
        bytesOut: 8,
        user: null,
      },
    ]);
    for (const wrong of ["999", "x", ""]) {
      const response = await fetch(`${server.url}/wire?connection=${wrong}`);
      assertEquals([response.status, await response.text()], [
        404,
        `There is no connection ${wrong}: /wire/connections lists them\n`,
      ]);
    }
  });

  itNeeds(NET, "ends when the server stops", async () => {
    const server = serveWeb();
    const viewer = await Viewer.watch(server, "next");
    using al = await Peer.connect(server.port);
    await viewer.next();
    await al.ask("ping");
    await viewer.lines(2);
    await server[Symbol.asyncDispose]();
    assertEquals(await viewer.next(), {
      kind: "ended",
      connection: 1,
      reason: "the server stops",
    });
    assertEquals(await viewer.next(), undefined);
  });

  itNeeds(
    NET,
    "shows a frame that is not whole as far as it came, and then the whole one",
    async () => {
      await using server = serveWeb();
      await using viewer = await Viewer.watch(server, "next");
      using al = await Peer.connect(server.port);
      await viewer.next();
      await al.write(encodeFrames(["register"]).subarray(0, 7));
      const partial = await viewer.line();
      assertEquals([partial.isPartial, partial.meaning, partial.hex], [
        true,
        "a command, 3 of 8 bytes so far",
        "08 00 00 00 72 65 67",
      ]);
      await al.write(encodeFrames(["register"]).subarray(7));
      const whole = await viewer.line();
      assertEquals([whole.isPartial, whole.offset, whole.meaning], [
        undefined,
        partial.offset,
        "the command 'register'",
      ]);
    },
  );

  itNeeds(NET, "hides a text that is not whole, and shows how much of it came", async () => {
    await using server = serveWeb();
    await using viewer = await Viewer.watch(server, "next");
    using al = await Peer.connect(server.port);
    await viewer.next();
    await al.write(encodeFrames(["sendall", "SECRET"]).subarray(0, -1));
    const lines = [await viewer.line(), await viewer.line()];
    assertEquals(lines[1]!.meaning, "the text of 'sendall', 5 of 6 bytes so far, hidden");
    assert(!/SECRE|53 45 43/.test(JSON.stringify(lines)));
  });

  itNeeds(NET, "says of how many pieces a command came, if they came apart", async () => {
    await using server = serveWeb();
    await using viewer = await Viewer.watch(server, "next");
    using al = await Peer.connect(server.port);
    await viewer.next();
    const [register, name] = [encodeFrames(["register"]), encodeFrames(["Al"])];
    await al.write(register.subarray(0, 4));
    await sleep(60);
    await al.write(register.subarray(4));
    const command = await viewer.line();
    assertEquals(command.pieces?.count, 2);
    assert(command.pieces!.gapMs >= 50);
    await sleep(60);
    await al.write(name);
    assertEquals((await viewer.line()).pieces?.count, 2);
    await al.frame();
    await al.send("ping");
    assertEquals((await viewer.lines(2)).length, 2);
  });

  itNeeds(NET, "says nothing of pieces that come one behind the other", async () => {
    await using server = serveWeb();
    await using viewer = await Viewer.watch(server, "next");
    using al = await Peer.connect(server.port);
    await viewer.next();
    for (const byte of encodeFrames(["ping"])) await al.write(Uint8Array.of(byte));
    assertEquals((await viewer.line()).pieces, undefined);
  });

  itNeeds(NET, "follows every next connection", async () => {
    await using server = serveWeb();
    using _open = await Peer.connect(server.port);
    await using viewer = await Viewer.watch(server, "every");
    for (const connection of [2, 3]) {
      using al = await Peer.connect(server.port);
      const event = await viewer.connected();
      assertEquals([event.connection, event.isWebSocket], [connection, false]);
      await al.send("ping");
      assertEquals((await viewer.line()).connection, connection);
      await viewer.line();
      al.close();
      assertEquals((await viewer.next())?.kind, "ended");
    }
  });

  itNeeds(NET, "follows those of one address, or who register one name", async () => {
    await using server = serveWeb();
    await using nobody = await Viewer.watch(server, "every", "&address=192.0.2.1");
    await using viewer = await Viewer.watch(server, "every", "&user=Bo");
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    using bo = await Peer.connect(server.port);
    await bo.ask("register", "Bo");
    assertEquals((await viewer.connected()).connection, 2);
    assertEquals(await viewer.lines(3), [
      "in 0: the command 'register' \"register\"",
      "in 12: the name of 'register' \"Bo\"",
      'out 0: reply: done "Hello, Bo"',
    ]);
    assertEquals(await Promise.race([nobody.next(), sleep(50, "nothing")]), "nothing");
  });

  itNeeds(NET, "holds few events for a watcher that does not read", () => {
    const watcher = new Watcher(10);
    for (let connection = 1; connection <= 1_000; connection++) {
      watcher.add({ kind: "connected", connection, peer: "127.0.0.1:1", isWebSocket: false });
      watcher.add({ kind: "ended", connection, reason: "closed by the client" });
    }
    watcher.end();
    return assertSum(watcher, { most: 21, sum: 2_000 });
  });

  itNeeds(NET, "counts the events before a name that were too many to hold", () => {
    const watcher = new Watcher(1_000);
    const filter = new NameFilter(watcher, "Bo");
    for (let connection = 1; connection <= 500; connection++) {
      filter.add({ kind: "ended", connection, reason: "" });
    }
    filter.registered("Bo");
    watcher.end();
    return assertSum(watcher, { most: 201, sum: 500 });
  });

  itNeeds(
    NET,
    "follows who has a name behind 60 others, and says whom it passes over",
    async () => {
      await using server = serveWeb();
      await using viewer = await Viewer.watch(server, "every", "&user=Bo");
      await using all = await Viewer.watch(server, "every");
      using others = new DisposableStack();
      for (let i = 0; i < 60; i++) {
        const other = others.use(await Peer.connect(server.port));
        await other.ask("register", `other${i}`);
      }
      using bo = await Peer.connect(server.port);
      await bo.ask("register", "Bo");
      assertEquals((await viewer.connected()).connection, 61);
      let event = await all.next();
      while (event?.kind !== "passed-over") event = await all.next();
      assertEquals(event.connection, 51);
    },
  );

  itNeeds(NET, "shows a mistake behind the replies to what came before it", async () => {
    await using server = serveWeb();
    await using viewer = await Viewer.watch(server, "next");
    using al = await Peer.connect(server.port);
    await viewer.next();
    await al.write(concat([encodeFrames(["ping", "ping"]), Uint8Array.of(0, 0, 0, 5)]));
    const lines = await viewer.lines(6);
    assertEquals(lines.map((line) => line.replace(/ \(.*/, "")), [
      "in 0: the command 'ping' \"ping\"",
      "in 8: the command 'ping' \"ping\"",
      'out 0: reply: done "pong"',
      'out 8: reply: done "pong"',
      'in 16: not a command "\\u0000\\u0000\\u0000\\u0005"',
      "out 16: reply: what is wrong",
    ]);
  });

  itNeeds(NET, "marks a WebSocket as one", async () => {
    await using server = serveWeb();
    await using viewer = await Viewer.watch(server, "next");
    const socket = new WebSocket(server.url.replace("http", "ws") + "/ws");
    assert((await viewer.connected()).isWebSocket);
    const [{ isWebSocket }] = await (await fetch(`${server.url}/wire/connections`)).json();
    assert(isWebSocket);
    socket.close();
    await new Promise((closed) => socket.onclose = closed);
  });

  itNeeds(
    NET,
    "explains a mistake behind a mail by its rule, and shows none of its bytes",
    async () => {
      await using server = serveWeb();
      await using viewer = await Viewer.watch(server, "next");
      using al = await Peer.connect(server.port);
      await viewer.next();
      await al.write(encodeFrames(["sendall", "SEC"]));
      await viewer.line();
      await viewer.line();
      await viewer.line();
      await al.write(new TextEncoder().encode("RET"));
      let line = await viewer.line();
      while (line.mistake === undefined) line = await viewer.line();
      assertStringIncludes(line.mistake.text, "that one's length is 3 too small");
      assertEquals([line.hex, line.text], ["", ""]);
    },
  );
});
