/** The texts of `--help`, one for each subcommand. */
import { helpLines } from "../flags.ts";
import { CLIENT_FLAGS, DUMP_FLAGS, INSPECT_FLAGS, NO_FLAGS, SERVER_FLAGS } from "../options.ts";

/** The help of `serve`; it lists all subcommands. */
export function serveHelp(version: string): string {
  return `asvt-chat ${version}: a chat server with mailboxes

Usage:
  main.ts [serve] [flags]                      serve
  main.ts client [name] [--connect HOST:PORT]  chat in the terminal
  main.ts ping HOST:PORT                       exit code 0 if a server answers there
  main.ts inspect [FILE] [--hex]               what the bytes of a client mean, and what is wrong
  main.ts dump FILE [--json]                   what a file of --data holds, without texts
  main.ts forget FILE NAME                     remove a user from a file that no server uses
  main.ts raise --journal URLS                 after an upgrade of all servers: use its new rules

Flags of serve:
${helpLines(SERVER_FLAGS)}`;
}

export const CLIENT_HELP = `Chat in the terminal: main.ts client [name] [flags]

${helpLines(CLIENT_FLAGS)}`;

export const PING_HELP =
  `Ask whether a server answers: main.ts ping HOST:PORT. The exit code is 0 if it does, else 1

${helpLines(NO_FLAGS)}`;

export const INSPECT_HELP =
  `Explain the bytes of a client, frame by frame: main.ts inspect [FILE] [flags]. Without FILE, or
for -, they come from stdin. The exit code is 0 if all are whole commands, else 1

${helpLines(INSPECT_FLAGS)}`;

export const DUMP_HELP =
  `Show users and counts of a file of --data, never texts: main.ts dump FILE [flags]. A server may
be using the file

${helpLines(DUMP_FLAGS)}`;

export const FORGET_HELP =
  `Remove a user and the mail from a file of --data that no server uses: main.ts forget FILE NAME

${helpLines(NO_FLAGS)}`;

export const RAISE_HELP =
  `Make all servers that share a chat in NATS decide by the rules of this release, if all of them know
these rules: main.ts raise --journal URLS, with the flags that the servers were started with`;

/** Prints a text on stdout. Returns the exit code 0. */
export function print(text: string): number {
  console.log(text);
  return 0;
}
