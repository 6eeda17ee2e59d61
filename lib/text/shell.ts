/** Arguments of a command line, as they are printed. */
import { INVISIBLE, printable } from "./printable.ts";

/** A word that no shell changes. */
const PLAIN = /^[\w@%+=:,./-]+$/;

/**
 * One word on one line, for sh, bash and zsh; one with symbols that can't be seen, such as a line feed,
 * for bash and zsh alone. `--flag=value` keeps its flag outside of the quotes.
 */
export function shellWord(text: string): string {
  if (PLAIN.test(text)) return text;
  const [, flag = "", value = text] = /^(--[\w-]+=)(.+)$/s.exec(text) ?? [];
  if (value.search(INVISIBLE) < 0) return `${flag}'${value.replaceAll("'", "'\\''")}'`;
  const escaped = value.replace(/[\\']/g, "\\$&").replace(INVISIBLE, escapeBytes);
  return `${flag}$'${escaped}'`;
}

/** A symbol as the octal numbers of its bytes: always three digits, so that digits may follow. */
function escapeBytes(symbol: string): string {
  const bytes = Array.from(new TextEncoder().encode(symbol));
  return bytes.map((byte) => "\\" + byte.toString(8).padStart(3, "0")).join("");
}

/** An argument in quotes. The login in a URL stays secret: other people may see the screen. */
export function shown(given: string): string {
  return `"${printable(given.replace(/^([a-z]+:\/\/)?.*@/is, "$1***@"))}"`;
}
