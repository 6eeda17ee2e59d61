/** Opens a port, or says in one line why it can't be opened. */
import { ExitError, messageOf } from "../errors.ts";
import { formatHostPort } from "../protocol/ip.ts";

/** At most this many connections wait to be accepted: all clients of a class may start at once. */
const BACKLOG_MAX = 4_096;

/** Opens a port for the server. Throws {@link ExitError}. */
export function listen(
  { hostname, port }: { readonly hostname: string; readonly port: number },
): Deno.TcpListener {
  try {
    return Deno.listen({ hostname, port, tcpBacklog: BACKLOG_MAX });
  } catch (error) {
    throw cannotListen(error, hostname, port, "--port");
  }
}

/** Makes the error for a port that can't be opened; `flag` is the flag that chooses the port. */
export function cannotListen(
  error: unknown,
  hostname: string,
  port: number,
  flag: string,
): ExitError {
  const where = `Cannot listen on ${formatHostPort({ hostname, port })}`;
  if (error instanceof Deno.errors.AddrInUse) {
    return new ExitError(
      `${where}: the port is in use. Stop what uses it, or choose another with ${flag}`,
    );
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new ExitError(`${where}: not allowed. Choose a ${flag} above 1023`);
  }
  return new ExitError(`${where}: ${messageOf(error)}`);
}
