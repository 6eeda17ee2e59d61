/** Requests to a server under test: by `fetch`, and written by hand. */
import { concat } from "@std/bytes";
import type { TestWeb } from "../support.ts";

/** The answer to a GET. */
export async function get(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** The status line and the body of the answer to these lines of a request. */
export async function request({ web }: TestWeb, ...lines: string[]): Promise<string> {
  const { hostname, port } = new URL(web.url);
  using conn = await Deno.connect({ hostname, port: Number(port) });
  await conn.write(new TextEncoder().encode([...lines, "Connection: close", "", ""].join("\r\n")));
  const pieces: Uint8Array[] = [];
  for await (const piece of conn.readable) pieces.push(piece);
  const [head = "", body = ""] = new TextDecoder().decode(concat(pieces)).split("\r\n\r\n");
  return `${head.split("\r\n")[0]} ${body.trim()}`;
}
