/**
 * `deno task dev:page`: writes `lib/http/page.json` anew, from which the server serves its page. Deno
 * imports JSON without a permission, but no other text of a program that is started through a link.
 */
import { stripTypeScriptTypes } from "node:module";

const LIB = new URL("../../lib/", import.meta.url);
const BUNDLE = new URL("http/page.json", LIB);

/**
 * Sources by the paths that a browser asks for: in `/chat.js` it resolves `../../text/printable.ts`
 * to `/text/printable.ts`.
 */
const SOURCES = {
  "/": "http/page/index.html",
  "/style.css": "http/page/style.css",
  "/chat.css": "http/page/chat.css",
  "/wire.css": "http/page/wire.css",
  "/narrow.css": "http/page/narrow.css",
  "/frames.js": "http/page/frames.js",
  "/connection.js": "http/page/connection.js",
  "/chat_client.js": "http/page/chat_client.js",
  "/page.js": "http/page/page.js",
  "/history.js": "http/page/history.js",
  "/chat.js": "http/page/chat.js",
  "/wire.js": "http/page/wire.js",
  "/text/input_line.ts": "text/input_line.ts",
  "/text/nearest.ts": "text/nearest.ts",
  "/text/printable.ts": "text/printable.ts",
  "/text/symbols.ts": "text/symbols.ts",
};

/** The bundle as it is stored. */
export function readBundle(): string {
  return Deno.readTextFileSync(BUNDLE);
}

/** The bundle as it should be: the lines of each file by its path; TypeScript without its types. */
export function makeBundle(): string {
  const files = Object.entries(SOURCES).map(([path, file]) => {
    const source = Deno.readTextFileSync(new URL(file, LIB));
    const text = file.endsWith(".ts") ? stripTypeScriptTypes(source) : source;
    return [path, text.split("\n")] as const;
  });
  return `${JSON.stringify(Object.fromEntries(files), null, 2)}\n`;
}

if (import.meta.main) Deno.writeTextFileSync(BUNDLE, makeBundle());
