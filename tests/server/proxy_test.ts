/** A server behind a proxy that names the addresses of its users. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes";
import { describe } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { from, header, LOCAL, tcp6 } from "../protocol/proxy_headers.ts";
import { IPV6, itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { logHas, serve, type TestServer, until } from "../support.ts";

const TRUSTED = ["--proxy-protocol", "127.0.0.1"];
const DB8 = "20010db8000000000000000000000001";

/** Connects as a proxy does for a user. */
async function connect(server: TestServer, first: Uint8Array): Promise<Peer> {
  const peer = await Peer.connect(server.port);
  await peer.write(first);
  return peer;
}

describe("behind a trusted proxy", () => {
  itNeeds(NET, "a user has the address of the header, also in the log", async () => {
    await using server = serve("--strict", ...TRUSTED);
    using al = await connect(server, from("192.0.2.7", 50_001));
    using bob = await connect(server, from("192.0.2.8", 50_002));
    using eve = await connect(server, from("192.0.2.7", 50_003));
    assertEquals(await al.ask("register", "Al"), "Hello, Al");
    assertEquals(await bob.ask("register", "Bob"), "Hello, Bob");
    assertEquals(await eve.ask("register", "Eve"), "'192.0.2.7:50003' was used before!");
    await until(logHas(server, "connected connection=1 peer=192.0.2.7:50001"), "it is logged");
  });

  itNeeds(NET, "a user may have an IPv6 address", async () => {
    await using server = serve("--strict", ...TRUSTED);
    using al = await connect(server, header(0x21, 0x21, tcp6(DB8, 50_001)));
    using eve = await connect(server, header(0x21, 0x21, tcp6(DB8, 50_002)));
    await al.ask("register", "Al");
    assertEquals(await eve.ask("register", "Eve"), "'[2001:db8::1]:50002' was used before!");
  });

  itNeeds(IPV6, "a proxy is known by its IPv4 address on a dual-stack socket", async () => {
    await using server = serve("--hostname", "::", ...TRUSTED);
    using peer = await connect(server, from("192.0.2.7"));
    assertEquals(await peer.ask("ping"), "pong");
  });

  itNeeds(
    NET,
    "a second header is explained, and no advice leads to forged addresses",
    async () => {
      await using server = serve(...TRUSTED);
      using peer = await connect(server, concat([from("192.0.2.7"), from("192.0.2.8")]));
      const text = (await peer.frame())!;
      assertStringIncludes(text, "a second header of the PROXY protocol, but one was read already");
      assert(!/add it|--proxy-protocol/.test(text), text);
      assertEquals(await peer.frame(), undefined);
      assert(!logHas(server, "192.0.2.8")());
    },
  );

  itNeeds(NET, "a name belongs to the address of the header", async () => {
    await using server = serve(...TRUSTED);
    const al = await connect(server, from("192.0.2.7"));
    await al.ask("register", "Al");
    al.close();
    await until(logHas(server, "disconnected connection=1"), "Al is away");
    using other = await connect(server, from("192.0.2.8"));
    assertEquals(await other.ask("register", "Al"), "'Al' already exists!");
    using back = await connect(server, from("192.0.2.7"));
    assertEquals(await back.ask("register", "Al"), "Nice to see you, Al");
  });

  itNeeds(NET, "the limits per address count the address of the header", async () => {
    await using server = serve("--connections-per-address-max", "1", ...TRUSTED);
    using al = await connect(server, from("192.0.2.7"));
    assertEquals(await al.ask("ping"), "pong");
    using bob = await connect(server, from("192.0.2.8"));
    assertEquals(await bob.ask("ping"), "pong");
    using again = await connect(server, from("192.0.2.7"));
    assertEquals(await again.frame(), "Server is full!");
  });

  itNeeds(NET, "the limit of connections counts a /64 of IPv6 as one address", async () => {
    await using server = serve("--connections-per-address-max", "1", ...TRUSTED);
    using al = await connect(server, header(0x21, 0x21, tcp6(DB8, 50_001)));
    assertEquals(await al.ask("ping"), "pong");
    using near = await connect(server, header(0x21, 0x21, tcp6(DB8.slice(0, -1) + "2", 50_001)));
    assertEquals(await near.frame(), "Server is full!");
    using far = await connect(
      server,
      header(0x21, 0x21, tcp6(DB8.replace("0db8", "0db9"), 50_001)),
    );
    assertEquals(await far.ask("ping"), "pong");
  });

  itNeeds(NET, "a proxy has no share of its own", async () => {
    await using server = serve("--connections-per-address-max", "1", ...TRUSTED);
    using silent = await Peer.connect(server.port);
    using slow = await Peer.connect(server.port);
    await until(() => server.server.facts.connections === 2, "both are accepted");
    for (const [i, peer] of [silent, slow].entries()) {
      await peer.write(from(`192.0.2.${i}`));
      assertEquals(await peer.ask("ping"), "pong");
    }
  });

  itNeeds(
    NET,
    "commands in one piece with the header are answered, wherever it is cut",
    async () => {
      await using server = serve(...TRUSTED);
      const bytes = concat([from("192.0.2.7"), encodeFrames(["ping", "users"])]);
      for (let at = 0; at < bytes.length; at++) {
        using peer = await connect(server, bytes.subarray(0, at));
        await sleep(0);
        await peer.write(bytes.subarray(at));
        assertEquals([await peer.frame(), await peer.frame()], ["pong", "0"]);
      }
    },
  );

  itNeeds(NET, "a header may come byte by byte", async () => {
    await using server = serve(...TRUSTED);
    using peer = await Peer.connect(server.port);
    for (const byte of concat([from("192.0.2.7"), encodeFrames(["ping"])])) {
      await peer.write(Uint8Array.of(byte));
      await sleep(0);
    }
    assertEquals(await peer.frame(), "pong");
  });

  itNeeds(NET, "the proxy itself keeps its address, as for a health check", async () => {
    await using server = serve(...TRUSTED);
    for (const own of [LOCAL, header(0x21, 0x00)]) {
      using peer = await connect(server, concat([own, encodeFrames(["ping"])]));
      assertEquals(await peer.frame(), "pong");
      const { port } = peer.conn.localAddr as Deno.NetAddr;
      await until(logHas(server, `peer=127.0.0.1:${port}`), "the log shows its address");
    }
  });

  itNeeds(NET, "a header that does not come delays no other connection", async () => {
    await using server = serve(...TRUSTED);
    using silent = await Peer.connect(server.port);
    using slow = await connect(server, LOCAL.subarray(0, 5));
    using peer = await connect(server, from("192.0.2.7"));
    assertEquals(await peer.ask("ping"), "pong");
    await slow.write(concat([LOCAL.subarray(5), encodeFrames(["ping"])]));
    assertEquals(await slow.frame(), "pong");
    await silent.write(LOCAL);
    assertEquals(await silent.ask("ping"), "pong");
  });

  itNeeds(NET, "a connection whose header has not come counts", async () => {
    await using server = serve("--connections-max", "1", ...TRUSTED);
    const silent = await Peer.connect(server.port);
    await until(() => server.server.facts.connections === 1, "it is accepted");
    using peer = await connect(server, from("192.0.2.7"));
    assertEquals(await peer.frame(), "Server is full!");
    silent.close();
    await until(() => server.server.facts.connections === 0, "it is gone");
    using next = await connect(server, from("192.0.2.7"));
    assertEquals(await next.ask("ping"), "pong");
  });

  itNeeds(NET, "a stop does not wait for a header", async () => {
    await using server = serve(...TRUSTED);
    using silent = await Peer.connect(server.port);
    await until(() => server.server.facts.connections === 1, "it is accepted");
    await server.server.stop();
    await until(() => server.server.facts.connections === 0, "it is closed");
    assertEquals(await silent.frame().catch(() => undefined), undefined);
    assertEquals(server.lines, []);
  });
});

describe("a connection of a trusted proxy without a good header", () => {
  const ADVICE =
    ". 127.0.0.1 is in --proxy-protocol, so it must begin with a header of the PROXY " +
    "protocol, version 2: switch that on there (send-proxy-v2 in HAProxy), or take the address " +
    "out of the list";

  for (
    const [name, bytes, seen] of [
      ["a command", encodeFrames(["ping"]), "No header came: byte 1 is 04, not 0d"],
      [
        "a header of version 1",
        new TextEncoder().encode("PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n"),
        "A header of version 1 came, which is text",
      ],
      ["a broken header", header(0x51, 0x11), "A header of version 5 came"],
      [
        "half a header",
        LOCAL.subarray(0, 9),
        "9 bytes of a header came, then nothing more for 0.3 s",
      ],
      ["nothing", new Uint8Array(0), "0 bytes of a header came, then nothing more for 0.3 s"],
    ] as const
  ) {
    itNeeds(NET, `is closed after ${name}, the log says why, and others go on`, async () => {
      await using server = serve("--command-timeout-s", "0.3", ...TRUSTED);
      using other = await connect(server, from("192.0.2.7"));
      assertEquals(await other.ask("ping"), "pong");
      using peer = await connect(server, bytes);
      assertEquals(await peer.frame().catch(() => undefined), undefined);
      const { port } = peer.conn.localAddr as Deno.NetAddr;
      const line =
        `refused peer=127.0.0.1:${port} explanation="${seen}${ADVICE}" reason=proxy-header`;
      await until(logHas(server, line), "the log says why");
      assertEquals(await other.ask("ping"), "pong");
      assertEquals(server.server.facts.connections, 1);
    });
  }

  itNeeds(
    NET,
    "is refused while 1000 of them wait for theirs, and costs no user a place",
    async () => {
      await using server = serve(...TRUSTED);
      using all = new DisposableStack();
      using al = await connect(server, from("192.0.2.7"));
      assertEquals(await al.ask("ping"), "pong");
      const waiting: Peer[] = [];
      while (waiting.length < 1_000) waiting.push(all.use(await Peer.connect(server.port)));
      using refused = await connect(server, from("192.0.2.8"));
      assertEquals(await refused.frame(), "Server is full!");
      assertEquals(await refused.frame(), undefined);
      assert(logHas(server, "reason=arriving-max")());
      assertEquals(await al.ask("ping"), "pong");
      await waiting[0]!.write(from("192.0.2.9"));
      assertEquals(await waiting[0]!.ask("ping"), "pong");
      using next = await connect(server, from("192.0.2.8"));
      assertEquals(await next.ask("ping"), "pong");
      waiting[1]!.close();
      await until(logHas(server, "0 bytes of a header came, then the connection ended"), "it ends");
      using last = await connect(server, from("192.0.2.8"));
      assertEquals(await last.ask("ping"), "pong");
    },
  );

  itNeeds(NET, "is explained in the log if it ends within the header", async () => {
    await using server = serve(...TRUSTED);
    (await connect(server, LOCAL.subarray(0, 9))).close();
    await until(logHas(server, "9 bytes of a header came, then the connection ended"), "it is");
  });
});

describe("a connection that is not of a trusted proxy", () => {
  itNeeds(NET, "needs no header", async () => {
    await using server = serve("--proxy-protocol", "192.0.2.0/24,::1");
    using peer = await Peer.connect(server.port);
    assertEquals(await peer.ask("ping"), "pong");
  });

  itNeeds(NET, "gets no other address by a header, which is a mistake", async () => {
    for (const flags of [[], ["--proxy-protocol", "192.0.2.0/24"]]) {
      await using server = serve(...flags);
      using peer = await connect(server, from("192.0.2.7"));
      assertStringIncludes((await peer.frame())!, "your address is not in --proxy-protocol");
      assertEquals(await peer.frame(), undefined);
      assert(!logHas(server, "192.0.2.7")());
    }
  });
});
