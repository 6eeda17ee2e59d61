/** Bytes that are no length at all. Pure. */
import { type Evidence, expectedFrame, lengthOf } from "./evidence.ts";
import type { Finding } from "./finding.ts";

/** A length that is negative as an int is at least this one, if it is the result of a call. */
const NEGATIVE_MIN = -64;
/** A greater length is not meant as one: its bytes are something else. */
const MEANT_LENGTH_MAX = 2 ** 24;

/** A length that is negative as an int: a function has failed. */
export function negativeLength(seen: Evidence): Finding | undefined {
  const value = (lengthOf(seen) ?? 0) | 0;
  if (value >= 0 || value < NEGATIVE_MIN) return undefined;
  const rule = `The length of ${expectedFrame(seen)} is ${value} as an int. A call that failed ` +
    "returns -1: check what read, recv, strlen or indexOf has returned before you send it as a length";
  return { code: "negative-length", rule };
}

/** All else that is wrong with a length over the limit. */
export function overLimit(seen: Evidence): Finding | undefined {
  const length = lengthOf(seen);
  if (length === undefined || length <= seen.bytesMax) return undefined;
  const frame = expectedFrame(seen);
  const check = seen.past.length === 0
    ? "Send a 4-byte little-endian length first"
    : "Check that the frame before has as many bytes as its length says";
  const rule = length < MEANT_LENGTH_MAX
    ? `The length of ${frame} is over the limit of ${seen.bytesMax} bytes. Send less. If it is not the ` +
      `length that you meant: ${check.charAt(0).toLowerCase()}${check.slice(1)}`
    : `The 4 bytes where the length of ${frame} should be are no length: as one they are over the limit ` +
      `of ${seen.bytesMax} bytes. ${check}`;
  return { code: "over-limit", rule, seen: `The length is ${length}` };
}
