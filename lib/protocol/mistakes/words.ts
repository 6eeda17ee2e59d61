/** Frames that are whole, but whose text is no command. Pure. */
import { nearest } from "../../text/nearest.ts";
import { quoted } from "../../text/printable.ts";
import { sentence } from "../../text/phrases.ts";
import { clip } from "../../text/symbols.ts";
import type { CommandName } from "../command.ts";
import { parseReplyText, TEXT_CODES } from "../reply.ts";
import {
  argumentsInWords,
  behindLength,
  type Evidence,
  framesFit,
  isWhole,
  latin1,
  payloadOf,
  utf8,
} from "./evidence.ts";
import type { Finding } from "./finding.ts";

/** Words of other protocols and of people, by the command that does what they mean. */
const MEANINGS: Readonly<Partial<Record<CommandName, string>>> = {
  register: "login signin signup sign_in sign_up nick name join connect auth reg " +
    "registration username enter set_name setname",
  logout:
    "exit quit bye close disconnect leave end stop part logoff signout sign_out unregister exit() q",
  users:
    "list ls online who names user_list userlist get_users getusers list_users listusers clients " +
    "members online_users show users_list all_users",
  receive: "get recv read inbox messages check pull poll retrieve mail getmessages get_messages " +
    "receive_messages receiveall receive_all history recieve rcv update",
  send:
    "msg message write say post privmsg sendto send_to tell whisper pm dm private send_message " +
    "sendmessage sendmsg chat text",
  sendall:
    "broadcast all everyone send_all send-all publish notice public shout bcast toall send_to_all",
  help: "? h man usage commands",
};

const COMMAND_OF: ReadonlyMap<string, CommandName> = new Map(
  Object.entries(MEANINGS).flatMap(([command, words]) =>
    words.split(" ").map((word) => [word, command as CommandName] as const)
  ),
);

/** An empty frame where a command should be. */
export function emptyCommand(seen: Evidence): Finding | undefined {
  if (seen.command !== undefined || !isWhole(seen) || payloadOf(seen).length > 0) return undefined;
  const hint = frameCountHint(seen);
  if (hint !== undefined && behindLength(seen).length === 0) {
    const rule =
      `An empty frame (4 NULs) stands where a command should begin. ${hint} If NULs fill up ` +
      "the text before, do not send them";
    return { code: "empty-command", rule };
  }
  const rule =
    "A command of 0 bytes: 4 bytes of zero stand where a length should be. Send the length " +
    "of the command's name, then the name. If your lengths have 8 bytes, send 4; if NULs fill up the " +
    "text before, do not send them";
  return { code: "empty-command", rule };
}

/** A word that is no command. */
export function unknownCommand(seen: Evidence): Finding | undefined {
  if (seen.command !== undefined || !isWhole(seen)) return undefined;
  const payload = payloadOf(seen);
  const word = utf8(payload) ?? latin1(payload);
  const meant = meantBy(word, seen.commands);
  const known = `The commands are ${seen.commands.join(", ")}`;
  const hints = parseReplyText(word, TEXT_CODES) !== undefined
    ? ["It is a reply of the server: is what comes from there sent back to it?"]
    : meant === undefined
    ? [orderHint(seen) ?? frameCountHint(seen) ?? numberHint(payload), known]
    : word.toLowerCase() === meant
    ? [`Commands are in small letters: '${meant}'`]
    : [`Did you mean '${meant}'? It takes ${argumentsInWords(meant)}`, known];
  const sentences = hints.filter((hint) => hint !== undefined).map(sentence);
  const rule = ["This frame is no command.", ...sentences].join(" ");
  return { code: "unknown-command", rule, seen: `It is ${quoted(clip(word, 24))}` };
}

/** A longer word is no command with a slip. */
const MEANT_SYMBOLS_MAX = 24;

/** The command that a word stands for; `undefined` if none is near. */
function meantBy(given: string, commands: readonly CommandName[]): CommandName | undefined {
  const word = bare(given);
  const known = COMMAND_OF.get(word);
  if (known !== undefined && commands.includes(known)) return known;
  if (word.length > MEANT_SYMBOLS_MAX) return undefined;
  return commands.find((command) => command === nearest(word, commands));
}

/** The word in small letters, without a sign before it and marks behind it. */
function bare(word: string): string {
  return word.toLowerCase().replace(/^[/\\!.:@#]+(?=.)|(?:\\[rn0]|[^\p{L}\p{N}?)])+$/gu, "");
}

/** Does a known command stand behind this frame, before which nothing came? */
function orderHint(seen: Evidence): string | undefined {
  if (seen.past.length > 0) return undefined;
  return framesFit(seen, behindLength(seen), payloadOf(seen).length, "command")
    ? "A command comes before its arguments: is this one an argument?"
    : undefined;
}

/** Is the command a number, as in a program with an enum? */
function numberHint(payload: Uint8Array): string | undefined {
  return /^(?:\d{1,3}|\p{Cc}{1,4})$/u.test(latin1(payload))
    ? "A command is a word, not a number"
    : undefined;
}

/** Was one frame too many or too few sent with the command before? */
function frameCountHint({ past, commands }: Evidence): string | undefined {
  const known = commands as readonly string[];
  const at = past.findLastIndex(({ payload }, index) =>
    known.includes(latin1(payload)) && (index === 0 || past[index - 1]!.next === "command")
  );
  if (at < 0) return undefined;
  const before = latin1(past[at]!.payload) as CommandName;
  const taken = past.slice(at + 1).map(({ payload }) => latin1(payload))
    .find((word) => known.includes(word));
  const takes = `The command before it, '${before}', takes ${argumentsInWords(before)}` +
    (before === "sendall" ? " and no receiver" : "");
  return taken === undefined
    ? `${takes}, and nothing more: is this frame one too many?`
    : `${takes}, and took '${taken}' for it: was a frame forgotten there?`;
}
