import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { step } from "../../lib/chat/step.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import { strictEnding } from "../../lib/chat/commands.ts";
import { type ChatState, emptyChat, mailFor } from "../../lib/chat/state.ts";
import type { Command } from "../../lib/protocol/command.ts";
import { type Reply, replyText, type Shown } from "../../lib/protocol/reply.ts";
import type { Settings } from "../../lib/chat/settings.ts";
import { snapshotRows } from "../../lib/chat/snapshot.ts";
import { emptyUsers } from "../../lib/chat/users.ts";

const SETTINGS: Settings = {
  strict: false,
  nameSymbolsMax: 8,
  textSymbolsMax: 60,
  usersMax: 5,
  usersPerAddressMax: 3,
  mailboxMessagesMax: 3,
  messagesMax: 8,
  usersExpireH: 0,
};

/** What a reply says, in short: its text, or what it lists. */
function said(reply: Reply): string {
  switch (reply.code) {
    case "users":
      return `users: ${reply.users.values().map(({ name }) => name).join(" ")}`;
    case "mail":
      return `mail: ${reply.mail().map(({ from, text }) => `${from}: ${text}`).join(", ")}`;
    case "help":
      return reply.text;
    case "mistake":
      return reply.mistake.text;
    default:
      return replyText(reply);
  }
}

/** A chat that is stepped by sessions; `1@a` is session 1 from address a. */
class World {
  state: ChatState;
  reply: Reply | undefined;
  blockedBy: number | undefined;

  constructor(settings: Partial<Settings> = {}) {
    this.state = emptyChat({ ...SETTINGS, ...settings });
  }

  /** Steps an entry, and checks that the old state stays as it was. */
  step(entry: Entry): void {
    const before = this.state;
    const digest = [...snapshotRows(before)];
    const { state, reply, blockedBy } = step(before, entry);
    assertEquals([...snapshotRows(before)], digest);
    this.state = state;
    this.reply = reply;
    this.blockedBy = blockedBy;
  }

  run(who: string, command: Command): string {
    const [session = "", address = "a"] = who.split("@");
    const actor = { session: Number(session), address, peer: `${address}:${session}` };
    this.step({ kind: "command", at: 0, actor, command });
    return said(this.reply!);
  }

  register = (who: string, user: string) => this.run(who, { name: "register", user });
  users = (who = "99@z") => this.run(who, { name: "users" });
  send = (who: string, to: string, text: string) => this.run(who, { name: "send", to, text });
  sendall = (who: string, text: string) => this.run(who, { name: "sendall", text });
  receive = (who: string) => this.run(who, { name: "receive" });
  wait = (who: string) => this.run(who, { name: "wait", seconds: 1 });
  logout = (who: string) => this.run(who, { name: "logout" });
  end = (session: number) => this.step({ kind: "end", at: 0, session });
  take = (shown: Shown) => this.step({ kind: "take", shown });

  get shown(): Shown {
    return (this.reply as Reply & { code: "mail" }).shown;
  }
}

const NOBODY = "U aren't registered!";
const SENT = "Message added to storage!";
const LOGGED_OUT = "U've been successfully logouted";

/** Symbols of 1, 2, 3 and 4 bytes, and of one and two UTF-16 units. */
const SYMBOLS = ["a", "Б", "€", "👍"];

for (const strict of [false, true]) {
  describe(`in ${strict ? "strict" : "default"} mode`, () => {
    const world = (settings: Partial<Settings> = {}) => new World({ strict, ...settings });

    it("register greets, and greets again", () => {
      const chat = world();
      assertEquals(chat.register("1@a", "Bob"), "Hello, Bob");
      assertEquals(chat.register("1@a", "Bob"), "Nice to see you, Bob");
    });

    it("register refuses a name of another address", () => {
      const chat = world();
      chat.register("1@a", "Bob");
      assertEquals(chat.register("2@b", "Bob"), "'Bob' already exists!");
      assertEquals(chat.blockedBy, undefined);
    });

    it("register refuses an empty name", () => {
      assertEquals(world().register("1@a", ""), "Bad login!");
    });

    for (const symbol of SYMBOLS) {
      it(`a name has at most 8 symbols of ${new TextEncoder().encode(symbol).length} bytes`, () => {
        assertEquals(world().register("1@a", symbol.repeat(8)), `Hello, ${symbol.repeat(8)}`);
        assertEquals(world().register("1@a", symbol.repeat(9)), "Login is too long!");
      });

      it(`a text has at most 60 symbols of ${new TextEncoder().encode(symbol).length} bytes`, () => {
        const chat = world();
        chat.register("1@a", "Al");
        chat.register("2@b", "Bob");
        const long = "Massage is too long! Max length = 60!";
        assertEquals(chat.send("1@a", "Bob", symbol.repeat(61)), long);
        assertEquals(chat.sendall("1@a", symbol.repeat(61)), long);
        assertEquals(chat.send("1@a", "Bob", symbol.repeat(60)), SENT);
        assertEquals(chat.sendall("1@a", symbol.repeat(60)), SENT);
        const text = symbol.repeat(60);
        assertEquals(chat.receive("2@b"), `mail: Al: ${text}, Al: ${text}`);
      });
    }

    it("the limits of name and text are settings", () => {
      const chat = world({ nameSymbolsMax: 2, textSymbolsMax: 3 });
      assertEquals(chat.register("1@a", "Bob"), "Login is too long!");
      chat.register("1@a", "Al");
      assertEquals(chat.send("1@a", "Al", "long"), "Massage is too long! Max length = 3!");
    });

    it("users are listed in the order of registration", () => {
      const chat = world();
      assertEquals(chat.users(), "users: ");
      chat.register("1@a", "Cy");
      chat.register("2@b", "Al");
      chat.register("3@c", "Bob");
      chat.logout("2@b");
      chat.register("2@b", "Al");
      assertEquals(chat.users(), "users: Cy Bob Al");
    });

    it("send checks the text, then the sender, then the receiver", () => {
      const chat = world();
      const long = "x".repeat(61);
      assertEquals(chat.send("1@a", "Bob", long), "Massage is too long! Max length = 60!");
      assertEquals(chat.send("1@a", "Bob", "hi"), NOBODY);
      chat.register("1@a", "Al");
      assertEquals(chat.send("1@a", "Bob", "hi"), "User 'Bob' doesn't exist!");
    });

    it("sending to oneself works, and an empty text is a text", () => {
      const chat = world();
      chat.register("1@a", "Al");
      assertEquals(chat.send("1@a", "Al", ""), SENT);
      assertEquals(chat.receive("1@a"), "mail: Al: ");
    });

    it("sendall reaches everybody but the sender", () => {
      const chat = world();
      chat.register("1@a", "Al");
      chat.register("2@b", "Bob");
      chat.register("3@c", "Cy");
      assertEquals(chat.sendall("1@a", "hi"), SENT);
      assertEquals(chat.receive("1@a"), "mail: ");
      assertEquals(chat.receive("2@b"), "mail: Al: hi");
      assertEquals(chat.receive("3@c"), "mail: Al: hi");
    });

    it("sendall with nobody else is a success", () => {
      const chat = world();
      chat.register("1@a", "Al");
      assertEquals(chat.sendall("1@a", "hi"), SENT);
    });

    it("receive empties the mailbox, oldest first", () => {
      const chat = world();
      chat.register("1@a", "Al");
      chat.register("2@b", "Bob");
      chat.send("1@a", "Bob", "1");
      chat.sendall("1@a", "2");
      chat.send("2@b", "Bob", "3");
      assertEquals(chat.receive("2@b"), "mail: Al: 1, Al: 2, Bob: 3");
      assertEquals(chat.receive("2@b"), "mail: ");
    });

    it("nobody can't send, receive or wait, but may log out", () => {
      const chat = world();
      for (
        const reply of [chat.send("1@a", "Al", ""), chat.sendall("1@a", ""), chat.receive("1@a")]
      ) {
        assertEquals(reply, NOBODY);
      }
      assertEquals(chat.logout("1@a"), LOGGED_OUT);
    });

    it("logout removes user and mail, and the name is free", () => {
      const chat = world();
      chat.register("1@a", "Al");
      chat.send("1@a", "Al", "old");
      assertEquals(chat.logout("1@a"), LOGGED_OUT);
      assertEquals(chat.users(), "users: ");
      assertEquals(chat.register("2@b", "Al"), "Hello, Al");
      assertEquals(chat.receive("2@b"), "mail: ");
    });

    it("mail waits for a user whose connection has ended", () => {
      const chat = world();
      chat.register("1@a", "Al");
      chat.register("2@b", "Bob");
      chat.end(2);
      assertEquals(chat.send("1@a", "Bob", "hi"), SENT);
      assertEquals(chat.register("3@b", "Bob"), "Nice to see you, Bob");
      assertEquals(chat.receive("3@b"), "mail: Al: hi");
    });

    it("a full mailbox refuses the message to its sender", () => {
      const chat = world();
      chat.register("1@a", "Al");
      chat.register("2@b", "Bob");
      for (let i = 0; i < 3; i++) assertEquals(chat.send("1@a", "Bob", `${i}`), SENT);
      assertEquals(chat.send("1@a", "Bob", "3"), "Mailbox of 'Bob' is full!");
      assertEquals(chat.receive("2@b"), "mail: Al: 0, Al: 1, Al: 2");
      assertEquals(chat.send("1@a", "Bob", "4"), SENT);
    });

    it("sendall says how many it could not reach, only then", () => {
      const chat = world();
      chat.register("1@a", "Al");
      chat.register("2@b", "Bob");
      chat.register("3@c", "Cy");
      for (let i = 0; i < 3; i++) chat.send("1@a", "Bob", `${i}`);
      assertEquals(chat.sendall("1@a", "all"), `${SENT} Full mailboxes: 1`);
      assertEquals(chat.receive("3@c"), "mail: Al: all");
      assertEquals(chat.receive("2@b"), "mail: Al: 0, Al: 1, Al: 2");
      assertEquals(chat.sendall("1@a", "all"), SENT);
    });

    it("a server that is full of users refuses another", () => {
      const chat = world({ usersMax: 2 });
      chat.register("1@a", "Al");
      chat.register("2@b", "Bob");
      assertEquals(chat.register("3@c", "Cy"), "Server is full!");
      assertEquals(chat.register("2@b", "Bob"), "Nice to see you, Bob");
      chat.logout("2@b");
      assertEquals(chat.register("3@c", "Cy"), "Hello, Cy");
    });

    it("a server that is full of mail refuses more, whole", () => {
      const chat = world({ messagesMax: 2 });
      chat.register("1@a", "Al");
      chat.register("2@b", "Bob");
      chat.register("3@c", "Cy");
      assertEquals(chat.send("1@a", "Bob", "1"), SENT);
      assertEquals(chat.sendall("1@a", "2"), "Server is full!");
      assertEquals(chat.send("1@a", "Bob", "3"), SENT);
      assertEquals(chat.send("1@a", "Cy", "4"), "Server is full!");
      assertEquals(chat.receive("2@b"), "mail: Al: 1, Al: 3");
      assertEquals(chat.receive("3@c"), "mail: ");
      assertEquals(chat.sendall("1@a", "5"), SENT);
    });

    it("a refusal changes nothing", () => {
      const chat = world();
      chat.register("1@a", "Al");
      const before = chat.state;
      chat.register("2@b", "Al");
      chat.register("2@b", "");
      chat.send("1@a", "Nobody", "hi");
      chat.sendall("2@b", "hi");
      chat.receive("2@b");
      assertEquals(chat.state === before, true);
    });

    it("the same entries give the same state", () => {
      const replay = () => {
        const chat = world();
        chat.register("1@a", "Al");
        chat.register("2@b", "Bob");
        chat.sendall("1@a", "hi");
        chat.end(2);
        return JSON.stringify(chat.state);
      };
      assertEquals(replay(), replay());
    });
  });
}

describe("in default mode, who somebody is", () => {
  it("many users may come from one address", () => {
    const chat = new World();
    assertEquals(chat.register("1@a", "Al"), "Hello, Al");
    assertEquals(chat.register("2@a", "Bob"), "Hello, Bob");
    chat.send("1@a", "Bob", "hi");
    assertEquals(chat.receive("2@a"), "mail: Al: hi");
  });

  it("an address has only so many users", () => {
    const chat = new World({ usersPerAddressMax: 2 });
    chat.register("1@a", "Al");
    chat.register("2@a", "Bob");
    assertEquals(chat.register("3@a", "Cy"), "Too many users from your address!");
    assertEquals(chat.register("3@b", "Cy"), "Hello, Cy");
  });

  it("a name that another connection holds is refused, even to the same address", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    assertEquals(chat.register("2@a", "Al"), "'Al' already exists!");
    assertEquals(chat.blockedBy, 1);
  });

  it("a name that nobody holds is taken up again from its address, with its mail", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.register("2@a", "Bob");
    chat.send("2@a", "Al", "hi");
    chat.end(1);
    assertEquals(chat.register("3@b", "Al"), "'Al' already exists!");
    assertEquals(chat.register("4@a", "Al"), "Nice to see you, Al");
    assertEquals(chat.receive("4@a"), "mail: Bob: hi");
  });

  it("a connection that registers another name lets go of the first", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    assertEquals(chat.register("1@a", "Bob"), "Hello, Bob");
    assertEquals(chat.users(), "users: Al Bob");
    assertEquals(chat.register("2@a", "Al"), "Nice to see you, Al");
    assertEquals(chat.register("1@a", "Al"), "'Al' already exists!");
    assertEquals(chat.send("1@a", "Bob", "I am still Bob"), SENT);
    assertEquals(chat.receive("1@a"), "mail: Bob: I am still Bob");
  });

  it("a connection that never registered acts as the one user of its address", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.end(1);
    assertEquals(chat.send("2@a", "Al", "hi"), SENT);
    assertEquals(chat.receive("3@a"), "mail: Al: hi");
    assertEquals(chat.receive("3@b"), NOBODY);
    assertEquals(chat.logout("4@a"), LOGGED_OUT);
    assertEquals(chat.users(), "users: ");
  });

  it("but not while another connection holds that user", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    assertEquals(chat.receive("2@a"), NOBODY);
    assertEquals(chat.blockedBy, 1);
    assertEquals(chat.logout("2@a"), LOGGED_OUT);
    assertEquals(chat.users(), "users: Al");
  });

  it("nor where two users are registered from there", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.register("2@a", "Bob");
    chat.end(1);
    chat.end(2);
    assertEquals(chat.receive("3@a"), NOBODY);
    assertEquals(chat.blockedBy, undefined);
  });

  it("after logout a connection is nobody", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.end(1);
    chat.logout("2@a");
    chat.register("3@a", "Bob");
    chat.end(3);
    assertEquals(chat.receive("2@a"), NOBODY);
    assertEquals(chat.receive("4@a"), "mail: ");
  });

  it("a connection whose user was removed by another is nobody", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.end(1);
    chat.register("2@a", "Al");
    chat.register("2@a", "Bob");
    chat.logout("2@a");
    assertEquals(chat.receive("2@a"), NOBODY);
    assertEquals(chat.receive("3@a"), "mail: ");
  });

  it("a refused register does not make a connection nobody", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.register("2@b", "Bob");
    chat.end(1);
    chat.register("3@a", "Bob");
    assertEquals(chat.receive("3@a"), "mail: ");
  });

  it("ended sessions leave nothing behind", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.logout("2@a");
    chat.end(1);
    chat.end(2);
    assertEquals([...chat.state.users.byMember], []);
    chat.logout("3@a");
    chat.end(3);
    assertEquals(chat.state.users, { ...emptyUsers(), nextId: 2 });
    assertEquals(chat.state.mailboxes.boxes.size, 0);
    assertEquals(chat.state.mailboxes.broadcasts.filled.size, 0);
  });
});

describe("in default mode, wait", () => {
  it("shows the mail and leaves it until it is taken", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.send("1@a", "Al", "1");
    assertEquals(chat.wait("1@a"), "mail: Al: 1");
    const { shown } = chat;
    chat.send("1@a", "Al", "2");
    chat.take(shown);
    assertEquals(chat.wait("1@a"), "mail: Al: 2");
  });

  it("what was shown is taken once, even if receive was faster", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.send("1@a", "Al", "1");
    chat.wait("1@a");
    const { shown } = chat;
    chat.receive("1@a");
    chat.send("1@a", "Al", "2");
    chat.take(shown);
    assertEquals(chat.receive("1@a"), "mail: Al: 2");
  });

  it("what was shown to a user is not taken from a later one of the same name", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.send("1@a", "Al", "1");
    chat.wait("1@a");
    const { shown } = chat;
    chat.logout("1@a");
    chat.register("2@a", "Al");
    chat.send("2@a", "Al", "2");
    chat.take(shown);
    assertEquals(chat.receive("2@a"), "mail: Al: 2");
    assertEquals(said(mailFor(chat.state, shown)), NOBODY);
  });

  it("refuses nobody", () => {
    assertEquals(new World().wait("1@a"), NOBODY);
  });
});

describe("in default mode, ping and help", () => {
  it("ping says pong", () => {
    assertEquals(new World().run("1@a", { name: "ping" }), "pong");
  });

  it("help names every command and the limits in force", () => {
    const text = new World({ textSymbolsMax: 77 }).run("1@a", { name: "help" });
    for (const name of ["register", "users", "send", "sendall", "receive", "wait", "logout"]) {
      assertEquals(text.includes(`\n${name} `), true);
    }
    assertEquals(text.includes("text: 0 to 77 symbols"), true);
  });
});

describe("in strict mode", () => {
  const strict = () => new World({ strict: true });

  it("every connection from an address acts as its user", () => {
    const chat = strict();
    chat.register("1@a", "Al");
    assertEquals(chat.register("2@a", "Al"), "Nice to see you, Al");
    chat.send("2@a", "Al", "hi");
    assertEquals(chat.receive("3@a"), "mail: Al: hi");
  });

  it("an address with a user gets no other, and is told its address and port", () => {
    const chat = strict();
    chat.register("1@a", "Al");
    assertEquals(chat.register("7@a", "Bob"), "'a:7' was used before!");
    chat.register("2@b", "Bob");
    assertEquals(chat.register("1@a", "Bob"), "'Bob' already exists!");
  });

  it("the end of a connection changes nothing", () => {
    const chat = strict();
    chat.register("1@a", "Al");
    const before = chat.state;
    chat.end(1);
    assertEquals(chat.state === before, true);
  });

  it("after logout another name can be registered", () => {
    const chat = strict();
    chat.register("1@a", "Al");
    chat.logout("2@a");
    assertEquals(chat.register("1@a", "Bob"), "Hello, Bob");
  });
});

describe("strictEnding()", () => {
  it("closes after a refused register, a refused send and a text that is too long", () => {
    assertEquals(strictEnding("register", { code: "name-taken" }), "close");
    assertEquals(strictEnding("register", { code: "server-full" }), "close");
    assertEquals(strictEnding("send", { code: "not-registered" }), "close");
    assertEquals(strictEnding("send", { code: "text-too-long" }), "close");
    assertEquals(strictEnding("sendall", { code: "text-too-long" }), "close");
  });

  it("is silent where a text or receiver is not UTF-8", () => {
    assertEquals(strictEnding("send", { code: "receiver-undecodable" }), "silent");
    assertEquals(strictEnding("sendall", { code: "text-undecodable" }), "silent");
  });

  it("leaves the connection open after all else", () => {
    assertEquals(strictEnding("register", { code: "welcome" }), "open");
    assertEquals(strictEnding("register", { code: "welcome-back" }), "open");
    assertEquals(strictEnding("receive", { code: "not-registered" }), "open");
    assertEquals(strictEnding("sendall", { code: "not-registered" }), "open");
    assertEquals(strictEnding("send", { code: "no-such-user" }), "open");
    assertEquals(strictEnding("send", { code: "mailbox-full" }), "open");
    assertEquals(strictEnding("logout", { code: "logged-out" }), "open");
  });
});
