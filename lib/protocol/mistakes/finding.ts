/** What a rule finds in the evidence, and what is made of it. Pure. */

/** All kinds of mistakes, as they stand in the log. */
export const MISTAKE_CODES = [
  "tls",
  "http",
  "proxy-header",
  "other-protocol",
  "wrong-port",
  "symbols-counted",
  "negative-length",
  "two-threads",
  "big-endian",
  "eight-byte-length",
  "short-length",
  "length-as-text",
  "length-as-float",
  "nul-counted",
  "length-counted",
  "whitespace-counted",
  "length-too-great",
  "length-too-small",
  "buffer-size",
  "nul-between",
  "bytes-between",
  "utf-16",
  "frames-in-frame",
  "argument-in-command",
  "other-format",
  "plain-text",
  "wrong-length",
  "empty-command",
  "unknown-command",
  "over-limit",
  "too-long",
  "argument-missing",
  "incomplete-frame",
  "nothing-sent",
] as const;

/** A kind of mistake. */
export type MistakeCode = typeof MISTAKE_CODES[number];

/** How a client reads the last frame: see `Mistake.dialect`. */
export type Dialect = "frame" | "big-endian" | "line" | "http";

/** What a rule has found. */
export interface Finding {
  readonly code: MistakeCode;
  /**
   * What is wrong and how to mend it: sentences without the last full stop. It may name lengths and
   * commands, but holds nothing of what the client has written, which may be a mail.
   */
  readonly rule: string;
  /** What was seen, with words of the client. */
  readonly seen?: string | undefined;
  readonly dialect?: Dialect;
}

/** An explanation has at most this many bytes: the buffers of clients are small. */
export const TEXT_BYTES_MAX = 400;

/** A mistake and its explanation. */
export interface Mistake {
  readonly code: MistakeCode;
  /** What is wrong and how to mend it. It holds nothing of what the client has written. */
  readonly rule: string;
  /** The rule, then what was seen and the bytes in hex: at most {@link TEXT_BYTES_MAX} bytes. */
  readonly text: string;
  /**
   * How the client reads the last frame: as a `frame`, as one with a `big-endian` length, as a `line`
   * of text, or as the body of a response of `http`.
   */
  readonly dialect: Dialect;
}
