/** Entries: what may happen to a chat. Whoever replays the same entries gets the same state. */
import type { Command } from "../protocol/command.ts";
import type { Mail, Shown } from "../protocol/reply.ts";
import type { Settings } from "./settings.ts";
import type { Actor, SessionId } from "./users.ts";

/** A command that somebody gave; `at` is when, in milliseconds since 1970. */
export interface CommandEntry {
  readonly kind: "command";
  readonly at: number;
  readonly actor: Actor;
  readonly command: Command;
}

/** What may happen to a chat. */
export type Entry =
  | CommandEntry
  /** Mail that a `wait` showed was seen: it leaves the mailbox. */
  | { readonly kind: "take"; readonly shown: Shown }
  /** A session's stream has ended: it holds no name any more. */
  | { readonly kind: "end"; readonly at: number; readonly session: SessionId }
  /** Strict mode: the user of this address was here. */
  | { readonly kind: "seen"; readonly at: number; readonly address: string }
  /** A user was away for too long, or a person removed it by hand. */
  | {
    readonly kind: "forget";
    readonly user: string;
    readonly id: number;
    /** Not if somebody was here since then. */
    readonly freeSince?: number;
  }
  /** A server has started, with these settings: no session of the time before is left. */
  | {
    readonly kind: "start";
    readonly at: number;
    /** The version of the rules by which entries are decided from now on. */
    readonly rules: number;
    readonly settings: Settings;
  }
  | SharedEntry;

/** What happens where several servers share a chat; `member` is a server process. */
export type SharedEntry =
  /** It begins to take part; the first one brings the settings and the rules. */
  | {
    readonly kind: "join";
    readonly at: number;
    readonly member: string;
    /** The newest rules that it knows. */
    readonly rules: number;
    readonly settings: Settings;
  }
  /** The first entry of a batch: which batch of the member the others are. */
  | {
    readonly kind: "batch";
    readonly at: number;
    readonly member: string;
    readonly batch: number;
  }
  /** It is over: none of its sessions is left. */
  | { readonly kind: "leave"; readonly at: number; readonly member: string }
  /** From now on it is decided by these rules, if all members know them. */
  | { readonly kind: "raise"; readonly rules: number }
  /** A message that a `receive` took, whose reply nobody got, goes back to the front. */
  | { readonly kind: "return"; readonly user: string; readonly id: number; readonly mail: Mail };
