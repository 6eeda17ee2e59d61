/**
 * Which texts are batches of a shared chat. Whatever else is in its stream (a message of another
 * program, of a later format, garbage) has no effect. All members decide this alike, as the text
 * alone decides it: a change of this file needs new `RULES`.
 */
import { decodeEntries } from "./entry_codec.ts";
import type { Entry } from "./entry.ts";
import { DEFAULT_SETTINGS } from "./settings.ts";

type Check = (value: unknown) => boolean;
type Checks = Readonly<Record<string, Check>>;

/** The latest time that a `Date` knows (ms since 1970). */
const AT_MAX = 8.64e15;

const isText: Check = (value) => typeof value === "string";
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isTime: Check = (value) => typeof value === "number" && value >= 0 && value <= AT_MAX;

/** Is it an object that has at least these fields? */
function hasFields(checks: Checks): Check {
  const fields = Object.entries(checks);
  return (value) => {
    if (typeof value !== "object" || value === null) return false;
    const object = value as Readonly<Record<string, unknown>>;
    return fields.every(([name, check]) => check(object[name]));
  };
}

const isSession = hasFields({ member: isCount, count: isCount });
const isActor = hasFields({ session: isSession, address: isText, peer: isText });
const isShown = hasFields({ user: isText, id: isCount, through: isCount });
const isMail = hasFields({ from: isText, text: isText, network: isText });
const isSettings = hasFields(Object.fromEntries(
  Object.entries(DEFAULT_SETTINGS).map((
    [name, value],
  ) => [
    name,
    typeof value === "number" ? isCount : (other: unknown) => typeof other === typeof value,
  ]),
));

/** The commands that may change the state: others are in no batch. */
const COMMANDS: Checks = {
  register: hasFields({ user: isText }),
  send: hasFields({ to: isText, text: isText }),
  sendall: hasFields({ text: isText }),
  receive: () => true,
  logout: () => true,
};

const isName: Check = (value) => isText(value) && Object.hasOwn(COMMANDS, value as string);
const isNamed = hasFields({ name: isName });
const isCommand: Check = (value) =>
  isNamed(value) && COMMANDS[(value as { readonly name: string }).name]!(value);

const isFreeSince: Check = (value) => value === undefined || isTime(value);
const isLeave = hasFields({ at: isTime, member: isText });

/** The entries that a batch of a member holds behind its first. */
const INNER: Checks = {
  command: hasFields({ at: isTime, actor: isActor, command: isCommand }),
  take: hasFields({ actor: isActor, shown: isShown }),
  end: hasFields({ at: isTime, session: isSession, address: isText }),
  seen: hasFields({ at: isTime, address: isText }),
  forget: hasFields({ user: isText, id: isCount, freeSince: isFreeSince }),
  leave: isLeave,
  return: hasFields({ user: isText, id: isCount, mail: isMail }),
};

const isBatch = hasFields({ at: isTime, member: isText, batch: isCount });

/** The entries that are sent alone. */
const ALONE: Checks = {
  join: hasFields({ at: isTime, member: isText, rules: isCount, settings: isSettings }),
  leave: isLeave,
  raise: hasFields({ rules: isCount }),
};

function isOneOf(checks: Checks, entry: Entry): boolean {
  return Object.hasOwn(checks, entry.kind) && checks[entry.kind]!(entry);
}

/** The entries of a batch of a shared chat; `undefined` for a text that is none. */
export function readSharedBatch(text: string): readonly Entry[] | undefined {
  let entries: readonly Entry[];
  try {
    entries = decodeEntries(text);
  } catch {
    return undefined;
  }
  const [first, ...rest] = entries;
  if (first === undefined) return undefined;
  const isOurs = first.kind === "batch"
    ? isBatch(first) && rest.every((entry) => isOneOf(INNER, entry))
    : rest.length === 0 && isOneOf(ALONE, first);
  return isOurs ? entries : undefined;
}
