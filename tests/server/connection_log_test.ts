/** What the log says of connections: read as a teacher reads it. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes";
import { describe } from "@std/testing/bdd";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { quoted } from "../../lib/text/printable.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serve, serveWeb, type TestServer, until } from "../support.ts";

/** The lines of a server about an event, without their times, when there are at least `count`. */
async function linesOf(server: TestServer, event: string, count = 1): Promise<string[]> {
  const found = () =>
    server.lines.map((line) => line.slice(line.indexOf(" ") + 1))
      .filter((line) => line.startsWith(`${event} `));
  await until(() => found().length >= count, `${count} lines about ${event}`);
  return found();
}

/** A client that has registered a name. */
async function join(server: TestServer, name: string): Promise<Peer> {
  const peer = await Peer.connect(server.port);
  await peer.ask("register", name);
  return peer;
}

describe("the log", () => {
  itNeeds(
    NET,
    "names the user of a refusal, of a mistake and of a connection that ends",
    async () => {
      await using server = serve();
      using al = await join(server, "Al");
      using _bo = await join(server, "Bo");
      await al.ask("send", "Cy", "hi");
      await al.ask("nonsense");
      al.close();
      const [refusal, mistake] = await linesOf(server, "refused", 2);
      assertStringIncludes(refusal!, "user=Al command=send");
      assertStringIncludes(mistake!, "user=Al explanation=");
      assertStringIncludes((await linesOf(server, "disconnected"))[0]!, "user=Al reason=mistake");
    },
  );

  itNeeds(NET, "names the only user of an address, as whom a new connection acts", async () => {
    await using server = serve();
    (await join(server, "Al")).close();
    await linesOf(server, "disconnected");
    using again = await Peer.connect(server.port);
    await again.ask("send", "Cy", "hi");
    assertStringIncludes((await linesOf(server, "refused"))[0]!, "user=Al");
  });

  itNeeds(NET, "names nobody after a logout", async () => {
    await using server = serve();
    using al = await join(server, "Al");
    await al.ask("logout");
    await al.ask("receive");
    assert(!(await linesOf(server, "refused"))[0]!.includes("user="));
  });

  itNeeds(NET, "names nobody for a connection that ends after a logout", async () => {
    await using server = serve();
    using al = await join(server, "Al");
    (await join(server, "Bo")).close();
    await linesOf(server, "disconnected");
    await al.ask("logout");
    al.close();
    const lines = await linesOf(server, "disconnected", 2);
    assertStringIncludes(lines[0]!, "user=Bo");
    assertStringIncludes(lines[1]!, "connection=1 ");
    assert(!lines[1]!.includes("user="), lines[1]);
  });

  itNeeds(NET, "names nobody where a command came before its register", async () => {
    await using server = serve();
    using peer = await Peer.connect(server.port);
    await peer.send("receive", "register", "Al");
    await linesOf(server, "registered");
    const [line] = await linesOf(server, "refused");
    assertStringIncludes(line!, "reason=not-registered");
    assert(!line!.includes("user="), line);
  });

  itNeeds(
    NET,
    "names the user in strict mode, also after another logout of the address",
    async () => {
      await using server = serve("--strict");
      using one = await join(server, "Al");
      await one.ask("logout");
      using two = await join(server, "Bo");
      await one.ask("send", "Cy", "hi");
      assertStringIncludes((await linesOf(server, "refused"))[0]!, "connection=1 ");
      assertStringIncludes((await linesOf(server, "refused"))[0]!, "user=Bo");
      two.close();
    },
  );

  itNeeds(NET, "has a mistake behind what was answered before it", async () => {
    await using server = serve();
    using peer = await Peer.connect(server.port);
    await peer.write(
      concat([encodeFrames(["register", "Al", "send", "Cy", "hi"]), Uint8Array.of(10)]),
    );
    while (await peer.frame() !== undefined);
    await linesOf(server, "refused", 2);
    const order = server.lines.map((line) => /reason=(\S+)|registered/.exec(line)?.[0] ?? "");
    assertEquals(order.filter(Boolean).slice(0, 3), [
      "registered",
      "reason=no-such-user",
      "reason=bytes-between",
    ]);
  });

  itNeeds(NET, "says which connection holds a name, and how long that one was idle", async () => {
    await using server = serve();
    using _al = await join(server, "Al");
    using other = await Peer.connect(server.port);
    await other.ask("register", "Al");
    const [line] = await linesOf(server, "refused");
    assertMatch(line!, /holder=1 holderPeer=127\.0\.0\.1:\d+ holderIdleS=0 reason=name-taken/);
  });

  itNeeds(NET, "says from which address a name is registered that nobody holds", async () => {
    await using server = serve("--proxy-protocol", "127.0.0.1");
    const { from } = await import("../protocol/proxy_headers.ts");
    for (
      const [address, event] of [["192.0.2.1", "registered"], ["192.0.2.2", "refused"]] as const
    ) {
      using peer = await Peer.connect(server.port);
      await peer.write(from(address));
      await peer.ask("register", "Al");
      peer.close();
      await linesOf(server, event);
      await linesOf(server, "disconnected");
    }
    const [line] = await linesOf(server, "refused");
    assertStringIncludes(line!, "holder=nobody registeredFrom=192.0.2.1");
  });

  itNeeds(
    NET,
    "has a line for each of 40 clients of one address with the same mistake",
    async () => {
      await using server = serve();
      await Promise.all(Array.from({ length: 40 }, async () => {
        using peer = await Peer.connect(server.port);
        await peer.write(encodeFrames(["regsiter"]));
        assertStringIncludes(await peer.frame() ?? "", "Did you mean 'register'?");
      }));
      const lines = await linesOf(server, "refused", 40);
      assertEquals(new Set(lines.map((line) => /connection=\d+/.exec(line)![0])).size, 40);
    },
  );

  for (const [name, says] of [["Al\n", "fgets"], ["Al\0", "NUL"], ["users", "name forgotten"]]) {
    itNeeds(NET, `says what is odd about the name ${JSON.stringify(name)}`, async () => {
      await using server = serve();
      using _al = await join(server, name!);
      const [line] = await linesOf(server, "registered");
      assertMatch(line!, new RegExp(`odd=.*${says}`));
    });
  }

  for (
    const [registered, receiver] of [
      ["Al\0", "Al"],
      ["Al\n\0", "Al"],
      ["Al\0\0\0", "Al"],
      [
        "\ufeffAl\r\n",
        "Al",
      ],
      ["\ufeffAl", "Al"],
      ["al", "Al"],
      [
        "Al",
        "Al\n",
      ],
    ]
  ) {
    const names = `${JSON.stringify(registered)} is registered, not ${JSON.stringify(receiver)}`;
    itNeeds(NET, `names the user who is nearest: ${names}`, async () => {
      await using server = serve();
      using al = await join(server, registered!);
      assertStringIncludes(await al.ask("send", receiver!, "hi") ?? "", "doesn't exist");
      const [line] = await linesOf(server, "refused");
      const shown = /^\w+$/.test(registered!) ? registered! : quoted(registered!);
      assertStringIncludes(line!, `nearest=${shown} `);
    });
  }

  itNeeds(NET, "has a line for each command with --log-commands, and never a text", async () => {
    await using server = serve("--log-commands");
    using al = await join(server, "Al");
    await al.send("send", "Al", "SECRET", "sendall", "SECRET", "users", "receive", "logout");
    const lines = await linesOf(server, "command", 6);
    assertEquals(lines.map((line) => line.replace(/^command connection=1 peer=\S+ /, "")), [
      "user=Al command=register",
      "user=Al command=send to=Al",
      "user=Al command=sendall",
      "user=Al command=users count=1",
      "user=Al command=receive count=1",
      "user=Al command=logout",
    ]);
    assert(!server.lines.join().includes("SECRET"));
  });

  itNeeds(NET, "names the user whom a new connection logs out", async () => {
    await using server = serve("--log-commands");
    (await join(server, "Al")).close();
    await linesOf(server, "disconnected");
    using again = await Peer.connect(server.port);
    await again.ask("logout");
    assertStringIncludes((await linesOf(server, "command", 2))[1]!, "user=Al command=logout");
  });

  itNeeds(NET, "has no lines of commands without --log-commands", async () => {
    await using server = serve();
    using al = await join(server, "Al");
    await al.ask("ping");
    al.close();
    await linesOf(server, "disconnected");
    assert(!server.lines.some((line) => line.includes(" command ")));
  });
});

describe("a connection that never sent a byte", () => {
  const SAYS = "Nothing came for 0.2 s, so this connection closes.";

  itNeeds(NET, "hears why it is closed", async () => {
    await using server = serve("--idle-timeout-s", "0.2");
    using peer = await Peer.connect(server.port);
    assertStringIncludes(await peer.frame() ?? "", SAYS);
    assertEquals(await peer.frame(), undefined);
    peer.close();
    assertStringIncludes((await linesOf(server, "refused"))[0]!, "reason=nothing-sent");
    assertStringIncludes((await linesOf(server, "disconnected"))[0]!, "reason=idle");
  });

  itNeeds(NET, "hears it over a WebSocket too", async () => {
    await using server = serveWeb("--idle-timeout-s", "0.2");
    const socket = new WebSocket(server.url.replace("http", "ws") + "/ws");
    socket.binaryType = "arraybuffer";
    const { promise, resolve } = Promise.withResolvers<string>();
    socket.onmessage = ({ data }) => resolve(new TextDecoder().decode(data));
    assertStringIncludes(await promise, SAYS);
    await new Promise((closed) => socket.onclose = closed);
  });

  itNeeds(NET, "is closed without a word in strict mode", async () => {
    await using server = serve("--strict", "--idle-timeout-s", "0.2");
    using peer = await Peer.connect(server.port);
    assertEquals(await peer.frame(), undefined);
    peer.close();
    assertStringIncludes((await linesOf(server, "disconnected"))[0]!, "reason=idle");
  });
});
