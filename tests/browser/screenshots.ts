/** Makes the screenshots in docs/: `deno task dev:screenshots`. Look at them before you commit them. */
import type { BrowserContextOptions, Page } from "playwright-core";
import { closeBrowser, Visitor } from "./browser.ts";
import { Peer } from "../peer.ts";
import { serveWeb, type TestWeb } from "../support.ts";

const WIDE = { viewport: { width: 1000, height: 620 } };
const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 };

async function shoot(page: Page, name: string): Promise<void> {
  const path = new URL(`../../docs/${name}.png`, import.meta.url).pathname;
  await page.screenshot({ path });
  console.log(path);
}

/** A conversation with a client in C and one on a microcontroller. */
async function chat(name: string, options: BrowserContextOptions): Promise<void> {
  await using server = serveWeb();
  await using ann = await Visitor.open(server.url, options);
  const { page } = ann;
  using bob = await Peer.connect(server.port);
  using esp = await Peer.connect(server.port);
  await bob.ask("register", "Боб");
  await esp.ask("register", "esp32");
  await page.getByLabel("Your name").fill("Ann");
  await page.keyboard.press("Enter");
  await page.getByRole("log").waitFor();
  const messages = (count: number) => page.locator(`.message:nth-child(${count})`).waitFor();
  await bob.ask("sendall", "My client in C says hello to everyone");
  await messages(1);
  await page.locator("#text").fill("It arrives! I am in a browser");
  await page.keyboard.press("Enter");
  await messages(2);
  await esp.ask("sendall", "21.4 °C, window closed");
  await messages(3);
  await page.locator("#text").fill("@esp32 how many bytes of RAM are left?");
  await page.keyboard.press("Enter");
  await messages(4);
  await esp.ask("send", "Ann", "184320");
  await bob.ask("send", "Ann", "שלום — from right to left, too");
  await messages(6);
  await shoot(page, name);
}

/** The frames of a client that sends a length in the wrong byte order. */
async function wire(server: TestWeb): Promise<void> {
  await using teacher = await Visitor.open(`${server.url}/#wire`, WIDE);
  const { page } = teacher;
  await page.getByRole("button", { name: "Watch", exact: true }).click();
  await page.getByText("Waiting for the next connection").waitFor();
  using student = await Peer.connect(server.port);
  await student.ask("register", "Stu");
  await student.ask("users");
  await student.write(Uint8Array.of(0, 0, 0, 7, ...new TextEncoder().encode("receive")));
  student.close();
  await page.getByText("The connection has ended").waitFor();
  await shoot(page, "wire");
}

if (Deno.args.length > 0) console.log("Makes the screenshots in docs/. It takes no flags.");
else {
  await chat("page", WIDE);
  await chat("page-dark", { ...WIDE, colorScheme: "dark" });
  await chat("page-phone", PHONE);
  await using server = serveWeb();
  await wire(server);
  await closeBrowser();
}
