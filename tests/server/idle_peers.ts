/**
 * Opens connections that fall silent: `idle_peers.ts PORT COUNT`. Each pings once, so that it is
 * known to be served. A line is printed when all are open; they are kept until stdin ends, and then
 * closed. A process of its own, because the server of the test needs its open files for the other
 * ends.
 */
import { encodeFrame } from "../../lib/protocol/frame.ts";

/** So many are being opened at once: fewer than stand in a listener's queue, which drops the rest. */
const AT_ONCE = 100;

const PING = encodeFrame("ping");

async function connect(port: number): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(PING);
  await conn.read(new Uint8Array(64));
  return conn;
}

const [port, count] = Deno.args.map(Number) as [number, number];
const conns: Deno.TcpConn[] = [];
while (conns.length < count) {
  const batch = Math.min(AT_ONCE, count - conns.length);
  conns.push(...await Promise.all(Array.from({ length: batch }, () => connect(port))));
}
console.log(`${conns.length} are open`);
await Deno.stdin.readable.pipeTo(new WritableStream());
for (const conn of conns) conn.close();
