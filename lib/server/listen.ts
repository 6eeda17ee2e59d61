/** Opens a port, or says in one line why it can't be opened. */
import { ExitError, messageOf } from "../errors.ts";

/** So many connections may wait to be accepted: a class that starts at once fits in. */
const BACKLOG = 4_096;

/** A port for the server. Throws {@link ExitError}. */
export function listen(
  { hostname, port }: { readonly hostname: string; readonly port: number },
): Deno.TcpListener {
  try {
    return Deno.listen({ hostname, port, tcpBacklog: BACKLOG });
  } catch (error) {
    throw cannotListen(error, hostname, port, "--port");
  }
}

/** Why a listener can't be opened; `flag` chooses its port. */
export function cannotListen(
  error: unknown,
  hostname: string,
  port: number,
  flag: string,
): ExitError {
  const where = `Cannot listen on ${hostname}:${port}`;
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
