/** A real Chromium for the tests of the page. */
import { assertEquals } from "@std/assert";
import axe from "axe-core" with { type: "text" };
import type { Browser, BrowserContextOptions, Page } from "playwright-core";

/** The needs of a test of the page. */
export const CHROMIUM = {
  permissions: ["net", "read", "write", "run", "env"],
  programs: ["chromium"],
} as const;

let browser: Promise<Browser> | undefined;

/** Starts the Chromium that all tests of a file share; {@link closeBrowser} ends it. */
async function launch(): Promise<Browser> {
  const { chromium } = await import("playwright-core");
  const { stdout } = await new Deno.Command("which", { args: ["chromium"] }).output();
  const executablePath = new TextDecoder().decode(stdout).trim();
  // Root, as in CI, can start Chromium only without its sandbox.
  return await chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

/**
 * One user's page: it shares no storage with the pages of other visitors. Disposing it closes it, and
 * fails if the page wrote a warning on the console or sent a request to another host.
 */
export class Visitor implements AsyncDisposable {
  readonly page: Page;
  readonly complaints: string[] = [];

  private constructor(page: Page) {
    this.page = page;
  }

  /** Opens a page at a URL; `script` runs in it before its own scripts. */
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
      // The browser itself writes these when the server is away.
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

  /** The rules of accessibility that the page breaks now, by axe-core. */
  async violations(): Promise<string[]> {
    // The debugger evaluates it, which the page's Content-Security-Policy does not forbid.
    await this.page.evaluate(axe);
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

/** Joins the chat under a name, by the keyboard alone. */
export async function join(page: Page, name: string): Promise<void> {
  await page.getByLabel("Your name").fill(name);
  await page.keyboard.press("Enter");
  await page.getByRole("log").waitFor();
}

/** Sends a line as its user types it. */
export async function say(page: Page, text: string): Promise<void> {
  await page.locator("#text").fill(text);
  await page.keyboard.press("Enter");
}

/** Waits for this many messages, and returns the texts of all. */
export async function messages(page: Page, count: number): Promise<string[]> {
  await page.locator(`.message:nth-child(${count})`).waitFor();
  return await page.locator(".message .text").allTextContents();
}

/** A script for {@link Visitor.open}: `fetch` fails until `fetchFails` is set to false. */
export const FETCH_FAILS = `globalThis.fetchFails = true;
  const fetchNow = globalThis.fetch;
  globalThis.fetch = (...args) =>
    globalThis.fetchFails ? Promise.reject(new TypeError("Failed to fetch")) : fetchNow(...args);`;

/** Ends Chromium, if it was started. */
export async function closeBrowser(): Promise<void> {
  await (await browser)?.close();
  browser = undefined;
}
