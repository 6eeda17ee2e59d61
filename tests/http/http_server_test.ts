/** The answers to HTTP requests: the page, health, settings, and who may see the rest. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { memoryJournal } from "../../lib/journal/journal.ts";
import { makeBundle, readBundle } from "./page_bundle.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveWeb, serveWebOn, until } from "../support.ts";
import { get, request, rest, sent } from "./requests.ts";

describe("the health of a server", () => {
  itNeeds(NET, "is good while it serves, and bad while it stops", async () => {
    const server = serveWeb();
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    assertEquals((await get(`${server.url}/healthz`)).status, 200);
    // A stop waits for the rest of a command.
    await al.write(Uint8Array.of(4));
    await until(() => server.server.facts.bytes.in > 18, "it has arrived");
    const stopped = server.server.stop();
    assertEquals((await get(`${server.url}/healthz`)).status, 503);
    await stopped;
    await server[Symbol.asyncDispose]();
  });

  itNeeds(NET, "is bad while nothing can be stored", async () => {
    let isFailing = false;
    await using server = serveWebOn({
      ...memoryJournal,
      commit: () => {
        if (isFailing) throw new Error("disk full");
      },
    });
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    isFailing = true;
    await al.ask("send", "Al", "lost");
    assertEquals((await get(`${server.url}/healthz`)).status, 503);
    assertStringIncludes((await get(`${server.url}/metrics`)).text, "asvt_chat_serving 0\n");
    isFailing = false;
    await al.ask("send", "Al", "kept");
    assertEquals((await get(`${server.url}/healthz`)).status, 200);
  });
});

describe("the port of the page", () => {
  const LENGTHS = {
    "": (bytes: Uint8Array) => bytes,
    " with big-endian lengths": (bytes: Uint8Array) =>
      bytes.map((_, at) => bytes[3 - at] ?? bytes[at]!),
  };
  for (const [how, change] of Object.entries(LENGTHS)) {
    for (const isByByte of [false, true]) {
      const pieces = isByByte ? "byte by byte" : "whole";
      itNeeds(
        NET,
        `tells a client that sends frames${how}, ${pieces}, which port to take`,
        async () => {
          await using server = serveWeb();
          const port = Number(new URL(server.url).port);
          using peer = await Peer.connect(port);
          const bytes = change(encodeFrames(["register", "Al"]));
          if (!isByByte) await peer.write(bytes);
          else for (const byte of bytes) await peer.write(Uint8Array.of(byte)).catch(() => {});
          const reply = new Uint8Array(await new Response(peer.conn.readable).arrayBuffer());
          const length = new DataView(reply.buffer).getUint32(0, how === "");
          assertEquals(length, reply.length - 4);
          assertStringIncludes(
            new TextDecoder().decode(reply),
            `The chat is on TCP port ${server.port}`,
          );
        },
      );
    }
  }
});

describe("the bundle of the page", () => {
  itNeeds({ permissions: ["read"] }, "holds its files as they are now: deno task dev:page", () => {
    assert(readBundle() === makeBundle(), "run deno task dev:page");
  });
});

describe("HTTP", () => {
  itNeeds(NET, "serves the page and no other files, with headers that protect it", async () => {
    await using server = serveWeb();
    const EXPECTED = {
      "/": [200, "text/html; charset=utf-8"],
      "/style.css": [200, "text/css; charset=utf-8"],
      "/chat.js": [200, "text/javascript; charset=utf-8"],
      "/settings.json": [200, "application/json"],
      "/nothing": [404, "text/plain; charset=utf-8"],
      "/../main.ts": [404, "text/plain; charset=utf-8"],
      [`/${"x".repeat(3000)}`]: [414, "text/plain; charset=utf-8"],
    };
    for (const [path, expected] of Object.entries(EXPECTED)) {
      const { status, headers } = await get(server.url + path);
      assertEquals([status, headers.get("content-type")], expected);
      assertMatch(
        headers.get("content-security-policy")!,
        /^default-src 'none'; script-src 'self'/,
      );
      assertEquals(headers.get("x-content-type-options"), "nosniff");
    }
  });

  itNeeds(NET, "answers only GET and HEAD", async () => {
    await using server = serveWeb();
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const response = await fetch(server.url, { method });
      assertEquals([response.status, await response.text()], [405, "Only GET is answered here\n"]);
    }
  });

  itNeeds(NET, "answers a broken request in a sentence, and goes on", async () => {
    await using server = serveWeb("--watchers-max", "1");
    const { host } = new URL(server.url);
    const UPGRADE = ["Upgrade: websocket", "Connection: Upgrade"];
    const MANY = Array.from({ length: 1000 }, (_, i) => `X${i}: y`);
    for (
      const [expected, ...lines] of [
        ["400 Bad Request", "GET / HTTP/1.1", "Host: [::1"],
        ["400 Bad Request", "GET /ws HTTP/1.1", `Host: ${host}`, ...UPGRADE],
        ["405 Method Not Allowed", "HEAD /wire?connection=next HTTP/1.1", `Host: ${host}`],
        ["400 Bad Request", "GET / HTTP/1.1", `Host: ${host}`, ...MANY],
        ["404 Not Found", "GET /%zz%00 HTTP/1.1", `Host: ${host}`],
      ] as const
    ) assertStringIncludes(await request(server, ...lines), `HTTP/1.1 ${expected}`);
    assertEquals((await get(`${server.url}/healthz`)).status, 200);
    assertEquals((await get(`${server.url}/wire?connection=1`)).status, 404);
  });

  itNeeds(NET, "answers what is no request with 400, and what is too long with 431", async () => {
    await using server = serveWeb("--command-timeout-s", "0.3");
    assertMatch(
      await rest(await sent(server.url, "nonsense\r\n\r\n")),
      /^HTTP\/1.1 400 Bad Request\r\n/,
    );
    const long = `GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(50_000)}\r\n\r\n`;
    assertMatch(await rest(await sent(server.url, long)), /^HTTP\/1.1 431 /);
  });

  const SLOW = {
    "is silent": "",
    "sends headers for ever": "GET / HTTP/1.1\r\nHost: a\r\n",
    "sends a body for ever": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n",
    "asks to upgrade and never ends": "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n",
    "is silent after an answer": "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
  };
  for (const [what, text] of Object.entries(SLOW)) {
    itNeeds(NET, `closes a connection that ${what}`, async () => {
      await using server = serveWeb("--command-timeout-s", "0.3");
      using conn = await sent(server.url, text);
      // It goes on sending; that gives it no more time.
      const trickle = setInterval(() => conn.write(Uint8Array.of(0x61)).catch(() => {}), 50);
      if (text === "" || text.endsWith("\r\n\r\n") && !text.startsWith("POST")) {
        clearInterval(trickle);
      }
      await rest(conn).finally(() => clearInterval(trickle));
    });
  }

  itNeeds(
    NET,
    "closes the connection that has been silent for longest over the limit",
    async () => {
      await using server = serveWeb("--http-connections-max", "3");
      const idle = [
        await sent(server.url, ""),
        await sent(server.url, ""),
        await sent(server.url, ""),
      ];
      assertEquals(
        await request(server, "GET /healthz HTTP/1.1", "Host: a"),
        "HTTP/1.1 200 OK It serves",
      );
      assertEquals(await rest(idle[0]!), "");
      for (const conn of idle.slice(1)) conn.close();
    },
  );

  itNeeds(NET, "answers a request whose client has ended its side", async () => {
    await using server = serveWeb();
    using conn = await sent(server.url, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    await conn.closeWrite();
    assertMatch(await rest(conn), /^HTTP\/1.1 200 OK\r\n[^]*It serves\n$/);
  });

  itNeeds(NET, "answers one request after another on a connection", async () => {
    await using server = serveWeb();
    using conn = await sent(server.url, "");
    const buffer = new Uint8Array(65_536);
    for (let i = 0; i < 3; i++) {
      await conn.write(new TextEncoder().encode("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"));
      let text = "";
      while (!text.endsWith("It serves\n")) {
        const length = await conn.read(buffer);
        assert(length !== null, `the connection ended after ${i} answers`);
        text += new TextDecoder().decode(buffer.subarray(0, Number(length)));
      }
    }
  });

  itNeeds(NET, "answers a pipeline of requests in its order", async () => {
    await using server = serveWeb("--command-timeout-s", "0.3");
    const places = Array.from({ length: 1000 }, (_, i) => i);
    const lines = places.map((i) => `GET /a${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
    using conn = await sent(server.url, lines.join(""));
    const answers = [...(await rest(conn)).matchAll(/There is no \/a(\d+) here/g)];
    assertEquals(answers.map(([, i]) => Number(i)), places);
  });

  itNeeds(NET, "serves a request with an upgrade that it does not know", async () => {
    await using server = serveWeb();
    const lines = ["Host: a", "Upgrade: h2c", "Connection: Upgrade"];
    const answer = await request(server, "GET /healthz HTTP/1.1", ...lines);
    assertEquals(answer, "HTTP/1.1 200 OK It serves");
  });

  itNeeds(NET, "tells the page the limits of the chat, and its port", async () => {
    await using server = serveWeb("--strict", "--text-symbols-max", "70");
    assertEquals(JSON.parse((await get(`${server.url}/settings.json`)).text), {
      strict: true,
      nameSymbolsMax: 8,
      textSymbolsMax: 70,
      port: server.port,
    });
  });
});
