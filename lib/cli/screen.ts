/** What the terminal client writes on and reads from: a terminal with a line editor, or pipes. */
import { createInterface, type Interface } from "node:readline";
import process from "node:process";
import { printable } from "../text/printable.ts";

/** Colours that read well on dark and on light, of the 256. */
const COLOURS = [33, 37, 64, 70, 99, 125, 130, 136, 161, 166, 172, 204];
/** More typed lines than this wait only as long as nothing more is read. */
const LINES_MAX = 100;

/** A screen on which messages appear above the line that is being typed. */
export class Screen {
  readonly isTerminal = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  readonly #colours = Deno.stdout.isTerminal() && !Deno.noColor;
  readonly #lines: string[] = [];
  readonly #editor: Interface;
  #closed = false;
  #wake: (() => void) | undefined;

  /** `interrupt` is called when Ctrl-C is typed. */
  constructor(interrupt: () => void) {
    this.#editor = createInterface({
      input: process.stdin,
      ...(this.isTerminal ? { output: process.stdout, terminal: true, prompt: "> " } : {}),
    });
    this.#editor.on("line", (line) => {
      this.#lines.push(line);
      if (this.#lines.length >= LINES_MAX) this.#editor.pause();
      this.#prompt();
      this.#wake?.();
    });
    this.#editor.on("SIGINT", interrupt);
    // Ctrl-Z: the editor would send itself a signal, which takes another permission.
    this.#editor.on("SIGTSTP", () => {});
    this.#editor.on("close", () => {
      if (this.isTerminal) this.#writeOver("");
      this.#closed = true;
      this.#wake?.();
    });
    this.#prompt();
  }

  /** The next line that was typed; `undefined` at the end of the input. For one caller at a time. */
  async line(): Promise<string | undefined> {
    while (this.#lines.length === 0) {
      if (this.#closed) return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const line = this.#lines.shift();
    if (this.#lines.length < LINES_MAX && !this.#closed) this.#editor.resume();
    return line;
  }

  /** Prints a line above what is being typed. What came from others must be printable. */
  print(line: string): void {
    if (!this.isTerminal || this.#closed) return console.log(line);
    this.#writeOver(`${line}\r\n`);
    // The editor would clear as many rows above as its line had: they hold our line now.
    Reflect.set(this.#editor, "prevRows", 0);
    this.#prompt();
  }

  /** Prints what a person should know and a script does not want among the messages. */
  note(line: string): void {
    if (this.isTerminal) this.print(line);
    else console.error(line);
  }

  /** A name, safe to print, in a colour of its own. */
  name(name: string): string {
    const shown = printable(name);
    if (!this.#colours) return shown;
    let hash = 0;
    for (const symbol of name) hash = (hash * 31 + symbol.codePointAt(0)!) % 65_521;
    return `\x1b[1;38;5;${COLOURS[hash % COLOURS.length]}m${shown}\x1b[0m`;
  }

  /** Gives the terminal back. */
  close(): void {
    this.#editor.close();
  }

  #prompt(): void {
    if (this.isTerminal) this.#editor.prompt(true);
  }

  /** Writes in the place of the line that is being typed. */
  #writeOver(text: string): void {
    const { rows } = this.#editor.getCursorPos();
    const up = rows > 0 ? `\x1b[${rows}A` : "";
    process.stdout.write(`${up}\r\x1b[J${text}`);
  }
}
