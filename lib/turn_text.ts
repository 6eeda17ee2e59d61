/** The entries of a turn as one text and back: what a journal stores of it. Pure. */
import type { Entry } from "./chat.ts";
import type { Command } from "./command.ts";
import type { Actor } from "./users.ts";

type CommandEntry = Entry & { readonly kind: "command" };
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
  const place = (actor: Actor) => {
    const known = places.get(actor);
    if (known !== undefined) return known;
    actors.push([actor.session, actor.address, actor.peer]);
    places.set(actor, actors.length - 1);
    return actors.length - 1;
  };
  const line = ({ actor, at, command }: CommandEntry) => {
    const values = FIELDS[command.name].map((field) => command[field as keyof Command]);
    return [place(actor), at - start, command.name, ...values] as const;
  };
  const lines = entries.map((entry) => entry.kind === "command" ? line(entry) : entry);
  return JSON.stringify([start, actors, lines] satisfies Turn);
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
