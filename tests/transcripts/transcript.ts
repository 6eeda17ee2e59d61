/** Parses and runs transcripts, which `tests/transcripts/README.md` describes. */
import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import net from "node:net";
import { Duplex } from "node:stream";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { FrameStream, readerOf } from "../../lib/protocol/frame_stream.ts";
import { texts } from "../peer.ts";
import type { TestServer } from "../support.ts";

/** The way in which requests are cut into writes. */
export type Cut = "whole" | "byte by byte" | "pipelined";
export const CUTS: readonly Cut[] = ["whole", "byte by byte", "pipelined"];

/** A request of a client, or `closes`, and the frames of its reply. */
interface Exchange {
  readonly name: string;
  /** `undefined`: the client closes its connection. */
  readonly bytes: Uint8Array | undefined;
  readonly replies: readonly string[];
  readonly line: number;
}

export interface Transcript {
  readonly flags: readonly string[];
  readonly exchanges: readonly Exchange[];
}

const CLOSED = "(closed)";

/** Parses a transcript. Throws for a line that is none of a transcript. */
export function parseTranscript(source: string): Transcript {
  const flags: string[] = [];
  const exchanges: {
    name: string;
    bytes: Uint8Array | undefined;
    replies: string[];
    line: number;
  }[] = [];
  for (const [index, line] of source.split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const request = /^([a-z]+(?:@[\d.]+)?): (.*)$/.exec(line);
    if (line.startsWith("flags: ")) flags.push(...line.slice("flags: ".length).split(" "));
    else if (line.startsWith("  ")) exchanges.at(-1)!.replies.push(unquote(line.slice(2)));
    else if (request !== null) {
      const bytes = request[2] === "closes" ? undefined : parseRequest(request[2]!);
      exchanges.push({ name: request[1]!, bytes, replies: [], line: index + 1 });
    } else throw new Error(`Line ${index + 1} is no line of a transcript: ${line}`);
  }
  return { flags, exchanges };
}

function parseRequest(text: string): Uint8Array {
  if (text.startsWith("bytes ")) {
    return Uint8Array.from(text.slice(6).trim().split(/\s+/), (pair) => parseInt(pair, 16));
  }
  const words = text.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  return encodeFrames(words.map(unquote));
}

function unquote(word: string): string {
  return word.startsWith('"') ? JSON.parse(word) : word;
}

/** A client in a transcript, with one connection. */
class TestClient {
  readonly #socket: net.Socket;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #frames: AsyncGenerator<string>;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    const { readable, writable } = Duplex.toWeb(socket) as {
      readable: ReadableStream<Uint8Array>;
      writable: WritableStream<Uint8Array>;
    };
    this.#writer = writable.getWriter();
    this.#frames = texts(new FrameStream(readerOf(readable), 1_048_576));
  }

  /** Connects from this address of loopback. */
  static async connect(port: number, localAddress: string): Promise<TestClient> {
    const socket = net.connect({ host: "127.0.0.1", port, localAddress, allowHalfOpen: true });
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new TestClient(socket);
  }

  get peer(): string {
    return `${this.#socket.localAddress}:${this.#socket.localPort}`;
  }

  async write(bytes: Uint8Array, cut: Cut): Promise<void> {
    if (cut !== "byte by byte") return await this.#writer.write(bytes);
    for (const byte of bytes) {
      await this.#writer.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The next frame; `(closed)` when the server has ended its side. */
  async frame(): Promise<string> {
    const { done, value } = await this.#frames.next();
    return done ? CLOSED : value;
  }

  /** Ends our side, and waits until the server has ended its own. */
  async close(): Promise<void> {
    await this.#writer.close().catch(() => {});
    while (await this.frame() !== CLOSED);
    this.#socket.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** Groups consecutive requests of one client, which one write can send. */
function pipelines(exchanges: readonly Exchange[]): Exchange[][] {
  const groups: Exchange[][] = [];
  for (const exchange of exchanges) {
    const group = groups.at(-1);
    const joins = exchange.bytes !== undefined && group?.[0]?.name === exchange.name &&
      group[0].bytes !== undefined;
    if (joins) group.push(exchange);
    else groups.push([exchange]);
  }
  return groups;
}

/** Runs a transcript against a server that `serve` starts with the flags of the transcript. */
export async function runTranscript(
  { flags, exchanges }: Transcript,
  cut: Cut,
  serve: (...flags: string[]) => TestServer | Promise<TestServer>,
): Promise<void> {
  await using server = await serve(...flags, "--log", "off");
  const clients = new Map<string, TestClient>();
  const closed = new Set<string>();
  try {
    const groups = cut === "pipelined" ? pipelines(exchanges) : exchanges.map((one) => [one]);
    for (const group of groups) {
      const { name, bytes } = group[0]!;
      const address = name.split("@")[1] ?? "127.0.0.1";
      const client = clients.get(name) ?? await TestClient.connect(server.port, address);
      clients.set(name, client);
      if (bytes === undefined) {
        await client.close();
        closed.add(name);
        continue;
      }
      await client.write(concat(group.map((one) => one.bytes!)), cut);
      for (const { replies, line } of group) {
        for (const reply of replies) {
          const expected = reply.replace("{peer}", client.peer);
          assertEquals({ line, frame: await client.frame() }, { line, frame: expected });
          if (expected === CLOSED) closed.add(name);
        }
      }
    }
    for (const [name, client] of clients) {
      if (!closed.has(name)) await checkNothingMore(name, client, cut);
    }
  } finally {
    for (const client of clients.values()) client.destroy();
  }
}

/** Fails where an unexpected frame comes before the reply to one more command. */
async function checkNothingMore(name: string, client: TestClient, cut: Cut): Promise<void> {
  await client.write(encodeFrames(["logout"]), cut);
  assertEquals({ name, frame: await client.frame() }, {
    name,
    frame: "U've been successfully logouted",
  });
}
