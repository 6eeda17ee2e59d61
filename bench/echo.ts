/**
 * A server that sends every byte back: it shows what the runtime itself can do. With the argument
 * `frames` the bytes go through the server's own stream of frames.
 */
import { FrameStream } from "../lib/protocol/frame_stream.ts";
import { TcpConnection } from "../lib/server/tcp.ts";

async function echoRaw(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(16_384);
  for (;;) {
    const length = await conn.read(buffer);
    if (length === null) return;
    await conn.write(buffer.subarray(0, length));
  }
}

/** Splits each chunk into frames, and joins them again. */
async function echoFrames(conn: Deno.TcpConn): Promise<void> {
  const connection = new TcpConnection(conn, true);
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
