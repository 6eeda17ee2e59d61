/** Sends back what comes: what the runtime itself can do. `raw`, or through the `frames` of the server. */
import { FrameStream } from "../lib/protocol/frame_stream.ts";
import { TcpConnection } from "../lib/server/tcp.ts";

/** Reads and writes, and nothing else. */
async function echoRaw(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(16_384);
  for (;;) {
    const length = await conn.read(buffer);
    if (length === null) return;
    await conn.write(buffer.subarray(0, length));
  }
}

/** The same through the stream of frames: each chunk's frames are put together again. */
async function echoFrames(conn: Deno.TcpConn): Promise<void> {
  const connection = new TcpConnection(conn);
  const out = new Uint8Array(16_384);
  for await (const { frames } of new FrameStream(connection, 4096)) {
    let end = 0;
    for (const frame of frames) {
      out[end] = frame.length;
      out.fill(0, end + 1, end + 4);
      out.set(frame, end + 4);
      end += 4 + frame.length;
    }
    if (end > 0) await connection.write(out.subarray(0, end));
  }
}

const echo = Deno.args[0] === "frames" ? echoFrames : echoRaw;
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 4096 });
console.log(`listens on 127.0.0.1:${listener.addr.port}`);
for await (const conn of listener) {
  conn.setNoDelay(true);
  echo(conn).catch(() => {}).finally(() => conn.close());
}
