/** A client of the course that works on the original server by its luck with TCP. */
import { assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { encodeFrame, encodeFrames, readLength } from "../../lib/protocol/frame.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serve } from "../support.ts";

const decoder = new TextDecoder();

/** What one `recv` of this size returns. */
async function recv({ conn }: Peer, size: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(size);
  return buffer.subarray(0, await conn.read(buffer) ?? 0);
}

/** Reads exactly this many bytes. */
async function readExactly(peer: Peer, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) at += await peer.conn.read(bytes.subarray(at)) ?? size;
  return bytes;
}

/**
 * Reads a list as the client does, which was written in C: the count with one `recv` of more bytes
 * than it has, and each item by its length.
 */
async function readList(peer: Peer, countBytesMax: number, perItem: number): Promise<string[]> {
  const count = await recv(peer, countBytesMax);
  assertEquals(readLength(count), count.length - 4, "the count comes alone");
  const items = Number(decoder.decode(count.subarray(4))) * perItem;
  const texts: string[] = [];
  while (texts.length < items) {
    const length = readLength(await readExactly(peer, 4));
    texts.push(decoder.decode(await readExactly(peer, length)));
  }
  return texts;
}

describe("in strict mode a client that reads a count with room for more", () => {
  for (const repeat of [1, 2, 3]) {
    itNeeds(NET, `gets it alone, before the names and the mail (${repeat})`, async () => {
      await using server = serve("--strict");
      using peer = await Peer.connect(server.port);
      await peer.write(encodeFrames(["register", "Alice"]));
      await readExactly(peer, encodeFrame("Hello, Alice").length);
      const sent = encodeFrame("Message added to storage!").length;
      for (const text of ["one", "two", "three"]) {
        await peer.write(encodeFrames(["send", "Alice", text]));
        await readExactly(peer, sent);
      }
      await peer.write(encodeFrame("users"));
      assertEquals(await readList(peer, 6, 1), ["Alice"]);
      await peer.write(encodeFrame("receive"));
      const mail = ["Alice", "one", "Alice", "two", "Alice", "three"];
      assertEquals(await readList(peer, 8, 2), mail);
    });
  }
});
