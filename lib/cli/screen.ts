/** The input and output of the terminal client: a terminal with a line editor, or pipes. */
import { createInterface, type Interface } from "node:readline";
import process from "node:process";
import { printable } from "../text/printable.ts";

/** Colours of the 256 of a terminal that are readable on a dark and on a light background. */
const COLOURS = [33, 37, 64, 70, 99, 125, 130, 136, 161, 166, 172, 204];

/** A screen that prints messages above the line that the user is typing. */
export class Screen {
  readonly isTerminal = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  readonly #hasColours = Deno.stdout.isTerminal() && !Deno.noColor;
  readonly #editor: Interface;
  /** The lines of the input. While many wait the editor takes no further ones. */
  readonly #lines: AsyncIterator<string>;
  #isClosed = false;

  /** `interrupt` is called at Ctrl-C. */
  constructor(interrupt: () => void) {
    this.#editor = createInterface({
      input: process.stdin,
      ...(this.isTerminal ? { output: process.stdout, terminal: true, prompt: "> " } : {}),
    });
    this.#lines = this.#editor[Symbol.asyncIterator]();
    this.#editor.on("line", () => this.#showPrompt());
    this.#editor.on("SIGINT", interrupt);
    // Else the editor answers Ctrl-Z with a signal to itself, which needs one more permission.
    this.#editor.on("SIGTSTP", () => {});
    this.#editor.on("close", () => {
      if (this.isTerminal) this.#overwriteInput("");
      this.#isClosed = true;
    });
    this.#showPrompt();
  }

  /** The next line of the input; `undefined` at its end. */
  async readLine(): Promise<string | undefined> {
    const { done, value } = await this.#lines.next();
    return done ? undefined : value;
  }

  /** Prints a line above the user's input. Text from other users must be {@link printable}. */
  print(line: string): void {
    if (!this.isTerminal || this.#isClosed) return console.log(line);
    this.#overwriteInput(`${line}\r\n`);
    // Else the editor would clear the rows of its old input, where the printed line stands now.
    Reflect.set(this.#editor, "prevRows", 0);
    this.#showPrompt();
  }

  /** Prints a line about the program itself. For a script it goes to stderr, apart from messages. */
  printNote(line: string): void {
    if (this.isTerminal) this.print(line);
    else console.error(line);
  }

  /** A name that is safe to print, always in the same colour. */
  colouredName(name: string): string {
    const shown = printable(name);
    if (!this.#hasColours) return shown;
    let hash = 0;
    for (const symbol of name) hash = (hash * 31 + symbol.codePointAt(0)!) % 65_521;
    return `\x1b[1;38;5;${COLOURS[hash % COLOURS.length]}m${shown}\x1b[0m`;
  }

  /** Ends the line editor, which restores the state of the terminal. */
  close(): void {
    this.#editor.close();
  }

  #showPrompt(): void {
    if (this.isTerminal) this.#editor.prompt(true);
  }

  /** Writes a text in the place of the user's input. */
  #overwriteInput(text: string): void {
    const { rows } = this.#editor.getCursorPos();
    const up = rows > 0 ? `\x1b[${rows}A` : "";
    process.stdout.write(`${up}\r\x1b[J${text}`);
  }
}
