/** Who may see the metrics and the wire, whose pages may chat, and whose address counts. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { UsageError } from "../../lib/errors.ts";
import { Access } from "../../lib/http/access.ts";
import type { Arrival } from "../../lib/http/forwarded.ts";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { itNeeds, NET } from "../needs.ts";
import { logOf, serveWeb } from "../support.ts";
import { get, request } from "./requests.ts";

type HeaderFields = Readonly<Record<string, string>>;

const HERE = "http://localhost:8080";
const TOKEN = "s3cret-of-the-teacher";
const PRIVATE = ["/metrics", "/wire/connections", "/wire?connection=1"];

/** The rules of a server with these flags, and what it logs. */
function accessOf(...flags: string[]) {
  const { lines, log } = logOf("text");
  return { access: new Access(parseServerOptions(flags), 8080, log), lines, log };
}

/** A request with these headers, from a program on this machine if nothing else is said. */
function arrival(headers: HeaderFields = {}, address = "127.0.0.1", httpVersion = "1.1"): Arrival {
  const remote = { address, peer: `${address}:5000` };
  const url = new URL(`http://${headers.host ?? "localhost:8080"}/metrics`);
  return { url, remote, headers: new Headers(headers), httpVersion };
}

/** Headers of proxies, as they come from their makers. */
const FORWARDED: readonly HeaderFields[] = [
  { "x-forwarded-for": "203.0.113.9" },
  { "forwarded": "for=203.0.113.9" },
  { "x-forwarded-proto": "https" },
  { "x-real-ip": "203.0.113.9" },
  { "via": "1.1 proxy" },
  { "cf-connecting-ip": "203.0.113.9" },
  { "true-client-ip": "203.0.113.9" },
  { "x-client-ip": "203.0.113.9" },
  { "x-envoy-external-address": "203.0.113.9" },
  { "X-FORWARDED-FOR": "" },
  { "x_forwarded_for": "203.0.113.9" },
  { "proxy-client-ip": "203.0.113.9" },
  { "wl-proxy-client-ip": "203.0.113.9" },
  { "proxy-connection": "keep-alive" },
  { "do-connecting-ip": "203.0.113.9" },
  { "x-varnish": "32770" },
  { "x-arr-log-id": "8c8a" },
  { "incap-client-ip": "203.0.113.9" },
];

describe("without a token the metrics and the wire", () => {
  it("are for a program on this machine", () => {
    const { access } = accessOf();
    for (const address of ["127.0.0.1", "127.5.5.5", "::1"]) {
      assertEquals(access.denyAdmin(arrival({}, address)), undefined);
    }
    assertEquals(access.denyAdmin(arrival({}, "10.0.0.5"))?.status, 403);
  });

  it("are refused to each request that a proxy may have sent", () => {
    const { access } = accessOf();
    const others = [arrival({}, "127.0.0.1", "1.0"), arrival({ origin: "https://chat.example" })];
    for (const each of [...FORWARDED.map((headers) => arrival(headers)), ...others]) {
      const { status, body } = access.denyAdmin(each)!;
      assertEquals(status, 403);
      assertMatch(
        `${body}`,
        /^A request through a proxy may not see this: .* --admin-token-file\n$/,
      );
    }
  });

  it("are refused to all where the page is open to others, as a proxy may add no header", () => {
    for (
      const flags of [["--http-origins", "https://chat.example"], ["--http-proxies", "10.0.0.1"]]
    ) {
      const { status, body } = accessOf(...flags).access.denyAdmin(arrival())!;
      assertEquals(status, 403);
      assertMatch(`${body}`, /^With --http-.* it needs a token: .*\n$/);
    }
    const { access } = accessOf("--http-origins", "http://localhost:3000,http://[::1]:3000");
    assertEquals(access.denyAdmin(arrival()), undefined);
  });

  it("are refused to a page from elsewhere, which could take all watchers", () => {
    const { access } = accessOf();
    for (const [site, status] of [["cross-site", 403], ["same-site", 403], ["none", undefined]]) {
      const refusal = access.denyAdmin(arrival({ "sec-fetch-site": `${site}` }));
      assertEquals(refusal?.status, status);
    }
  });

  itNeeds(NET, "are refused under a foreign host name that points here", async () => {
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

describe("the token of the operator", () => {
  itNeeds(NET, "opens the metrics and the wire, and nothing else does", async () => {
    await using server = serveWeb("--admin-token", TOKEN);
    for (const path of PRIVATE) {
      for (const given of ["", "Bearer ", `Basic ${TOKEN}`]) {
        const { status, headers, text } = await get(server.url + path, { authorization: given });
        assertEquals([status, text], [401, "This needs the token of --admin-token\n"]);
        assertMatch(headers.get("www-authenticate")!, /^Bearer /);
      }
      const { status } = await get(server.url + path, { authorization: `Bearer ${TOKEN}` });
      assertEquals(status, path.includes("?") ? 404 : 200);
    }
    assertEquals((await get(`${server.url}/healthz`)).status, 200);
  });

  itNeeds(NET, "is not judged for a second after a wrong one from the same place", async () => {
    await using server = serveWeb("--admin-token", TOKEN);
    const ask = (token: string) =>
      get(`${server.url}/metrics`, { authorization: `Bearer ${token}` });
    assertEquals((await ask(`${TOKEN}s`)).status, 401);
    const begun = performance.now();
    let answer = await ask(TOKEN);
    assertEquals(answer.status, 401);
    assertMatch(answer.text, /^A wrong token came from your address a moment ago: /);
    while (answer.status !== 200 && performance.now() - begun < 10_000) answer = await ask(TOKEN);
    assertEquals(answer.status, 200);
    assert(performance.now() - begun > 500);
  });

  it("can be given from elsewhere meanwhile, and the log tells of wrong ones", async () => {
    const { access, lines, log } = accessOf("--admin-token", TOKEN);
    const given = (token: string, address: string) =>
      access.denyAdmin(arrival({ authorization: `Bearer ${token}` }, address))?.status;
    assertEquals(given("wrong", "2001:db8::1"), 401);
    assertEquals(given(TOKEN, "2001:db8::2"), 401);
    assertEquals(given(TOKEN, "2001:db8:0:1::1"), undefined);
    await log.close(1_000);
    assertMatch(lines.join(""), /refused peer=2001:db8::1:5000 reason=wrong-token$/);
  });

  it("can be given at a machine whose proxy passes on wrong ones", () => {
    const { access } = accessOf("--admin-token", TOKEN);
    const given = (token: string, more: HeaderFields = {}) =>
      access.denyAdmin(arrival({ authorization: `Bearer ${token}`, ...more }))?.status;
    assertEquals(given("wrong", { "x-real-ip": "203.0.113.9" }), 401);
    assertEquals(given(TOKEN, { "x-real-ip": "203.0.113.8" }), 401);
    assertEquals(given(TOKEN), undefined);
  });

  it("has 16 symbols or more, and one place", () => {
    for (
      const [flags, message] of [
        [["--admin-token", "s3cret"], "has 6 symbols"],
        [["--admin-token", TOKEN, "--admin-token-file", "token"], "are two tokens"],
      ] as const
    ) {
      const error = assertThrows(() => parseServerOptions(flags), UsageError, message);
      assert(!error.message.includes("s3cret"));
    }
  });
});

describe("the address of a user of the page", () => {
  const LIST = ["--http-proxies", "10.0.0.0/24"];
  const endOf = (each: Arrival, ...flags: string[]) => accessOf(...flags).access.userEnd(each);

  it("is that of the TCP connection", () => {
    const { remote } = arrival({}, "192.0.2.7");
    assertEquals(endOf(arrival({}, "192.0.2.7"), ...LIST), remote);
    assertEquals(endOf(arrival({ origin: HERE })).address, "127.0.0.1");
  });

  it("is the last one that a proxy of --http-proxies has added", () => {
    for (
      const [list, address] of [
        ["203.0.113.9", "203.0.113.9"],
        ["198.51.100.1, 203.0.113.9", "203.0.113.9"],
        ["::ffff:203.0.113.9", "203.0.113.9"],
        ["10.0.0.7,203.0.113.9:4711", "203.0.113.9"],
        ["[2001:DB8::1]:4711", "2001:db8::1"],
        ["2001:db8::1", "2001:db8::1"],
        ["[2001:db8::1]", "2001:db8::1"],
        ["::FFFF:CB00:7109", "203.0.113.9"],
        ["[::ffff:203.0.113.9]:4711", "203.0.113.9"],
        ["[nonsense, 203.0.113.9", "203.0.113.9"],
      ] as const
    ) {
      const end = endOf(arrival({ "x-forwarded-for": list }, "10.0.0.1"), ...LIST);
      assertEquals(end.address, address);
      assert(end.peer.endsWith(":5000"), end.peer);
    }
  });

  it("is nobody's where a proxy does not tell it, or is not known", () => {
    const proxy = "10.0.0.1";
    for (
      const each of [
        arrival({}, proxy),
        arrival({ "x-forwarded-for": "unknown" }, proxy),
        arrival({ "x-forwarded-for": "203.0.113.9, " }, proxy),
        arrival({ "x-forwarded-for": "fe80::1%eth0" }, proxy),
        arrival({ "x-forwarded-for": "203.0.113.0/24" }, proxy),
        arrival({ "x-forwarded-for": "203.0.113.9;203.0.113.8" }, proxy),
        arrival({ "x-forwarded-for": "2001:db8::1:::4711" }, proxy),
        arrival({ "forwarded": 'for="[2001:db8::1]:4711"' }, proxy),
        arrival({ "x-forwarded-for": "203.0.113.9" }, "192.0.2.7"),
        arrival({ "x-real-ip": "203.0.113.9" }),
        arrival({ origin: "https://chat.example" }),
        arrival({ host: "chat.example" }),
        arrival({}, "192.0.2.7", "1.0"),
      ]
    ) {
      const [one, other] = [endOf(each, ...LIST), endOf(each, ...LIST)];
      assert(one.address !== other.address);
      for (const { address, peer } of [one, other]) {
        assertMatch(address, /^[\d.]+#[\da-f]{16}$/);
        assertEquals([address.split("#")[0], peer], [each.remote.address, each.remote.peer]);
      }
    }
  });

  itNeeds(NET, "brings a user back, but not through a proxy that is not known", async () => {
    await using server = serveWeb();
    const comeTwice = async (headers: Record<string, string>, name: string) => {
      const replies: string[] = [];
      for (let i = 0; i < 2; i++) {
        // Deno takes headers here, which the types do not know.
        const more = { headers } as unknown as string[];
        const socket = new WebSocket(`${server.url}/ws`.replace("http", "ws"), more);
        socket.binaryType = "arraybuffer";
        await new Promise((resolve) => socket.onopen = resolve);
        const reply = new Promise<MessageEvent>((resolve) => socket.onmessage = resolve);
        socket.send(encodeFrames(["register", name]) as Uint8Array<ArrayBuffer>);
        replies.push(new TextDecoder().decode((await reply).data).slice(4));
        const closed = new Promise((resolve) => socket.onclose = resolve);
        socket.close();
        await closed;
      }
      return replies;
    };
    assertEquals(await comeTwice({}, "Al"), ["Hello, Al", "Nice to see you, Al"]);
    assertEquals(
      await comeTwice({ "x-forwarded-for": "203.0.113.9" }, "Bo"),
      ["Hello, Bo", "'Bo' already exists!"],
    );
  });
});
