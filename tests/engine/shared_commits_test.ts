/** What becomes of the items of a server whose chat others share. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import type { Item } from "../../lib/chat/batch.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import { encodeEntries } from "../../lib/chat/entry_codec.ts";
import { read } from "../../lib/chat/mailboxes.ts";
import { settingsOf } from "../../lib/chat/settings.ts";
import { Engine } from "../../lib/engine/engine.ts";
import type { Answers, Session } from "../../lib/engine/session.ts";
import { parseServerOptions } from "../../lib/options.ts";
import type { Command } from "../../lib/protocol/command.ts";
import { allOf } from "./answers.ts";
import { SILENT_LOG, until } from "../support.ts";
import { BODY_LENGTH_MAX, join, type Stream } from "./stream.ts";

const SETTINGS = settingsOf(parseServerOptions([]));
const BATCH = { kind: "batch", at: 1, member: "other", batch: 1 } as const;
const AWAY = "storage-away";

/** The item of a command that is written as one text: `send Al hi`. */
function item(text: string): Item {
  const [name, ...words] = text.split(" ");
  const commands: Record<string, Command> = {
    register: { name: "register", user: words[0]! },
    send: { name: "send", to: words[0]!, text: words.slice(1).join(" ") },
    receive: { name: "receive" },
    ping: { name: "ping" },
    wait: { name: "wait", seconds: Number(words[0]) },
  };
  return { kind: "command", command: commands[name!]! };
}

/** A server that has joined a chat, and its engine. */
async function open() {
  const { stream } = await join(SETTINGS);
  const engine = new Engine(stream.commits, SILENT_LOG);
  const enter = (session: Session, ...texts: string[]) =>
    allOf(engine.enter(session, texts.map(item)));
  /** Enters commands that are stored at once, and returns the codes of their replies. */
  const ask = async (session: Session, ...texts: string[]) => {
    const answers = enter(session, ...texts);
    await stream.comeBack();
    return codes(await answers);
  };
  const openSession = (address: string) => engine.open(address, `${address}:1`);
  return { stream, engine, enter, ask, openSession };
}

/** The codes of the replies; of mail, its texts. */
function codes({ replies }: Answers): string[] {
  return replies.map((reply) => {
    if (reply?.code !== "mail") return reply?.code ?? "-";
    return ["mail", ...reply.mail().map(({ text }) => text)].join(" ");
  });
}

/** The texts in a user's mailbox. */
function mailOf({ commits: { published } }: Stream, name: string): string[] {
  const { id } = published.users.byName.get(name)!;
  return read(published.mailboxes, id).map(({ text }) => text);
}

/** The names that sessions hold. */
function namesHeld({ commits: { published: { users } } }: Stream): string[] {
  return users.byId.values().filter(({ id }) => users.presence.get(id)!.session !== undefined)
    .map(({ name }) => name);
}

describe("a server whose chat others share", () => {
  it("answers what only reads while a batch is under way", async () => {
    const { stream, openSession, enter } = await open();
    const answers = enter(openSession("10.0.0.1"), "register Al");
    await until(() => stream.sent.length > 0, "it is sent");
    assertEquals(codes(await enter(openSession("10.0.0.1"), "ping")), ["pong"]);
    await stream.comeBack();
    assertEquals(codes(await answers), ["welcome"]);
  });

  it("answers commands that came while a batch was under way, in their order", async () => {
    const { stream, openSession, enter } = await open();
    const [al, bob] = [openSession("10.0.0.1"), openSession("10.0.0.2")];
    const first = enter(al, "register Al");
    await until(() => stream.sent.length > 0, "it is sent");
    const second = enter(bob, "register Bob", "send Al 1", "wait 0", "send Al 2", "ping");
    await stream.comeBack();
    assertEquals(codes(await first), ["welcome"]);
    await stream.comeBack();
    await stream.comeBack();
    assertEquals(codes(await second), ["welcome", "sent", "mail", "sent", "pong"]);
    assertEquals(mailOf(stream, "Al"), ["1", "2"]);
  });

  it("refuses what could not be stored, and replies to the rest", async () => {
    const { stream, openSession, enter, ask } = await open();
    const al = openSession("10.0.0.1");
    await ask(al, "register Al", "send Al 1");
    const answers = enter(al, "send Al 2", "receive", "ping", "wait 0");
    await until(() => stream.sent.length > 0, "it is sent");
    stream.lose();
    stream.giveUp();
    assertEquals(codes(await answers), [AWAY, AWAY, "pong", "mail 1"]);
    assertEquals(mailOf(stream, "Al"), ["1"]);
  });

  it("cuts what is too long for one message, and answers all of it in its order", async () => {
    const { stream, openSession, enter } = await open();
    const [al, bob] = [openSession("10.0.0.1"), openSession("10.0.0.2")];
    const text = "x".repeat(50);
    const notes = Array.from(
      { length: 4_000 },
      (_, i) => `send ${i % 3 < 2 ? "Al" : "Eve"} ${text}`,
    );
    const long = enter(al, "register Al", ...notes);
    const short = enter(bob, "register Bob", "ping");
    let messages = 0;
    let isOver = false;
    long.then(() => isOver = true);
    for (; !isOver; await sleep(1)) {
      for (const [, ...entries] of stream.sent) {
        messages++;
        assert(encodeEntries(entries).length <= BODY_LENGTH_MAX);
      }
      stream.comeBackNow();
    }
    assert(messages >= 3, `${messages} messages`);
    assertEquals(codes(await short), ["welcome", "pong"]);
    const expected = notes.map((_, i) => {
      if (i % 3 === 2) return "no-such-user";
      return i - Math.floor(i / 3) < SETTINGS.mailboxMessagesMax ? "sent" : "mailbox-full";
    });
    assertEquals(codes(await long), ["welcome", ...expected]);
  });

  it("says that entries of no session are over when the last of them is stored", async () => {
    const { stream, openSession, ask } = await open();
    const { actor } = openSession("10.0.0.1");
    const entries = Array.from({ length: 4_000 }, (_, i): Entry => {
      return { kind: "command", at: i, actor, command: { name: "send", to: "Al", text: `${i}` } };
    });
    const last = openSession("10.0.0.2");
    await ask(last, "register Al");
    const register: Entry = {
      ...{ kind: "command", at: 1, actor, command: { name: "register", user: "Bob" } },
    };
    let isOver = false;
    stream.commits.store(...entries, register).then(() => isOver = true);
    for (; !isOver; await sleep(1)) stream.comeBackNow();
    assertEquals(stream.commits.published.users.byName.get("Bob")?.name, "Bob");
  });

  it("puts mail back that a batch took whose replies no client got", async () => {
    const { stream, openSession, enter, ask } = await open();
    const al = openSession("10.0.0.1");
    await ask(al, "register Al", "send Al 1", "send Al 2");
    const answers = enter(al, "receive");
    await until(() => stream.sent.length > 0, "it is sent");
    stream.giveUp();
    assertEquals(codes(await answers), [AWAY]);
    await stream.comeBack();
    assertEquals(mailOf(stream, "Al"), []);
    await stream.comeBack();
    assertEquals(mailOf(stream, "Al"), ["1", "2"]);
  });

  it("stores the end of a session with the next batch, if it could not be stored", async () => {
    const { stream, engine, openSession, enter, ask } = await open();
    const al = openSession("10.0.0.1");
    await ask(al, "register Al");
    const [one, two] = [openSession("10.0.0.2"), openSession("10.0.0.3")];
    enter(one, "register Bob");
    await until(() => stream.sent.length > 0, "it is sent");
    // The batch under way is given up, so that the next one can't be sent.
    stream.giveUp();
    const kept = stream.sent;
    engine.end(al);
    await sleep(5);
    stream.giveUp();
    await sleep(5);
    assertEquals(namesHeld(stream), ["Al"]);
    stream.lose();
    for (const batch of kept) stream.hear(...batch);
    const answers = enter(two, "register Cy");
    await stream.comeBack();
    await stream.comeBack();
    assertEquals(codes(await answers), ["welcome"]);
    assertEquals(namesHeld(stream), ["Bob", "Cy"]);
  });

  it("ends a session whose client goes while a batch of it is under way", async () => {
    const { stream, engine, openSession, enter, ask } = await open();
    const al = openSession("10.0.0.1");
    await ask(al, "register Al");
    enter(al, "send Al 1", "ping");
    await until(() => stream.sent.length > 0, "it is sent");
    engine.end(al);
    await stream.comeBack();
    await sleep(5);
    stream.comeBackNow();
    assertEquals(mailOf(stream, "Al"), ["1"]);
    assertEquals(namesHeld(stream), []);
  });

  it("takes mail that was shown before a command that waits for another session", async () => {
    const { stream, openSession, enter, ask } = await open();
    const [al, bob] = [openSession("10.0.0.1"), openSession("10.0.0.1")];
    await ask(bob, "register Bob");
    await ask(al, "register Al");
    await ask(al, "send Al 1");
    assertEquals(codes(await enter(al, "wait 5")), ["mail 1"]);
    // Bob's name is held, so the command waits.
    const answers = enter(al, "register Bob");
    for (let waits = 0; waits < 10; waits++, await sleep(50)) stream.comeBackNow();
    assertEquals(codes(await answers), ["name-taken"]);
    assertEquals(mailOf(stream, "Al"), []);
  });

  it("does not wait without end for a name of a silent member while nothing is stored", async () => {
    const { stream, openSession, enter } = await open();
    const actor = { session: { member: 2, count: 1 }, address: "10.0.0.1", peer: "" };
    stream.hear(BATCH, {
      ...{ kind: "command", at: 1, actor, command: { name: "register", user: "Al" } },
    });
    const first = enter(openSession("10.0.0.1"), "register Bob");
    await until(() => stream.sent.length > 0, "it is sent");
    stream.giveUp();
    assertEquals(codes(await first), [AWAY]);
    const answers = enter(openSession("10.0.0.1"), "register Al");
    await until(() => stream.asked !== undefined, "the other member is asked");
    stream.asked!(false);
    let isOver = false;
    answers.then(() => isOver = true);
    // The end of that member can't be stored, and then the command.
    for (let tries = 0; tries < 10 && !isOver; tries++, await sleep(50)) stream.giveUp();
    assertEquals(isOver, true);
  });
});
