/**
 * Names that are allowed, but that nobody has meant: their bytes tell which mistake of a client made
 * them. The reply does not change; the log, the wire view and `inspect` say what is odd.
 */

/** A kind of odd name: how to know it, what it is, and why a client sends it. */
interface Oddity {
  readonly pattern: RegExp;
  readonly text: string;
}

/** In the order in which they are looked for: the first one that fits tells the most. */
const ODDITIES: readonly Oddity[] = [
  {
    pattern: /^\ufffe?(?:[^\0]\0)+[^\0]?$|^(?:\0[^\0])+$/u,
    text: "has a NUL beside each letter: it was encoded as UTF-16. Encode it as UTF-8",
  },
  {
    pattern: /^\ufeff/,
    text:
      "begins with a byte order mark (U+FEFF). Encode it as UTF-8 without one (Python: utf-8, " +
      "not utf-8-sig)",
  },
  {
    pattern: /^[^\0]+\0$/,
    text: "ends with a NUL: the length counts the NUL at the end of a C string. Send strlen bytes",
  },
  {
    pattern: /\0/,
    text: "holds a NUL: the length counts bytes of the buffer behind the text. Send strlen bytes",
  },
  {
    pattern: /\r?\n$|\r$/,
    text: "ends with a line break: fgets, read and readline keep it. Remove it before you send",
  },
  {
    pattern: /^b'.*'$|^b".*"$/,
    text: "is how Python shows bytes: str() was called on them. Send the bytes themselves",
  },
  {
    pattern: /^'.+'$|^".+"$/,
    text: "has quotes around it, which belong to the name. Send it without them",
  },
  {
    pattern: /[\u00c3\u00d0\u00d1][\u0080-\u00bf]/,
    text: "looks like UTF-8 that was read as Latin-1 and encoded again: encode the text once",
  },
  {
    pattern: /\\(?:[nrt0]|x[0-9a-f]{2}|u[0-9a-f]{4})/i,
    text: "holds an escape that is written out: a raw string, or bash without $'…', keeps it",
  },
  {
    pattern: /^%[sdu]$|^\{\w*\}$|^\$(?:\{\w+\}|[A-Z_]+)$/,
    text: "is a place for a value: the format, the f-string or the shell has not filled it",
  },
  {
    pattern: /[\u00ad\u200b\u2060\u202a-\u202e\u2066-\u2069]/,
    text: "holds a symbol that can't be seen: was it copied from a page? Type it anew",
  },
  {
    pattern: /[\b\u007f]/,
    text: "holds a backspace: the terminal sent the key instead of removing a letter",
  },
  {
    pattern: /\p{Cc}[[O]/u,
    text: "holds an escape sequence: the terminal sent an arrow or another key as text",
  },
  {
    pattern: /\p{Cc}/u,
    text: "holds a control symbol: is a length, or a part of a struct, among its bytes?",
  },
  {
    pattern: /\ufffd/,
    text: "holds U+FFFD, which stands for bytes that were not UTF-8 where the text was read",
  },
  {
    pattern: /^\p{Zs}|\p{Zs}$/u,
    text: "has a blank at an end: was it padded, or split at the wrong place?",
  },
  {
    pattern: /^(?:null|\(null\)|None|undefined|NaN|\[object.*)$/,
    text: "is how a program shows a value that is not there: was the variable set?",
  },
];

/**
 * What is odd about a name, and which mistake makes it: a predicate without its subject and full stop,
 * as in `ends with a line break: …`. `undefined` for a name that looks meant.
 *
 * @param commands The names of the commands that the server knows.
 */
export function oddityOf(name: string, commands: readonly string[]): string | undefined {
  const found = ODDITIES.find(({ pattern }) => pattern.test(name));
  if (found !== undefined) return found.text;
  return commands.includes(name)
    ? "is the name of a command: was the name forgotten, so that the next command became it?"
    : undefined;
}

/**
 * What is odd about one of two names of which somebody meant the other, as {@link oddityOf} says it.
 *
 * @param registered The name that a user has.
 * @param sent The name that a client has sent.
 */
export function oddityBetween(
  registered: string,
  sent: string,
  commands: readonly string[],
): string | undefined {
  const odd = oddityOf(registered, commands) ?? oddityOf(sent, commands);
  const looksAlike = registered !== sent && registered.normalize() === sent.normalize();
  if (odd !== undefined || !looksAlike) return odd;
  return "looks the same and has other code points (a letter and its mark may be one or two): " +
    "normalize names (NFC)";
}

/** The most symbols with which a fixed field is padded to a length. */
const PADDING_MAX = 7;

/** What clients leave in front of a name. */
const FRONTS = ["", "\ufeff", " "];

/** What clients leave behind a name. */
const BACKS = [
  "",
  ...["\n", "\r\n", "\r", "\t", "\u200b", "\n\0", "\r\n\0"],
  ...["\0", " "].flatMap((pad) => Array.from({ length: PADDING_MAX }, (_, i) => pad.repeat(i + 1))),
];

/** The other ways in which clients change a name without meaning it. */
const CHANGES: readonly ((name: string) => string)[] = [
  (name) => name.replace(/./gsu, "$&\0"),
  (name) => name.replace(/./gsu, "\0$&"),
  (name) => `"${name}"`,
  (name) => `'${name}'`,
  (name) => `b'${name}'`,
  (name) => String.fromCharCode(...new TextEncoder().encode(name)),
  (name) => name.normalize("NFC"),
  (name) => name.normalize("NFD"),
  (name) => name.toLowerCase(),
  (name) => name.toUpperCase(),
  (name) => name.charAt(0).toUpperCase() + name.slice(1).toLowerCase(),
  (name) => name.charAt(0).toLowerCase() + name.slice(1).toUpperCase(),
];

/**
 * Names that somebody may have registered who meant this one, or the other way round: the name without
 * what is odd about it, and each of both as a careless client sends it. They are about 150.
 */
export function likeNames(name: string): string[] {
  const plain = name.replace(/^b(?=['"])/, "").replace(/[\p{Cc}\p{Zs}\p{Cf}'"]/gu, "");
  const names = [plain, name].flatMap((each) => [
    each,
    ...CHANGES.map((change) => change(each)),
    ...FRONTS.flatMap((front) => BACKS.map((back) => front + each + back)),
  ]);
  return [...new Set(names)].filter((like) => like !== name && like.trim() !== "");
}
