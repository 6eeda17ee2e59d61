/** Errors that end the program, and the text of any error. */

/** Ends the program: `message` is one line for the user, `code` is the exit code. */
export class ExitError extends Error {
  readonly code: number = 1;
}

/** A flag, its value or an argument is wrong. */
export class UsageError extends ExitError {
  override readonly code = 2;
}

/** The message of an error, or the text of any other value that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
