/** The steps of a simulation, as data and as lines of a transcript. */
import type { ModelSettings } from "./model.ts";
import type { Words } from "./model_batches.ts";

/** One thing that happens. A step that makes no sense where it stands does nothing. */
export type Step =
  /** A server is started with these settings, after a polite stop of the one before. */
  | { readonly kind: "start"; readonly settings: ModelSettings }
  /** Sends a command; its last bytes, `later`, arrive with what the session does next. */
  | {
    readonly kind: "say";
    readonly session: number;
    readonly address: string;
    readonly words: Words;
    readonly later: number;
  }
  /** The end of the stream, a connection that breaks, the end of the time of a `wait`. */
  | { readonly kind: "ends" | "breaks" | "is late"; readonly session: number }
  | { readonly kind: "time passes" | "forget after"; readonly ms: number }
  | { readonly kind: Event };

/** What happens to the server as a whole. */
export type Event = typeof EVENTS[number];

const EVENTS = [
  "batch ends",
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
  messages: "messagesMax",
} as const;

/** Where a transcript says nothing else. */
export const SETTINGS: ModelSettings = {
  strict: false,
  nameSymbolsMax: 4,
  textSymbolsMax: 5,
  usersMax: 5,
  usersPerAddressMax: 3,
  mailboxMessagesMax: 3,
  messagesMax: 12,
  usersExpireH: 0,
};

/** A step as a line. */
export function formatStep(step: Step): string {
  switch (step.kind) {
    case "start":
      return `start ${formatSettings(step.settings)}`;
    case "say": {
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

/** A line as a step. */
export function parseStep(line: string): Step {
  const event = EVENTS.find((kind) => kind === line);
  if (event !== undefined) return { kind: event };
  const said = /^session (\d+) of (\S+): (.*?)(?: \((\d+) bytes later\))?$/.exec(line);
  if (said !== null) {
    return {
      kind: "say",
      session: Number(said[1]),
      address: said[2]!,
      words: parseWords(said[3]!),
      later: Number(said[4] ?? 0),
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
  throw new Error(`What does this step mean: ${line}`);
}

/** Words of a line: what is not plain is in quotes, as JSON. */
export function formatWords(words: Words): string {
  return words.map((word) => /^[\w<>]+$/.test(word) ? word : JSON.stringify(word)).join(" ");
}

/** The same, read. */
export function parseWords(text: string): Words {
  const words = text.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  return words.map((word) => word.startsWith('"') ? JSON.parse(word) : word);
}

/** Settings as words of a line. */
export function formatSettings(settings: ModelSettings): string {
  const limits = Object.entries(LIMITS).map(([word, limit]) => `${word}=${settings[limit]}`);
  return [...(settings.strict ? ["strict"] : []), ...limits].join(" ");
}

/** The same, read; what is not said is as in {@link SETTINGS}. */
export function parseSettings(words: readonly string[]): ModelSettings {
  const limits = words.filter((word) => word !== "strict").map((word) => {
    const [name = "", value] = word.split("=");
    if (!(name in LIMITS)) throw new Error(`There is no such limit: ${word}`);
    return [LIMITS[name as keyof typeof LIMITS], Number(value)];
  });
  return { ...SETTINGS, ...Object.fromEntries(limits), strict: words.includes("strict") };
}
