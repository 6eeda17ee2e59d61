/** A typed client over any stream of bytes in both directions. */
import { type CommandName, encodeCommand, WAIT_SECONDS_MAX } from "../protocol/command.ts";
import { FrameStream, readerOf } from "../protocol/frame_stream.ts";
import {
  type Mail,
  parseReplyText,
  REFUSALS,
  type TextCode,
  type TextReply,
} from "../protocol/reply.ts";

/** What the server refused, and the text that it said; `"other"`: a text that it explains itself. */
export interface Refusal {
  readonly ok: false;
  readonly code: TextCode | "other";
  readonly text: string;
}

/** What the server did, or why it refused. */
export type Result<Value> = ({ readonly ok: true } & Value) | Refusal;

/** The connection ended before the reply came. Whether the command was carried out is unknown. */
export class DisconnectedError extends Error {
  override name = "DisconnectedError";
}

/** A reply may have frames of at most so many bytes. */
const FRAME_BYTES_MAX = 1_048_576;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * A client of one connection. Every command is sent at once and its result comes when the replies
 * before it have come, so several may be under way; a `wait` ends when the next command is sent.
 *
 * ```ts
 * const conn = await Deno.connect({ hostname: "127.0.0.1", port: 31337 });
 * const alice = new Client(conn);
 * console.log(await alice.register("Alice")); // { ok: true, text: "Hello, Alice", again: false }
 * await alice.send("Bob", "Hello");
 * const result = await alice.wait(60);
 * if (result.ok) for (const { from, text } of result.mail) console.log(from, text);
 * else console.log(result.text); // a refusal is a result, not an exception
 * alice.close();
 * ```
 */
export class Client {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #frames: AsyncIterator<Uint8Array>;
  /** The reply of the last command that was sent. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor({ readable, writable }: {
    readonly readable: ReadableStream<Uint8Array>;
    readonly writable: WritableStream<Uint8Array<ArrayBuffer>>;
  }) {
    this.#writer = writable.getWriter();
    this.#frames = eachFrame(readable);
  }

  /** Takes a name, or comes back under it (`again`). */
  register(name: string): Promise<Result<{ text: string; again: boolean }>> {
    const read = ({ code }: TextReply) => ({ again: code === "welcome-back" });
    return this.#command(["welcome", "welcome-back"], read, "register", name);
  }

  /** The names of all users, in the order of registration. */
  users(): Promise<Result<{ users: string[] }>> {
    return this.#ask("users", [], async (first) => {
      const count = parseCount(first);
      if (count === undefined) return undefined;
      const users: string[] = [];
      while (users.length < count) users.push(await this.#frame());
      return { users };
    });
  }

  /** Puts a text into one mailbox. */
  send(to: string, text: string): Promise<Result<{ text: string }>> {
    return this.#command(["sent"], nothingMore, "send", to, text);
  }

  /** Puts a text into every other mailbox; so many were too full for it. */
  sendall(text: string): Promise<Result<{ text: string; full: number }>> {
    const read = ({ full = 0 }: TextReply) => ({ full });
    return this.#command(["sent", "sent-in-part"], read, "sendall", text);
  }

  /** Empties the mailbox. */
  receive(): Promise<Result<{ mail: Mail[] }>> {
    return this.#ask("receive", [], (first) => this.#mail(first));
  }

  /**
   * Waits for mail, at most so many seconds (and 60). What it shows leaves the mailbox with the
   * next command; until then it is safe with the server.
   */
  wait(seconds: number): Promise<Result<{ mail: Mail[] }>> {
    const digits = Math.min(Math.max(seconds, 0), WAIT_SECONDS_MAX).toFixed(3).replace(
      /\.?0+$/,
      "",
    );
    return this.#ask("wait", [digits], (first) => this.#mail(first));
  }

  /** Asks whether the server is there. A server in strict mode does not know it and closes. */
  ping(): Promise<Result<{ text: string }>> {
    return this.#command(["pong"], nothingMore, "ping");
  }

  /** The server's own words on its commands and limits. */
  help(): Promise<Result<{ text: string }>> {
    return this.#ask("help", [], (text) => Promise.resolve({ text }));
  }

  /** Removes the user and the mailbox. */
  logout(): Promise<Result<{ text: string }>> {
    return this.#command(["logged-out"], nothingMore, "logout");
  }

  /** Ends the sending side; the replies that are under way still come. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    try {
      await this.#writer.close();
    } catch {
      // It was closed already, or the connection is lost: it is ended in any case.
    }
  }

  /** Sends a command whose reply is one frame; `read` tells what it says beside the text. */
  #command<More extends object>(
    accepted: readonly TextCode[],
    read: (reply: TextReply) => More,
    name: CommandName,
    ...values: string[]
  ): Promise<Result<{ text: string } & More>> {
    return this.#ask(name, values, (text) => {
      const reply = parseReplyText(text, accepted);
      return Promise.resolve(reply && { text, ...read(reply) });
    });
  }

  /**
   * Sends a command; `read` makes the value of its reply, if the first frame is not a refusal.
   *
   * The promise itself goes to the caller, through no async function: that would make another of
   * it, whose rejection nobody has seen to.
   */
  #ask<Value extends object>(
    name: CommandName,
    values: readonly string[],
    read: (first: string) => Promise<Value | undefined>,
  ): Promise<Result<Value>> {
    const result = this.#closed
      ? Promise.reject(new DisconnectedError("The client was closed"))
      : this.#exchange(encodeCommand(name, ...values) as Uint8Array<ArrayBuffer>, read);
    result.catch(() => {});
    return result;
  }

  #exchange<Value extends object>(
    command: Uint8Array<ArrayBuffer>,
    read: (first: string) => Promise<Value | undefined>,
  ): Promise<Result<Value>> {
    // What the server said before it closed is worth more than that it did not read on.
    this.#writer.write(command).catch(() => {});
    const result = this.#result(this.#last, read);
    this.#last = result;
    return result;
  }

  async #result<Value extends object>(
    before: Promise<unknown>,
    read: (first: string) => Promise<Value | undefined>,
  ): Promise<Result<Value>> {
    await before;
    const text = await this.#frame();
    const refusal = parseReplyText(text, REFUSALS);
    if (refusal !== undefined) return { ok: false, code: refusal.code, text };
    const value = await read(text);
    return value === undefined ? { ok: false, code: "other", text } : { ok: true, ...value };
  }

  async #mail(first: string): Promise<{ mail: Mail[] } | undefined> {
    const count = parseCount(first);
    if (count === undefined) return undefined;
    const mail: Mail[] = [];
    while (mail.length < count) {
      mail.push({ from: await this.#frame(), text: await this.#frame() });
    }
    return { mail };
  }

  async #frame(): Promise<string> {
    let next;
    try {
      next = await this.#frames.next();
    } catch (error) {
      if (error instanceof DisconnectedError) throw error;
      throw new DisconnectedError("The connection was lost", { cause: error });
    }
    if (next.done) throw new DisconnectedError("The server closed the connection");
    return decoder.decode(next.value);
  }
}

function nothingMore(): object {
  return {};
}

function parseCount(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

async function* eachFrame(readable: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const { frames, isOverLimit } of new FrameStream(readerOf(readable), FRAME_BYTES_MAX)) {
    yield* frames;
    if (isOverLimit) throw new DisconnectedError("What the server sent is not the protocol");
  }
}
