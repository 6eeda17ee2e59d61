/**
 * The mark: the number of the last batch that was acknowledged, in the file's own header. SQLite drops
 * the rest of a damaged log silently, and a log that was removed. The mark shows that batches are missing.
 *
 * The mark is written after each commit and is not synced. After a power failure it may name an earlier
 * batch, never a later one. It belongs to one file: a copy, which may be older, is taken without it.
 */
import { crc32 } from "node:zlib";

/** SQLite keeps these bytes of its header free, and neither reads nor checks them. */
const OFFSET = 72;
/** The file's inode, the batch's number, and the CRC of both. */
const MARK_BYTES = 20;
const CRC_OFFSET = 16;

/** The mark in an open file, which is closed by its owner. */
export class Mark {
  readonly #file: Deno.FsFile;
  readonly #bytes = new Uint8Array(MARK_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #inode: bigint;

  constructor(file: Deno.FsFile) {
    this.#file = file;
    this.#inode = BigInt(file.statSync().ino ?? 0);
  }

  /** The number of the last batch that is known to be acknowledged; 0 if there is no mark. */
  read(): number {
    this.#file.seekSync(OFFSET, Deno.SeekMode.Start);
    if (this.#file.readSync(this.#bytes) !== MARK_BYTES) return 0;
    const isOurs = this.#view.getUint32(CRC_OFFSET) === this.#crc() &&
      this.#view.getBigUint64(0) === this.#inode;
    return isOurs ? Number(this.#view.getBigUint64(8)) : 0;
  }

  /** Notes that the batch with this number is stored. */
  write(batch: number): void {
    this.#view.setBigUint64(0, this.#inode);
    this.#view.setBigUint64(8, BigInt(batch));
    this.#view.setUint32(CRC_OFFSET, this.#crc());
    try {
      this.#file.seekSync(OFFSET, Deno.SeekMode.Start);
      this.#file.writeSync(this.#bytes);
    } catch {
      // The batch is stored in the log all the same. A mark that is older is true, too.
    }
  }

  #crc(): number {
    return crc32(this.#bytes.subarray(0, CRC_OFFSET));
  }
}
