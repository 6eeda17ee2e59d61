/** Checks file permissions before Deno asks for them: its prompt would wait for an answer. */
import { UsageError } from "../errors.ts";
import { IS_BINARY } from "../program.ts";
import { printable } from "../text/printable.ts";
import { shellWord } from "../text/shell.ts";

type Access = "read" | "write";

/** A flag whose value is a secret; the value may be the next argument. */
const SECRET = /^--admin-token(=.*)?$/s;
/** The secret in the command that is printed. A shell refuses its place while it is not set. */
const SECRET_VARIABLE = '"${ADMIN_TOKEN:?}"';

/**
 * Throws {@link UsageError} where the program may not read or write these files. An empty path is no
 * file. The message has the command line that works: with the permissions, and with `more`.
 */
export function requireFiles(
  needs: Readonly<Record<Access, readonly string[]>>,
  more: readonly string[] = ["--allow-net"],
): void {
  const names = (["read", "write"] as const).filter((name) => needs[name].some(isGiven));
  const files = [...new Set(names.flatMap((name) => needs[name].filter(isGiven)))];
  const isDenied = (name: Access, path: string) =>
    needs[name].includes(path) &&
    Deno.permissions.querySync({ name, path }).state !== "granted";
  const denied = names.filter((name) => files.some((path) => isDenied(name, path)));
  if (denied.length === 0) return;
  const where = files.filter((path) => names.some((name) => isDenied(name, path)));
  const what = `Not allowed to ${denied.join(" and ")} ${where.map(printable).join(", ")}`;
  const grants = names.map((name) =>
    `--allow-${name}=${needs[name].filter(isGiven).map(grantable).join(",")}`
  );
  const flags = [...more, ...grants];
  const notes = notesOn(files);
  throw new UsageError([`${what}.`, ...notes, `Run: ${commandWith(flags)}`].join(" "));
}

function isGiven(path: string): boolean {
  return path !== "";
}

/** The path, or the nearest folder above it without a comma: Deno splits a list of paths there. */
function grantable(path: string): string {
  const comma = path.indexOf(",");
  if (comma < 0) return path;
  const folder = /^.*[/\\]/s.exec(path.slice(0, comma))?.[0];
  return folder === undefined ? "." : folder.replace(/(?<=.)[/\\]$/, "");
}

/** The command that runs this program, or makes it, with these permissions. */
function commandWith(flags: readonly string[]): string {
  const allowed = flags.map(shellWord).join(" ");
  if (IS_BINARY) return `deno compile ${allowed} --output asvt-chat main.ts`;
  return `deno run ${allowed} main.ts ${shellArguments(Deno.args).join(" ")}`;
}

/** The arguments as words of a shell, without secrets. */
function shellArguments(args: readonly string[]): string[] {
  return args.map((arg, at) => {
    if (args[at - 1] === "--admin-token") return SECRET_VARIABLE;
    return SECRET.test(arg) && arg.includes("=")
      ? `--admin-token=${SECRET_VARIABLE}`
      : shellWord(arg);
  });
}

/** Sentences about the command that its user has to know. */
function notesOn(files: readonly string[]): string[] {
  const comma = files.find((path) => path.includes(","));
  const hereMain =
    new URL("main.ts", `file://${Deno.cwd().replace(/[%?#]/g, encodeURIComponent)}/`).href;
  return [
    IS_BINARY &&
    "This binary was compiled without that permission: compile it in the folder of its sources.",
    comma !== undefined &&
    "Deno can't grant a path with a comma, so this grants the folder that it is in.",
    !IS_BINARY && Deno.args.some((arg) => SECRET.test(arg)) &&
    "Set ADMIN_TOKEN to the token first.",
    !IS_BINARY && Deno.mainModule !== hereMain &&
    `For main.ts write ${shellWord(decodeURIComponent(new URL(Deno.mainModule).pathname))}.`,
  ].filter((note) => note !== false);
}
