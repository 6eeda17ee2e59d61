/**
 * Looks for damage in the log of a SQLite file (`-wal`), which SQLite takes for the log's end. The
 * format is described in https://sqlite.org/fileformat2.html#walformat.
 */

const HEADER_BYTES = 32;
/** The header of each page in a log (bytes). */
export const FRAME_HEADER_BYTES = 24;
/** The first four bytes of a log; the lowest bit says that its checksums count in big-endian words. */
const MAGIC = 0x377f0682;
/** All sizes of pages (bytes): where the header is wrong, its size may be. */
const PAGE_SIZES = [512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536];

/** The two words of a checksum, which goes on from those of the frame before. */
type Sums = readonly [number, number];

/**
 * Has the log a wrong frame before a commit that was completed? The frames of the last commit may be
 * wrong, since it may not have been completed. A log that does not exist is sound.
 */
export function isLogDamaged(path: string): boolean {
  using log = openLog(path);
  const header = log?.read(0, HEADER_BYTES);
  if (log === undefined || header === undefined) return false;
  const pageBytes = header.getUint32(8);
  const isBig = (header.getUint32(0) & 1) === 1;
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  const stored = sumsAt(header, 24);
  const isSound = (header.getUint32(0) & ~1) === MAGIC &&
    isEqual(stored, sum(header, 0, 24, isBig));
  if (!isSound) {
    // A header is written at once. A frame that goes on from one shows that it was whole.
    return PAGE_SIZES.some((size) => {
      const first = log.read(HEADER_BYTES, FRAME_HEADER_BYTES + size);
      return first !== undefined &&
        [true, false].some((big) =>
          goesOn(first, stored, big) || goesOn(first, sum(header, 0, 24, big), big)
        );
    });
  }
  const frame = (number: number) => {
    const read = log.read(HEADER_BYTES + number * frameBytes, frameBytes);
    // Frames of the log before this one have other salts.
    const isOurs = read?.getUint32(8) === header.getUint32(16) &&
      read.getUint32(12) === header.getUint32(20);
    return { read, isOurs };
  };
  let before: Sums = stored;
  let isBroken = false;
  let isAfterCommit = false;
  for (let number = 0;; number++) {
    const { read, isOurs } = frame(number);
    if (read === undefined) return false;
    const isNext = isOurs && goesOn(read, before, isBig);
    // A frame goes on from a commit only if that was completed.
    if (isBroken && isAfterCommit && isNext) return true;
    isBroken ||= !isNext;
    isAfterCommit = isBroken && isOurs && read.getUint32(4) > 0;
    before = sumsAt(read, 16);
  }
}

/** Opens a log to read parts of it; `undefined` if there is none, or this program may not read it. */
function openLog(path: string) {
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return undefined;
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path);
  } catch {
    // SQLite says what is wrong with a log that it can't open.
    return undefined;
  }
  return {
    /** Bytes of the log; `undefined` where it ends before them. */
    read(offset: number, length: number): DataView | undefined {
      file.seekSync(offset, Deno.SeekMode.Start);
      const bytes = new Uint8Array(length);
      let read = 0;
      while (read < length) {
        const more = file.readSync(bytes.subarray(read));
        if (more === null) return undefined;
        read += more;
      }
      return new DataView(bytes.buffer);
    },
    [Symbol.dispose]: () => file.close(),
  };
}

/** Is this the frame after the one with these sums? */
function goesOn(frame: DataView, before: Sums, isBig: boolean): boolean {
  const head = sum(frame, 0, 8, isBig, before);
  const whole = sum(frame, FRAME_HEADER_BYTES, frame.byteLength, isBig, head);
  return isEqual(whole, sumsAt(frame, 16));
}

function sum(
  view: DataView,
  from: number,
  to: number,
  isBig: boolean,
  before: Sums = [0, 0],
): Sums {
  let [first, second] = before;
  for (let offset = from; offset < to; offset += 8) {
    first = (first + view.getUint32(offset, !isBig) + second) >>> 0;
    second = (second + view.getUint32(offset + 4, !isBig) + first) >>> 0;
  }
  return [first, second];
}

function sumsAt(view: DataView, offset: number): Sums {
  return [view.getUint32(offset), view.getUint32(offset + 4)];
}

function isEqual(a: Sums, b: Sums): boolean {
  return a[0] === b[0] && a[1] === b[1];
}
