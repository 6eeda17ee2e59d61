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
 * Consecutive commands of one actor, with one name and at one time (ms after the batch's first
 * command), and the arguments of all of them. A pipeline of messages is a quarter as long as its
 * entries in JSON.
 */
type Group = [
  member: number,
  count: number,
  address: string,
  peer: string,
  after: number,
  name: Name,
  ...args: (string | number)[],
];
/** The time of the first command (ms since 1970), and the entries in their order. */
type Batch = [at: number, ...(Group | Entry)[]];

/** The text of a batch. */
export function encodeEntries(entries: readonly Entry[]): string {
  const start = entries.find((entry) => entry.kind === "command")?.at ?? 0;
  const batch: Batch = [start];
  let group: Group | undefined;
  let before: Entry | undefined;
  for (const entry of entries) {
    if (entry.kind !== "command") {
      batch.push(entry);
    } else {
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
  const [member, count, address, peer, after, name, ...args] = group;
  const actor: Actor = { session: { member, count }, address, peer };
  const fields = FIELDS[name];
  let place = 0;
  do {
    const command: { name: Name; [field: string]: unknown } = { name };
    for (const field of fields) command[field] = args[place++];
    entries.push({ kind: "command", at: start + after, actor, command: command as Command });
  } while (place < args.length && fields.length > 0);
}
