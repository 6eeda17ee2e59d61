/** The lines of a script: of an input that is no terminal. */
import { concat } from "@std/bytes";

/** A line of the input. */
export interface Line {
  /** Empty where the line can't be read. */
  readonly text: string;
  /** Why the line can't be read. */
  readonly wrong?: string;
}

/** A longer line is not read (bytes). */
const LINE_BYTES_MAX = 65_536;
const NEWLINE = 0x0a;

/**
 * The lines of an input, which end with `\n` or `\r\n`, and with nothing else: a separator of another
 * kind would make the rest of a line a message of its own. A byte order mark in front is dropped.
 */
export async function* scriptLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let begun: Uint8Array = new Uint8Array(0);
  for await (const chunk of input) {
    let start = 0;
    for (let end; (end = chunk.indexOf(NEWLINE, start)) >= 0; start = end + 1) {
      yield decodeLine(concat([begun, chunk.subarray(start, end)]));
      begun = new Uint8Array(0);
    }
    // Of a line that is too long this much is kept: it stays too long.
    begun = concat([begun, chunk.subarray(start)]).slice(0, LINE_BYTES_MAX + 1);
  }
  if (begun.length > 0) yield decodeLine(begun);
}

function decodeLine(bytes: Uint8Array): Line {
  if (bytes.length > LINE_BYTES_MAX) {
    return { text: "", wrong: `It is longer than ${LINE_BYTES_MAX} bytes` };
  }
  const isUtf16 = "It is not UTF-8 but perhaps UTF-16: save the file as UTF-8";
  if (bytes.includes(0)) return { text: "", wrong: isUtf16 };
  try {
    // One decoder for each line, as each drops a byte order mark once.
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return { text: text.replace(/\r$/, "") };
  } catch {
    const hasMark = bytes[0] === 0xff && bytes[1] === 0xfe ||
      bytes[0] === 0xfe && bytes[1] === 0xff;
    return { text: "", wrong: hasMark ? isUtf16 : "It is not UTF-8: save the file as UTF-8" };
  }
}
