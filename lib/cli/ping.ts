/** `ping`: asks a server for its users, to see whether it answers. */
import { Client } from "../client/client.ts";
import { dial, SILENCE_MS } from "../client/dialer.ts";
import { within } from "../clock.ts";
import { messageOf, UsageError } from "../errors.ts";
import { parseFlags, parseHostPort } from "../flags.ts";
import { NO_FLAGS } from "../options.ts";
import { formatHostPort } from "../protocol/ip.ts";
import { counted } from "../text/phrases.ts";
import { printable } from "../text/printable.ts";
import { PING_HELP, print } from "./help.ts";

/**
 * Prints the number of users on a server, or why it does not answer. Resolves to the exit code: 0 where
 * it answers, else 1. Throws {@link UsageError}.
 */
export async function ping(args: string[]): Promise<number> {
  const { options, positionals } = parseFlags(NO_FLAGS, args);
  if (options.help) return print(PING_HELP);
  if (positionals.length !== 1) {
    throw new UsageError("ping takes one argument, HOST:PORT, as in ping 127.0.0.1:31337");
  }
  const target = parseHostPort(positionals[0]!);
  const where = formatHostPort(target);
  try {
    const asked = dial(target).then((conn) => new Client(conn).users());
    const result = await within(SILENCE_MS, asked);
    if (result === undefined) {
      throw new Error(`No answer from ${where} within ${SILENCE_MS / 1000} s`);
    }
    if (!result.ok) throw new Error(printable(result.text));
    return print(`${where} answers: ${counted(result.users.length, "user")}`);
  } catch (error) {
    console.error(messageOf(error));
    return 1;
  }
}
