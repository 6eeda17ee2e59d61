/** The files that the page is made of, as a browser loads them. */
import { stripTypeScriptTypes } from "node:module";
import indexHtml from "./page/index.html" with { type: "text" };
import styleCss from "./page/style.css" with { type: "text" };
import chatCss from "./page/chat.css" with { type: "text" };
import wireCss from "./page/wire.css" with { type: "text" };
import narrowCss from "./page/narrow.css" with { type: "text" };
import framesJs from "./page/frames.js" with { type: "text" };
import connectionJs from "./page/connection.js" with { type: "text" };
import talkJs from "./page/talk.js" with { type: "text" };
import pageJs from "./page/page.js" with { type: "text" };
import historyJs from "./page/history.js" with { type: "text" };
import chatJs from "./page/chat.js" with { type: "text" };
import wireJs from "./page/wire.js" with { type: "text" };
import inputLineTs from "../text/input_line.ts" with { type: "text" };
import nearestTs from "../text/nearest.ts" with { type: "text" };
import printableTs from "../text/printable.ts" with { type: "text" };
import symbolsTs from "../text/symbols.ts" with { type: "text" };

/** A file and its media type. */
export interface PageFile {
  readonly type: string;
  readonly text: string;
}

/** Paths as the page's own imports name them: `/chat.js` imports `../../text/printable.ts`. */
const FILES: Readonly<Record<string, string>> = {
  "/": indexHtml,
  "/style.css": styleCss,
  "/chat.css": chatCss,
  "/wire.css": wireCss,
  "/narrow.css": narrowCss,
  "/frames.js": framesJs,
  "/connection.js": connectionJs,
  "/talk.js": talkJs,
  "/page.js": pageJs,
  "/history.js": historyJs,
  "/chat.js": chatJs,
  "/wire.js": wireJs,
  "/text/input_line.ts": inputLineTs,
  "/text/nearest.ts": nearestTs,
  "/text/printable.ts": printableTs,
  "/text/symbols.ts": symbolsTs,
};

const served = new Map<string, PageFile>();

/** The file at a path; `undefined` where there is none. TypeScript has lost its types. */
export function pageFile(path: string): PageFile | undefined {
  const source = Object.hasOwn(FILES, path) ? FILES[path] : undefined;
  if (source === undefined) return undefined;
  const known = served.get(path) ?? serve(path, source);
  served.set(path, known);
  return known;
}

function serve(path: string, source: string): PageFile {
  if (path.endsWith(".ts")) return { type: "text/javascript", text: stripTypeScriptTypes(source) };
  if (path.endsWith(".js")) return { type: "text/javascript", text: source };
  return { type: path.endsWith(".css") ? "text/css" : "text/html", text: source };
}
