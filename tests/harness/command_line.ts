/** The command line of the harnesses and of the benchmark: flags, `--help`, exit codes. */
import { ExitError, UsageError } from "../../lib/errors.ts";
import {
  type Flags,
  HELP_FLAG,
  parseFlags,
  printHelp,
  type Values,
  whole,
} from "../../lib/flags.ts";
import { wholeBelow } from "../random.ts";

const SEED_MAX = 2 ** 31 - 1;

/** A random seed. */
export function someSeed(): number {
  return wholeBelow(Math.random, SEED_MAX);
}

/** The flag of the seed from which every random choice follows. */
export function seedFlag() {
  return whole(someSeed(), 0, SEED_MAX, "decides every random choice; by default a random number");
}

/**
 * Runs a program by the flags of its command line. `--help` prints `summary` and the flags. The exit
 * code is 0 when `work` resolves to true, 1 when it resolves to false, and 2 when a flag is wrong:
 * then stderr has one line about it.
 */
export async function runProgram<Table extends Flags>(
  summary: string,
  table: Table,
  work: (options: Values<Table>) => Promise<boolean>,
): Promise<void> {
  try {
    const all = { ...table, ...HELP_FLAG };
    const { options, positionals: [argument] } = parseFlags(all, Deno.args);
    if (options.help) return printHelp(summary, all);
    if (argument !== undefined) {
      throw new UsageError(`Unexpected "${argument}": only flags are taken, --help lists them`);
    }
    if (!await work(options)) Deno.exitCode = 1;
  } catch (error) {
    if (!(error instanceof ExitError)) throw error;
    console.error(error.message);
    Deno.exitCode = error.code;
  }
}
