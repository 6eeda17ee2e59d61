/**
 * A client for the chat server, over a TCP connection or any other pair of byte streams. It runs in
 * Deno and in a browser.
 *
 * @module
 */
import { type CommandName, WAIT_SECONDS_MAX } from "../protocol/command.ts";
import { encodeFrames } from "../protocol/frame.ts";
import { FrameStream, readerOf } from "../protocol/frame_stream.ts";
import {
  type Mail,
  parseReplyText,
  REFUSALS,
  type TextCode,
  type TextReply,
} from "../protocol/reply.ts";

export type { Mail, TextCode };

/** The result of a command that the server refused. */
export interface Refusal {
  /** Tells a refusal from the result of a command that was carried out. */
  readonly ok: false;
  /** The kind of refusal; `"other"` if the client does not know the text, as of a mistake. */
  readonly code: TextCode | "other";
  /** The reply of the server, for the user. */
  readonly text: string;
}

/** The result of a command: `ok` is `true` and the values are set, or the server refused it. */
export type Result<Value> = ({ readonly ok: true } & Value) | Refusal;

/**
 * The connection ended before the reply arrived. The server may have carried out the command or not.
 */
export class DisconnectedError extends Error {
  /** The name of this class. */
  override name = "DisconnectedError";
}

/** The limit of the payload of a reply's frame. A longer one is not the protocol. */
const FRAME_BYTES_MAX = 1_048_576;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * A client of the chat on one connection. A command is sent at once, even if earlier ones have no
 * reply yet, and the results arrive in the order of the commands. A {@link Client.wait} ends when the
 * next command is sent. Each command rejects with a {@link DisconnectedError} if the connection is
 * closed before its reply arrives.
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
  /** The result of the last command. */
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /**
   * Takes over a connection.
   *
   * @param connection Its streams, such as a `Deno.Conn`. Nothing else may read or write them.
   */
  constructor({ readable, writable }: {
    readonly readable: ReadableStream<Uint8Array>;
    readonly writable: WritableStream<Uint8Array<ArrayBuffer>>;
  }) {
    this.#writer = writable.getWriter();
    this.#frames = eachFrame(readable);
  }

  /**
   * Registers a name for this connection. `again` is `true` if the name was registered before and
   * this connection comes back under it. Its mail is still there.
   *
   * @param name 1 to 8 symbols (Unicode code points), unless the server has another limit.
   */
  register(name: string): Promise<Result<{ text: string; again: boolean }>> {
    const read = ({ code }: TextReply) => ({ again: code === "welcome-back" });
    return this.#command(["welcome", "welcome-back"], read, "register", name);
  }

  /** Lists the names of all users, in the order of registration. */
  users(): Promise<Result<{ users: string[] }>> {
    return this.#ask("users", [], async (first) => {
      const count = parseCount(first);
      if (count === undefined) return undefined;
      const users: string[] = [];
      while (users.length < count) users.push(await this.#frame());
      return { users };
    });
  }

  /**
   * Sends a text to one user.
   *
   * @param to The name of the user.
   * @param text 0 to 60 symbols (Unicode code points), unless the server has another limit.
   */
  send(to: string, text: string): Promise<Result<{ text: string }>> {
    return this.#command(["sent"], noValues, "send", to, text);
  }

  /**
   * Sends a text to all other users. `full` is the number of users who did not get it, because their
   * mailboxes are full.
   *
   * @param text 0 to 60 symbols (Unicode code points), unless the server has another limit.
   */
  sendall(text: string): Promise<Result<{ text: string; full: number }>> {
    const read = ({ full = 0 }: TextReply) => ({ full });
    return this.#command(["sent", "sent-in-part"], read, "sendall", text);
  }

  /**
   * Returns all mail, the oldest first, and removes it from the mailbox. It is lost if the
   * connection breaks before the reply arrives: {@link Client.wait} loses none.
   */
  receive(): Promise<Result<{ mail: Mail[] }>> {
    return this.#ask("receive", [], (first) => this.#mail(first));
  }

  /**
   * Waits for mail and returns it, the oldest first; none if the time is over or the next command is
   * sent. The mail stays in the mailbox until the next command is sent on this connection.
   *
   * @param seconds The time to wait, 0 to 60. Fractions are rounded to milliseconds.
   */
  wait(seconds: number): Promise<Result<{ mail: Mail[] }>> {
    const limited = Math.min(Math.max(seconds, 0), WAIT_SECONDS_MAX);
    return this.#ask("wait", [`${Number(limited.toFixed(3))}`], (first) => this.#mail(first));
  }

  /**
   * Asks the server for a sign of life. A server in strict mode does not know this command and
   * closes the connection.
   */
  ping(): Promise<Result<{ text: string }>> {
    return this.#command(["pong"], noValues, "ping");
  }

  /**
   * Returns the server's text about its commands and limits. A server in strict mode does not know
   * this command and closes the connection.
   */
  help(): Promise<Result<{ text: string }>> {
    return this.#ask("help", [], (text) => Promise.resolve({ text }));
  }

  /** Removes the user and the mailbox with its mail. */
  logout(): Promise<Result<{ text: string }>> {
    return this.#command(["logged-out"], noValues, "logout");
  }

  /**
   * Ends the sending side of the connection. The results of earlier commands still arrive, later
   * commands are rejected. It never rejects itself.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    // It may be closed already, or lost.
    await this.#writer.close().catch(() => {});
  }

  /** Sends a command whose reply is one frame. `read` makes the other values of its result. */
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
   * Sends a command. If the first frame of the reply is not a refusal `read` makes the values of the
   * result from it; `undefined` if it is not the reply that was expected.
   *
   * This is not an async function: its promise would be another one, whose rejection is not handled.
   */
  #ask<Value extends object>(
    name: CommandName,
    values: readonly string[],
    read: (first: string) => Promise<Value | undefined>,
  ): Promise<Result<Value>> {
    const command = encodeFrames([name, ...values]) as Uint8Array<ArrayBuffer>;
    const result = this.#exchange(command, this.#last, read);
    this.#last = result;
    result.catch(() => {});
    return result;
  }

  /** Sends a command at once. Reads its reply when the one `before` has been read. */
  async #exchange<Value extends object>(
    command: Uint8Array<ArrayBuffer>,
    before: Promise<unknown>,
    read: (first: string) => Promise<Value | undefined>,
  ): Promise<Result<Value>> {
    if (this.#isClosed) throw new DisconnectedError("The client was closed");
    // If the write fails, replies that the server sent before may still arrive.
    this.#writer.write(command).catch(() => {});
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

function noValues(): object {
  return {};
}

function parseCount(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

async function* eachFrame(readable: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const splits = new FrameStream(readerOf(readable), FRAME_BYTES_MAX);
  for await (const { frames, isOverLimit } of splits) {
    yield* frames;
    if (isOverLimit) throw new DisconnectedError("The server sent bytes that are not the protocol");
  }
}
