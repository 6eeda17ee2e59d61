/**
 * Entries: all that can happen to a chat. A journal stores them in their order. A replay of the
 * same entries in the same order gives the same state.
 *
 * Times are in milliseconds since 1970. `member` is the id of a server process that shares the chat.
 */
import type { Command } from "../protocol/command.ts";
import type { Mail, Shown } from "../protocol/reply.ts";
import type { Settings } from "./settings.ts";
import type { Actor, SessionId } from "./users.ts";

/** A session's command. The step replies to it. */
export interface CommandEntry {
  readonly kind: "command";
  readonly at: number;
  readonly actor: Actor;
  readonly command: Command;
}

/** One thing that happens to a chat. */
export type Entry =
  | CommandEntry
  /**
   * The mail that a `wait` showed to this session leaves the mailbox, before the session's next
   * command. It stays if the session does not act as that user any more.
   */
  | { readonly kind: "take"; readonly actor: Actor; readonly shown: Shown }
  /** The connection of a session has closed: the session holds no name any more. */
  | {
    readonly kind: "end";
    readonly at: number;
    readonly session: SessionId;
    /** Strict mode: was seen until now, as in a `seen` entry. */
    readonly address: string;
  }
  /**
   * The users of this address count as here at this time, so they are not forgotten yet. In strict
   * mode a member makes it for an open connection, at most once an hour per address; in both modes a
   * server makes it for all absent users when its clock has jumped ahead.
   */
  | { readonly kind: "seen"; readonly at: number; readonly address: string }
  /** Removes a user who was away for too long, or whom the `forget` subcommand names, and its mail. */
  | {
    readonly kind: "forget";
    readonly user: string;
    readonly id: number;
    /** With it the user is removed only if no session has held the name since this time. */
    readonly freeSince?: number;
  }
  /**
   * A server with a journal of its own has started: its first entry. It ends all sessions that are
   * left from before, and sets the rules, see `RULES` in `state.ts`, and the settings.
   */
  | {
    readonly kind: "start";
    readonly at: number;
    readonly rules: number;
    readonly settings: Settings;
  }
  | SharedEntry;

/** Entries of a chat that several servers share. */
export type SharedEntry =
  /**
   * A server process becomes a member. The first member ever sets the rules, and a member that is
   * alone sets the settings. The entry has no effect if the rules of the process are older than
   * those of the chat, or if there are other members and their settings differ.
   */
  | {
    readonly kind: "join";
    readonly at: number;
    readonly member: string;
    /** The newest rules that the member knows. */
    readonly rules: number;
    readonly settings: Settings;
  }
  /** The first entry of each batch of a member. Its number tells whether the batch is the next one. */
  | {
    readonly kind: "batch";
    readonly at: number;
    readonly member: string;
    readonly batch: number;
  }
  /**
   * A member has left: all its sessions end. A member makes it when it stops. Another member or the
   * `raise` subcommand makes it for a member that does not answer.
   */
  | { readonly kind: "leave"; readonly at: number; readonly member: string }
  /** Sets newer rules, if all members know them. The `raise` subcommand makes it. */
  | { readonly kind: "raise"; readonly rules: number }
  /**
   * Puts a message back to the front of a mailbox. A server makes it for mail that a `receive`
   * took, if no client got the reply. The message counts to this network, also if it was a broadcast
   * that waits elsewhere.
   */
  | {
    readonly kind: "return";
    readonly user: string;
    readonly id: number;
    readonly mail: Mail & { readonly network: string };
  };
