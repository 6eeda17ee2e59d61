import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes";
import { describe } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeFrame, encodeFrames } from "../../lib/protocol/frame.ts";
import { type Journal, memoryJournal } from "../../lib/journal/journal.ts";
import { IPV6, itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { logHas, serve, serveOn, until } from "../support.ts";

const HELLO = encodeFrames(["register", "Al"]);

/** A journal whose commits take this long (ms), and block the event loop. */
function slowJournal(ms: () => number): Journal {
  const commit = () => {
    const end = performance.now() + ms();
    while (performance.now() < end);
  };
  return { ...memoryJournal, commit };
}

describe("a connection", () => {
  itNeeds(NET, "is answered in order, however many commands come at once", async () => {
    await using server = serve();
    // A wait is the last command that is taken at once, or the first or the last but one.
    for (const before of [498, 499, 500]) {
      using peer = await Peer.connect(server.port);
      await peer.ask("register", `a${before}`);
      const pings = (count: number) => Array<string>(count).fill("ping");
      await peer.write(encodeFrames([...pings(before), "wait", "9", ...pings(1_200)]));
      const begun = performance.now();
      for (let i = 0; i < before; i++) assertEquals(await peer.frame(), "pong");
      assertEquals(await peer.frame(), "0");
      for (let i = 0; i < 1_200; i++) assertEquals(await peer.frame(), "pong");
      assert(performance.now() - begun < 8_000);
    }
  });

  itNeeds(NET, "that is idle is closed without a word", async () => {
    await using server = serve("--idle-timeout-s", "0.05");
    using peer = await Peer.connect(server.port);
    assertEquals(await peer.ask("ping"), "pong");
    assertEquals(await peer.frame(), undefined);
    peer.close();
    await until(logHas(server, "reason=idle"), "the log says why");
  });

  itNeeds(NET, "is not idle while it waits for mail", async () => {
    await using server = serve("--idle-timeout-s", "0.05");
    using peer = await Peer.connect(server.port);
    await peer.ask("register", "Al");
    assertEquals(await peer.ask("wait", "0.3"), "0");
  });

  itNeeds(NET, "is idle again when its wait is over", async () => {
    await using server = serve("--idle-timeout-s", "0.05");
    using peer = await Peer.connect(server.port);
    await peer.ask("register", "Al");
    await peer.ask("wait", "0.1");
    assertEquals(await peer.frame(), undefined);
  });

  itNeeds(NET, "has its whole idle time after a commit that blocked the event loop", async () => {
    let blocks = false;
    const journal = slowJournal(() => blocks ? 800 : 0);
    await using server = serveOn(journal, "--idle-timeout-s", "0.7");
    using peer = await Peer.connect(server.port);
    using other = await Peer.connect(server.port);
    await peer.ask("register", "Al");
    await other.ask("ping");
    blocks = true;
    await Promise.all([
      peer.send("send", "Al", "Hello"),
      other.write(encodeFrames(["ping"]).subarray(0, 3)),
    ]);
    assertEquals(await peer.frame(), "Message added to storage!");
    blocks = false;
    assertEquals(await peer.ask("ping"), "pong");
  });

  itNeeds(
    NET,
    "is not idle while it waits for a name, though a reply was written before",
    async () => {
      await using server = serve("--write-timeout-s", "0.1");
      using old = await Peer.connect(server.port);
      await old.ask("register", "Al");
      using fresh = await Peer.connect(server.port);
      await fresh.write(concat([encodeFrames(["ping"]), encodeFrames(["register", "Al"])]));
      assertEquals(await fresh.frame(), "pong");
      assertEquals(await fresh.frame(), "'Al' already exists!");
      assertEquals(await fresh.ask("ping"), "pong");
    },
  );

  itNeeds(NET, "has the whole command time-out for a command behind a wait", async () => {
    await using server = serve("--command-timeout-s", "0.15");
    using old = await Peer.connect(server.port);
    await old.ask("register", "Al");
    using peer = await Peer.connect(server.port);
    await peer.ask("register", "Bob");
    await peer.send("wait", "5");
    const ping = encodeFrames(["ping"]);
    // The reply comes after 250 ms: the other session holds the name.
    await peer.write(concat([encodeFrames(["register", "Al"]), ping.subarray(0, 3)]));
    await sleep(50);
    await peer.write(ping.subarray(3));
    assertEquals(await peer.frame(), "0");
    assertEquals(await peer.frame(), "'Al' already exists!");
    assertEquals(await peer.frame(), "pong");
  });

  itNeeds(NET, "whose command is never complete is closed, even if bytes keep coming", async () => {
    await using server = serve("--command-timeout-s", "0.2");
    using peer = await Peer.connect(server.port);
    const closed = peer.frame();
    for (const byte of encodeFrames(["sendall", "x".repeat(200)])) {
      await peer.write(Uint8Array.of(byte)).catch(() => {});
      await sleep(5);
      if (logHas(server, "reason=incomplete-frame")()) break;
    }
    assertStringIncludes((await closed)!, "nothing more came");
  });

  itNeeds(NET, "that ends its sending side still gets all its replies", async () => {
    await using server = serve();
    using peer = await Peer.connect(server.port);
    await peer.write(concat([HELLO, encodeFrames(["users"]), encodeFrames(["wait", "60"])]));
    await peer.conn.closeWrite();
    const replies = [];
    for (let frame = await peer.frame(); frame !== undefined; frame = await peer.frame()) {
      replies.push(frame);
    }
    assertEquals(replies, ["Hello, Al", "1", "Al", "0"]);
  });

  itNeeds(NET, "gets its last reply even if it goes on sending", async () => {
    await using server = serve();
    using peer = await Peer.connect(server.port);
    await peer.write(encodeFrames(["nonsense"]));
    const noise = new Uint8Array(65_536).fill(0xff);
    for (let i = 0; i < 100; i++) await peer.write(noise);
    assertStringIncludes((await peer.frame())!, "This frame is no command");
    assertEquals(await peer.frame(), undefined);
  });

  itNeeds(NET, "that sends 100 MB of noise is closed, and no other one is", async () => {
    await using server = serve();
    using other = await Peer.connect(server.port);
    using peer = await Peer.connect(server.port);
    const noise = new Uint8Array(1_048_576).fill(0x80);
    for (let i = 0; i < 100; i++) await peer.write(noise).catch(() => {});
    assertStringIncludes((await peer.frame())!, "over the limit");
    assertEquals(await other.ask("ping"), "pong");
    peer.close();
    await until(logHas(server, "disconnected connection=2"), "it ends");
  });

  itNeeds(NET, "that closes within a frame ends, and no other one does", async () => {
    await using server = serve();
    using other = await Peer.connect(server.port);
    const peer = await Peer.connect(server.port);
    await peer.write(Uint8Array.of(8, 0, 0, 0, 0x72));
    peer.close();
    await until(logHas(server, "disconnected connection=2"), "it ends");
    assertEquals(await other.ask("ping"), "pong");
  });

  itNeeds(NET, "that never reads is closed after the write time-out", async () => {
    await using server = serve("--write-timeout-s", "0.2", "--frame-bytes-max", "65536");
    using other = await Peer.connect(server.port);
    using peer = await Peer.connect(server.port);
    const help = encodeFrames(Array.from({ length: 1000 }, () => "help"));
    (async () => {
      for (let i = 0; i < 100; i++) await peer.conn.write(help);
    })().catch(() => {});
    await until(logHas(server, 'reason="nothing written in time"'), "the log says why");
    assertEquals(await other.ask("ping"), "pong");
  });

  itNeeds(NET, "is read no further while its reply is not written", async () => {
    await using server = serve("--write-timeout-s", "60");
    using peer = await Peer.connect(server.port);
    const help = encodeFrames(Array.from({ length: 1000 }, () => "help"));
    let written = 0;
    const writing = (async () => {
      for (;;) written += await peer.conn.write(help);
    })().catch(() => {});
    let before = -1;
    while (before !== written) {
      before = written;
      await sleep(100);
    }
    assert(written < 50_000_000, `${written} bytes were taken`);
    peer.close();
    await writing;
  });

  itNeeds(IPV6, "of an IPv4 client on a dual-stack socket has an IPv4 address", async () => {
    await using server = serve("--hostname", "::", "--strict");
    using peer = await Peer.connect(server.port);
    using other = await Peer.connect(server.port);
    await peer.ask("register", "Al");
    const port = (other.conn.localAddr as Deno.NetAddr).port;
    assertEquals(await other.ask("register", "Bob"), `'127.0.0.1:${port}' was used before!`);
  });
});

describe("a client that comes back at once", () => {
  itNeeds(NET, "gets its name, though its old connection ends a little later", async () => {
    await using server = serve();
    const old = await Peer.connect(server.port);
    await old.ask("register", "Al");
    using fresh = await Peer.connect(server.port);
    await fresh.send("register", "Al");
    await sleep(50);
    old.close();
    assertEquals(await fresh.frame(), "Nice to see you, Al");
  });

  itNeeds(
    NET,
    "acts as the only user of its address, though its old connection ends a little later",
    async () => {
      await using server = serve();
      const old = await Peer.connect(server.port);
      await old.ask("register", "Al");
      await old.ask("send", "Al", "hi");
      using fresh = await Peer.connect(server.port);
      await fresh.send("receive");
      await sleep(50);
      old.close();
      assertEquals(await fresh.frame(), "1");
    },
  );

  itNeeds(
    NET,
    "is refused if the old connection stays, and waits for it only once",
    async () => {
      await using server = serve();
      using old = await Peer.connect(server.port);
      await old.ask("register", "Al");
      using fresh = await Peer.connect(server.port);
      const started = performance.now();
      await fresh.write(encodeFrames(Array.from({ length: 40 }, () => "receive")));
      for (let i = 0; i < 40; i++) assertEquals(await fresh.frame(), "U aren't registered!");
      assert(performance.now() - started < 40 * 250 / 2);
      assertEquals(await fresh.ask("register", "Al"), "'Al' already exists!");
    },
  );

  itNeeds(NET, "may try again, and waits for the old connection again", async () => {
    await using server = serve();
    const old = await Peer.connect(server.port);
    await old.ask("register", "Al");
    using fresh = await Peer.connect(server.port);
    assertEquals(await fresh.ask("register", "Al"), "'Al' already exists!");
    await fresh.send("register", "Al");
    await sleep(50);
    old.close();
    assertEquals(await fresh.frame(), "Nice to see you, Al");
  });

  itNeeds(NET, "gets the replies to earlier commands without waiting", async () => {
    await using server = serve();
    using old = await Peer.connect(server.port);
    await old.ask("register", "Al");
    using fresh = await Peer.connect(server.port);
    await fresh.write(concat([encodeFrames(["ping"]), encodeFrames(["register", "Al"])]));
    assertEquals(await fresh.frame(), "pong");
    old.close();
    assertEquals(await fresh.frame(), "Nice to see you, Al");
  });

  itNeeds(NET, "finds its name free, though it went while a command of it was held", async () => {
    await using server = serve();
    using other = await Peer.connect(server.port);
    await other.ask("register", "Al");
    const old = await Peer.connect(server.port);
    await old.ask("register", "Bob");
    // It never reads this reply, so its end resets the connection.
    await old.send("ping");
    await sleep(20);
    await old.send("wait", "60");
    await sleep(50);
    await old.write(encodeFrames(["ping", "register", "Al"]));
    old.close();
    await until(logHas(server, "disconnected"), "it ends");
    using fresh = await Peer.connect(server.port);
    assertEquals(await fresh.ask("register", "Bob"), "Nice to see you, Bob");
  });
});

describe("wait", () => {
  itNeeds(NET, "replies as soon as mail comes", async () => {
    await using server = serve();
    using al = await Peer.connect(server.port);
    using bob = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await bob.ask("register", "Bob");
    await al.send("wait", "60");
    await bob.ask("send", "Al", "1");
    assertEquals([await al.frame(), await al.frame(), await al.frame()], ["1", "Bob", "1"]);
    await bob.ask("sendall", "2");
    assertEquals(await al.mail("wait", "60"), ["Bob: 2"]);
  });

  itNeeds(NET, "ends with the next command, and one connection can wait and send", async () => {
    await using server = serve();
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await al.send("wait", "60");
    await sleep(20);
    await al.send("send", "Al", "hi");
    assertEquals([await al.frame(), await al.frame()], ["0", "Message added to storage!"]);
    assertEquals(await al.mail("wait", "60"), ["Al: hi"]);
  });

  itNeeds(NET, "goes on when the next command has come only in part", async () => {
    await using server = serve();
    using al = await Peer.connect(server.port);
    using bob = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await bob.ask("register", "Bob");
    await al.send("wait", "60");
    await al.write(encodeFrames(["ping"]).subarray(0, 6));
    await bob.ask("send", "Al", "1");
    assertEquals([await al.frame(), await al.frame(), await al.frame()], ["1", "Bob", "1"]);
    await al.write(encodeFrames(["ping"]).subarray(6));
    assertEquals(await al.frame(), "pong");
    assertEquals(await al.mail("receive"), []);
  });

  itNeeds(
    NET,
    "of two sessions for one user serves the older one, and the other waits on",
    async () => {
      await using server = serve();
      using registered = await Peer.connect(server.port);
      await registered.ask("register", "Al");
      registered.close();
      using older = await Peer.connect(server.port);
      using younger = await Peer.connect(server.port);
      using sender = await Peer.connect(server.port);
      await older.send("wait", "60");
      await until(logHas(server, "connected connection=4"), "all are connected");
      assertEquals(await sender.ask("users"), "1");
      await sender.frame();
      await younger.send("wait", "60");
      await younger.write(encodeFrames(["ping"]).subarray(0, 3));
      await sleep(50);
      await sender.ask("send", "Al", "1");
      assertEquals([await older.frame(), await older.frame(), await older.frame()], [
        "1",
        "Al",
        "1",
      ]);
      assertEquals(await older.mail("wait", "0"), []);
      await sender.ask("send", "Al", "2");
      assertEquals([await younger.frame(), await younger.frame(), await younger.frame()], [
        "1",
        "Al",
        "2",
      ]);
    },
  );

  itNeeds(NET, "gets mail that a session before was shown and did not take", async () => {
    await using server = serve();
    using registered = await Peer.connect(server.port);
    await registered.ask("register", "Al");
    registered.close();
    const first = await Peer.connect(server.port);
    using second = await Peer.connect(server.port);
    using sender = await Peer.connect(server.port);
    await first.send("wait", "60");
    await until(logHas(server, "connected connection=4"), "all are connected");
    assertEquals(await sender.mail("receive"), []);
    await second.send("wait", "60");
    await sleep(50);
    await sender.ask("send", "Al", "1");
    assertEquals([await first.frame(), await first.frame(), await first.frame()], ["1", "Al", "1"]);
    first.close();
    assertEquals([await second.frame(), await second.frame(), await second.frame()], [
      "1",
      "Al",
      "1",
    ]);
  });

  itNeeds(NET, "does not begin the time-out of a command that comes later", async () => {
    await using server = serve("--command-timeout-s", "0.2");
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await al.write(encodeFrames(["wait", "30", "ping", "ping"]));
    assertEquals([await al.frame(), await al.frame(), await al.frame()], ["0", "pong", "pong"]);
    await sleep(300);
    await al.write(encodeFrames(["ping"]).subarray(0, 3));
    await sleep(50);
    await al.write(encodeFrames(["ping"]).subarray(3));
    assertEquals(await al.frame(), "pong");
  });

  itNeeds(NET, "ends when its user has logged out", async () => {
    await using server = serve();
    using registered = await Peer.connect(server.port);
    await registered.ask("register", "Al");
    registered.close();
    using waiting = await Peer.connect(server.port);
    using leaving = await Peer.connect(server.port);
    await waiting.send("wait", "60");
    assertEquals(await waiting.conn.write(new Uint8Array(0)), 0);
    await sleep(50);
    await leaving.ask("logout");
    assertEquals(await waiting.frame(), "U aren't registered!");
  });

  itNeeds(NET, "leaves the mail in the mailbox when its connection is lost", async () => {
    await using server = serve();
    const lost = await Peer.connect(server.port);
    await lost.ask("register", "Al");
    await lost.ask("send", "Al", "hi");
    assertEquals(await lost.mail("wait", "60"), ["Al: hi"]);
    lost.close();
    using again = await Peer.connect(server.port);
    await again.ask("register", "Al");
    assertEquals(await again.mail("receive"), ["Al: hi"]);
  });
});

describe("receive", () => {
  itNeeds(NET, "returns a long mailbox whole", async () => {
    await using server = serve("--mailbox-messages-max", "20000");
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    const text = "👍".repeat(60);
    for (let i = 0; i < 20; i++) {
      await al.write(encodeFrames(Array.from({ length: 1000 }, () => ["send", "Al", text]).flat()));
      for (let j = 0; j < 1000; j++) assertEquals(await al.frame(), "Message added to storage!");
    }
    const mail = await al.mail("receive");
    assertEquals(mail.length, 20_000);
    assert(mail.every((one) => one === `Al: ${text}`));
  });
});

describe("the limit of connections", () => {
  itNeeds(NET, "is told to a client above it, and a closed connection makes room", async () => {
    await using server = serve("--connections-max", "1");
    const first = await Peer.connect(server.port);
    await first.ask("ping");
    using second = await Peer.connect(server.port);
    assertEquals(await second.frame(), "Server is full!");
    assertEquals(await second.frame(), undefined);
    assert(logHas(server, "reason=connections-max")());
    first.close();
    await until(logHas(server, "disconnected connection=1"), "the first is gone");
    using third = await Peer.connect(server.port);
    assertEquals(await third.ask("ping"), "pong");
  });

  itNeeds(NET, "per address is told to a client above it", async () => {
    await using server = serve("--connections-per-address-max", "1");
    using first = await Peer.connect(server.port);
    await first.ask("ping");
    using second = await Peer.connect(server.port);
    assertEquals(await second.frame(), "Server is full!");
    assert(logHas(server, "reason=connections-per-address-max")());
  });

  itNeeds(NET, "per address is a tenth of all, in strict mode too", async () => {
    for (const mode of [[], ["--strict"]]) {
      await using server = serve("--connections-max", "101", ...mode);
      using peers = new DisposableStack();
      for (let i = 0; i < 11; i++) await peers.use(await Peer.connect(server.port)).ask("users");
      using last = await Peer.connect(server.port);
      const told = mode.length > 0 ? undefined : "Server is full!";
      assertEquals(await last.frame().catch(() => undefined), told);
      assert(logHas(server, "reason=connections-per-address-max")());
    }
  });

  itNeeds(NET, "is told to the next client, whatever refused ones do", async () => {
    await using server = serve("--connections-max", "1");
    using first = await Peer.connect(server.port);
    await first.ask("ping");
    const hanging: Peer[] = [];
    for (let i = 0; i < 150; i++) {
      const peer = await Peer.connect(server.port);
      hanging.push(peer);
      assertEquals(await peer.frame(), "Server is full!");
    }
    for (const peer of hanging) peer.close();
  });

  itNeeds(NET, "closes a connection above it without a word in strict mode", async () => {
    await using server = serve("--connections-max", "1", "--strict");
    using first = await Peer.connect(server.port);
    await first.ask("users");
    using second = await Peer.connect(server.port);
    assertEquals(await second.frame().catch(() => undefined), undefined);
  });
});

describe("a client among others", () => {
  itNeeds(NET, "is served while another one pipelines expensive commands", async () => {
    await using server = serve("--users-per-address-max", "20000", "--write-timeout-s", "60");
    using crowd = await Peer.connect(server.port);
    for (let i = 0; i < 5000; i++) {
      await crowd.send("register", `${i}`);
      await crowd.frame();
    }
    using loud = await Peer.connect(server.port);
    using quiet = await Peer.connect(server.port);
    await quiet.ask("ping");
    const expensive = encodeFrames(
      Array.from({ length: 500 }, () => ["logout", "register", "z", "users"]).flat(),
    );
    let isOver = false;
    const flood = (async () => {
      await loud.write(expensive);
      for (let frames = 0; frames < 500 * 5004; frames++) {
        if (await loud.frame() === undefined) break;
      }
      isOver = true;
    })().catch(() => {});
    let pongs = 0;
    for (; pongs < 3 && !isOver; pongs++) assertEquals(await quiet.ask("ping"), "pong");
    assertEquals(pongs, 3);
    loud.close();
    await flood;
  });
});

describe("a server that stops", () => {
  itNeeds(NET, "answers commands that have arrived, ends each wait, and closes", async () => {
    const server = serve();
    using waiting = await Peer.connect(server.port);
    using busy = await Peer.connect(server.port);
    await waiting.ask("register", "Al");
    await waiting.send("wait", "60");
    await busy.ask("ping");
    await busy.write(encodeFrames(Array.from({ length: 1000 }, () => "ping")));
    const stopped = server.server.stop();
    assertEquals(await waiting.frame(), "0");
    assertEquals(await waiting.frame(), undefined);
    for (let i = 0; i < 1000; i++) assertEquals(await busy.frame(), "pong");
    assertEquals(await busy.frame(), undefined);
    waiting.close();
    busy.close();
    await stopped;
  });

  itNeeds(NET, "answers commands that came while a batch was being stored", async () => {
    let commits = 0;
    let isStored = () => {};
    const first = new Promise<void>((resolve) => isStored = resolve);
    const journal = slowJournal(() => {
      // The first commit is the start of the server, the second one registers a user.
      if (++commits === 3) isStored();
      return commits < 3 ? 0 : 300;
    });
    const server = serveOn(journal);
    using peer = await Peer.connect(server.port);
    using other = await Peer.connect(server.port);
    await peer.ask("register", "Al");
    peer.send("send", "Al", "one");
    other.write(encodeFrames(["register", "Bob", "send", "Al", "two", "ping"]));
    await first;
    const stopped = server.server.stop();
    for (const reply of ["Message added to storage!", undefined]) {
      assertEquals(await peer.frame(), reply);
    }
    for (const reply of ["Hello, Bob", "Message added to storage!", "pong", undefined]) {
      assertEquals(await other.frame(), reply);
    }
    peer.close();
    other.close();
    await stopped;
  });

  itNeeds(NET, "answers all commands that have arrived on 200 connections", async () => {
    const server = serve("--log", "off");
    const peers = await Promise.all(Array.from({ length: 200 }, () => Peer.connect(server.port)));
    await Promise.all(peers.map((peer) => peer.ask("ping")));
    const pings = encodeFrames(Array.from({ length: 2000 }, () => "ping"));
    await Promise.all(peers.map((peer) => peer.write(pings)));
    const stopped = server.server.stop();
    // A pong is as long as a ping. Reading the pongs now would keep the event loop of both ends
    // busy.
    const all = peers.length * (pings.length + encodeFrame("pong").length);
    await until(() => server.server.facts.bytes.out === all, "all is answered");
    const pongs = await Promise.all(peers.map(async (peer) => {
      let count = 0;
      while (await peer.frame() === "pong") count++;
      return count;
    }));
    assertEquals(new Set(pongs), new Set([2000]));
    for (const peer of peers) peer.close();
    await stopped;
  });

  itNeeds(
    NET,
    "stops within 5 s, though a client never closes, never reads, or never stops sending",
    async () => {
      const server = serve();
      using silent = await Peer.connect(server.port);
      using deaf = await Peer.connect(server.port);
      using loud = await Peer.connect(server.port);
      const help = encodeFrames(Array.from({ length: 1000 }, () => "help"));
      const flood = async (peer: Peer) => {
        for (;;) await peer.conn.write(help);
      };
      flood(deaf).catch(() => {});
      flood(loud).catch(() => {});
      (async () => {
        while (await loud.frame() !== undefined);
      })().catch(() => {});
      await silent.ask("ping");
      const started = performance.now();
      await server.server.stop();
      assert(performance.now() - started < 5_000);
    },
  );
});

describe("the log", () => {
  itNeeds(NET, "has a line for each event, and never the text of a message", async () => {
    await using server = serve();
    const peer = await Peer.connect(server.port);
    await peer.ask("register", "A\u202e\n");
    await peer.ask("send", "A\u202e\n", "a secret");
    await peer.ask("send", "Nobody", "a secret");
    peer.close();
    await until(logHas(server, "disconnected"), "it ends");
    const events = server.lines.map((line) => line.split(" ")[1]);
    assertEquals(events, ["connected", "registered", "refused", "disconnected"]);
    assert(logHas(server, 'user="A\\u202e\\n"')());
    assert(logHas(server, "commands=3")());
    assert(!logHas(server, "secret")());
  });

  itNeeds(NET, "is JSON with --log json", async () => {
    await using server = serve("--log", "json");
    const peer = await Peer.connect(server.port);
    await peer.ask("register", "A\u202e");
    peer.close();
    await until(logHas(server, '"disconnected"'), "it ends");
    const events = server.lines.map((line) => JSON.parse(line));
    assertEquals(events.map(({ event }) => event), ["connected", "registered", "disconnected"]);
    assertEquals(events[1].user, "A\u202e");
    assert(server.lines[1]!.includes("\\u202e"));
  });
});
