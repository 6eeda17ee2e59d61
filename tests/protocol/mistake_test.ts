import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeFrames, splitFrames } from "../../lib/protocol/frame.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { MISTAKE_CODES } from "../../lib/protocol/mistake.ts";
import { RequestReader } from "../../lib/protocol/request_reader.ts";
import { ascii, type Example, EXAMPLES, MAIL_IN_A_MISTAKE, REGISTER } from "./mistakes.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serve, until } from "../support.ts";

/** The chunks of a stream that arrives in one, byte by byte, and in two cut at every position. */
function inAnyChunks(bytes: Uint8Array): Uint8Array[][] {
  const halves = Array.from(bytes, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)]);
  return [[bytes], Array.from(bytes, (byte) => Uint8Array.of(byte)), ...halves];
}

/** Reads chunks to their end, and judges what is left. */
function judge(chunks: readonly Uint8Array[]) {
  const options = parseServerOptions([]);
  const reader = new RequestReader(options);
  let rest: Uint8Array = new Uint8Array(0);
  let replies = 0;
  for (const chunk of chunks) {
    const split = splitFrames(rest, chunk, options.frameBytesMax);
    rest = split.rest;
    reader.feed(split);
    while (reader.next() !== undefined) replies++;
    reader.copyUnread();
  }
  const { suspicion } = reader;
  const { mistake } = reader.judge(suspicion === undefined ? "cut-off" : "impossible");
  return { suspicion, replies, ...mistake };
}

/** All that the server sends until it closes, as text; lengths are read as `dialect` says. */
async function answer(peer: Peer, { before = 0, dialect = "frame" }: Example): Promise<string> {
  for (let i = 0; i < before; i++) {
    const count = Number(await peer.frame());
    for (let name = 0; name < count; name++) await peer.frame();
  }
  if (dialect === "frame") {
    const text = await peer.frame();
    assertEquals(await peer.frame(), undefined);
    return text ?? "(no frame)";
  }
  const bytes = new Uint8Array(await new Response(peer.conn.readable).arrayBuffer());
  const text = new TextDecoder().decode(bytes);
  if (dialect === "line") return text.replace(/\n$/, "");
  if (dialect === "http") {
    const [head = "", body = ""] = text.split("\r\n\r\n");
    assertStringIncludes(head, `Content-Length: ${encoder.encode(body).length}`);
    return body.replace(/\n$/, "");
  }
  assertEquals(new DataView(bytes.buffer).getUint32(0), bytes.length - 4);
  return new TextDecoder().decode(bytes.subarray(4));
}

/** How a client sends the bytes of an example. */
const WAYS = {
  "in one piece": (peer: Peer, bytes: Uint8Array) => peer.write(bytes),
  "byte by byte": async (peer: Peer, bytes: Uint8Array) => {
    for (const byte of bytes.subarray(0, 200)) {
      await peer.write(Uint8Array.of(byte)).catch(() => {});
      await sleep(1);
    }
    await peer.write(bytes.subarray(200)).catch(() => {});
  },
  "in two pieces": async (peer: Peer, bytes: Uint8Array) => {
    await peer.write(bytes.subarray(0, bytes.length / 2));
    await sleep(100);
    await peer.write(bytes.subarray(bytes.length / 2)).catch(() => {});
  },
} as const;

const encoder = new TextEncoder();

describe("a mistake", () => {
  it("is tested with an example of each code but those without a command", () => {
    const shown = new Set<string>(EXAMPLES.map(({ code }) => code))
      .add("wrong-port").add("nothing-sent");
    assertEquals([...MISTAKE_CODES].filter((code) => !shown.has(code)), []);
  });

  for (const example of EXAMPLES) {
    const { code, name, bytes, says, before = 0, dialect = "frame", atEnd } = example;

    it(`${name} is explained, whole, byte by byte and split everywhere (${code})`, () => {
      for (const chunks of inAnyChunks(bytes)) {
        const found = judge(chunks);
        assertStringIncludes(found.text, says);
        assertEquals([found.code, found.dialect, found.replies], [code, dialect, before]);
        assert(encoder.encode(found.text).length <= 400, found.text);
        assert(found.text.startsWith(found.rule), "the rule comes first");
        assertEquals(found.suspicion === undefined, atEnd === true);
      }
    });
  }

  for (const [way, write] of Object.entries(WAYS)) {
    itNeeds(NET, `is explained within its time over a connection: ${way}`, async () => {
      await Promise.all(EXAMPLES.map(async (example) => {
        const { code, bytes, says, atEnd } = example;
        await using server = serve("--command-timeout-s", atEnd ? "1.5" : "10");
        using peer = await Peer.connect(server.port);
        await write(peer, bytes);
        const begun = performance.now();
        assertStringIncludes(await answer(peer, example), says);
        if (!atEnd) assert(performance.now() - begun < 3_000, `${example.name} is explained late`);
        await until(() => server.lines.some((line) => line.includes(`reason=${code}`)), code);
      }));
    });
  }

  itNeeds(NET, "is explained when the client ends its side", async () => {
    await Promise.all(EXAMPLES.map(async (example) => {
      await using server = serve();
      using peer = await Peer.connect(server.port);
      await peer.write(example.bytes);
      await peer.conn.closeWrite();
      assertStringIncludes(await answer(peer, example), example.says);
    }));
  });

  itNeeds(NET, "is explained in the log alone in strict mode", async () => {
    await Promise.all(EXAMPLES.map(async ({ code, name, bytes, strictRefusal }) => {
      await using server = serve("--strict", "--command-timeout-s", "0.5");
      using peer = await Peer.connect(server.port);
      await peer.write(bytes);
      let last = "";
      for (let frame = await peer.frame(); frame !== undefined; frame = await peer.frame()) {
        last = frame;
      }
      assert(!last.includes("Bytes:"), last);
      const reason = `reason=${strictRefusal ?? code}`;
      await until(() => server.lines.some((line) => line.includes(reason)), `${name}: ${reason}`);
    }));
  });

  itNeeds(NET, "is judged only when a second is over while its bytes go on coming", async () => {
    await using server = serve();
    using peer = await Peer.connect(server.port);
    const begun = performance.now();
    const text = peer.frame();
    for (let i = 0; i < 20; i++) {
      await peer.write(ascii("xxxx")).catch(() => {});
      await sleep(100);
    }
    await text;
    assert(performance.now() - begun > 900);
    await until(() => server.lines.some((line) => line.includes("reason=")), "it is judged");
  });

  itNeeds(NET, "is no name that is too long and goes on coming: it gets its refusal", async () => {
    await using server = serve();
    using peer = await Peer.connect(server.port);
    const bytes = encodeFrames(["register", "x".repeat(60)]);
    for (let at = 0; at < bytes.length; at += 20) {
      await peer.write(bytes.subarray(at, at + 20));
      await sleep(150);
    }
    assertEquals(await peer.frame(), "Login is too long!");
    assertEquals(await peer.ask("ping"), "pong");
  });

  itNeeds(NET, "waits for the text behind a receiver that is too long for a second", async () => {
    await using server = serve();
    using peer = await Peer.connect(server.port);
    await peer.send("register", "Bob");
    await peer.frame();
    await peer.send("send", "a receiver of many symbols");
    await sleep(600);
    await peer.send("hi");
    assertStringIncludes(await peer.frame() ?? "", "doesn't exist!");
  });

  itNeeds(NET, "in the text of a mail shows none of it in the log", async () => {
    await using server = serve();
    using peer = await Peer.connect(server.port);
    await peer.write(concat([REGISTER, encodeFrames(["sendall"]), ascii("secret words")]));
    await peer.frame();
    assertStringIncludes((await peer.frame())!, "secret words");
    peer.close();
    await until(() => server.lines.some((line) => line.includes("disconnected")), "it ends");
    assert(!server.lines.join().includes("secret"));
    assert(!server.lines.join().includes("73 65 63"));
  });

  itNeeds(NET, "behind a mail is told in the log by its rule", async () => {
    await using server = serve();
    using peer = await Peer.connect(server.port);
    await peer.write(concat([REGISTER, encodeFrames(["send", "Al", "SECRET"]), ascii("\r\n")]));
    while (await peer.frame() !== undefined);
    await until(() => server.lines.some((line) => line.includes("Is it a line end (CR LF)?")), "");
  });

  itNeeds(NET, "ends a wait that waits", async () => {
    await using server = serve();
    using peer = await Peer.connect(server.port);
    await peer.write(concat([REGISTER, encodeFrames(["wait", "30"])]));
    assertEquals(await peer.frame(), "Hello, Al");
    await peer.write(ascii("users"));
    assertEquals(await peer.frame(), "0");
    assertStringIncludes(await peer.frame() ?? "", "This is text where the length");
  });

  for (const [name, bytes] of MAIL_IN_A_MISTAKE) {
    itNeeds(NET, `shows no text of a mail in the log: ${name}`, async () => {
      await using server = serve();
      using peer = await Peer.connect(server.port);
      await peer.write(concat([REGISTER, bytes]));
      await peer.conn.closeWrite();
      while (await peer.frame() !== undefined);
      peer.close();
      await until(() => server.lines.some((line) => line.includes("disconnected")), "it ends");
      assert(!/SECRET|53 45 43 52/.test(server.lines.join()), server.lines.join());
    });
  }
});

describe("explain()", () => {
  it("shows at most 32 bytes in hex", () => {
    const { text } = judge([new Uint8Array(100).fill(0x99)]);
    assert(text.endsWith("Bytes: " + "99 ".repeat(32) + "..."), text);
  });

  it("finds plain text behind a correct argument, not a length that counts symbols", () => {
    const behind = (text: string) => concat([encodeFrames(["register", "Вася"]), ascii(text)]);
    assertEquals(judge([behind("users\n")]).code, "plain-text");
    assertEquals(judge([behind("use")]).code, "bytes-between");
    // These are exactly as many symbols as the length said.
    assertEquals(judge([behind("user")]).code, "symbols-counted");
  });

  it("finds a big-endian length behind a correct argument, and nothing else there", () => {
    for (const before of [["send", "Bob"], ["send", "Вася"], ["register", "Вася"]]) {
      const bytes = concat([encodeFrames(before), Uint8Array.of(0, 0, 0, 5), ascii("users")]);
      assertEquals(judge([bytes]).code, "big-endian");
    }
  });

  it("never speaks of a frame before where there was none", () => {
    for (const { name, bytes, at = 0 } of EXAMPLES) {
      if (at === 0) assert(!/frame before|length before/.test(judge([bytes]).text), name);
    }
  });

  it("tells the rule without a word of the client", () => {
    for (const [name, bytes] of MAIL_IN_A_MISTAKE) {
      assert(!/SEC/.test(judge([bytes]).rule), name);
    }
  });

  it("says nothing of names that are right", () => {
    const bytes = encodeFrames(["register", "Вася", "send", "Вася", "", "users"]);
    const reader = new RequestReader(parseServerOptions([]));
    reader.feed(splitFrames(new Uint8Array(0), bytes, 4096));
    while (reader.next() !== undefined) assertEquals(reader.suspicion, undefined);
    assertEquals(reader.isBegun, false);
  });
});
