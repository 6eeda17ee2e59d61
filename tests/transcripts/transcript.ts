/**
 * Transcripts: readable files of sessions, run over real TCP. See `tests/transcripts/README.md`.
 */
import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import net from "node:net";
import { Duplex } from "node:stream";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { FrameStream, readerOf } from "../../lib/protocol/frame_stream.ts";
import { type TestServer, texts } from "../support.ts";

/** How the requests are cut into writes. */
export type Cut = "whole" | "byte by byte" | "pipelined";
export const CUTS: readonly Cut[] = ["whole", "byte by byte", "pipelined"];

/** One connection's request, or `closes`, and the frames that must come back. */
interface Exchange {
  readonly who: string;
  /** `undefined`: the connection closes. */
  readonly bytes: Uint8Array | undefined;
  readonly replies: readonly string[];
  readonly line: number;
}

export interface Transcript {
  readonly flags: readonly string[];
  readonly exchanges: readonly Exchange[];
}

const CLOSED = "(closed)";

/** Parses a transcript. */
export function parseTranscript(source: string): Transcript {
  const flags: string[] = [];
  const exchanges: {
    who: string;
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
      exchanges.push({ who: request[1]!, bytes, replies: [], line: index + 1 });
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

/** One end of a connection in a transcript. */
class Person {
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

  /** Connects from an address of loopback: in the chat a person has one. */
  static async connect(port: number, localAddress: string): Promise<Person> {
    const socket = net.connect({ host: "127.0.0.1", port, localAddress, allowHalfOpen: true });
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new Person(socket);
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

  /** The next frame; `(closed)` where the server has ended its side. */
  async frame(): Promise<string> {
    const { done, value } = await this.#frames.next();
    return done ? CLOSED : value;
  }

  /** Ends both sides and waits until the server has ended its own. */
  async close(): Promise<void> {
    await this.#writer.close().catch(() => {});
    while (await this.frame() !== CLOSED);
    this.#socket.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** Runs of exchanges of the same person: what can be sent in one write. */
function pipelines(exchanges: readonly Exchange[]): Exchange[][] {
  const runs: Exchange[][] = [];
  for (const exchange of exchanges) {
    const run = runs.at(-1);
    const joins = exchange.bytes !== undefined && run?.[0]?.who === exchange.who &&
      run[0].bytes !== undefined;
    if (joins) run.push(exchange);
    else runs.push([exchange]);
  }
  return runs;
}

/** Runs a transcript against a server that is started for it, with the flags of the transcript. */
export async function runTranscript(
  { flags, exchanges }: Transcript,
  cut: Cut,
  serve: (...flags: string[]) => TestServer | Promise<TestServer>,
): Promise<void> {
  await using server = await serve(...flags, "--log", "off");
  const people = new Map<string, Person>();
  const closed = new Set<string>();
  try {
    const runs = cut === "pipelined" ? pipelines(exchanges) : exchanges.map((one) => [one]);
    for (const run of runs) {
      const { who, bytes } = run[0]!;
      const address = who.split("@")[1] ?? "127.0.0.1";
      const person = people.get(who) ?? await Person.connect(server.port, address);
      people.set(who, person);
      if (bytes === undefined) {
        await person.close();
        closed.add(who);
        continue;
      }
      await person.write(concat(run.map((one) => one.bytes!)), cut);
      for (const { replies, line } of run) {
        for (const reply of replies) {
          const expected = reply.replace("{peer}", person.peer);
          assertEquals({ line, frame: await person.frame() }, { line, frame: expected });
          if (expected === CLOSED) closed.add(who);
        }
      }
    }
    for (const [who, person] of people) {
      if (!closed.has(who)) await checkNothingMore(who, person, cut);
    }
  } finally {
    for (const person of people.values()) person.destroy();
  }
}

/** A frame that nobody asked for would come before the reply to this. */
async function checkNothingMore(who: string, person: Person, cut: Cut): Promise<void> {
  await person.write(encodeFrames(["logout"]), cut);
  assertEquals({ who, frame: await person.frame() }, {
    who,
    frame: "U've been successfully logouted",
  });
}
