/**
 * The keys of a terminal, on their way to the line editor. A line of a person ends at Enter alone: a
 * line break within a pasted text, or a separator that the editor takes for one, would make the rest of
 * a message to one person a message to all.
 */
import process from "node:process";
import { Transform, type TransformCallback } from "node:stream";

/** A terminal puts a pasted text between these, once it is asked to. */
const PASTE_BEGIN = "\x1b[200~";
const PASTE_END = "\x1b[201~";
/** Asks the terminal for that, and no longer. */
export const MARK_PASTES = "\x1b[?2004h";
export const DO_NOT_MARK_PASTES = "\x1b[?2004l";

/** The standard input, which must be a terminal. */
export class TypedInput extends Transform {
  readonly isTTY = true;
  readonly #decoder = new TextDecoder();
  /** The end of the last chunk, where it may begin a mark. */
  #rest = "";
  #isPaste = false;

  setRawMode(isRaw: boolean): this {
    process.stdin.setRawMode(isRaw);
    return this;
  }

  override _transform(chunk: Uint8Array, _encoding: string, done: TransformCallback): void {
    const text = this.#rest + this.#decoder.decode(chunk, { stream: true });
    this.#rest = cutMark(text);
    done(null, this.#plain(text.slice(0, text.length - this.#rest.length)));
  }

  /** The keys without marks: in what is pasted, each control is a blank. */
  #plain(text: string): string {
    const mark = this.#isPaste ? PASTE_END : PASTE_BEGIN;
    const at = text.indexOf(mark);
    const part = at < 0 ? text : text.slice(0, at);
    const plain = this.#isPaste
      ? part.replace(/\r\n|[\p{Cc}\p{Zl}\p{Zp}]/gu, " ")
      : part.replace(/[\p{Zl}\p{Zp}]/gu, " ");
    if (at < 0) return plain;
    this.#isPaste = !this.#isPaste;
    return plain + this.#plain(text.slice(at + mark.length));
  }
}

/** The beginning of a mark with which the text ends; empty if there is none. */
function cutMark(text: string): string {
  for (let length = PASTE_BEGIN.length - 1; length > 0; length--) {
    const end = text.slice(-length);
    if (PASTE_BEGIN.startsWith(end) || PASTE_END.startsWith(end)) return end;
  }
  return "";
}
