/** `ping`: asks a server for its users, to see whether it answers. */
import { Client } from "../client/client.ts";
import { dial, SILENCE_MS } from "../client/dialer.ts";
import { within } from "../clock.ts";
import { ExitError, messageOf, UsageError } from "../errors.ts";
import { HELP_FLAG, parseFlags, parseHostPort, printHelp } from "../flags.ts";
import { print, PROGRAM } from "../program.ts";
import { formatHostPort } from "../protocol/ip.ts";
import { counted } from "../text/phrases.ts";
import { printable } from "../text/printable.ts";

const ABOUT =
  `Ask whether a server answers: ${PROGRAM} ping HOST:PORT. The exit code is 0 if it does, else 1`;

/** Prints the number of users on a server. Throws {@link ExitError} where it does not answer. */
export async function ping(args: string[]): Promise<void> {
  const { options, positionals: [given, ...more] } = parseFlags(HELP_FLAG, args);
  if (options.help) return printHelp(ABOUT, HELP_FLAG);
  if (given === undefined || more.length > 0) {
    throw new UsageError("ping takes one argument, HOST:PORT, as in ping 127.0.0.1:31337");
  }
  const target = parseHostPort(given);
  const where = formatHostPort(target);
  let count: number;
  try {
    const asked = dial(target).then((conn) => new Client(conn).users());
    const result = await within(SILENCE_MS, asked);
    if (result === undefined) {
      throw new Error(`No answer from ${where} within ${SILENCE_MS / 1000} s`);
    }
    if (!result.ok) throw new Error(printable(result.text));
    count = result.users.length;
  } catch (error) {
    throw new ExitError(messageOf(error));
  }
  print(`${where} answers: ${counted(count, "user")}`);
}
