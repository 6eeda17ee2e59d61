/** The page's modules without a browser: its frames, and its client that reconnects. */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { ChatClient, type Mail, type State } from "../../lib/http/page/chat_client.js";
import { encodeFrames as encodeOnPage, FrameSplitter } from "../../lib/http/page/frames.js";
import { countSymbols } from "../../lib/text/symbols.ts";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveWeb, serveWebOn, type TestWeb, until } from "../support.ts";
import { memoryJournal } from "../../lib/journal/journal.ts";

const TEXTS = ["", "users", "Привет", "👍🏽", "\ufeffBOM", "x".repeat(300), "a\0b"];

describe("the frames of the page", () => {
  it("have the same bytes as the server's", () => {
    assertEquals(encodeOnPage(TEXTS), encodeFrames(TEXTS));
  });

  it("are split whole, byte by byte, and cut at every place", () => {
    const bytes = encodeFrames(TEXTS);
    const split = (...pieces: Uint8Array[]) => {
      const splitter = new FrameSplitter();
      return pieces.flatMap((piece) => splitter.push(piece));
    };
    assertEquals(split(bytes), TEXTS);
    assertEquals(split(...[...bytes as Uint8Array].map((byte) => Uint8Array.of(byte))), TEXTS);
    for (let cut = 0; cut <= bytes.length; cut++) {
      assertEquals(split(bytes.slice(0, cut), bytes.slice(cut)), TEXTS);
    }
  });

  it("count symbols as the server does", () => {
    for (const [text, symbols] of [["", 0], ["Бо👍", 3], ["e\u0301", 2], ["👩‍👩‍👧", 5]] as const) {
      assertEquals(countSymbols(text), symbols);
    }
  });
});

/** A user of the page's client, with all states, mail and users that the page was told of. */
class User implements AsyncDisposable {
  readonly states: State[] = [];
  readonly mail: Mail[] = [];
  users: readonly string[] = [];
  readonly client: ChatClient;
  #joined: Promise<void> | undefined;

  constructor(
    url: string,
    memory = new Map<string, string>(),
    settings = async () => await (await fetch(`${url}/settings.json`)).json(),
  ) {
    this.client = new ChatClient(
      `${url}/ws`.replace("http", "ws"),
      settings,
      {
        state: (state: State) => this.states.push(state),
        mail: (mail: readonly Mail[]) => this.mail.push(...mail),
        users: (names: readonly string[]) => this.users = names,
      },
      {
        getItem: (key: string) => memory.get(key) ?? null,
        setItem: (key: string, value: string) => memory.set(key, value),
        removeItem: (key: string) => memory.delete(key),
      },
    );
  }

  /** Joins, and waits until the server has accepted or refused the name. */
  async join(name: string, isBack = false): Promise<this> {
    this.#joined = this.client.join(name, isBack);
    await this.until("here", "refused");
    await until(
      () => this.state?.kind === "refused" || this.users.length > 0,
      "it has the list of users",
    );
    return this;
  }

  get state(): State | undefined {
    return this.states.at(-1);
  }

  async until(...kinds: State["kind"][]): Promise<void> {
    await until(() => kinds.includes(this.state?.kind ?? "connecting"), `it is ${kinds}`);
  }

  get texts(): string[] {
    return this.mail.map(({ from, text, again }) => `${from}: ${text}${again ? " (again)" : ""}`);
  }

  /** Ends as a page does that is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.client.stop();
    await this.#joined;
  }
}

describe("a user of the page", () => {
  for (const flags of [[], ["--strict"]]) {
    const strict = flags.length > 0;
    itNeeds(
      NET,
      `sees mail at once${strict ? ", in strict mode too" : ""}`,
      async () => {
        await using server = serveWeb(...flags);
        await using al = await new User(server.url).join("Al");
        assertEquals(al.state, { kind: "here", greeting: "Hello, Al" });
        if (strict) {
          assertEquals(await al.client.send("note to myself", "Al"), "Message added to storage!");
          await until(() => al.mail.length === 1, "the mail comes");
          assertEquals(al.texts, ["Al: note to myself"]);
          return;
        }
        using bob = await Peer.connect(server.port);
        await bob.ask("register", "Bob");
        await bob.ask("send", "Al", "hi <b>Al</b>");
        await bob.ask("sendall", "👋");
        await until(() => al.mail.length === 2, "the mail comes");
        assertEquals(al.texts, ["Bob: hi <b>Al</b>", "Bob: 👋"]);
        assertEquals(await al.client.send("hello", "Bob"), "Message added to storage!");
        assertEquals(await al.client.send("hello all"), "Message added to storage!");
        assertEquals(await bob.mail("receive"), ["Al: hello", "Al: hello all"]);
        assertEquals(await al.client.send("x", "Nobody"), "User 'Nobody' doesn't exist!");
      },
    );
  }

  itNeeds(
    NET,
    "sees why a name is refused, in the server's words, and may try another",
    async () => {
      await using server = serveWeb();
      await using al = await new User(server.url).join("Al");
      await using other = await new User(server.url).join("Al");
      assertEquals(other.state, { kind: "refused", why: "'Al' already exists!" });
      await other.join("Al2");
      assertEquals(other.state, { kind: "here", greeting: "Hello, Al2" });
      assertEquals(al.state?.kind, "here");
    },
  );

  itNeeds(
    NET,
    "comes back after a lost connection, under the same name, and finds the mail",
    async () => {
      let server = serveWeb();
      const { port } = new URL(server.url);
      await using al = await new User(server.url).join("Al");
      await server[Symbol.asyncDispose]();
      await al.until("away");
      server = serveWeb("--http", port);
      try {
        al.client.retry();
        await al.until("here");
        using bob = await Peer.connect(server.port);
        await bob.ask("register", "Bob");
        await bob.ask("send", "Al", "still there?");
        await until(() => al.mail.length === 1, "the mail comes");
        assertEquals(al.texts, ["Bob: still there?"]);
      } finally {
        await al[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      }
    },
  );

  itNeeds(NET, "comes back to a server that is in strict mode now", async () => {
    let server = serveWeb();
    const { port } = new URL(server.url);
    await using al = await new User(server.url).join("Al");
    await server[Symbol.asyncDispose]();
    await al.until("away");
    server = serveWeb("--http", port, "--strict");
    try {
      al.client.retry();
      await al.until("here");
      assertEquals(await al.client.send("to myself", "Al"), "Message added to storage!");
      await until(() => al.mail.length === 1, "the mail comes");
      assertEquals(al.states.slice(-2).map(({ kind }) => kind), ["connecting", "here"]);
    } finally {
      await al[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    }
  });

  itNeeds(NET, "tries again when the server does not send its settings", async () => {
    await using server = serveWeb();
    let isFailing = true;
    await using al = new User(server.url, new Map(), () => {
      return isFailing
        ? Promise.reject(new Error("It does not answer"))
        : Promise.resolve({ strict: false });
    });
    al.client.join("Al");
    await al.until("away");
    assertMatch(JSON.stringify(al.state), /It does not answer/);
    isFailing = false;
    al.client.retry();
    await al.until("here");
  });

  itNeeds(NET, "keeps trying while the server still holds the connection before", async () => {
    await using server = serveWeb();
    using before = await Peer.connect(server.port);
    await before.ask("register", "Al");
    await using al = new User(server.url);
    al.client.join("Al", true);
    const refusals = () => al.states.filter(({ kind }) => kind === "away").length;
    for (let tries = 1; tries <= 5; tries++) {
      await until(() => refusals() === tries, "it is refused");
      al.client.retry();
    }
    assertMatch(JSON.stringify(al.state), /'Al' already exists!/);
    before.close();
    const isBack = () => {
      al.client.retry();
      return al.state?.kind === "here";
    };
    await until(isBack, "it is back");
  });

  itNeeds(NET, "sees an error when the connection ends before the reply to a message", async () => {
    const journal = {
      ...memoryJournal,
      afterTurn: (commit: () => void) => void setTimeout(commit, 50),
    };
    const server = serveWebOn(journal);
    await using al = await new User(server.url).join("Al");
    const sent = al.client.send("hi", "Al");
    al.client.stop();
    await assertRejects(() => sent, Error, "The connection is lost");
    await server[Symbol.asyncDispose]();
  });

  itNeeds(NET, "sees who has come, though the clock of the machine was set back", async () => {
    await using server = serveWeb();
    await using al = await new User(server.url).join("Al");
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    const [{ now }, steady] = [Date, performance.now];
    Date.now = () => now() - 3_600_000;
    // The interval between two looks at the users is over.
    performance.now = () => steady.call(performance) + 6_000;
    try {
      await al.client.send("note to myself", "Al");
      await until(() => al.users.includes("Bob"), "the list is new");
    } finally {
      Date.now = now;
      performance.now = steady;
    }
  });

  itNeeds(NET, "leaves for good: the name is free, and the client does not come back", async () => {
    await using server = serveWeb();
    await using al = await new User(server.url).join("Al");
    await al.client.leave();
    assertEquals(al.state, { kind: "left" });
    using bob = await Peer.connect(server.port);
    assertEquals(await bob.ask("users"), "0");
  });

  itNeeds(NET, "stays when it wants to leave and the server can't be told", async () => {
    let server = serveWeb();
    const { port } = new URL(server.url);
    await using al = await new User(server.url).join("Al");
    await server[Symbol.asyncDispose]();
    await al.until("away");
    await assertRejects(() => al.client.leave());
    server = serveWeb("--http", port);
    try {
      await al.until("away", "connecting", "here");
      al.client.retry();
      await al.until("here");
      await al.client.leave();
      assertEquals(al.state, { kind: "left" });
    } finally {
      await server[Symbol.asyncDispose]();
    }
  });

  itNeeds(NET, "waits for a place when it comes back to a server that is full", async () => {
    let server = serveWeb();
    const { port } = new URL(server.url);
    await using al = await new User(server.url).join("Al");
    await server[Symbol.asyncDispose]();
    await al.until("away");
    server = serveWeb("--http", port, "--connections-max", "1");
    try {
      const other = await Peer.connect(server.port);
      await other.ask("ping");
      al.client.retry();
      const isFull = () => JSON.stringify(al.state).includes("Server is full!");
      await until(isFull, "it is told that the server is full");
      other.close();
      await until(() => server.server.facts.connections === 0, "there is a place");
      al.client.retry();
      await al.until("here");
    } finally {
      al.client.stop();
      await server[Symbol.asyncDispose]();
    }
  });

  itNeeds(NET, "has one name at a time, even after it joined under another", async () => {
    await using server = serveWeb();
    await using al = new User(server.url);
    al.client.join("Al");
    al.client.stop();
    await al.join("Al2");
    await until(() => server.server.facts.connections === 1, "the other connection is gone");
    assertEquals(al.state, { kind: "here", greeting: "Hello, Al2" });
  });

  itNeeds(NET, "sees why the server refuses its connection", async () => {
    await using server = serveWeb("--connections-max", "1");
    using bob = await Peer.connect(server.port);
    await bob.ask("ping");
    await using al = new User(server.url);
    al.client.join("Al");
    await al.until("refused", "away");
    assertMatch(JSON.stringify(al.state), /Server is full!/);
  });
});

/** Bob writes to Al, whose page closes as soon as it has shown the message. */
async function closeAfterMail(server: TestWeb, memory: Map<string, string>): Promise<void> {
  using bob = await Peer.connect(server.port);
  await bob.ask("register", "Bob");
  const al = await new User(server.url, memory).join("Al");
  await bob.ask("send", "Al", "ok");
  await until(() => al.mail.length === 1, "the mail comes");
  assertEquals(al.texts, ["Bob: ok"]);
  await al[Symbol.asyncDispose]();
}

describe("mail that was shown before a reload", () => {
  itNeeds(NET, "does not come twice when the server has taken it", async () => {
    await using server = serveWeb();
    const memory = new Map<string, string>();
    await closeAfterMail(server, memory);
    // The next `wait`, which takes the mail, was sent before the page closed.
    await using again = await new User(server.url, memory).join("Al", true);
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob2");
    await bob.ask("send", "Al", "new");
    await until(() => again.mail.length > 0, "the mail comes");
    assertEquals(again.texts.at(-1), "Bob2: new");
  });

  itNeeds(NET, "is marked when it may have been shown before, and is not lost", async () => {
    await using server = serveWeb();
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await bob.ask("send", "Al", "ok");
    await bob.ask("send", "Al", "next");
    al.close();
    // The storage of a page that was closed after it showed `ok` and before its next command.
    const unconfirmed = JSON.stringify([{ from: "Bob", text: "ok", again: false }]);
    const memory = new Map([["asvt-chat.unconfirmed", unconfirmed]]);
    await using page = await new User(server.url, memory).join("Al", true);
    await until(() => page.mail.length === 2, "the mail comes");
    assertEquals(page.texts, ["Bob: ok (again)", "Bob: next"]);
  });
});
