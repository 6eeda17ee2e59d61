// @ts-check
/** Encodes and splits the frames of the protocol, which docs/protocol.md describes. */

const LENGTH_BYTES = 4;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The texts as frames, one after the other.
 * @param {readonly string[]} texts
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeFrames(texts) {
  const payloads = texts.map((text) => encoder.encode(text));
  const size = payloads.reduce((sum, { length }) => sum + LENGTH_BYTES + length, 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const payload of payloads) {
    view.setUint32(offset, payload.length, true);
    bytes.set(payload, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + payload.length;
  }
  return bytes;
}

/** Splits a stream of bytes into frames. A frame may arrive in several chunks. */
export class FrameSplitter {
  #rest = new Uint8Array(0);

  /**
   * The texts of the frames that this chunk completes.
   * @param {Uint8Array} chunk
   * @returns {string[]}
   */
  push(chunk) {
    const bytes = new Uint8Array(this.#rest.length + chunk.length);
    bytes.set(this.#rest);
    bytes.set(chunk, this.#rest.length);
    const view = new DataView(bytes.buffer);
    const texts = [];
    let offset = 0;
    while (bytes.length - offset >= LENGTH_BYTES) {
      const end = offset + LENGTH_BYTES + view.getUint32(offset, true);
      if (end > bytes.length) break;
      texts.push(decoder.decode(bytes.subarray(offset + LENGTH_BYTES, end)));
      offset = end;
    }
    this.#rest = bytes.slice(offset);
    return texts;
  }
}
