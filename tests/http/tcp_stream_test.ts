import { assert, assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { TcpStream } from "../../lib/http/tcp_stream.ts";
import { itNeeds, NET } from "../needs.ts";
import { until } from "../support.ts";

describe("a TCP connection as a stream", () => {
  /** A stream, and the other end of its connection. */
  async function open(writeMs = 10_000) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const port = listener.addr.port;
    const [conn, accepted] = await Promise.all([
      Deno.connect({ hostname: "127.0.0.1", port }),
      listener.accept(),
    ]);
    return { conn, stream: new TcpStream(accepted, writeMs) };
  }

  itNeeds(NET, "that is held reads at most a buffer more, whatever resumes it", async () => {
    const { conn, stream } = await open();
    let read = 0;
    stream.on("data", ({ length }: Uint8Array) => {
      read += length;
      stream.hold();
      setImmediate(() => stream.resume());
    });
    const writing = conn.write(new Uint8Array(100_000));
    await until(() => read > 0, "it is read");
    await sleep(100);
    assert(read <= 8_192, `${read} bytes were read`);
    stream.removeAllListeners("data");
    stream.on("data", ({ length }: Uint8Array) => read += length);
    stream.readOn();
    const written = await writing;
    await until(() => read === written, "the rest is read");
    stream.destroy();
    conn.close();
  });

  itNeeds(NET, "lets the event loop turn between the reads of a flood", async () => {
    const { conn, stream } = await open();
    const bytes = new Uint8Array(1_000_000);
    let read = 0;
    stream.on("data", ({ length }: Uint8Array) => read += length);
    const written = await conn.write(bytes);
    const perTurn: number[] = [];
    for (let before = read; read < written; before = read) {
      await sleep(0);
      perTurn.push(read - before);
    }
    assert(Math.max(...perTurn) <= 16_384, `${Math.max(...perTurn)} bytes in one turn`);
    stream.destroy();
    conn.close();
  });

  itNeeds(NET, "that is held is closed as any other", async () => {
    const { conn, stream } = await open();
    stream.hold();
    stream.resume();
    stream.limit(50);
    assertEquals(await conn.read(new Uint8Array(1)).catch(() => null), null);
    assert(stream.destroyed);
    conn.close();
  });
});
