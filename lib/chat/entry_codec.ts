/** The entries of a batch as one text and back: what a journal stores of it. Pure. */
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
 * A command of an actor, or several of one name behind each other at one time: session, address, peer,
 * how long after the batch's first command, name, and the arguments of all of them.
 */
type Stretch = [number, string, string, number, Name, ...(string | number)[]];
/** The arguments stand behind so many words. */
const STRETCH_HEAD = 5;
/** The time of the first command, and what happened, in its order. */
type Batch = [at: number, ...(Stretch | Entry)[]];

/** A quarter as long as the entries themselves for a pipeline, whose actor stands there once. */
export function encodeEntries(entries: readonly Entry[]): string {
  const start = entries.find((entry) => entry.kind === "command")?.at ?? 0;
  const batch: Batch = [start];
  let stretch: Stretch | undefined;
  let before: Entry | undefined;
  for (const entry of entries) {
    if (entry.kind !== "command") batch.push(entry);
    else {
      if (stretch === undefined || !isAlike(before, entry)) {
        const { actor, at, command } = entry;
        stretch = [actor.session, actor.address, actor.peer, at - start, command.name];
        batch.push(stretch);
      }
      addArguments(stretch, entry.command);
    }
    before = entry;
  }
  return JSON.stringify(batch);
}

/** Can they stand in one stretch? Without arguments nobody could tell how many they are. */
function isAlike(one: Entry | undefined, other: CommandEntry): boolean {
  return one?.kind === "command" && one.actor === other.actor && one.at === other.at &&
    one.command.name === other.command.name && FIELDS[one.command.name].length > 0;
}

function addArguments(stretch: Stretch, command: Command): void {
  // Nearly all are.
  if (command.name === "send") return void stretch.push(command.to, command.text);
  for (const field of FIELDS[command.name] as readonly (keyof Command)[]) {
    stretch.push(command[field]);
  }
}

/** The entries that the text was made of. */
export function decodeEntries(text: string): Entry[] {
  const [start, ...items]: Batch = JSON.parse(text);
  const entries: Entry[] = [];
  for (const item of items) {
    if ("kind" in item) entries.push(item);
    else addCommands(entries, item, start);
  }
  return entries;
}

function addCommands(entries: Entry[], stretch: Stretch, start: number): void {
  const [session, address, peer, after, name] = stretch;
  const actor: Actor = { session, address, peer };
  let place = STRETCH_HEAD;
  do {
    const command = commandOf(name, stretch, place);
    entries.push({ kind: "command", at: start + after, actor, command });
    place += FIELDS[name].length;
  } while (place < stretch.length);
}

/** The command whose arguments begin at this place. */
function commandOf(name: Name, words: readonly unknown[], place: number): Command {
  const command: { name: Name; [field: string]: unknown } = { name };
  for (const field of FIELDS[name]) command[field] = words[place++];
  return command as Command;
}
