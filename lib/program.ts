/** The program as its user calls it, and what it prints. */
import { ExitError, messageOf } from "./errors.ts";
import { shellWord } from "./text/shell.ts";

/** Was this made by `deno compile`? Then there is no Deno and no `main.ts`. */
export const IS_BINARY = Deno.build.standalone;

/** The name of the program in a shell. */
export const PROGRAM = IS_BINARY ? shellWord(Deno.execPath()) : "main.ts";

/** The command that starts a server with default flags. */
export const START = IS_BINARY ? PROGRAM : "deno task start";

/**
 * Prints a text and a line feed. A reader who has gone misses it, and that is no error. Throws
 * {@link ExitError} where it can't be written, as to a full disk.
 */
export function print(text: string): void {
  try {
    console.log(text);
  } catch (error) {
    throw new ExitError(`Cannot write to stdout: ${messageOf(error)}`);
  }
}
