import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, DisconnectedError } from "../../lib/client/client.ts";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serve, type TestServer, until } from "../support.ts";

/** A client that is connected to a real server. `using` closes its connection. */
async function connect(port: number): Promise<{ client: Client } & Disposable> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay(true);
  const close = () => {
    try {
      conn.close();
    } catch {
      // The streams close the connection when the server closes it.
    }
  };
  return { client: new Client(conn), [Symbol.dispose]: close };
}

/** The clients of Alice and Bob at one server. */
async function pair(...flags: string[]): Promise<
  { alice: Client; bob: Client; server: TestServer } & AsyncDisposable
> {
  const server = serve(...flags);
  const [a, b] = [await connect(server.port), await connect(server.port)];
  await a.client.register("Alice");
  await b.client.register("Bob");
  const dispose = async () => {
    a[Symbol.dispose]();
    b[Symbol.dispose]();
    await server[Symbol.asyncDispose]();
  };
  return { alice: a.client, bob: b.client, server, [Symbol.asyncDispose]: dispose };
}

const decoder = new TextDecoder();

/** A client over streams in memory, and their other end. */
function inMemory() {
  const roomy = { highWaterMark: 100 };
  type Bytes = Uint8Array<ArrayBuffer>;
  const up = new TransformStream<Bytes, Bytes>({}, roomy, roomy);
  const down = new TransformStream<Uint8Array, Uint8Array>({}, roomy, roomy);
  const reader = up.readable.getReader();
  const writer = down.writable.getWriter();
  return {
    client: new Client({ readable: down.readable, writable: up.writable }),
    /** The bytes of the client's next write as a text, lengths included. */
    sent: async () => decoder.decode((await reader.read()).value),
    reply: (...frames: string[]) => writer.write(encodeFrames(frames)),
    write: (bytes: Uint8Array) => writer.write(bytes),
    end: () => writer.close(),
    breakOff: () => writer.abort(new Error("the cable was cut")),
    refuseBytes: () => reader.cancel("no more"),
  };
}

describe("Client", () => {
  itNeeds(NET, "registers a name, and tells whether it came back under it", async () => {
    await using server = serve();
    using alice = await connect(server.port);
    assertEquals(await alice.client.register("Alice"), {
      ok: true,
      text: "Hello, Alice",
      again: false,
    });
    assertEquals(await alice.client.register("Alice"), {
      ok: true,
      text: "Nice to see you, Alice",
      again: true,
    });
  });

  itNeeds(NET, "lists the users in the order of registration", async () => {
    await using chat = await pair();
    assertEquals(await chat.bob.users(), { ok: true, users: ["Alice", "Bob"] });
  });

  itNeeds(NET, "sends to one and to all, and receives", async () => {
    await using chat = await pair();
    assertEquals(await chat.alice.send("Bob", "Привет 👍"), {
      ok: true,
      text: "Message added to storage!",
    });
    assertEquals(await chat.alice.sendall(""), {
      ok: true,
      text: "Message added to storage!",
      full: 0,
    });
    assertEquals(await chat.bob.receive(), {
      ok: true,
      mail: [{ from: "Alice", text: "Привет 👍" }, { from: "Alice", text: "" }],
    });
    assertEquals(await chat.bob.receive(), { ok: true, mail: [] });
  });

  itNeeds(NET, "counts the full mailboxes that sendall() left out", async () => {
    await using chat = await pair("--mailbox-messages-max", "1");
    await chat.alice.send("Bob", "1");
    assertEquals(await chat.alice.sendall("2"), {
      ok: true,
      text: "Message added to storage! Full mailboxes: 1",
      full: 1,
    });
  });

  itNeeds(
    NET,
    "gives the mail that wait() waited for, and ends a wait by the next command",
    async () => {
      await using chat = await pair();
      const waiting = chat.bob.wait(60);
      await chat.alice.send("Bob", "hi");
      assertEquals(await waiting, { ok: true, mail: [{ from: "Alice", text: "hi" }] });
      const again = chat.bob.wait(60);
      assert((await chat.bob.send("Alice", "hi too")).ok);
      assertEquals(await again, { ok: true, mail: [] });
      assertEquals(await chat.bob.wait(0), { ok: true, mail: [] });
    },
  );

  itNeeds(NET, "pings, asks for help, and logs out", async () => {
    await using chat = await pair();
    assertEquals(await chat.bob.ping(), { ok: true, text: "pong" });
    const help = await chat.bob.help();
    assert(help.ok && help.text.includes("\nname: 1 to 8 symbols\n"));
    assertEquals(await chat.bob.logout(), { ok: true, text: "U've been successfully logouted" });
    assertEquals(await chat.alice.users(), { ok: true, users: ["Alice"] });
  });

  itNeeds(NET, "returns refusals as results with a code, and goes on", async () => {
    await using chat = await pair("--mailbox-messages-max", "1");
    using stranger = await connect(chat.server.port);
    await chat.alice.send("Bob", "1");
    const refused = [
      await stranger.client.sendall("x"),
      await stranger.client.receive(),
      await stranger.client.wait(1),
      await stranger.client.register("Bob"),
      await stranger.client.register(""),
      await stranger.client.register("123456789"),
      await chat.alice.send("Nobody", "x"),
      await chat.alice.send("Bob", "x".repeat(61)),
      await chat.alice.send("Bob", "2"),
      await chat.alice.wait(NaN),
    ];
    assertEquals(refused.map((result) => result.ok ? result : [result.code, result.text]), [
      ["not-registered", "U aren't registered!"],
      ["not-registered", "U aren't registered!"],
      ["not-registered", "U aren't registered!"],
      ["name-taken", "'Bob' already exists!"],
      ["name-empty", "Bad login!"],
      ["name-too-long", "Login is too long!"],
      ["no-such-user", "User 'Nobody' doesn't exist!"],
      ["text-too-long", "Massage is too long! Max length = 60!"],
      ["mailbox-full", "Mailbox of 'Bob' is full!"],
      ["bad-seconds", "Bad number of seconds!"],
    ]);
    assert((await chat.alice.ping()).ok);
  });

  itNeeds(
    NET,
    "gives the results of 1000 commands that are sent at once, in their order",
    async () => {
      await using chat = await pair();
      const sent = Array.from({ length: 1000 }, (_, i) => chat.alice.send("Bob", String(i)));
      const last = chat.alice.users();
      assert((await Promise.all(sent)).every((result) => result.ok));
      assert((await last).ok);
      assertEquals(await chat.bob.receive(), {
        ok: true,
        mail: Array.from({ length: 1000 }, (_, i) => ({ from: "Alice", text: String(i) })),
      });
    },
  );

  itNeeds(
    NET,
    "gives the last reply of a server that closes, then a DisconnectedError",
    async () => {
      await using server = serve("--strict");
      using alice = await connect(server.port);
      const refused = alice.client.register("123456789");
      const behind = alice.client.users();
      const result = await refused;
      assertEquals(result.ok ? result : result.code, "name-too-long");
      await assertRejects(() => behind, DisconnectedError);
      await assertRejects(() => alice.client.users(), DisconnectedError);
    },
  );

  itNeeds(NET, "rejects all commands without a reply when the connection is closed", async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    using alice = await connect(listener.addr.port);
    const results = [alice.client.wait(60), alice.client.users()];
    (await listener.accept()).close();
    for (const result of results) await assertRejects(() => result, DisconnectedError);
    await assertRejects(() => alice.client.users(), DisconnectedError);
  });

  itNeeds(NET, "frees its name by close(), and keeps its mail", async () => {
    await using chat = await pair();
    await chat.bob.close();
    await chat.alice.send("Bob", "are you there?");
    using peer = await Peer.connect(chat.server.port);
    assertEquals(await peer.ask("register", "Bob"), "Nice to see you, Bob");
    assertEquals(await peer.mail("receive"), ["Alice: are you there?"]);
  });
});

describe("Client over streams in memory", () => {
  it("sends commands as frames, before the replies to earlier ones", async () => {
    const { client, sent } = inMemory();
    client.send("Bob", "hi");
    client.wait(2.5);
    assertEquals(await sent(), "\x04\0\0\0send\x03\0\0\0Bob\x02\0\0\0hi");
    assertEquals(await sent(), "\x04\0\0\0wait\x03\0\0\x002.5");
  });

  it("reads a reply that arrives byte by byte", async () => {
    const { client, write } = inMemory();
    const receiving = client.receive();
    for (const byte of encodeFrames(["1", "Bob", "hi"])) write(Uint8Array.of(byte));
    assertEquals(await receiving, { ok: true, mail: [{ from: "Bob", text: "hi" }] });
  });

  it("reads several replies that arrive in one chunk", async () => {
    const { client, reply } = inMemory();
    const results = Promise.all([client.ping(), client.users(), client.ping()]);
    reply("pong", "2", "A", "U aren't registered!", "pong");
    assertEquals(await results, [
      { ok: true, text: "pong" },
      { ok: true, users: ["A", "U aren't registered!"] },
      { ok: true, text: "pong" },
    ]);
  });

  it("returns an unknown text as a refusal with the code `other`", async () => {
    const { client, reply } = inMemory();
    const results = [client.ping(), client.receive()];
    reply("a length is wrong", "or so");
    assertEquals(await Promise.all(results), [
      { ok: false, code: "other", text: "a length is wrong" },
      { ok: false, code: "other", text: "or so" },
    ]);
  });

  for (
    const [how, lose] of Object.entries({
      "ends the stream": (far: ReturnType<typeof inMemory>) => far.end(),
      "breaks the stream off": (far: ReturnType<typeof inMemory>) => far.breakOff(),
      "ends the stream inside a reply": async (far: ReturnType<typeof inMemory>) => {
        await far.reply("2", "Bob");
        await far.end();
      },
      "sends bytes that are not the protocol": (far: ReturnType<typeof inMemory>) =>
        far.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request")),
    })
  ) {
    it(`rejects all commands without a reply when the server ${how}`, async () => {
      const far = inMemory();
      const results = [far.client.users(), far.client.ping(), far.client.wait(1)];
      await lose(far);
      for (const { status, ...rest } of await Promise.allSettled(results)) {
        assertEquals(status, "rejected");
        assertInstanceOf("reason" in rest ? rest.reason : undefined, DisconnectedError);
      }
      await assertRejects(() => far.client.help(), DisconnectedError);
      await far.client.close();
    });
  }

  it("causes no unhandled rejection if its results are ignored", async () => {
    const rejected: unknown[] = [];
    const note = (event: PromiseRejectionEvent) => {
      event.preventDefault();
      rejected.push(event.reason);
    };
    globalThis.addEventListener("unhandledrejection", note);
    const far = inMemory();
    far.client.ping();
    far.client.register("Alice");
    await far.refuseBytes();
    await far.breakOff();
    far.client.users();
    far.client.close();
    far.client.close();
    far.client.ping();
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await until(() => turns >= 5, "some turns of the event loop");
    clearInterval(timer);
    globalThis.removeEventListener("unhandledrejection", note);
    assertEquals(rejected, []);
  });

  it("rejects commands behind close(), but still gives the results of earlier ones", async () => {
    const { client, reply } = inMemory();
    const pinging = client.ping();
    await client.close();
    await assertRejects(() => client.ping(), DisconnectedError);
    reply("pong");
    assert((await pinging).ok);
  });
});
