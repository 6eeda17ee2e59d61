/** What is measured while the server runs. It costs nothing where nobody measures. */
import type { CommandName } from "./protocol/command.ts";
import type { MistakeCode } from "./protocol/mistake.ts";
import type { Reply } from "./protocol/reply.ts";

/** Hears of everything that is counted or timed. */
export interface Meter {
  /** A command was answered. */
  replied(name: CommandName, code: Reply["code"]): void;
  /** A connection made a mistake with bytes. */
  mistaken(code: MistakeCode): void;
  /** From the first command of a batch until its replies may leave, in milliseconds. */
  batched(ms: number): void;
  /** Storing a batch, in milliseconds. */
  committed(ms: number): void;
}
