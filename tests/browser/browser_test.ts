/** The page in a real Chromium, as people use it. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { after, describe } from "@std/testing/bdd";
import type { Page } from "playwright-core";
import { CHROMIUM, closeBrowser, Visitor } from "./browser.ts";
import { itNeeds, Peer, serveWeb, until } from "../support.ts";

/** Joins under a name by the keyboard alone. */
async function join(page: Page, name: string): Promise<void> {
  await page.getByLabel("Your name").fill(name);
  await page.keyboard.press("Enter");
  await page.getByRole("log").waitFor();
}

/** Types a line into the field that has the focus. */
async function say(page: Page, text: string): Promise<void> {
  await page.locator("#text").fill(text);
  await page.keyboard.press("Enter");
}

/** The texts of all messages, when there are so many. */
async function messages(page: Page, count: number): Promise<string[]> {
  await page.locator(`.message:nth-child(${count})`).waitFor();
  return await page.locator(".message .text").allTextContents();
}

/** The server says nothing of itself until `isSilent` is no more. */
const SILENT = `globalThis.isSilent = true;
  const ask = globalThis.fetch;
  globalThis.fetch = (...what) =>
    globalThis.isSilent ? Promise.reject(new TypeError("Failed to fetch")) : ask(...what);`;

describe("the page", () => {
  after(closeBrowser);

  itNeeds(CHROMIUM, "lets two pages and a client over TCP talk", async () => {
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

  itNeeds(CHROMIUM, "goes on after a reload, with its name, its history and the mail", async () => {
    await using server = serveWeb();
    await using al = await Visitor.open(server.url);
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    await join(al.page, "Al");
    await bob.ask("send", "Al", "before");
    await messages(al.page, 1);
    await say(al.page, "@Bob an answer");
    await messages(al.page, 2);
    await al.page.goto("about:blank");
    await bob.ask("send", "Al", "meanwhile");
    await al.page.goto(server.url);
    assertEquals(await messages(al.page, 3), ["before", "an answer", "meanwhile"]);
    await al.page.reload();
    await bob.ask("send", "Al", "after");
    assertEquals(await messages(al.page, 4), ["before", "an answer", "meanwhile", "after"]);
  });

  itNeeds(
    CHROMIUM,
    "comes back by itself when the server does, and says so meanwhile",
    async () => {
      let server = serveWeb();
      const { port } = new URL(server.url);
      await using al = await Visitor.open(server.url);
      await join(al.page, "Al");
      await server[Symbol.asyncDispose]();
      await al.page.getByText("Trying again").waitFor();
      await say(al.page, "not lost");
      await al.page.getByRole("alert").getByText("You are not connected").waitFor();
      server = serveWeb("--http", port);
      try {
        await al.page.getByRole("status").getByText("Hello, Al").waitFor();
        assertEquals(await al.page.locator("#text").inputValue(), "not lost");
        await al.page.keyboard.press("Enter");
        assertEquals(await messages(al.page, 1), ["not lost"]);
      } finally {
        await server[Symbol.asyncDispose]();
      }
    },
  );

  itNeeds(CHROMIUM, "says once that it is away, however often it tries", async () => {
    let server = serveWeb();
    const { port } = new URL(server.url);
    await using al = await Visitor.open(server.url);
    const { page } = al;
    await join(page, "Al");
    await page.getByRole("status").getByText("Hello, Al").waitFor();
    await page.evaluate(`globalThis.said = [];
      new MutationObserver((changes) => changes.forEach(({ addedNodes }) =>
        addedNodes.forEach(({ textContent }) => said.push(textContent))))
        .observe(document.getElementById("status"), { childList: true, subtree: true });`);
    await server[Symbol.asyncDispose]();
    await page.getByRole("status").getByText("The server does not answer").waitFor();
    await page.getByText("Trying again").waitFor();
    await page.evaluate(`globalThis.pauses = 0;
      new MutationObserver(() => pauses++)
        .observe(document.getElementById("pause"), { childList: true });`);
    await page.getByRole("button", { name: "Try now" }).focus();
    while (await page.evaluate("pauses < 6")) await page.keyboard.press("Enter");
    server = serveWeb("--http", port);
    try {
      await page.keyboard.press("Enter");
      await page.getByRole("status").getByText("Hello, Al").waitFor();
      const said = await page.evaluate("said");
      assertEquals(said, [
        "The connection is lost.",
        "The server does not answer.",
        "Hello, Al",
      ]);
      assertEquals(await page.locator("#text:focus").count(), 1);
    } finally {
      await server[Symbol.asyncDispose]();
    }
  });

  itNeeds(CHROMIUM, "takes another name when its own is not given back", async () => {
    let server = serveWeb();
    const { port } = new URL(server.url);
    await using al = await Visitor.open(server.url);
    const { page } = al;
    await join(page, "Al");
    await page.goto("about:blank");
    await server[Symbol.asyncDispose]();
    server = serveWeb("--http", port);
    try {
      using before = await Peer.connect(server.port);
      await before.ask("register", "Al");
      await page.goto(server.url);
      await page.getByRole("status").getByText("'Al' already exists.").waitFor();
      await page.getByRole("button", { name: "Use another name" }).click();
      await page.getByRole("alert").getByText("'Al' already exists.").waitFor();
      assertEquals(await page.locator("#name:focus").inputValue(), "Al");
      assertEquals(await page.getByRole("status").textContent(), "");
      await join(page, "Al2");
      await page.reload();
      await page.getByRole("status").getByText("Nice to see you, Al2").waitFor();
    } finally {
      await al[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    }
  });

  itNeeds(CHROMIUM, "says a refusal where it belongs, and keeps what was typed", async () => {
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
    await al.page.getByText("Full mailboxes: 1").or(al.page.locator(".message.mine").nth(1)).first()
      .waitFor();
  });

  itNeeds(CHROMIUM, "shows a full mailbox whole, and many users", async () => {
    await using server = serveWeb();
    using bob = await Peer.connect(server.port);
    using old = await Peer.connect(server.port);
    await old.ask("register", "Al");
    for (let i = 0; i < 300; i++) await bob.ask("register", `user ${i}`);
    for (let i = 0; i < 1000; i++) await bob.ask("send", "Al", `${i}`);
    old.close();
    await until(() => server.server.facts.connections === 1, "the old one is gone");
    await using al = await Visitor.open(server.url);
    await join(al.page, "Al");
    const texts = await messages(al.page, 1000);
    assertEquals(texts, Array.from({ length: 1000 }, (_, i) => `${i}`));
    await al.page.getByText("and 100 more: write @name").waitFor();
  });

  itNeeds(CHROMIUM, "shows every text as text", async () => {
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

  itNeeds(CHROMIUM, "reads a line as the terminal does, and sends to nobody else", async () => {
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
    await say(al.page, "/users");
    assertEquals(await messages(al.page, 3), ["@Ann hi", "just you", "/users"]);
    assertEquals(await ann.mail("receive"), ["Al: @Ann hi", "Al: /users"]);
    assertEquals(await ab.mail("receive"), ["Al: @Ann hi", "Al: just you", "Al: /users"]);
    await al.page.getByRole("button", { name: "Ann" }).click();
    await say(al.page, "@@ to you alone");
    await messages(al.page, 4);
    assertEquals(await ann.mail("receive"), ["Al: @ to you alone"]);
    assertEquals(await ab.mail("receive"), []);
  });

  itNeeds(CHROMIUM, "shows what can't be seen in a name, wherever the name stands", async () => {
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

  for (
    const [what, script] of [
      [
        "forbids to store anything",
        `for (const name of ["sessionStorage", "localStorage"]) {
           const get = () => { throw new DOMException("Forbidden", "SecurityError"); };
           Object.defineProperty(window, name, { get });
         }`,
      ],
      [
        "has no room to store more",
        `const { setItem } = Storage.prototype;
         Storage.prototype.setItem = function (key, value) {
           if (value.length > 100) throw new DOMException("Full", "QuotaExceededError");
           setItem.call(this, key, value);
         };`,
      ],
    ] as const
  ) {
    itNeeds(CHROMIUM, `shows each message once in a browser that ${what}`, async () => {
      let server = serveWeb();
      const { port } = new URL(server.url);
      await using al = await Visitor.open(server.url, {}, script);
      await join(al.page, "Al");
      const { [Symbol.asyncDispose]: stop } = server;
      {
        using bob = await Peer.connect(server.port);
        await bob.ask("register", "Bob");
        for (const text of ["1", "2", "3"]) await bob.ask("send", "Al", text);
        await messages(al.page, 3);
        await say(al.page, "@Bob an answer");
        assertEquals(await messages(al.page, 4), ["1", "2", "3", "an answer"]);
      }
      await stop();
      await al.page.getByText("Trying again").waitFor();
      server = serveWeb("--http", port);
      try {
        await say(al.page, "@Al to myself");
        await al.page.getByRole("status").getByText("Hello, Al").waitFor();
        await al.page.keyboard.press("Enter");
        const all = ["1", "2", "3", "an answer", "to myself", "to myself"];
        assertEquals(await messages(al.page, 6), all);
      } finally {
        await server[Symbol.asyncDispose]();
      }
    });
  }

  itNeeds(CHROMIUM, "asks for the limits until the server says them, and says so", async () => {
    await using server = serveWeb();
    await using al = await Visitor.open(server.url, {}, SILENT);
    await al.page.getByRole("status").getByText("The server does not answer").waitFor();
    await al.page.evaluate("isSilent = false");
    await al.page.getByText("1 to 8 symbols").waitFor();
    assertEquals(await al.page.getByRole("status").textContent(), "");
  });

  itNeeds(CHROMIUM, "lets one join before it knows the limits: the server judges", async () => {
    await using server = serveWeb();
    await using al = await Visitor.open(server.url, {}, SILENT);
    await al.page.getByLabel("Your name").fill("123456789");
    await al.page.keyboard.press("Enter");
    await al.page.getByRole("button", { name: "Try now" }).waitFor();
    await al.page.evaluate("isSilent = false");
    await al.page.getByRole("button", { name: "Try now" }).click();
    await al.page.getByRole("alert").getByText("Login is too long!").waitFor();
    await join(al.page, "Al");
  });

  itNeeds(CHROMIUM, "has the newest of a long history after a reload, and stores it", async () => {
    await using server = serveWeb("--text-symbols-max", "90000", "--frame-bytes-max", "400000");
    await using al = await Visitor.open(server.url);
    await join(al.page, "Al");
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    const texts = Array.from({ length: 13 }, (_, i) => `${i}`.padEnd(90_000, "."));
    for (const text of texts) await bob.ask("send", "Al", text);
    assertEquals(await messages(al.page, 13), texts);
    await al.page.reload();
    assertEquals(await messages(al.page, 11), texts.slice(2));
  });

  itNeeds(CHROMIUM, "tells a user named Everyone from all", async () => {
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
    "lets one click a user while the list changes, and keeps the focus",
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
      // A message of somebody new makes the page look at the users again.
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

  itNeeds(
    CHROMIUM,
    "leaves the list of connections as it is while nothing in it changes",
    async () => {
      await using server = serveWeb();
      using bob = await Peer.connect(server.port);
      await bob.ask("ping");
      await using teacher = await Visitor.open(`${server.url}/#wire`);
      const { page } = teacher;
      const choice = page.getByRole("combobox", { name: "Watch" });
      const options = choice.locator("option");
      await options.getByText("1: 127.0.0.1").waitFor({ state: "attached" });
      await choice.selectOption("1");
      const first = await options.nth(1).elementHandle();
      using tess = await Peer.connect(server.port);
      await tess.ask("register", "Tess");
      await bob.ask("register", "Bob");
      await options.getByText(", Bob").waitFor({ state: "attached" });
      await options.getByText(", Tess").waitFor({ state: "attached" });
      assertEquals(await first!.evaluate((option) => option.isConnected), true);
      assertEquals(await choice.inputValue(), "1");
      bob.close();
      await options.getByText(", Bob").waitFor({ state: "detached" });
      assertEquals(await choice.inputValue(), "next");
    },
  );

  itNeeds(CHROMIUM, "works on a strict server, where an address has one user", async () => {
    await using server = serveWeb("--strict");
    await using al = await Visitor.open(server.url);
    await join(al.page, "Al");
    await say(al.page, "@Al to myself");
    assertEquals(await messages(al.page, 2), ["to myself", "to myself"]);
  });

  itNeeds(CHROMIUM, "leaves for good", async () => {
    await using server = serveWeb();
    await using al = await Visitor.open(server.url);
    await join(al.page, "Al");
    await al.page.getByText("Leave for good").click();
    await al.page.getByRole("button", { name: "Leave as Al" }).click();
    await al.page.getByLabel("Your name").waitFor();
    assertEquals(server.server.facts.users, 0);
  });

  itNeeds(CHROMIUM, "explains on the wire a length in the wrong byte order", async () => {
    await using server = serveWeb("--wire-texts");
    await using teacher = await Visitor.open(`${server.url}/#wire`);
    const { page } = teacher;
    await page.getByRole("button", { name: "Watch", exact: true }).click();
    await page.getByText("Waiting for the next connection").waitFor();
    using student = await Peer.connect(server.port);
    await student.ask("register", "Stu");
    await page.getByRole("row", { name: "the name of 'register'" }).waitFor();
    await student.write(Uint8Array.of(0, 0, 0, 5, ...new TextEncoder().encode("users")));
    const row = page.getByRole("row", { name: "big-endian The length of a frame comes lowest" });
    const text = await row.textContent();
    assertStringIncludes(text!, "these bytes mean 83886080, only in big-endian order 5");
    const frame = row.locator("xpath=preceding-sibling::tr[1]");
    assertStringIncludes((await frame.textContent())!, "00 00 00 05");
    // It has the whole width of the table to itself.
    const width = (await page.locator("#frames").boundingBox())!.width;
    assertEquals(Math.round((await row.getByRole("cell").boundingBox())!.width), Math.round(width));
    student.close();
    await page.getByText("The connection has ended: mistake").waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download" }).click(),
    ]);
    const events = JSON.parse(await Deno.readTextFile(await download.path()));
    assertEquals(events[0].kind, "connected");
    assert(
      events.some((event: { mistake?: { code: string } }) => event.mistake?.code === "big-endian"),
    );
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Copy as JSON" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    const copied = await page.evaluate("navigator.clipboard.readText()");
    assertEquals(JSON.parse(copied as string), events);
    await page.getByRole("button", { name: "Clear" }).click();
    assertEquals(await page.locator("#rows tr").count(), 0);
  });

  itNeeds(CHROMIUM, "asks for the token on the wire, and says when it is wrong", async () => {
    await using server = serveWeb("--admin-token", "s3cret");
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    await using teacher = await Visitor.open(`${server.url}/#wire`);
    const { page } = teacher;
    await page.getByLabel("The token of").fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("needs the token").waitFor();
    await page.getByLabel("The token of").fill("s3cret");
    await page.keyboard.press("Enter");
    const watched = page.getByRole("combobox", { name: "Watch" });
    await watched.getByText("Bob").waitFor({ state: "attached" });
    await watched.selectOption("1");
    await page.getByRole("button", { name: "Watch", exact: true }).click();
    await page.getByText("Connection 1, ").waitFor();
    await bob.ask("ping");
    await page.getByRole("row", { name: "the command 'ping'" }).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("Stopped.").waitFor();
    await until(() => server.server.onNext.size === 0, "nobody watches");
  });

  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [1200, 360]) {
      itNeeds(
        CHROMIUM,
        `has nothing that axe-core complains about, ${colorScheme}, ${width} px wide`,
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
          await using eve = await Visitor.open(server.url, { viewport, colorScheme }, SILENT);
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
