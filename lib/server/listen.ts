/** Opens a port, or says in one line why it can't be opened, and accepts connections there. */
import { setTimeout as sleep } from "node:timers/promises";
import { ExitError, messageOf } from "../errors.ts";
import { formatHostPort, type SocketAddress } from "../protocol/ip.ts";

/**
 * After this many connections were accepted the event loop turns: the runtime would deliver all that
 * wait before it delivers what came on open ones.
 */
const ACCEPTS_PER_TURN_MAX = 16;
/** After a failed `accept` the next try is this much later (ms). */
const ACCEPT_AGAIN_MS = 200;

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

/**
 * The connections that come to a port, in small groups, until it is closed. `failed` is called when one
 * can't be accepted, as when no file descriptor is free, and not again before one was accepted.
 */
export async function* accepted(
  listener: Deno.TcpListener,
  failed: (error: unknown) => void,
): AsyncGenerator<Deno.TcpConn> {
  let isFailing = false;
  for (let count = 1;; count++) {
    try {
      if (count % ACCEPTS_PER_TURN_MAX === 0) await sleep(0);
      const conn = await listener.accept();
      isFailing = false;
      yield conn;
    } catch (error) {
      if (error instanceof Deno.errors.BadResource) return;
      if (isPassing(error)) continue;
      if (!isFailing) failed(error);
      isFailing = true;
      await sleep(ACCEPT_AGAIN_MS);
    }
  }
}

/** Does an error concern one connection alone, such as one whose client has left before? */
function isPassing(error: unknown): boolean {
  return error instanceof Deno.errors.Interrupted ||
    error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.ConnectionReset;
}
