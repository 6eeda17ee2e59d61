/** The entries of a batch as one text, and back. A journal stores these texts. */
import type { CommandEntry, Entry } from "./entry.ts";
import type { Command } from "../protocol/command.ts";
import type { Actor } from "./users.ts";

type Name = Command["name"];
type Field<Of extends Name> = Exclude<keyof Extract<Command, { name: Of }>, "name">;

/** The arguments of each command, in their order. */
const FIELDS: { readonly [Of in Name]: readonly Field<Of>[] } = {
  register: ["user"],
  users: [],
  send: ["to", "text"],
  sendall: ["text"],
  receive: [],
  wait: ["seconds"],
  ping: [],
  help: [],
  logout: [],
};

/**
 * Consecutive commands of one actor, with one name and at one time: member and count of the
 * session, address, peer, time after the batch's first command (ms), name, and the arguments of all
 * commands.
 */
type Group = [number, number, string, string, number, Name, ...(string | number)[]];
/** The index of a group's first argument. */
const GROUP_ARGUMENTS = 6;
/** The time of the first command (ms since 1970), and the entries in their order. */
type Batch = [at: number, ...(Group | Entry)[]];

/**
 * The text of a batch. For a pipeline of messages it is a quarter as long as the entries in JSON,
 * as the actor stands in it once.
 */
export function encodeEntries(entries: readonly Entry[]): string {
  const start = entries.find((entry) => entry.kind === "command")?.at ?? 0;
  const batch: Batch = [start];
  let group: Group | undefined;
  let before: Entry | undefined;
  for (const entry of entries) {
    if (entry.kind !== "command") batch.push(entry);
    else {
      if (group === undefined || !mayShareGroup(before, entry)) {
        const { actor: { session, address, peer }, at, command } = entry;
        group = [session.member, session.count, address, peer, at - start, command.name];
        batch.push(group);
      }
      addArguments(group, entry.command);
    }
    before = entry;
  }
  return JSON.stringify(batch);
}

/** Commands without arguments share no group: its length could not tell how many they are. */
function mayShareGroup(before: Entry | undefined, next: CommandEntry): boolean {
  return before?.kind === "command" && before.actor === next.actor && before.at === next.at &&
    before.command.name === next.command.name && FIELDS[before.command.name].length > 0;
}

function addArguments(group: Group, command: Command): void {
  // Most commands are `send`, and this is faster than the loop.
  if (command.name === "send") return void group.push(command.to, command.text);
  for (const field of FIELDS[command.name] as readonly (keyof Command)[]) {
    group.push(command[field]);
  }
}

/** The entries from which the text was made. */
export function decodeEntries(text: string): Entry[] {
  const [start, ...items]: Batch = JSON.parse(text);
  const entries: Entry[] = [];
  for (const item of items) {
    if ("kind" in item) entries.push(item);
    else decodeGroup(entries, item, start);
  }
  return entries;
}

/** Adds the commands of a group to `entries`. */
function decodeGroup(entries: Entry[], group: Group, start: number): void {
  const [member, count, address, peer, after, name] = group;
  const actor: Actor = { session: { member, count }, address, peer };
  let place = GROUP_ARGUMENTS;
  do {
    const command = commandAt(place, name, group);
    entries.push({ kind: "command", at: start + after, actor, command });
    place += FIELDS[name].length;
  } while (place < group.length);
}

/** The command whose arguments begin at this place of a group. */
function commandAt(place: number, name: Name, group: readonly unknown[]): Command {
  const command: { name: Name; [field: string]: unknown } = { name };
  for (const field of FIELDS[name]) command[field] = group[place++];
  return command as Command;
}
