/** Clients of the page's port that try to cost the others their places, or the server its memory. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { concat } from "@std/bytes";
import { describe } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { MAIN, ServerProcess } from "../cli/program.ts";
import { IPV6, itNeeds, type Needs, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveWeb } from "../support.ts";
import { get, rest, sent } from "./requests.ts";

const PROCESS: Needs = { permissions: ["net", "read", "run"] };
const GET = "GET /chat.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
/** More answers than the system takes for a client that reads none. */
const PIPELINE = GET.repeat(3_000);

/** Does the port answer on a new connection? */
async function isHealthy(url: string): Promise<boolean> {
  const asked = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  using conn = await sent(url, asked);
  return (await rest(conn)).startsWith("HTTP/1.1 200");
}

/** Waits until the port answers. Returns after how long (ms) it did. */
async function untilHealthy(url: string): Promise<number> {
  const begun = performance.now();
  while (!await isHealthy(url)) {
    assert(performance.now() - begun < 10_000, "the port does not serve again");
    await sleep(20);
  }
  return performance.now() - begun;
}

/** Opens connections that read no answers until they have all places of the port. */
async function takeAllPlaces(url: string): Promise<Deno.TcpConn[]> {
  const conns: Deno.TcpConn[] = [];
  do conns.push(await sent(url, PIPELINE)); while (await isHealthy(url));
  return conns;
}

/** The memory of the process of a server (MiB), as its metrics tell. */
async function residentMiB(url: string): Promise<number> {
  const { text } = await get(`${url}/metrics`);
  return Number(/^asvt_chat_resident_memory_bytes (.+)$/m.exec(text)![1]) / 1_048_576;
}

describe("a client of HTTP that reads none of its answers", () => {
  for (const path of ["/metrics", "/chat.js"]) {
    itNeeds(NET, `and asked for ${path} is closed, though it goes on asking`, async () => {
      await using server = serveWeb("--write-timeout-s", "0.3", "--command-timeout-s", "0.3");
      const ask = new TextEncoder().encode(
        `GET ${path} HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\n\r\n`,
      );
      using conn = await sent(server.url, "");
      const begun = performance.now();
      let isOpen = true;
      while (isOpen) {
        isOpen = await conn.write(concat(Array(100).fill(ask))).then(() => true, () => false);
        assert(performance.now() - begun < 10_000, "it is never closed");
      }
    });
  }

  itNeeds(NET, "and sent hundreds of requests at once loses its place", async () => {
    await using server = serveWeb("--write-timeout-s", "0.5", "--http-connections-max", "1");
    const conns = await takeAllPlaces(server.url);
    assert(await untilHealthy(server.url) < 5_000);
    assertMatch(await rest(conns.pop()!), /^HTTP\/1.1 200 OK\r\n/);
    for (const conn of conns) conn.close();
  });

  itNeeds(PROCESS, "costs a bounded memory, however many requests it sent at once", async () => {
    await using server = await ServerProcess.start("--http", "0", "--log", "off");
    const [url = ""] = /http:\S+\d/.exec(server.line)!;
    const before = await residentMiB(url);
    const conns = await Promise.all(Array.from({ length: 20 }, () => sent(url, PIPELINE)));
    await sleep(2_000);
    const more = await residentMiB(url) - before;
    for (const conn of conns) conn.close();
    assert(more < 160, `${more} MiB`);
  });

  itNeeds(IPV6, "takes the places of its own network alone", async () => {
    await using server = serveWeb("--http-hostname", "::", "--http-connections-max", "4");
    const { port } = new URL(server.url);
    const [theirs, ours] = [`http://127.0.0.1:${port}`, `http://[::1]:${port}`];
    const conns = await takeAllPlaces(theirs);
    const idle = await sent(ours, "");
    assert(await isHealthy(ours));
    // Those who have most get no more by it.
    for (let i = 0; i < 10; i++) conns.push(await sent(theirs, ""));
    await idle.write(new TextEncoder().encode("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert(await idle.read(new Uint8Array(100)) !== null);
    for (const conn of [...conns, idle]) conn.close();
  });
});

describe("a client of HTTP that sends many requests at once", () => {
  itNeeds(NET, "lets others go first between its answers", async () => {
    await using server = serveWeb();
    using al = await Peer.connect(server.port);
    const requests = 300;
    using conn = await sent(
      server.url,
      "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(requests),
    );
    const buffer = new Uint8Array(65_536);
    let [pings, answers] = [0, 0];
    const pinging = (async () => {
      for (; answers < requests; pings++) assertEquals(await al.ask("ping"), "pong");
    })();
    while (answers < requests) {
      const length = await conn.read(buffer);
      const text = new TextDecoder().decode(buffer.subarray(0, length ?? 0));
      answers += text.split("It serves").length - 1;
    }
    await pinging;
    assert(pings > requests / 4, `${pings} pings beside ${answers} answers`);
  });
});

describe("the page's port without a free file descriptor", () => {
  const needs: Needs = { ...PROCESS, programs: ["sh"] };
  itNeeds(needs, "says so once, and serves again when one is free", async () => {
    const flags = ["--port", "0", "--http", "0", "--http-connections-max", "1000", "--log", "json"];
    const run = [Deno.execPath(), "run", "--no-prompt", "--allow-net", MAIN, ...flags];
    const child = new Deno.Command("sh", {
      args: ["-c", `ulimit -n 64; exec ${run.join(" ")}`],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    await using server = await ServerProcess.of(child);
    const { port, page } = JSON.parse(server.line);
    using old = await Peer.connect(port);
    assertEquals(await old.ask("ping"), "pong");
    const url = page.slice(0, -1);
    const conns = await Promise.all(Array.from({ length: 100 }, () => sent(url, "")));
    // Several tries to accept fail.
    await sleep(1_500);
    assertEquals(await old.ask("ping"), "pong");
    for (const conn of conns) conn.close();
    await untilHealthy(url);
    using late = await Peer.connect(port);
    assertEquals(await late.ask("ping"), "pong");
    child.kill("SIGTERM");
    const log = await new Response(child.stderr).text();
    const lines = log.split("\n").filter((line) => line.includes("accept-failed"));
    assertEquals(lines.length, 1, log);
    assertMatch(lines[0]!, /Too many open files/i);
  });
});
