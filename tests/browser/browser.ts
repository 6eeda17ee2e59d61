/** A real Chromium for the tests of the page. */
import { assertEquals } from "@std/assert";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";

/** What a test of the page needs. */
export const CHROMIUM = {
  permissions: ["net", "read", "write", "run", "env"],
  programs: ["chromium"],
} as const;

let browser: Promise<Browser> | undefined;

/** One Chromium for all tests of a file; closed by {@link closeBrowser}. */
async function launch(): Promise<Browser> {
  const { chromium } = await import("playwright-core");
  const { stdout } = await new Deno.Command("which", { args: ["chromium"] }).output();
  const executablePath = new TextDecoder().decode(stdout).trim();
  // As root, which CI is, Chromium starts in no other way.
  return await chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

/** A page of its own, as of another person, which must say nothing on the console and ask no other host. */
export class Visitor implements AsyncDisposable {
  readonly page: Page;
  readonly complaints: string[] = [];

  private constructor(page: Page) {
    this.page = page;
  }

  /** Opens a page; the script runs in it before its own. */
  static async open(
    url: string,
    options: BrowserContextOptions = {},
    script = "",
  ): Promise<Visitor> {
    browser ??= launch();
    const context = await (await browser).newContext({ reducedMotion: "reduce", ...options });
    await context.addInitScript(script);
    const visitor = new Visitor(await context.newPage());
    visitor.#listen(new URL(url).host);
    await visitor.page.goto(url);
    return visitor;
  }

  #listen(host: string): void {
    this.page.on("console", (message) => {
      // The browser itself says so when the server is away.
      const isAway = /ERR_CONNECTION_REFUSED|WebSocket connection to|Failed to load resource/;
      if (/error|warning/.test(message.type()) && !isAway.test(message.text())) {
        this.complaints.push(message.text());
      }
    });
    this.page.on("pageerror", (error) => this.complaints.push(String(error)));
    this.page.on("request", (request) => {
      const url = new URL(request.url());
      const isOwn = url.host === host || ["data:", "blob:"].includes(url.protocol);
      if (!isOwn) this.complaints.push(`a request to ${request.url()}`);
    });
  }

  /** What axe-core finds wrong for people who can't see, or use no mouse. */
  async violations(): Promise<string[]> {
    // Texts are evaluated by the debugger, so that the page's own policy stays as it is.
    await this.page.evaluate(Deno.readTextFileSync(new URL(import.meta.resolve("axe-core"))));
    return await this.page.evaluate(
      `axe.run(document).then(({ violations }) => violations.map(({ id, nodes }) =>
         id + ": " + nodes.map(({ html }) => html).join(" ")))`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
    assertEquals(this.complaints, []);
  }
}

/** Ends Chromium, if it was started. */
export async function closeBrowser(): Promise<void> {
  await (await browser)?.close();
  browser = undefined;
}
