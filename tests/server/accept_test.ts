/** How connections are accepted that come all at once. */
import { assert } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { itNeeds, NET } from "../needs.ts";
import { serve } from "../support.ts";

const CROWD = 400;

/** Connects to the port given, and says so; `close` closes all. */
const CROWD_CODE = `
  let conns = [];
  onmessage = async ({ data: { port, count, done } }) => {
    if (port === undefined) return conns.forEach((conn) => conn.close());
    const connect = () => Deno.connect({ hostname: "127.0.0.1", port });
    conns = await Promise.all(Array.from({ length: count }, connect));
    Atomics.store(new Int32Array(done), 0, 1);
    Atomics.notify(new Int32Array(done), 0);
  };
`;

describe("connections that come all at once", () => {
  itNeeds(NET, "are accepted in small groups, and the event loop turns between them", async () => {
    await using server = serve();
    const url = URL.createObjectURL(new Blob([CROWD_CODE], { type: "text/javascript" }));
    const crowd = new Worker(url, { type: "module" });
    const done = new SharedArrayBuffer(4);
    crowd.postMessage({ port: server.port, count: CROWD, done });
    // The server runs in this thread: while that waits, the connections wait to be accepted.
    Atomics.wait(new Int32Array(done), 0, 0, 10_000);
    const accepted: number[] = [];
    const { facts } = server.server;
    let connections = facts.connections;
    while (connections < CROWD && accepted.length < 10_000) {
      await sleep(0);
      accepted.push(server.server.facts.connections - connections);
      connections += accepted.at(-1)!;
    }
    crowd.postMessage({});
    crowd.terminate();
    URL.revokeObjectURL(url);
    assert(connections === CROWD, `${connections} were accepted`);
    assert(Math.max(...accepted) <= 64, `${Math.max(...accepted)} at once`);
  });
});
