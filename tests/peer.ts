/** The client of the tests, which knows frames but no replies. */
import { encodeFrames } from "../lib/protocol/frame.ts";
import { FrameStream, readerOf } from "../lib/protocol/frame_stream.ts";

const FRAME_BYTES_MAX = 16_777_216;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The client's end of a connection. */
export class Peer implements Disposable {
  readonly conn: Deno.TcpConn;
  readonly #frames: AsyncGenerator<string>;

  private constructor(conn: Deno.TcpConn) {
    this.conn = conn;
    conn.setNoDelay(true);
    this.#frames = frames(conn);
  }

  /** Connects to a port of loopback. */
  static async connect(port: number): Promise<Peer> {
    return new Peer(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** Sends frames: a command, or anything else. */
  async send(...payloads: (string | Uint8Array)[]): Promise<void> {
    await this.write(encodeFrames(payloads));
  }

  /** Sends bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let left = bytes; left.length > 0;) left = left.subarray(await this.conn.write(left));
  }

  /** The next frame as text; `undefined` when the server has ended its sending side. */
  async frame(): Promise<string | undefined> {
    const { done, value } = await this.#frames.next();
    return done ? undefined : value;
  }

  /** Sends a command, and returns the first frame of its reply. */
  async ask(...payloads: (string | Uint8Array)[]): Promise<string | undefined> {
    await this.send(...payloads);
    return await this.frame();
  }

  /** Sends `receive` or `wait`, and returns the mail as `sender: text`. */
  async mail(...payloads: string[]): Promise<string[]> {
    const count = Number(await this.ask(...payloads));
    const mail: string[] = [];
    while (mail.length < count) mail.push(`${await this.frame()}: ${await this.frame()}`);
    return mail;
  }

  close(): void {
    try {
      this.conn.close();
    } catch {
      // It is closed already.
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Reads nothing before the first frame is asked for, so that a test can read the bytes itself. */
async function* frames({ readable }: Deno.TcpConn): AsyncGenerator<string> {
  yield* texts(new FrameStream(readerOf(readable), FRAME_BYTES_MAX));
}

/** The frames of a stream as texts. */
export async function* texts(stream: FrameStream): AsyncGenerator<string> {
  for await (const { frames } of stream) {
    for (const frame of frames) yield decoder.decode(frame);
  }
}
