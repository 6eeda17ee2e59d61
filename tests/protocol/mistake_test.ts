import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { explain, MISTAKE_CODES } from "../../lib/protocol/mistake.ts";
import { ascii, type Example, EXAMPLES, MAIL_IN_A_MISTAKE, REGISTER } from "./mistakes.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serve, until } from "../support.ts";

/** The text of the mistake, which comes behind the replies to good commands. */
async function explanation(peer: Peer, { before = 0 }: Example): Promise<string> {
  for (let i = 0; i < before; i++) await peer.frame();
  return await peer.frame() ?? "(no frame)";
}

describe("a mistake", () => {
  it("is tested with an example of each code", () => {
    const shown = new Set(EXAMPLES.map(({ code }) => code));
    assertEquals([...MISTAKE_CODES].filter((code) => !shown.has(code)), []);
  });

  for (const example of EXAMPLES) {
    const { code, name, bytes, says, atEnd } = example;
    const flags = atEnd ? ["--command-timeout-s", "0.05"] : [];

    itNeeds(NET, `${name} is explained (${code}), and the connection closes`, async () => {
      await using server = serve(...flags);
      using peer = await Peer.connect(server.port);
      await peer.write(bytes);
      const text = await explanation(peer, example);
      assertStringIncludes(text, says);
      assert(text.length < 400, text);
      assertEquals(await peer.frame(), undefined);
      await until(
        () => server.lines.some((line) => line.includes(`reason=${code}`)),
        "the log says it",
      );
    });

    itNeeds(NET, `${name} is explained when it comes byte by byte`, async () => {
      await using server = serve("--command-timeout-s", atEnd ? "0.3" : "10");
      using peer = await Peer.connect(server.port);
      for (const byte of bytes) {
        await peer.write(Uint8Array.of(byte)).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve));
      }
      await explanation(peer, example);
      await until(
        () => server.lines.some((line) => line.includes(`reason=${code}`)),
        "the log says it",
      );
    });

    if (atEnd) {
      itNeeds(NET, `${name} is explained when the client ends its side`, async () => {
        await using server = serve();
        using peer = await Peer.connect(server.port);
        await peer.write(bytes);
        await peer.conn.closeWrite();
        assertStringIncludes(await explanation(peer, example), says);
        assertEquals(await peer.frame(), undefined);
      });
    }

    itNeeds(
      NET,
      `${name} is explained in the log alone in strict mode`,
      async () => {
        await using server = serve("--strict", ...flags);
        using peer = await Peer.connect(server.port);
        await peer.write(bytes);
        await until(
          () =>
            server.lines.some((line) => line.includes(`reason=${example.strictRefusal ?? code}`)),
          "the log says it",
        );
        let last = "";
        for (
          let frame = await peer.frame();
          frame !== undefined;
          frame = await peer.frame()
        ) last = frame;
        assert(!last.includes("Bytes:"), last);
      },
    );
  }

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
  const seen = {
    kind: "over-limit",
    expected: "command",
    command: undefined,
    previous: undefined,
    commands: ["users", "register"],
    bytesMax: 4096,
    seconds: 10,
    isProxied: false,
  } as const;

  it("shows at most 32 bytes in hex", () => {
    const { text } = explain({ ...seen, bytes: new Uint8Array(100).fill(0xff) });
    assert(text.endsWith("Bytes: " + "ff ".repeat(32) + "..."), text);
  });

  it("finds plain text behind a correct argument, not a length that counts symbols", () => {
    const { code } = explain({ ...seen, previous: ascii("Вася"), bytes: ascii("users\n") });
    assertEquals(code, "plain-text");
    assertEquals(
      explain({ ...seen, previous: ascii("Вася"), bytes: ascii("user") }).code,
      "plain-text",
    );
  });

  it("finds a big-endian length behind a correct receiver, not a length that is 1 too many", () => {
    const bytes = concat([Uint8Array.of(0, 0, 0, 5), ascii("Hello")]);
    const at = { expected: "text", command: "send", previous: ascii("Bob") } as const;
    assertEquals(explain({ ...seen, ...at, bytes }).code, "big-endian");
  });

  it("finds a big-endian length behind a correct argument, not a length that counts symbols", () => {
    const bytes = concat([Uint8Array.of(0, 0, 0, 5), ascii("users")]);
    assertEquals(explain({ ...seen, previous: ascii("Вася"), bytes }).code, "big-endian");
  });
});
