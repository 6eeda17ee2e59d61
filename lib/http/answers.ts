/** The answers to HTTP requests, and how they are written. */
import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { TcpStream } from "./tcp_stream.ts";

const SECURITY_HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

/** An answer. A text has a known length; a stream ends when it ends. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | ReadableStream<Uint8Array>;
}

/** An answer of this media type. */
export function respond(
  status: number,
  body: Answer["body"],
  type: string,
  headers: Record<string, string> = {},
): Answer {
  return { status, body, headers: { ...SECURITY_HEADERS, "content-type": type, ...headers } };
}

/** An answer in a sentence, given without its line break. */
export function plain(
  status: number,
  sentence: string,
  headers: Record<string, string> = {},
): Answer {
  return respond(status, `${sentence}\n`, "text/plain; charset=utf-8", headers);
}

/** A value as JSON. */
export function json(value: unknown): Answer {
  return respond(200, JSON.stringify(value), "application/json");
}

/** Writes an answer; without its body where HEAD was asked. Resolves when it is written. */
export async function writeAnswer(
  response: ServerResponse,
  { status, headers, body }: Answer,
): Promise<void> {
  if (typeof body === "string") {
    response.writeHead(status, {
      ...headers,
      "content-length": new TextEncoder().encode(body).length,
    });
    response.end(body);
    return;
  }
  response.writeHead(status, headers);
  response.flushHeaders();
  // A client that ends its side of the connection has left. That ends the stream.
  response.req.socket.once("end", () => response.destroy());
  await pipeline(Readable.fromWeb(body), response).catch(() => {});
}

/**
 * The response to a request whose connection `node:http` has given up. The connection ends with it;
 * what still comes is dropped.
 */
export function lastResponse(request: IncomingMessage, stream: TcpStream): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(stream as unknown as Socket);
  response.on("finish", () => stream.end());
  stream.resume();
  return response;
}
