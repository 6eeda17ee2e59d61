/** Opens a port, or says in one line why it can't be opened. */
import { ExitError, messageOf } from "../errors.ts";
import { formatHostPort, type SocketAddress } from "../protocol/ip.ts";

/**
 * Opens a port by `open`; `flag` is the flag that chooses the port. Throws {@link ExitError} where
 * `open` throws.
 */
export function openPort<Listener>(
  address: SocketAddress,
  flag: string,
  open: (address: SocketAddress) => Listener,
): Listener {
  try {
    return open(address);
  } catch (error) {
    const where = `Cannot listen on ${formatHostPort(address)}`;
    if (error instanceof Deno.errors.AddrInUse) {
      const advice = `Stop what uses it, or choose another with ${flag}`;
      throw new ExitError(`${where}: the port is in use. ${advice}`);
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new ExitError(`${where}: not allowed. Choose a ${flag} above 1023`);
    }
    throw new ExitError(`${where}: ${messageOf(error)}`);
  }
}
