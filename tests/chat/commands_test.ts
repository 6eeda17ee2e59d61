import { assertEquals, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { step } from "../../lib/chat/step.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import { strictEnding } from "../../lib/protocol/refusals.ts";
import { type ChatState, emptyChat, mailFor } from "../../lib/chat/state.ts";
import type { Command } from "../../lib/protocol/command.ts";
import { type Reply, replyText, type Shown } from "../../lib/protocol/reply.ts";
import { replyTexts } from "../../lib/protocol/reply_encoder.ts";
import type { Settings } from "../../lib/chat/settings.ts";
import { snapshotRows } from "../../lib/chat/snapshot.ts";
import { type Actor, emptyUsers } from "../../lib/chat/users.ts";

const SETTINGS: Settings = {
  strict: false,
  nameSymbolsMax: 8,
  textSymbolsMax: 60,
  usersMax: 5,
  usersPerAddressMax: 3,
  mailboxMessagesMax: 3,
  mailboxBroadcastsMax: 3,
  messagesMax: 8,
  messagesPerAddressMax: 8,
  usersExpireH: 0,
};

/** A reply as one text: its own text, or what it lists. */
function textOf(reply: Reply): string {
  switch (reply.code) {
    case "users":
      return `users: ${replyTexts(reply).slice(1).join(" ")}`;
    case "mail":
      return `mail: ${reply.mail().map(({ from, text }) => `${from}: ${text}`).join(", ")}`;
    case "help":
      return reply.text();
    case "mistake":
      return reply.mistake.text;
    default:
      return replyText(reply);
  }
}

function actorOf(sender: string): Actor {
  const [count = "", address = "a"] = sender.split("@");
  return { session: { member: 0, count: Number(count) }, address, peer: `${address}:${count}` };
}

/** A chat and the result of its last entry. A sender `1@a` is session 1 from address a. */
class World {
  state: ChatState;
  reply: Reply | undefined;
  /** The count of the session in the way. */
  blockedBy: number | undefined;

  constructor(settings: Partial<Settings> = {}) {
    this.state = emptyChat({ ...SETTINGS, ...settings });
  }

  /** Steps an entry, and checks that the old state does not change. */
  step(entry: Entry): void {
    const before = this.state;
    const digest = [...snapshotRows(before)];
    const { state, reply, blockedBy } = step(before, entry);
    assertEquals([...snapshotRows(before)], digest);
    this.state = state;
    this.reply = reply;
    this.blockedBy = blockedBy?.count;
  }

  run(sender: string, command: Command): string {
    this.step({ kind: "command", at: 0, actor: actorOf(sender), command });
    return textOf(this.reply!);
  }

  register = (sender: string, user: string) => this.run(sender, { name: "register", user });
  users = (sender = "99@z") => this.run(sender, { name: "users" });
  send = (sender: string, to: string, text: string) => this.run(sender, { name: "send", to, text });
  sendall = (sender: string, text: string) => this.run(sender, { name: "sendall", text });
  receive = (sender: string) => this.run(sender, { name: "receive" });
  wait = (sender: string) => this.run(sender, { name: "wait", seconds: 1 });
  logout = (sender: string) => this.run(sender, { name: "logout" });
  end = (count: number, at = 0) =>
    this.step({ kind: "end", at, session: { member: 0, count }, address: "a" });
  take = (sender: string, shown: Shown) =>
    this.step({ kind: "take", actor: actorOf(sender), shown });

  get shown(): Shown {
    return (this.reply as Reply & { code: "mail" }).shown;
  }
}

const NOT_REGISTERED = "U aren't registered!";
const SENT = "Message added to storage!";
const LOGGED_OUT = "U've been successfully logouted";

/** Symbols of 1, 2, 3 and 4 bytes, and of one and two UTF-16 units. */
const SYMBOLS = ["a", "Б", "€", "👍"];

for (const strict of [false, true]) {
  describe(`in ${strict ? "strict" : "default"} mode`, () => {
    const world = (settings: Partial<Settings> = {}) => new World({ strict, ...settings });

    it("register welcomes a new user, and welcomes it back", () => {
      const chat = world();
      assertEquals(chat.register("1@a", "Bob"), "Hello, Bob");
      assertEquals(chat.register("1@a", "Bob"), "Nice to see you, Bob");
    });

    it("register refuses a name that another address has registered", () => {
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

    it("users holds the list of the state itself, which is the same until a user comes or goes", () => {
      const chat = world();
      const list = () => {
        chat.users();
        return (chat.reply as Reply & { code: "users" }).users;
      };
      chat.register("1@a", "Al");
      const first = list();
      assertStrictEquals(first, chat.state.users.byId);
      chat.send("1@a", "Al", "hi");
      chat.register("1@a", "Al");
      assertStrictEquals(list(), first);
      chat.register("2@b", "Bob");
      assertEquals([first.size, list().size], [1, 2]);
    });

    it("users lists the users in the order of registration", () => {
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
      assertEquals(chat.send("1@a", "Bob", "hi"), NOT_REGISTERED);
      chat.register("1@a", "Al");
      assertEquals(chat.send("1@a", "Bob", "hi"), "User 'Bob' doesn't exist!");
    });

    it("sending to oneself works, and an empty text is a text", () => {
      const chat = world();
      chat.register("1@a", "Al");
      assertEquals(chat.send("1@a", "Al", ""), SENT);
      assertEquals(chat.receive("1@a"), "mail: Al: ");
    });

    it("sendall reaches every user except the sender", () => {
      const chat = world();
      chat.register("1@a", "Al");
      chat.register("2@b", "Bob");
      chat.register("3@c", "Cy");
      assertEquals(chat.sendall("1@a", "hi"), SENT);
      assertEquals(chat.receive("1@a"), "mail: ");
      assertEquals(chat.receive("2@b"), "mail: Al: hi");
      assertEquals(chat.receive("3@c"), "mail: Al: hi");
    });

    it("sendall without other users is a success", () => {
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

    it("a connection without a user can't send or receive, but may log out", () => {
      const chat = world();
      for (
        const reply of [chat.send("1@a", "Al", ""), chat.sendall("1@a", ""), chat.receive("1@a")]
      ) {
        assertEquals(reply, NOT_REGISTERED);
      }
      assertEquals(chat.logout("1@a"), LOGGED_OUT);
    });

    it("logout removes the user and its mail, and frees the name", () => {
      const chat = world();
      chat.register("1@a", "Al");
      chat.send("1@a", "Al", "old");
      assertEquals(chat.logout("1@a"), LOGGED_OUT);
      assertEquals(chat.users(), "users: ");
      assertEquals(chat.register("2@b", "Al"), "Hello, Al");
      assertEquals(chat.receive("2@b"), "mail: ");
    });

    it("mail is kept for a user whose connection has ended", () => {
      const chat = world();
      chat.register("1@a", "Al");
      chat.register("2@b", "Bob");
      chat.end(2);
      assertEquals(chat.send("1@a", "Bob", "hi"), SENT);
      assertEquals(chat.register("3@b", "Bob"), "Nice to see you, Bob");
      assertEquals(chat.receive("3@b"), "mail: Al: hi");
    });

    it("a message to a full mailbox is refused", () => {
      const chat = world();
      chat.register("1@a", "Al");
      chat.register("2@b", "Bob");
      for (let i = 0; i < 3; i++) assertEquals(chat.send("1@a", "Bob", `${i}`), SENT);
      assertEquals(chat.send("1@a", "Bob", "3"), "Mailbox of 'Bob' is full!");
      assertEquals(chat.receive("2@b"), "mail: Al: 0, Al: 1, Al: 2");
      assertEquals(chat.send("1@a", "Bob", "4"), SENT);
    });

    it("sendall tells how many full mailboxes it missed, if there are any", () => {
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

    it("a server that is full of users refuses a new one", () => {
      const chat = world({ usersMax: 2 });
      chat.register("1@a", "Al");
      chat.register("2@b", "Bob");
      assertEquals(chat.register("3@c", "Cy"), "Server is full!");
      assertEquals(chat.register("2@b", "Bob"), "Nice to see you, Bob");
      chat.logout("2@b");
      assertEquals(chat.register("3@c", "Cy"), "Hello, Cy");
    });

    it("a server that is full of mail refuses a message, or a whole sendall", () => {
      const chat = world({ messagesMax: 2 });
      chat.register("1@a", "Al");
      chat.register("2@b", "Bob");
      chat.register("3@c", "Cy");
      assertEquals(chat.send("1@a", "Bob", "1"), SENT);
      assertEquals(chat.send("1@a", "Bob", "2"), SENT);
      assertEquals(chat.sendall("1@a", "3"), "Server is full!");
      assertEquals(chat.send("1@a", "Cy", "4"), "Server is full!");
      assertEquals(chat.receive("2@b"), "mail: Al: 1, Al: 2");
      assertEquals(chat.receive("3@c"), "mail: ");
      assertEquals(chat.sendall("1@a", "5"), SENT);
    });

    it("a sendall counts once, until all have read it", () => {
      const chat = world({ messagesMax: 2 });
      chat.register("1@a", "Al");
      chat.register("2@b", "Bob");
      chat.register("3@c", "Cy");
      assertEquals(chat.sendall("1@a", "1"), SENT);
      assertEquals(chat.sendall("2@b", "2"), SENT);
      assertEquals(chat.sendall("3@c", "3"), "Server is full!");
      chat.receive("2@b");
      assertEquals(chat.sendall("3@c", "4"), "Server is full!");
      assertEquals(chat.receive("3@c"), "mail: Al: 1, Bob: 2");
      assertEquals(chat.sendall("3@c", "5"), SENT);
      assertEquals(chat.receive("1@a"), "mail: Bob: 2, Cy: 5");
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

describe("in default mode, the user of a connection", () => {
  it("one address may have many users", () => {
    const chat = new World();
    assertEquals(chat.register("1@a", "Al"), "Hello, Al");
    assertEquals(chat.register("2@a", "Bob"), "Hello, Bob");
    chat.send("1@a", "Bob", "hi");
    assertEquals(chat.receive("2@a"), "mail: Al: hi");
  });

  it("an address has at most as many users as the settings allow", () => {
    const chat = new World({ usersPerAddressMax: 2 });
    chat.register("1@a", "Al");
    chat.register("2@a", "Bob");
    assertEquals(chat.register("3@a", "Cy"), "Too many users from your address!");
    assertEquals(chat.register("3@b", "Cy"), "Hello, Cy");
  });

  it("all addresses of a /64 of IPv6 have their users together, but not their names", () => {
    const chat = new World({ usersPerAddressMax: 2 });
    chat.register("1@2001:db8::1", "Al");
    chat.register("2@2001:db8::2", "Bob");
    assertEquals(chat.register("3@2001:db8::3", "Cy"), "Too many users from your address!");
    assertEquals(chat.register("3@2001:db8:0:1::3", "Cy"), "Hello, Cy");
    chat.end(1);
    assertEquals(chat.register("4@2001:db8::2", "Al"), "'Al' already exists!");
    assertEquals(chat.receive("4@2001:db8::1"), "mail: ");
  });

  for (const [whole, share] of [[101, 11], [20, 10]] as const) {
    it(`an address has ${share} of ${whole} users and messages, where no flag says more`, () => {
      const chat = new World({
        ...{ usersMax: whole, usersPerAddressMax: 0, messagesMax: whole, messagesPerAddressMax: 0 },
      });
      const names = Array.from({ length: share }, (_, i) => `Al${i}`);
      names.forEach((name, i) => chat.register(`${i + 1}@a`, name));
      assertEquals(chat.register(`${share + 1}@a`, "more"), "Too many users from your address!");
      for (const name of names) assertEquals(chat.send("1@a", name, "1"), SENT);
      assertEquals(chat.send("1@a", "Al1", "2"), "Too much mail from your address!");
    });
  }

  it("mail counts to its sender's address until it is taken, also without the sender", () => {
    const FULL = "Too much mail from your address!";
    const chat = new World({ messagesPerAddressMax: 2 });
    chat.register("1@a", "Al");
    chat.register("2@a", "Eve");
    chat.register("3@b", "Bob");
    assertEquals(chat.send("1@a", "Bob", "1"), SENT);
    assertEquals(chat.sendall("2@a", "2"), SENT);
    assertEquals(chat.send("1@a", "Bob", "3"), FULL);
    assertEquals(chat.sendall("1@a", "3"), FULL);
    assertEquals(chat.send("3@b", "Al", "4"), SENT);
    chat.logout("1@a");
    chat.logout("2@a");
    chat.register("4@a", "Al");
    assertEquals(chat.send("4@a", "Bob", "5"), FULL);
    assertEquals(chat.receive("3@b"), "mail: Al: 1, Eve: 2");
    assertEquals(chat.send("4@a", "Bob", "6"), SENT);
  });

  it("a full mailbox is told before a full share, and a full share before a full server", () => {
    const chat = new World({
      ...{ mailboxMessagesMax: 1, messagesPerAddressMax: 1, messagesMax: 1 },
    });
    chat.register("1@a", "Al");
    chat.register("2@b", "Bob");
    chat.send("1@a", "Bob", "1");
    assertEquals(chat.send("1@a", "Bob", "2"), "Mailbox of 'Bob' is full!");
    assertEquals(chat.send("1@a", "Al", "3"), "Too much mail from your address!");
    assertEquals(chat.send("2@b", "Al", "4"), "Server is full!");
  });

  it("messages to all leave a tenth of a mailbox for messages to its user", () => {
    const limits = { messagesMax: 100, messagesPerAddressMax: 100 };
    const chat = new World({ ...limits, mailboxMessagesMax: 10, mailboxBroadcastsMax: 0 });
    chat.register("1@a", "Al");
    chat.register("2@b", "Bob");
    for (let i = 0; i < 9; i++) assertEquals(chat.sendall("1@a", "all"), SENT);
    assertEquals(chat.sendall("1@a", "all"), `${SENT} Full mailboxes: 1`);
    assertEquals(chat.send("1@a", "Bob", "last"), SENT);
    assertEquals(chat.send("1@a", "Bob", "late"), "Mailbox of 'Bob' is full!");
    assertEquals(chat.receive("2@b"), `mail: ${"Al: all, ".repeat(9)}Al: last`);
    assertEquals(chat.sendall("1@a", "more"), SENT);
  });

  it("a name that another connection holds is refused, even to the same address", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    assertEquals(chat.register("2@a", "Al"), "'Al' already exists!");
    assertEquals(chat.blockedBy, 1);
  });

  it("a free name, with its mail, is given back to its address only", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.register("2@a", "Bob");
    chat.send("2@a", "Al", "hi");
    chat.end(1);
    assertEquals(chat.register("3@b", "Al"), "'Al' already exists!");
    assertEquals(chat.register("4@a", "Al"), "Nice to see you, Al");
    assertEquals(chat.receive("4@a"), "mail: Bob: hi");
  });

  it("a connection that registers another name frees the first", () => {
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
    assertEquals(chat.receive("3@b"), NOT_REGISTERED);
    assertEquals(chat.logout("4@a"), LOGGED_OUT);
    assertEquals(chat.users(), "users: ");
  });

  it("a connection does not act as a user whose name another connection holds", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    assertEquals(chat.receive("2@a"), NOT_REGISTERED);
    assertEquals(chat.blockedBy, 1);
    assertEquals(chat.logout("2@a"), LOGGED_OUT);
    assertEquals(chat.users(), "users: Al");
  });

  it("a connection that never registered acts as no user of an address with two", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.register("2@a", "Bob");
    chat.end(1);
    chat.end(2);
    assertEquals(chat.receive("3@a"), NOT_REGISTERED);
    assertEquals(chat.blockedBy, undefined);
  });

  it("after logout a connection has no user", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.end(1);
    chat.logout("2@a");
    chat.register("3@a", "Bob");
    chat.end(3);
    assertEquals(chat.receive("2@a"), NOT_REGISTERED);
    assertEquals(chat.receive("4@a"), "mail: ");
  });

  it("a connection whose user was removed by another has no user", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.end(1);
    chat.register("2@a", "Al");
    chat.register("2@a", "Bob");
    chat.logout("2@a");
    assertEquals(chat.receive("2@a"), NOT_REGISTERED);
    assertEquals(chat.receive("3@a"), "mail: ");
  });

  it("after a refused register a connection still acts as the user of its address", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.register("2@b", "Bob");
    chat.end(1);
    chat.register("3@a", "Bob");
    assertEquals(chat.receive("3@a"), "mail: ");
  });

  it("ended sessions leave nothing in the state", () => {
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
    assertEquals(chat.state.mailboxes.broadcasts.log.size, 0);
  });
});

describe("in default mode, wait", () => {
  it("shows the mail, which stays until it is taken", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.send("1@a", "Al", "1");
    assertEquals(chat.wait("1@a"), "mail: Al: 1");
    const { shown } = chat;
    chat.send("1@a", "Al", "2");
    chat.take("1@a", shown);
    assertEquals(chat.wait("1@a"), "mail: Al: 2");
  });

  it("mail that a receive took is not taken again", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.send("1@a", "Al", "1");
    chat.wait("1@a");
    const { shown } = chat;
    chat.receive("1@a");
    chat.send("1@a", "Al", "2");
    chat.take("1@a", shown);
    assertEquals(chat.receive("1@a"), "mail: Al: 2");
  });

  it("mail of a later user of the same name is not taken", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.send("1@a", "Al", "1");
    chat.wait("1@a");
    const { shown } = chat;
    chat.logout("1@a");
    chat.register("2@a", "Al");
    chat.send("2@a", "Al", "2");
    chat.take("1@a", shown);
    chat.take("2@a", shown);
    assertEquals(chat.receive("2@a"), "mail: Al: 2");
    assertEquals(textOf(mailFor(chat.state, shown)), NOT_REGISTERED);
  });

  it("mail is not taken for a session that has become another user, or none", () => {
    const chat = new World();
    chat.register("1@a", "Al");
    chat.send("1@a", "Al", "1");
    chat.wait("1@a");
    const { shown } = chat;
    chat.register("1@a", "Bob");
    chat.take("1@a", shown);
    chat.take("9@z", shown);
    assertEquals(chat.register("1@a", "Al"), "Nice to see you, Al");
    assertEquals(chat.wait("1@a"), "mail: Al: 1");
    chat.take("1@a", shown);
    assertEquals(chat.wait("1@a"), "mail: ");
  });

  it("refuses a connection without a user", () => {
    assertEquals(new World().wait("1@a"), NOT_REGISTERED);
  });
});

describe("in default mode, ping and help", () => {
  it("ping says pong", () => {
    assertEquals(new World().run("1@a", { name: "ping" }), "pong");
  });

  it("help lists every command and the limits in force", () => {
    const text = new World({ textSymbolsMax: 77 }).run("1@a", { name: "help" });
    for (const name of ["register", "users", "send", "sendall", "receive", "wait", "logout"]) {
      assertEquals(text.includes(`\n${name} `), true);
    }
    assertEquals(text.includes("text: 0 to 77 symbols"), true);
  });
});

describe("in strict mode", () => {
  const strict = () => new World({ strict: true });

  it("every connection from an address acts as the user of the address", () => {
    const chat = strict();
    chat.register("1@a", "Al");
    assertEquals(chat.register("2@a", "Al"), "Nice to see you, Al");
    chat.send("2@a", "Al", "hi");
    assertEquals(chat.receive("3@a"), "mail: Al: hi");
  });

  it("a second user of an address is refused, with the address and port", () => {
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

  it("the end of a connection says that its user was here, once an hour", () => {
    const chat = strict();
    chat.register("1@a", "Al");
    const { id } = chat.state.users.byName.get("Al")!;
    const freeSince = () => chat.state.users.presence.get(id)!.freeSince;
    chat.end(1, 3_599_999);
    assertEquals(freeSince(), 0);
    chat.end(1, 3_600_000);
    assertEquals(freeSince(), 3_600_000);
    chat.end(2, 7_199_999);
    assertEquals(freeSince(), 3_600_000);
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

  it("leaves the connection open after all other replies", () => {
    assertEquals(strictEnding("register", { code: "welcome" }), "open");
    assertEquals(strictEnding("register", { code: "welcome-back" }), "open");
    assertEquals(strictEnding("receive", { code: "not-registered" }), "open");
    assertEquals(strictEnding("sendall", { code: "not-registered" }), "open");
    assertEquals(strictEnding("send", { code: "no-such-user" }), "open");
    assertEquals(strictEnding("send", { code: "mailbox-full" }), "open");
    assertEquals(strictEnding("logout", { code: "logged-out" }), "open");
  });
});

describe("in strict mode, limits", () => {
  it("give no address a share, and broadcasts the whole mailbox", () => {
    const chat = new World({
      ...{ strict: true, usersMax: 2, usersPerAddressMax: 1, messagesPerAddressMax: 1 },
      mailboxBroadcastsMax: 1,
    });
    chat.register("1@2001:db8::1", "Al");
    assertEquals(chat.register("2@2001:db8::2", "Bob"), "Hello, Bob");
    for (const text of ["1", "2", "3"]) assertEquals(chat.sendall("1@2001:db8::1", text), SENT);
    assertEquals(chat.receive("2@2001:db8::2"), "mail: Al: 1, Al: 2, Al: 3");
  });
});
