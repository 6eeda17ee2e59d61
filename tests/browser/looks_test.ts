/** How the page looks: long lists, strange texts, colours and widths. */
import { assertEquals } from "@std/assert";
import { after, describe } from "@std/testing/bdd";
import { CHROMIUM, closeBrowser, FETCH_FAILS, join, messages, say, Visitor } from "./browser.ts";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveWeb, until } from "../support.ts";

describe("the look of the page", () => {
  after(closeBrowser);

  itNeeds(
    CHROMIUM,
    "shows each message of a full mailbox, and the first of many users",
    async () => {
      await using server = serveWeb();
      using bob = await Peer.connect(server.port);
      using old = await Peer.connect(server.port);
      await old.ask("register", "Al");
      for (let i = 0; i < 300; i++) await bob.ask("register", `user ${i}`);
      for (let i = 0; i < 1000; i++) await bob.ask("send", "Al", `${i}`);
      old.close();
      await until(() => server.server.facts.connections === 1, "the old connection has ended");
      await using al = await Visitor.open(server.url);
      await join(al.page, "Al");
      const texts = await messages(al.page, 1000);
      assertEquals(texts, Array.from({ length: 1000 }, (_, i) => `${i}`));
      await al.page.getByText("and 100 more: write @name").waitFor();
    },
  );

  itNeeds(CHROMIUM, "shows markup, emoji and right-to-left text as they are", async () => {
    await using server = serveWeb();
    await using al = await Visitor.open(server.url);
    await join(al.page, "Al");
    using bob = await Peer.connect(server.port);
    const name = "<b>אב";
    await bob.ask("register", name);
    const TEXTS = [
      "<script>document.title = 'broken'</script>",
      "<img src=x onerror=alert(1)>",
      "שלום (right to left)",
      "👩‍👩‍👧 e\u0301 \u202ereversed",
      "&amp; &lt;",
    ];
    for (const text of TEXTS) await bob.ask("send", "Al", text);
    assertEquals(await messages(al.page, TEXTS.length), TEXTS);
    assertEquals(await al.page.title(), "asvt-chat");
    assertEquals(await al.page.locator(".message .meta bdi").first().textContent(), name);
    const rightToLeft = al.page.locator(".message .text:dir(rtl)");
    assertEquals(await rightToLeft.allTextContents(), [TEXTS[2]]);
  });

  itNeeds(CHROMIUM, "escapes invisible symbols of a name in every place", async () => {
    await using server = serveWeb();
    await using al = await Visitor.open(server.url);
    await join(al.page, "Al\u200b");
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Al");
    using eve = await Peer.connect(server.port);
    await eve.ask("register", "\u202eAl");
    await eve.ask("sendall", "I am Al");
    await bob.ask("sendall", "no, I am");
    await messages(al.page, 2);
    const meta = al.page.locator(".message .meta bdi");
    assertEquals(await meta.allTextContents(), ["\\u202eAl", "Al"]);
    await al.page.getByRole("button", { name: "\\u202eAl" }).click();
    await al.page.getByLabel("To @\\u202eAl").fill("hi");
    await al.page.keyboard.press("Enter");
    await messages(al.page, 3);
    assertEquals(await meta.last().textContent(), "@\\u202eAl");
    assertEquals(await eve.mail("receive"), ["Al: no, I am", "Al\u200b: hi"]);
    await al.page.getByRole("status").getByText("Hello, Al\\u200b").waitFor();
    await al.page.getByText("Leave for good").click();
    await al.page.getByRole("button", { name: "Leave as Al\\u200b" }).waitFor();
    await al.page.getByRole("link", { name: "Wire" }).click();
    const watched = al.page.getByRole("combobox", { name: "Watch" });
    await watched.getByText(", \\u202eAl").waitFor({ state: "attached" });
    assertEquals(/[\u200b\u202e]/.exec(await al.page.locator("body").innerText()), null);
  });

  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [1200, 360]) {
      itNeeds(
        CHROMIUM,
        `has no violation of axe-core's rules, ${colorScheme}, ${width} px wide`,
        async () => {
          await using server = serveWeb();
          using bob = await Peer.connect(server.port);
          await bob.ask("register", "Bob");
          const viewport = { width, height: 740 };
          await using al = await Visitor.open(server.url, { viewport, colorScheme });
          const { page } = al;
          assertEquals(await al.violations(), []);
          await join(page, "Al");
          await bob.ask("send", "Al", "hi");
          await messages(page, 1);
          await say(page, "x".repeat(70));
          await page.getByRole("alert").getByText("70 symbols").waitFor();
          assertEquals(await al.violations(), []);
          assertEquals(await page.evaluate("document.documentElement.scrollWidth"), width);
          await page.getByRole("link", { name: "Wire" }).click();
          await page.getByRole("button", { name: "Watch", exact: true }).click();
          await page.getByText("Waiting for the next connection").waitFor();
          using student = await Peer.connect(server.port);
          await student.ask("ping");
          await student.write(Uint8Array.of(0, 0, 0, 5));
          await page.getByText("big-endian", { exact: true }).waitFor();
          assertEquals(await al.violations(), []);
          assertEquals(await page.evaluate("document.documentElement.scrollWidth"), width);
          await using eve = await Visitor.open(server.url, { viewport, colorScheme }, FETCH_FAILS);
          await eve.page.getByLabel("Your name").fill("Eve");
          await eve.page.keyboard.press("Enter");
          await eve.page.getByRole("button", { name: "Use another name" }).waitFor();
          assertEquals(await eve.violations(), []);
          assertEquals(await eve.page.evaluate("document.documentElement.scrollWidth"), width);
        },
      );
    }
  }
});
