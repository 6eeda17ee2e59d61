/** The checksums of the rows in a journal's file. SQLite itself has none for its tables. */
import { crc32 } from "node:zlib";

/** The checksum of a row: of all its values but its place. */
export function checksum(body: string, ...numbers: readonly number[]): number {
  return crc32(body, crc32(numbers.join()));
}
