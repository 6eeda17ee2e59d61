/** The steps of a simulation with several servers, as data and as lines of a transcript. */
import type { ModelSettings } from "./model.ts";
import type { Words } from "./model_batches.ts";
import { formatSettings, formatWords, parseSettings, parseWords } from "./steps.ts";

/** One thing that happens. A step that is not possible at its place does nothing. */
export type ClusterStep =
  /** The first step: this many servers, and the settings with which they start. */
  | {
    readonly kind: "servers";
    readonly count: number;
    /** A batch with a longer text is split (UTF-16 units). */
    readonly lengthMax: number;
    readonly settings: ModelSettings;
  }
  | { readonly kind: "joins as"; readonly server: number; readonly settings: ModelSettings }
  | { readonly kind: ServerEvent; readonly server: number }
  | { readonly kind: ServerAmount; readonly server: number; readonly amount: number }
  /** A client sends a command. The session's connection is opened if it is not open. */
  | {
    readonly kind: "command";
    readonly server: number;
    readonly session: number;
    readonly address: string;
    readonly words: Words;
    /** The command arrives with the session's next command. */
    readonly more: boolean;
  }
  | { readonly kind: "ends" | "breaks"; readonly session: number }
  | { readonly kind: "time passes"; readonly ms: number }
  | { readonly kind: Event };

/** A step of one server, or of the messages that it has sent. */
export type ServerEvent = typeof SERVER_EVENTS[number];
/** A step of one server with a number. */
export type ServerAmount = typeof SERVER_AMOUNTS[number];
/** A step of the stream, or of all servers. */
export type Event = typeof EVENTS[number];

const SERVER_EVENTS = [
  "starts",
  "dies",
  "stops",
  "sleeps",
  "wakes",
  "is cut off",
  "is connected again",
  "ends its batch",
  "is heard",
  "is heard and not told",
  "is heard and sends again",
  "is heard late",
  "is not heard",
  "gets its question through",
  "checks its peers",
  "stores its snapshot",
  "seems to skip a batch",
  "meets a foreign message",
] as const;
const SERVER_AMOUNTS = ["reads", "moves its clock by", "forgets after"] as const;
const EVENTS = ["the stream is purged", "all goes on"] as const;

/** A step as a line. */
export function formatClusterStep(step: ClusterStep): string {
  switch (step.kind) {
    case "servers":
      return `${step.count} servers, messages of ${step.lengthMax}: ` +
        formatSettings(step.settings);
    case "joins as":
      return `server ${step.server} joins as ${formatSettings(step.settings)}`;
    case "command":
      return `session ${step.session} of ${step.address} at server ${step.server}: ` +
        formatWords(step.words) + (step.more ? " (and more)" : "");
    case "ends":
    case "breaks":
      return `session ${step.session} ${step.kind}`;
    case "time passes":
      return `time passes ${step.ms}`;
    default:
      if (!("server" in step)) return step.kind;
      return `server ${step.server} ${step.kind}${"amount" in step ? ` ${step.amount}` : ""}`;
  }
}

/** Reads a line. Throws if it is not a step. */
export function parseClusterStep(line: string): ClusterStep {
  const event = EVENTS.find((kind) => kind === line);
  if (event !== undefined) return { kind: event };
  const first = /^(\d+) servers, messages of (\d+): (.*)$/.exec(line);
  if (first !== null) {
    const [, count, lengthMax, limits = ""] = first;
    const settings = parseSettings(limits.split(" "));
    return { kind: "servers", count: Number(count), lengthMax: Number(lengthMax), settings };
  }
  const sent = /^session (\d+) of (\S+) at server (\d+): (.*?)( \(and more\))?$/.exec(line);
  if (sent !== null) {
    const [, session, address = "", server, words = "", more] = sent;
    const places = { session: Number(session), server: Number(server), address };
    return { kind: "command", ...places, words: parseWords(words), more: more !== undefined };
  }
  const session = /^session (\d+) (ends|breaks)$/.exec(line);
  if (session !== null) {
    return { kind: session[2] as "ends" | "breaks", session: Number(session[1]) };
  }
  const time = /^time passes (\d+)$/.exec(line);
  if (time !== null) return { kind: "time passes", ms: Number(time[1]) };
  return parseServerStep(line);
}

function parseServerStep(line: string): ClusterStep {
  const [, number, what = ""] = /^server (\d+) (.*)$/.exec(line) ?? [];
  const server = Number(number);
  const event = SERVER_EVENTS.find((kind) => kind === what);
  if (event !== undefined) return { kind: event, server };
  const amount = SERVER_AMOUNTS.find((kind) => what.startsWith(`${kind} `));
  if (amount !== undefined) {
    return { kind: amount, server, amount: Number(what.slice(amount.length)) };
  }
  if (!what.startsWith("joins as ")) throw new Error(`This is not a step: ${line}`);
  return { kind: "joins as", server, settings: parseSettings(what.split(" ").slice(2)) };
}
