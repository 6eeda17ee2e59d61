/** The chat of the page: talking, refusals, the list of users. */
import { assertEquals } from "@std/assert";
import { after, describe } from "@std/testing/bdd";
import { CHROMIUM, closeBrowser, join, messages, say, Visitor } from "./browser.ts";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveWeb } from "../support.ts";

describe("the chat of the page", () => {
  after(closeBrowser);

  itNeeds(CHROMIUM, "lets two pages and a client over TCP talk to each other", async () => {
    await using server = serveWeb();
    await using al = await Visitor.open(server.url);
    await using bob = await Visitor.open(server.url);
    using tess = await Peer.connect(server.port);
    await join(al.page, "Al");
    await join(bob.page, "Bob");
    await tess.ask("register", "Tess");
    await tess.ask("sendall", "hello from C");
    assertEquals(await messages(al.page, 1), ["hello from C"]);
    await say(al.page, "hi all");
    assertEquals(await messages(bob.page, 2), ["hello from C", "hi all"]);
    await say(bob.page, "@Al just you");
    assertEquals(await messages(al.page, 3), ["hello from C", "hi all", "just you"]);
    await al.page.getByRole("button", { name: "Tess" }).click();
    await al.page.getByLabel("To @Tess").fill("and you");
    await al.page.keyboard.press("Enter");
    await messages(al.page, 4);
    assertEquals(await tess.mail("receive"), ["Al: hi all", "Al: and you"]);
    await al.page.keyboard.press("Escape");
    await al.page.getByLabel("To everyone").waitFor();
  });

  itNeeds(CHROMIUM, "never sends to all what begins with a slash or an at sign", async () => {
    await using server = serveWeb();
    await using al = await Visitor.open(server.url);
    using bob = await Peer.connect(server.port);
    using eve = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    await eve.ask("register", "Eve\u200d");
    await join(al.page, "Al");
    const alert = (text: string) => al.page.getByRole("alert").getByText(text).waitFor();
    const notice = (text: string) => al.page.locator(".notice").getByText(text).waitFor();
    await say(al.page, "/msg Bob one");
    await messages(al.page, 1);
    await say(al.page, " @Bob two");
    await messages(al.page, 2);
    await say(al.page, "\u200b\u3000@Bob three");
    await messages(al.page, 3);
    await say(al.page, "/help");
    await notice("To one person: @Bob hi");
    await say(al.page, " /users");
    await notice("3 here: Bob, Eve\\u200d, Al");
    await al.page.getByRole("button", { name: "Eve\\u200d" }).waitFor();
    await say(al.page, "/hlep");
    await alert("There is no /hlep: did you mean /help?");
    await say(al.page, " @Bob");
    await alert("To one person: @Bob hi");
    await say(al.page, "/quit");
    await al.page.getByLabel("Your name").waitFor();
    assertEquals(await bob.mail("receive"), ["Al: one", "Al: two", "Al: three"]);
    assertEquals(await eve.mail("receive"), []);
  });

  itNeeds(
    CHROMIUM,
    "shows a refusal beside its field, and keeps the text in the field",
    async () => {
      await using server = serveWeb("--mailbox-messages-max", "1");
      using bob = await Peer.connect(server.port);
      await bob.ask("register", "Bob");
      await using al = await Visitor.open(server.url);
      await al.page.getByLabel("Your name").fill("Bob");
      await al.page.keyboard.press("Enter");
      const alert = (text: string) => al.page.getByRole("alert").getByText(text).waitFor();
      await alert("'Bob' already exists!");
      await al.page.getByLabel("Your name").fill("123456789");
      await al.page.keyboard.press("Enter");
      await alert("The name is too long: 9 symbols, at most 8 are allowed");
      await join(al.page, "👍👍👍👍👍👍👍👍");
      await say(al.page, "@Bob 1");
      await messages(al.page, 1);
      await say(al.page, "@Bob 2");
      await alert("Mailbox of 'Bob' is full!");
      assertEquals(await al.page.locator("#text").inputValue(), "@Bob 2");
      await say(al.page, "@Nobody hi");
      await alert("User 'Nobody' doesn't exist!");
      await say(al.page, "👍".repeat(61));
      await alert("The text is too long: 61 symbols, at most 60 are allowed");
      await al.page.locator("#text").fill("👍".repeat(60));
      await al.page.getByText("0 left").waitFor();
      await al.page.keyboard.press("Enter");
      await al.page.getByText("Full mailboxes: 1").or(al.page.locator(".message.mine").nth(1))
        .first()
        .waitFor();
    },
  );

  itNeeds(
    CHROMIUM,
    "reads a line as the terminal does, and sends it to no other user",
    async () => {
      await using server = serveWeb();
      await using al = await Visitor.open(server.url);
      await join(al.page, "Al");
      using ann = await Peer.connect(server.port);
      using ab = await Peer.connect(server.port);
      await ann.ask("register", "Ann");
      await ab.ask("register", "A b");
      for (const line of ["@Ann", "@Ann ", '@"A b hi', "@ hi"]) {
        await say(al.page, line);
        await al.page.getByRole("alert").getByText("To one person: @Bob hi").waitFor();
        assertEquals(await al.page.locator("#text").inputValue(), line);
        await al.page.locator("#text").fill("");
        assertEquals(await al.page.locator("#text-error").textContent(), "");
      }
      await say(al.page, "@@Ann hi");
      await messages(al.page, 1);
      await say(al.page, '@"A b" just you');
      await messages(al.page, 2);
      await say(al.page, "//users");
      assertEquals(await messages(al.page, 3), ["@Ann hi", "just you", "/users"]);
      assertEquals(await ann.mail("receive"), ["Al: @Ann hi", "Al: /users"]);
      assertEquals(await ab.mail("receive"), ["Al: @Ann hi", "Al: just you", "Al: /users"]);
      await al.page.getByRole("button", { name: "Ann" }).click();
      await say(al.page, "@@ to you alone");
      await messages(al.page, 4);
      assertEquals(await ann.mail("receive"), ["Al: @ to you alone"]);
      assertEquals(await ab.mail("receive"), []);
    },
  );

  itNeeds(CHROMIUM, "tells a user who is named Everyone from everyone", async () => {
    await using server = serveWeb();
    using everyone = await Peer.connect(server.port);
    using bob = await Peer.connect(server.port);
    await everyone.ask("register", "Everyone");
    await bob.ask("register", "Bob");
    await using al = await Visitor.open(server.url);
    const { page } = al;
    await join(page, "Al");
    await page.getByRole("listitem").getByRole("button", { name: "Everyone" }).click();
    await page.getByLabel("To @Everyone").fill("just you");
    await page.keyboard.press("Enter");
    await messages(page, 1);
    await page.getByRole("button", { name: "Everyone", pressed: false }).click();
    await page.getByLabel("To everyone").fill("all of you");
    await page.keyboard.press("Enter");
    await messages(page, 2);
    assertEquals(await page.locator(".message .meta bdi").allTextContents(), [
      "@Everyone",
      "everyone",
    ]);
    assertEquals(await page.getByRole("listitem").allTextContents(), ["Everyone", "Bob"]);
    assertEquals(await everyone.mail("receive"), ["Al: just you", "Al: all of you"]);
    assertEquals(await bob.mail("receive"), ["Al: all of you"]);
  });

  itNeeds(
    CHROMIUM,
    "lets a user be clicked while the list changes, and keeps the focus",
    async () => {
      await using server = serveWeb();
      using bob = await Peer.connect(server.port);
      using tess = await Peer.connect(server.port);
      await bob.ask("register", "Bob");
      await tess.ask("register", "Tess");
      await using al = await Visitor.open(server.url);
      const { page } = al;
      await join(page, "Al");
      const button = page.getByRole("button", { name: "Tess" });
      await button.hover();
      await page.mouse.down();
      // A message of a new user makes the page ask for the users again.
      await bob.ask("logout");
      await bob.ask("register", "Bob2");
      await bob.ask("sendall", "hi");
      await page.getByRole("button", { name: "Bob2" }).waitFor();
      assertEquals(await page.getByRole("listitem").allTextContents(), ["Tess", "Bob2"]);
      assertEquals(await button.evaluate((one) => one === one.ownerDocument.activeElement), true);
      await button.hover();
      await page.mouse.up();
      await page.getByLabel("To @Tess").waitFor();
    },
  );

  itNeeds(CHROMIUM, "works on a strict server, where an IP address has one user", async () => {
    await using server = serveWeb("--strict");
    await using al = await Visitor.open(server.url);
    await join(al.page, "Al");
    await say(al.page, "@Al to myself");
    assertEquals(await messages(al.page, 2), ["to myself", "to myself"]);
  });

  itNeeds(CHROMIUM, "logs the user out by a button", async () => {
    await using server = serveWeb();
    await using al = await Visitor.open(server.url);
    await join(al.page, "Al");
    await al.page.getByText("Leave for good").click();
    await al.page.getByRole("button", { name: "Leave as Al" }).click();
    await al.page.getByLabel("Your name").waitFor();
    assertEquals(server.server.facts.users, 0);
  });
});
