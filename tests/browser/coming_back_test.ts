/** The page across reloads, while its server is away, and when the server is there again. */
import { assertEquals } from "@std/assert";
import { after, describe } from "@std/testing/bdd";
import { CHROMIUM, closeBrowser, FETCH_FAILS, join, messages, say, Visitor } from "./browser.ts";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveWeb } from "../support.ts";

describe("the page", () => {
  after(closeBrowser);

  itNeeds(CHROMIUM, "has its name, its history and new mail after a reload", async () => {
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

  itNeeds(CHROMIUM, "has the newest part of a long history after a reload", async () => {
    await using server = serveWeb(
      "--text-symbols-max",
      "90000",
      "--frame-bytes-max",
      "400000",
      "--ws-bytes-max",
      "400004",
    );
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

  for (
    const [what, script] of [
      [
        "forbids the page to store anything",
        `for (const name of ["sessionStorage", "localStorage"]) {
           const get = () => { throw new DOMException("Forbidden", "SecurityError"); };
           Object.defineProperty(window, name, { get });
         }`,
      ],
      [
        "has no room for more than 100 characters",
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

  itNeeds(
    CHROMIUM,
    "connects by itself when the server is back, and says before that it is not connected",
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

  itNeeds(
    CHROMIUM,
    "says once that the server does not answer, in any number of attempts",
    async () => {
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
    },
  );

  itNeeds(CHROMIUM, "takes another name when another client has its own", async () => {
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

  itNeeds(
    CHROMIUM,
    "says that the server does not answer, and asks for the limits until it does",
    async () => {
      await using server = serveWeb();
      await using al = await Visitor.open(server.url, {}, FETCH_FAILS);
      await al.page.getByRole("status").getByText("The server does not answer").waitFor();
      await al.page.evaluate("fetchFails = false");
      await al.page.getByText("1 to 8 symbols").waitFor();
      assertEquals(await al.page.getByRole("status").textContent(), "");
    },
  );

  itNeeds(
    CHROMIUM,
    "lets a user join before it knows the limits: the server refuses a name",
    async () => {
      await using server = serveWeb();
      await using al = await Visitor.open(server.url, {}, FETCH_FAILS);
      await al.page.getByLabel("Your name").fill("123456789");
      await al.page.keyboard.press("Enter");
      await al.page.getByRole("button", { name: "Try now" }).waitFor();
      await al.page.evaluate("fetchFails = false");
      await al.page.getByRole("button", { name: "Try now" }).click();
      await al.page.getByRole("alert").getByText("Login is too long!").waitFor();
      await join(al.page, "Al");
    },
  );
});
