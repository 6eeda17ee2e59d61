/** Errors that end the program, and what an error says. */

/** The program can't go on: one clear line for the person who runs it, and its exit code. */
export class ExitError extends Error {
  readonly code: number = 1;
}

/** A wrong flag, value or argument. */
export class UsageError extends ExitError {
  override readonly code = 2;
}

/** What an error says, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
