/** The input and output of the terminal client: a terminal with a line editor, or pipes. */
import { createInterface, type Interface } from "node:readline";
import process from "node:process";
import { ExitError, messageOf } from "../errors.ts";
import { printableName } from "../text/printable.ts";
import { type Line, scriptLines } from "./script_lines.ts";
import { DO_NOT_MARK_PASTES, MARK_PASTES, TypedInput } from "./typed_input.ts";

/** Colours of the 256 of a terminal that are readable on a dark and on a light background. */
const COLOURS = [33, 37, 64, 70, 99, 125, 130, 136, 161, 166, 172, 204];

/** Signals that end the client, with its exit codes. */
const ENDING_SIGNALS = [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const;
/** The client may not send itself the signal that pauses it, but the terminal sends it. */
const PAUSE_HINT = "Ctrl-Z once more pauses the client, Enter goes on";

const encoder = new TextEncoder();

/** A screen that prints messages above the line that the user is typing. */
export class Screen {
  readonly isTerminal = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  readonly #hasColours = Deno.stdout.isTerminal() && !Deno.noColor && !isDumb();
  /** The line editor; `undefined` for pipes, and for a terminal without escape sequences. */
  readonly #editor: Interface | undefined;
  /** The lines of the input. While many wait the editor takes no further ones. */
  readonly #lines: AsyncIterator<string | Line>;
  #isClosed = false;
  /** The terminal is as the shell left it, so that the client may be paused. */
  #isReleased = false;

  /** `interrupt` is called at Ctrl-C. */
  constructor(interrupt: () => void) {
    if (!this.isTerminal || isDumb()) {
      this.#lines = scriptLines(Deno.stdin.readable);
      return;
    }
    const editor = this.#editor = createInterface({
      input: process.stdin.pipe(new TypedInput()),
      output: process.stdout,
      terminal: true,
      prompt: "> ",
    });
    this.#lines = editor[Symbol.asyncIterator]();
    editor.on("line", () => this.#isReleased ? this.#takeTerminal(editor) : editor.prompt(true));
    editor.on("SIGINT", interrupt);
    editor.on("SIGTSTP", () => this.#releaseTerminal(editor));
    editor.on("close", () => {
      this.#overwriteInput(editor, DO_NOT_MARK_PASTES);
      this.#isClosed = true;
    });
    this.#takeTerminal(editor);
    if (Deno.build.os === "windows") return;
    // A shell that stopped the client has set the terminal for itself meanwhile.
    Deno.addSignalListener("SIGCONT", () => this.#takeTerminal(editor));
    for (const [signal, code] of ENDING_SIGNALS) {
      Deno.addSignalListener(signal, () => {
        this.close();
        Deno.exit(code);
      });
    }
  }

  /** Sets the terminal for the line editor. */
  #takeTerminal(editor: Interface): void {
    this.#isReleased = false;
    process.stdin.setRawMode(false);
    process.stdin.setRawMode(true);
    process.stdout.write(MARK_PASTES);
    editor.prompt(true);
  }

  /** Sets the terminal as it was before the client, so that it stops at the next Ctrl-Z. */
  #releaseTerminal(editor: Interface): void {
    this.#isReleased = true;
    this.#overwriteInput(editor, `${DO_NOT_MARK_PASTES}${PAUSE_HINT}\r\n`);
    process.stdin.setRawMode(false);
  }

  /** The next line of the input; `undefined` at its end. */
  async readLine(): Promise<Line | undefined> {
    const { done, value } = await this.#lines.next();
    if (done) return undefined;
    return typeof value === "string" ? { text: value } : value;
  }

  /**
   * Prints a line above the user's input. Text from other users must be escaped.
   *
   * @throws {ExitError} If nothing can be printed any more.
   */
  print(line: string): void {
    const editor = this.#editor;
    if (editor === undefined || this.#isClosed) return writeLine(line);
    this.#overwriteInput(editor, `${line}\r\n`);
    // Else the editor would clear the rows of its old input, where the printed line stands now.
    Reflect.set(editor, "prevRows", 0);
    editor.prompt(true);
  }

  /** Prints a line about the program itself. For a script it goes to stderr, apart from messages. */
  printNote(line: string): void {
    if (this.isTerminal) this.print(line);
    else console.error(line);
  }

  /** A name that is safe to print, always in the same colour. */
  colouredName(name: string): string {
    const shown = printableName(name);
    if (!this.#hasColours) return shown;
    let hash = 0;
    for (const symbol of name) hash = (hash * 31 + symbol.codePointAt(0)!) % 65_521;
    return `\x1b[1;38;5;${COLOURS[hash % COLOURS.length]}m${shown}\x1b[0m`;
  }

  /** Ends the line editor, which restores the state of the terminal. */
  close(): void {
    this.#editor?.close();
  }

  /** Writes a text in the place of the user's input. */
  #overwriteInput(editor: Interface, text: string): void {
    const { rows } = editor.getCursorPos();
    const up = rows > 0 ? `\x1b[${rows}A` : "";
    process.stdout.write(`${up}\r\x1b[J${text}`);
  }
}

/**
 * Does the terminal understand no escape sequences? The client may know it with --allow-env=TERM; else
 * it takes the terminal for a usual one.
 */
function isDumb(): boolean {
  const { state } = Deno.permissions.querySync({ name: "env", variable: "TERM" });
  if (state !== "granted") return false;
  return ["dumb", ""].includes(Deno.env.get("TERM") ?? "") && Deno.build.os !== "windows";
}

/** `console.log` says nothing where the reader has gone: mail would be taken that no one sees. */
function writeLine(line: string): void {
  try {
    let left = encoder.encode(`${line}\n`);
    while (left.length > 0) left = left.subarray(Deno.stdout.writeSync(left));
  } catch (error) {
    throw new ExitError(`The client ends, as its output can't be written: ${messageOf(error)}`);
  }
}
