/** The entries of a turn as one text and back: what a journal stores of it. Pure. */
import type { Entry } from "./chat.ts";
import type { Command } from "./command.ts";
import type { Actor } from "./users.ts";

type Fields<Of> = Of extends { readonly name: string } ? readonly (keyof Of)[] : never;

/** The arguments of each command, in their order. */
const FIELDS: { readonly [Name in Command["name"]]: Fields<Command & { name: Name }> } = {
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

/** A command: the place of its actor, how long after the turn's first command, name, arguments. */
type Line = readonly [actor: number, after: number, name: Command["name"], ...unknown[]];
type ActorLine = readonly [session: number, address: string, peer: string];
type Turn = readonly [at: number, actors: readonly ActorLine[], lines: readonly (Line | Entry)[]];

/** A third as long as the entries themselves: who acts more than once stands there once. */
export function turnText(entries: readonly Entry[]): string {
  const start = entries.find((entry) => entry.kind === "command")?.at ?? 0;
  const places = new Map<Actor, number>();
  const actors: ActorLine[] = [];
  const lines = entries.map((entry) => {
    if (entry.kind !== "command") return entry;
    const { actor, at, command } = entry;
    const place = places.get(actor) ?? places.size;
    if (place === places.size) {
      places.set(actor, place);
      actors.push([actor.session, actor.address, actor.peer]);
    }
    return lineOf(place, at - start, command);
  });
  return JSON.stringify([start, actors, lines] satisfies Turn);
}

/** Each array as long as it is: one that grows has 20 places. */
function lineOf(actor: number, after: number, command: Command): Line {
  const { name } = command;
  const [first, second] = FIELDS[name] as readonly (keyof Command)[];
  if (first === undefined) return [actor, after, name];
  if (second === undefined) return [actor, after, name, command[first]];
  return [actor, after, name, command[first], command[second]];
}

/** The entries that the text was made of. */
export function parseTurn(text: string): Entry[] {
  const [start, actorLines, lines]: Turn = JSON.parse(text);
  const actors = actorLines.map(([session, address, peer]) => ({ session, address, peer }));
  return lines.map((line) => {
    if ("kind" in line) return line;
    const [actor, after, name, ...values] = line;
    const fields = FIELDS[name].map((field, i) => [field, values[i]] as const);
    const command = { name, ...Object.fromEntries(fields) } as Command;
    return { kind: "command", at: start + after, actor: actors[actor]!, command };
  });
}
