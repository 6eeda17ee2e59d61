/** The reports of a server to a meter. A server without a meter measures nothing. */
import type { CommandName } from "./protocol/command.ts";
import type { MistakeCode } from "./protocol/mistake.ts";
import type { Reply } from "./protocol/reply.ts";

/** Counts and times what the server does. */
export interface Meter {
  /** A command has its final reply. */
  replied(name: CommandName, code: Reply["code"]): void;
  /** The bytes of a connection hold a mistake. */
  mistaken(code: MistakeCode): void;
  /** A batch took this long (ms) from its first command until its replies might leave. */
  batched(ms: number): void;
  /** Storing a batch took this long (ms). */
  committed(ms: number): void;
  /** The log of a journal's file (-wal) has this size (bytes). */
  logBytes(bytes: number): void;
}
