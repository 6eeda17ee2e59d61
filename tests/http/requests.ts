/** Requests to a server under test: by `fetch`, and written by hand. */
import { concat } from "@std/bytes";
import type { TestWeb } from "../support.ts";

/** The answer to a GET. */
export async function get(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** A connection to the page's port on which this was sent. */
export async function sent(url: string, text: string): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(url);
  const conn = await Deno.connect({ hostname, port: Number(port) });
  await conn.write(new TextEncoder().encode(text));
  return conn;
}

/** The text that comes on a connection until it ends. */
export async function rest(conn: Deno.TcpConn): Promise<string> {
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of conn.readable) pieces.push(piece);
  } catch {
    // A connection that is destroyed with unread bytes is reset.
  }
  return new TextDecoder().decode(concat(pieces));
}

/** The status line and the body of the answer to these lines of a request. */
export async function request({ url }: TestWeb, ...lines: string[]): Promise<string> {
  using conn = await sent(url, [...lines, "Connection: close", "", ""].join("\r\n"));
  const [head = "", body = ""] = (await rest(conn)).split("\r\n\r\n");
  return `${head.split("\r\n")[0]} ${body.trim()}`;
}
