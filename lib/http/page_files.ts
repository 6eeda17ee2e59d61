/** The files of the page, as a browser loads them. */
import bundle from "./page.json" with { type: "json" };

/** The media types by the ends of the paths; TypeScript comes without its types. */
const TYPES = [[/\.[jt]s$/, "text/javascript"], [/\.css$/, "text/css"], [
  /\/$/,
  "text/html",
]] as const;

/** The files of the page by their paths, with their media types. */
export const PAGE_FILES = new Map(
  Object.entries(bundle).map(([path, lines]) => {
    const [, type = "text/plain"] = TYPES.find(([end]) => end.test(path)) ?? [];
    return [path, { type, text: lines.join("\n") }] as const;
  }),
);
