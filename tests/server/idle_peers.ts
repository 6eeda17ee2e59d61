/**
 * Opens idle connections: `idle_peers.ts PORT COUNT`. Each connection sends one `ping`, to be sure
 * that it is served. A line is printed when all are open. They are closed when stdin ends. It is a
 * process of its own, because the server in the process of the test needs all files that it may
 * open.
 */
import { encodeFrame } from "../../lib/protocol/frame.ts";

/**
 * At most this many are opened at a time: the queue of the listener drops connections when full.
 */
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
