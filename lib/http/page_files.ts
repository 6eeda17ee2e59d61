/** The files of the page, as a browser loads them. */
import { stripTypeScriptTypes } from "node:module";
import indexHtml from "./page/index.html" with { type: "text" };
import styleCss from "./page/style.css" with { type: "text" };
import chatCss from "./page/chat.css" with { type: "text" };
import wireCss from "./page/wire.css" with { type: "text" };
import narrowCss from "./page/narrow.css" with { type: "text" };
import framesJs from "./page/frames.js" with { type: "text" };
import connectionJs from "./page/connection.js" with { type: "text" };
import chatClientJs from "./page/chat_client.js" with { type: "text" };
import pageJs from "./page/page.js" with { type: "text" };
import historyJs from "./page/history.js" with { type: "text" };
import chatJs from "./page/chat.js" with { type: "text" };
import wireJs from "./page/wire.js" with { type: "text" };
import inputLineTs from "../text/input_line.ts" with { type: "text" };
import nearestTs from "../text/nearest.ts" with { type: "text" };
import printableTs from "../text/printable.ts" with { type: "text" };
import symbolsTs from "../text/symbols.ts" with { type: "text" };

/**
 * Sources by the paths that a browser asks for: in `/chat.js` it resolves `../../text/printable.ts`
 * to `/text/printable.ts`.
 */
const SOURCES = {
  "/": indexHtml,
  "/style.css": styleCss,
  "/chat.css": chatCss,
  "/wire.css": wireCss,
  "/narrow.css": narrowCss,
  "/frames.js": framesJs,
  "/connection.js": connectionJs,
  "/chat_client.js": chatClientJs,
  "/page.js": pageJs,
  "/history.js": historyJs,
  "/chat.js": chatJs,
  "/wire.js": wireJs,
  "/text/input_line.ts": inputLineTs,
  "/text/nearest.ts": nearestTs,
  "/text/printable.ts": printableTs,
  "/text/symbols.ts": symbolsTs,
};

/** The files of the page by their paths, with their media types; TypeScript without its types. */
export const PAGE_FILES = new Map(
  Object.entries(SOURCES).map(([path, source]) => [path, fileOf(path, source)] as const),
);

function fileOf(path: string, source: string) {
  if (path.endsWith(".ts")) return { type: "text/javascript", text: stripTypeScriptTypes(source) };
  if (path.endsWith(".js")) return { type: "text/javascript", text: source };
  return { type: path.endsWith(".css") ? "text/css" : "text/html", text: source };
}
