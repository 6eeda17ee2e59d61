/** The steps of a simulation with one server, as data and as lines of a transcript. */
import type { ModelSettings } from "./model.ts";
import type { Words } from "./model_batches.ts";

/** One thing that happens. A step that is not possible at its place does nothing. */
export type Step =
  /** The server stops in good order, and starts with these settings. */
  | { readonly kind: "start"; readonly settings: ModelSettings }
  /**
   * A client sends a command. Its last bytes, `later` many, arrive with the session's next step.
   */
  | {
    readonly kind: "command";
    readonly session: number;
    readonly address: string;
    readonly words: Words;
    readonly later: number;
  }
  /** The client closes its connection, the connection breaks, the time of a `wait` is over. */
  | { readonly kind: "ends" | "breaks" | "is late"; readonly session: number }
  | { readonly kind: "time passes" | "forget after"; readonly ms: number }
  | { readonly kind: Event };

/** A step of the server as a whole. */
export type Event = typeof EVENTS[number];

const EVENTS = [
  "commit",
  "commit fails",
  "crash",
  "crash after the commit",
  "snapshot",
  "snapshot begins",
  "snapshot goes on",
] as const;

const LIMITS = {
  name: "nameSymbolsMax",
  text: "textSymbolsMax",
  users: "usersMax",
  address: "usersPerAddressMax",
  mailbox: "mailboxMessagesMax",
  broadcasts: "mailboxBroadcastsMax",
  messages: "messagesMax",
  share: "messagesPerAddressMax",
} as const;

/** The settings of a transcript that names no others. */
export const SETTINGS: ModelSettings = {
  strict: false,
  nameSymbolsMax: 4,
  textSymbolsMax: 5,
  usersMax: 5,
  usersPerAddressMax: 3,
  mailboxMessagesMax: 3,
  mailboxBroadcastsMax: 3,
  messagesMax: 12,
  messagesPerAddressMax: 12,
  usersExpireH: 0,
};

/** A step as a line. */
export function formatStep(step: Step): string {
  switch (step.kind) {
    case "start":
      return `start ${formatSettings(step.settings)}`;
    case "command": {
      const later = step.later > 0 ? ` (${step.later} bytes later)` : "";
      return `session ${step.session} of ${step.address}: ${formatWords(step.words)}${later}`;
    }
    case "ends":
    case "breaks":
    case "is late":
      return `session ${step.session} ${step.kind}`;
    case "time passes":
    case "forget after":
      return `${step.kind} ${step.ms}`;
    default:
      return step.kind;
  }
}

/** Reads a line. Throws if it is not a step. */
export function parseStep(line: string): Step {
  const event = EVENTS.find((kind) => kind === line);
  if (event !== undefined) return { kind: event };
  const sent = /^session (\d+) of (\S+): (.*?)(?: \((\d+) bytes later\))?$/.exec(line);
  if (sent !== null) {
    return {
      kind: "command",
      session: Number(sent[1]),
      address: sent[2]!,
      words: parseWords(sent[3]!),
      later: Number(sent[4] ?? 0),
    };
  }
  const session = /^session (\d+) (ends|breaks|is late)$/.exec(line);
  if (session !== null) {
    return { kind: session[2] as "ends" | "breaks" | "is late", session: Number(session[1]) };
  }
  const time = /^(time passes|forget after) (\d+)$/.exec(line);
  if (time !== null) {
    return { kind: time[1] as "time passes" | "forget after", ms: Number(time[2]) };
  }
  if (/^start( |$)/.test(line)) {
    return { kind: "start", settings: parseSettings(line.split(" ").slice(1)) };
  }
  throw new Error(`This is not a step: ${line}`);
}

/** The words of a line. A word that is not plain is in quotes, as JSON. */
export function formatWords(words: Words): string {
  return words.map((word) => /^[\w<>]+$/.test(word) ? word : JSON.stringify(word)).join(" ");
}

/** Reads the words of a line. */
export function parseWords(text: string): Words {
  const words = text.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  return words.map((word) => word.startsWith('"') ? JSON.parse(word) : word);
}

/** The settings as words of a line. */
export function formatSettings(settings: ModelSettings): string {
  const limits = Object.entries(LIMITS).map(([word, limit]) => `${word}=${settings[limit]}`);
  return [...(settings.strict ? ["strict"] : []), ...limits].join(" ");
}

/** Reads the settings of a line. A limit that is not named is as in {@link SETTINGS}. */
export function parseSettings(words: readonly string[]): ModelSettings {
  const limits = words.filter((word) => word !== "strict").map((word) => {
    const [name = "", value] = word.split("=");
    if (!(name in LIMITS)) throw new Error(`There is no such limit: ${word}`);
    return [LIMITS[name as keyof typeof LIMITS], Number(value)];
  });
  return { ...SETTINGS, ...Object.fromEntries(limits), strict: words.includes("strict") };
}
