/** What the page is made of, without a browser: its frames, and a person who stays in the chat. */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { encodeFrames as encodeOnPage, FrameSplitter } from "../../lib/http/page/frames.js";
import { type Mail, type State, Talk } from "../../lib/http/page/talk.js";
import { countSymbols } from "../../lib/text/symbols.ts";
import { itNeeds, NET, Peer, serveWeb, serveWebOn, type TestWeb, until } from "../support.ts";
import { memoryJournal } from "../../lib/journal/journal.ts";

const TEXTS = ["", "users", "Привет", "👍🏽", "\ufeffBOM", "x".repeat(300), "a\0b"];

describe("the frames of the page", () => {
  it("are those of the server", () => {
    assertEquals(encodeOnPage(TEXTS), encodeFrames(TEXTS));
  });

  it("are split whole, byte by byte, and at every place", () => {
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

/** A person on the page, and all that the page was told. */
class Person implements AsyncDisposable {
  readonly states: State[] = [];
  readonly mail: Mail[] = [];
  users: readonly string[] = [];
  readonly talk: Talk;
  #joined: Promise<void> | undefined;

  constructor(
    url: string,
    memory = new Map<string, string>(),
    settings = async () => await (await fetch(`${url}/settings.json`)).json(),
  ) {
    this.talk = new Talk(
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

  /** Joins, and waits until it is there, or refused. */
  async join(name: string, isBack = false): Promise<this> {
    this.#joined = this.talk.join(name, isBack);
    await this.until("here", "refused");
    await until(() => this.state?.kind === "refused" || this.users.length > 0, "it sees users");
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

  /** As when the page is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.talk.stop();
    await this.#joined;
  }
}

describe("a person on the page", () => {
  for (const flags of [[], ["--strict"]]) {
    const strict = flags.length > 0;
    itNeeds(
      NET,
      `hears at once what others write${strict ? ", in strict mode too" : ""}`,
      async () => {
        await using server = serveWeb(...flags);
        await using al = await new Person(server.url).join("Al");
        assertEquals(al.state, { kind: "here", greeting: "Hello, Al" });
        if (strict) {
          assertEquals(await al.talk.send("note to myself", "Al"), "Message added to storage!");
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
        assertEquals(await al.talk.send("hello", "Bob"), "Message added to storage!");
        assertEquals(await al.talk.send("hello all"), "Message added to storage!");
        assertEquals(await bob.mail("receive"), ["Al: hello", "Al: hello all"]);
        assertEquals(await al.talk.send("x", "Nobody"), "User 'Nobody' doesn't exist!");
      },
    );
  }

  itNeeds(NET, "is refused a name in the server's words, and may try another", async () => {
    await using server = serveWeb();
    await using al = await new Person(server.url).join("Al");
    await using other = await new Person(server.url).join("Al");
    assertEquals(other.state, { kind: "refused", why: "'Al' already exists!" });
    await other.join("Al2");
    assertEquals(other.state, { kind: "here", greeting: "Hello, Al2" });
    assertEquals(al.state?.kind, "here");
  });

  itNeeds(NET, "comes back after a break, under its name, and finds the mail", async () => {
    let server = serveWeb();
    const { port } = new URL(server.url);
    await using al = await new Person(server.url).join("Al");
    await server[Symbol.asyncDispose]();
    await al.until("away");
    server = serveWeb("--http", port);
    try {
      al.talk.retryNow();
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
  });

  itNeeds(NET, "is there when the server came back in strict mode, too", async () => {
    let server = serveWeb();
    const { port } = new URL(server.url);
    await using al = await new Person(server.url).join("Al");
    await server[Symbol.asyncDispose]();
    await al.until("away");
    server = serveWeb("--http", port, "--strict");
    try {
      al.talk.retryNow();
      await al.until("here");
      assertEquals(await al.talk.send("to myself", "Al"), "Message added to storage!");
      await until(() => al.mail.length === 1, "the mail comes");
      assertEquals(al.states.slice(-2).map(({ kind }) => kind), ["connecting", "here"]);
    } finally {
      await al[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    }
  });

  itNeeds(NET, "tries again when the server does not say its settings", async () => {
    await using server = serveWeb();
    let isFailing = true;
    await using al = new Person(server.url, new Map(), () => {
      return isFailing
        ? Promise.reject(new Error("It does not answer"))
        : Promise.resolve({ strict: false });
    });
    al.talk.join("Al");
    await al.until("away");
    assertMatch(JSON.stringify(al.state), /It does not answer/);
    isFailing = false;
    al.talk.retryNow();
    await al.until("here");
  });

  itNeeds(NET, "tries on while the server still holds its connection before", async () => {
    await using server = serveWeb();
    using before = await Peer.connect(server.port);
    await before.ask("register", "Al");
    await using al = new Person(server.url);
    al.talk.join("Al", true);
    const refusals = () => al.states.filter(({ kind }) => kind === "away").length;
    for (let tries = 1; tries <= 5; tries++) {
      await until(() => refusals() === tries, "it is refused");
      al.talk.retryNow();
    }
    assertMatch(JSON.stringify(al.state), /'Al' already exists!/);
    before.close();
    const isBack = () => {
      al.talk.retryNow();
      return al.state?.kind === "here";
    };
    await until(isBack, "it is back");
  });

  itNeeds(NET, "says that a message may be lost when the connection breaks amid it", async () => {
    const journal = {
      ...memoryJournal,
      afterTurn: (commit: () => void) => void setTimeout(commit, 50),
    };
    const server = serveWebOn(journal);
    await using al = await new Person(server.url).join("Al");
    const sent = al.talk.send("hi", "Al");
    al.talk.stop();
    await assertRejects(() => sent, Error, "The connection is lost");
    await server[Symbol.asyncDispose]();
  });

  itNeeds(NET, "leaves for good: the name is free, and nobody comes back", async () => {
    await using server = serveWeb();
    await using al = await new Person(server.url).join("Al");
    await al.talk.leave();
    assertEquals(al.state, { kind: "left" });
    using bob = await Peer.connect(server.port);
    assertEquals(await bob.ask("users"), "0");
  });

  itNeeds(NET, "stays when it wants to leave and the server can't be told", async () => {
    let server = serveWeb();
    const { port } = new URL(server.url);
    await using al = await new Person(server.url).join("Al");
    await server[Symbol.asyncDispose]();
    await al.until("away");
    await assertRejects(() => al.talk.leave());
    server = serveWeb("--http", port);
    try {
      await al.until("away", "connecting", "here");
      al.talk.retryNow();
      await al.until("here");
      await al.talk.leave();
      assertEquals(al.state, { kind: "left" });
    } finally {
      await server[Symbol.asyncDispose]();
    }
  });

  itNeeds(NET, "waits for its place when the server is full as it comes back", async () => {
    let server = serveWeb();
    const { port } = new URL(server.url);
    await using al = await new Person(server.url).join("Al");
    await server[Symbol.asyncDispose]();
    await al.until("away");
    server = serveWeb("--http", port, "--connections-max", "1");
    try {
      const other = await Peer.connect(server.port);
      await other.ask("ping");
      al.talk.retryNow();
      const isFull = () => JSON.stringify(al.state).includes("Server is full!");
      await until(isFull, "it hears that the server is full");
      other.close();
      await until(() => server.server.facts.connections === 0, "there is a place");
      al.talk.retryNow();
      await al.until("here");
    } finally {
      al.talk.stop();
      await server[Symbol.asyncDispose]();
    }
  });

  itNeeds(NET, "has one name at a time, whatever it joined as before", async () => {
    await using server = serveWeb();
    await using al = new Person(server.url);
    al.talk.join("Al");
    al.talk.stop();
    await al.join("Al2");
    await until(() => server.server.facts.connections === 1, "the other connection is gone");
    assertEquals(al.state, { kind: "here", greeting: "Hello, Al2" });
  });

  itNeeds(NET, "hears why the server batches it away", async () => {
    await using server = serveWeb("--connections-max", "1");
    using bob = await Peer.connect(server.port);
    await bob.ask("ping");
    await using al = new Person(server.url);
    al.talk.join("Al");
    await al.until("refused", "away");
    assertMatch(JSON.stringify(al.state), /Server is full!/);
  });
});

/** Bob writes to Al, who is at a page that closes as soon as it has shown it. */
async function closeAfterMail(server: TestWeb, memory: Map<string, string>): Promise<void> {
  using bob = await Peer.connect(server.port);
  await bob.ask("register", "Bob");
  const al = await new Person(server.url, memory).join("Al");
  await bob.ask("send", "Al", "ok");
  await until(() => al.mail.length === 1, "the mail comes");
  assertEquals(al.texts, ["Bob: ok"]);
  await al[Symbol.asyncDispose]();
}

describe("mail that was shown before a reload", () => {
  itNeeds(NET, "does not come twice when the server has heard so", async () => {
    await using server = serveWeb();
    const memory = new Map<string, string>();
    await closeAfterMail(server, memory);
    // The command behind the mail, the next `wait`, was on its way: the server took it.
    await using again = await new Person(server.url, memory).join("Al", true);
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob2");
    await bob.ask("send", "Al", "new");
    await until(() => again.mail.length > 0, "the mail comes");
    assertEquals(again.texts.at(-1), "Bob2: new");
  });

  itNeeds(NET, "is marked when it comes again, and is not lost", async () => {
    await using server = serveWeb();
    using bob = await Peer.connect(server.port);
    await bob.ask("register", "Bob");
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await bob.ask("send", "Al", "ok");
    await bob.ask("send", "Al", "next");
    al.close();
    // As a page leaves it that was closed before its next command.
    const unsure = JSON.stringify([{ from: "Bob", text: "ok", again: false }]);
    const memory = new Map([["asvt-chat.unsure", unsure]]);
    await using page = await new Person(server.url, memory).join("Al", true);
    await until(() => page.mail.length === 2, "the mail comes");
    assertEquals(page.texts, ["Bob: ok (again)", "Bob: next"]);
  });
});
