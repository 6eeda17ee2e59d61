/** The answers to HTTP requests: the page, health, settings, and who may see the rest. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { memoryJournal } from "../../lib/journal/journal.ts";
import { makeBundle, readBundle } from "./page_bundle.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveWeb, serveWebOn, until } from "../support.ts";
import { get, request } from "./requests.ts";

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

describe("the bundle of the page", () => {
  itNeeds({ permissions: ["read"] }, "holds its files as they are now: deno task dev:page", () => {
    assert(readBundle() === makeBundle(), "run deno task dev:page");
  });
});

describe("access to the metrics and the wire", () => {
  const PRIVATE = ["/metrics", "/wire/connections", "/wire?connection=1"];

  itNeeds(NET, "takes the token of --admin-token, where there is one", async () => {
    await using server = serveWeb("--admin-token", "s3cret");
    for (const path of PRIVATE) {
      for (const given of ["", "Bearer ", "Bearer s3cre", "Bearer s3crets", "Basic s3cret"]) {
        const { status, headers, text } = await get(server.url + path, { authorization: given });
        assertEquals([status, text], [401, "This needs the token of --admin-token\n"]);
        assertMatch(headers.get("www-authenticate")!, /^Bearer /);
      }
      const { status } = await get(server.url + path, { authorization: "Bearer s3cret" });
      assertEquals(status, path.includes("?") ? 404 : 200);
    }
    assertEquals((await get(`${server.url}/healthz`)).status, 200);
  });

  itNeeds(NET, "is refused through a proxy, where there is no token", async () => {
    await using server = serveWeb();
    for (const header of ["x-forwarded-for", "forwarded"]) {
      const { status, text } = await get(`${server.url}/metrics`, { [header]: "10.0.0.1" });
      assertEquals([status, text], [
        403,
        "A request through a proxy may not see this: start the server with --admin-token\n",
      ]);
    }
  });

  itNeeds(NET, "is refused under a foreign host name that points here", async () => {
    await using server = serveWeb();
    const { port } = new URL(server.url);
    for (const path of PRIVATE) {
      assertEquals(
        await request(server, `GET ${path} HTTP/1.1`, `Host: evil.example:${port}`),
        `HTTP/1.1 403 Forbidden http://evil.example:${port} is no name of this server: ` +
          `start the server with --http-origins http://evil.example:${port}`,
      );
    }
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

  itNeeds(NET, "tells the page the limits of the chat", async () => {
    await using server = serveWeb("--strict", "--text-symbols-max", "70");
    assertEquals(JSON.parse((await get(`${server.url}/settings.json`)).text), {
      strict: true,
      nameSymbolsMax: 8,
      textSymbolsMax: 70,
    });
  });
});
