/** The wire view of the page: the frames of a connection, each explained. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { after, describe } from "@std/testing/bdd";
import { CHROMIUM, closeBrowser, Visitor } from "./browser.ts";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveWeb, until } from "../support.ts";

describe("the wire view", () => {
  after(closeBrowser);

  itNeeds(
    CHROMIUM,
    "keeps the entries of connections that stay when the list changes",
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

  itNeeds(CHROMIUM, "explains a length in the wrong byte order", async () => {
    await using server = serveWeb("--wire-texts");
    await using teacher = await Visitor.open(`${server.url}/#wire`);
    const { page } = teacher;
    await page.getByRole("button", { name: "Watch", exact: true }).click();
    await page.getByText("Waiting for the next connection").waitFor();
    using student = await Peer.connect(server.port);
    await student.ask("register", "Stu");
    await page.getByRole("row", { name: "the name of 'register'" }).waitFor();
    await student.write(Uint8Array.of(0, 0, 0, 5, ...new TextEncoder().encode("users")));
    const row = page.getByRole("row", { name: "big-endian A length comes lowest byte first" });
    const text = await row.textContent();
    assertStringIncludes(text!, "For 5 send 05 00 00 00");
    const frame = row.locator("xpath=preceding-sibling::tr[1]");
    assertStringIncludes((await frame.textContent())!, "00 00 00 05");
    // The explanation is as wide as the table.
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

  itNeeds(CHROMIUM, "says what to do while nothing has come", async () => {
    await using server = serveWeb();
    await using teacher = await Visitor.open(`${server.url}/#wire`);
    const { page } = teacher;
    await page.getByText(`connect to TCP port ${server.port} of this server`).waitFor();
    await page.getByText(`nc -w1 127.0.0.1 ${server.port}`).waitFor();
    await page.getByRole("button", { name: "Watch", exact: true }).click();
    await page.getByText("Waiting for the next connection").waitFor();
    using bob = await Peer.connect(server.port);
    await bob.ask("ping");
    await page.getByRole("row", { name: "the command 'ping'" }).waitFor();
    await page.getByText("Nothing has come yet").waitFor({ state: "hidden" });
  });

  itNeeds(
    CHROMIUM,
    "follows every next connection of a name, and shows frames as they come",
    async () => {
      await using server = serveWeb();
      await using teacher = await Visitor.open(`${server.url}/#wire`);
      const { page } = teacher;
      await page.getByRole("combobox", { name: "Watch" }).selectOption("every");
      await page.getByLabel("Only from this address").fill("Stu");
      await page.getByRole("button", { name: "Watch", exact: true }).click();
      await page.getByText("Waiting for the next connection").waitFor();
      using other = await Peer.connect(server.port);
      await other.ask("register", "Other");
      for (const number of [2, 3]) {
        using student = await Peer.connect(server.port);
        await student.ask("register", "Stu");
        await page.getByText(`Connection ${number} of 127.0.0.1`).waitFor();
        await student.write(Uint8Array.of(5, 0, 0, 0, 117));
        const partial = page.getByRole("row", { name: "a command, 1 of 5 bytes so far" });
        await partial.waitFor();
        await student.write(new TextEncoder().encode("sers"));
        await partial.waitFor({ state: "detached" });
        await page.getByText("It came in 2 pieces").nth(number - 2).waitFor();
        await student.frame();
      }
      assertEquals(await page.getByText("Hello, Other").count(), 0);
    },
  );

  itNeeds(CHROMIUM, "asks for the token, and says when it is wrong", async () => {
    await using server = serveWeb("--admin-token", "s3cret-of-the-teacher");
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    await using teacher = await Visitor.open(`${server.url}/#wire`);
    const { page } = teacher;
    await page.getByLabel("The token of").fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("needs the token").waitFor();
    // For a second after a wrong token none is judged.
    await page.waitForTimeout(1_500);
    await page.getByLabel("The token of").fill("s3cret-of-the-teacher");
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
    await until(() => server.server.onOpen.size === 0, "the connection is no longer watched");
  });
});
