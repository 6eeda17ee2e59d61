// @ts-check
/** The frames of the protocol, as the page sends and reads them: see docs/protocol.md. */

const LENGTH_BYTES = 4;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Each text as a frame, one behind the other.
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

/** Splits what comes into frames, however it is cut into pieces. */
export class FrameSplitter {
  #rest = new Uint8Array(0);

  /**
   * The texts of the frames that are whole with this piece.
   * @param {Uint8Array} piece
   * @returns {string[]}
   */
  push(piece) {
    const bytes = new Uint8Array(this.#rest.length + piece.length);
    bytes.set(this.#rest);
    bytes.set(piece, this.#rest.length);
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
