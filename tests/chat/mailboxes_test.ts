import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as boxes from "../../lib/chat/mailboxes.ts";
import type { MailboxLimits } from "../../lib/chat/mailbox.ts";
import type { Mailboxes } from "../../lib/chat/mailboxes.ts";
import { pick, wholeBelow, withSeed } from "../random.ts";

/** The ids of the mailboxes. The lowest 32 bits of Dan's are Bob's. */
const [Al, Bob, Cy, Dan, Eve] = [1, 2, 1500, 2 ** 32 + 2, 2 ** 53 - 1];
const NAMES = new Map([[Al, "Al"], [Bob, "Bob"], [Cy, "Cy"], [Dan, "Dan"], [Eve, "Eve"]]);

/** The network of a user: Al and Cy have one, and the others another one. */
function networkOf(id: number): string {
  return id === Al || id === Cy ? "net 1" : "net 2";
}

/** Opens a mailbox from which this many messages were taken. */
function openBox(all: Mailboxes, id: number, taken = 0): Mailboxes {
  const { mailboxes, source } = boxes.withSource(all, networkOf(id));
  return boxes.openMailbox(mailboxes, id, source, taken);
}

function closeBox(all: Mailboxes, id: number): Mailboxes {
  return boxes.closeMailbox(all, id, boxes.withSource(all, networkOf(id)).source);
}

function broadcast(all: Mailboxes, from: number, text: string): Mailboxes {
  const { source } = boxes.withSource(all, networkOf(from));
  return boxes.broadcast(all, from, { from: NAMES.get(from)!, text, source });
}

function deliver(all: Mailboxes, to: number, from: number, text: string): Mailboxes {
  const { mailboxes, source } = boxes.withSource(all, networkOf(from));
  return boxes.deliver(mailboxes, to, { from: NAMES.get(from)!, text, source });
}

function putBack(all: Mailboxes, to: number, from: number, text: string): Mailboxes {
  const { mailboxes, source } = boxes.withSource(all, networkOf(from));
  return boxes.putBack(mailboxes, to, { from: NAMES.get(from)!, text, source });
}

/** A message that waits. A broadcast is the same object in all mailboxes. */
interface Waiting {
  readonly text: string;
  readonly network: string;
  /** Set for a broadcast. */
  readonly broadcast?: number;
}

/** The number of messages of each network that wait. */
function mailByNetwork(all: Mailboxes): Record<string, number> {
  return Object.fromEntries(
    boxes.sources(all).map(({ id, network }) => [network, all.shares.byId.get(id)!.mail]),
  );
}

function texts(all: Mailboxes, id: number): string[] {
  return Array.from(boxes.read(all, id), ({ from, text }) => `${from}: ${text}`);
}

function open(max: number, ...ids: number[]): Mailboxes {
  return ids.reduce((all, id) => openBox(all, id), boxes.emptyMailboxes(limits(max)));
}

function limits(messages: number, broadcasts = messages): MailboxLimits {
  return { messages, broadcasts };
}

describe("mailboxes", () => {
  it("keep the order of direct mail and broadcasts", () => {
    let all = open(9, Al, Bob, Cy);
    all = deliver(all, Bob, Al, "1");
    all = broadcast(all, Al, "2");
    all = deliver(all, Bob, Cy, "3");
    all = broadcast(all, Bob, "not to itself");
    all = broadcast(all, Cy, "4");
    assertEquals(texts(all, Bob), ["Al: 1", "Al: 2", "Cy: 3", "Cy: 4"]);
    assertEquals(texts(all, Cy), ["Al: 2", "Bob: not to itself"]);
  });

  it("do not change when a later version does", () => {
    const before = broadcast(open(9, Al, Bob), Al, "1");
    deliver(before, Bob, Al, "2");
    broadcast(before, Al, "3");
    boxes.take(before, Bob, 1);
    assertEquals(texts(before, Bob), ["Al: 1"]);
  });

  it("do not get broadcasts from before they were opened", () => {
    let all = broadcast(open(9, Al, Bob), Al, "1");
    all = openBox(all, Cy);
    assertEquals(boxes.count(all, Cy), 0);
  });

  it("stay full until they are emptied", () => {
    let all = open(2, Al, Bob, Cy);
    all = deliver(all, Bob, Al, "1");
    for (const text of ["2", "3", "4"]) {
      all = broadcast(all, Al, text);
      all = boxes.take(all, Cy, boxes.count(all, Cy));
    }
    assertEquals(texts(all, Bob), ["Al: 1", "Al: 2"]);
    assertEquals(boxes.isFull(all, Bob), true);
    assertEquals(boxes.reach(all, Al), { reached: 1, missed: 1 });
    all = broadcast(boxes.take(all, Bob, 2), Al, "5");
    assertEquals(texts(all, Bob), ["Al: 5"]);
  });

  it("are not filled by broadcasts of their own user", () => {
    let all = open(2, Al, Bob);
    all = broadcast(all, Al, "to Bob");
    for (let i = 0; i < 5; i++) {
      all = boxes.take(broadcast(all, Bob, "mine"), Al, 1);
    }
    assertEquals(texts(all, Bob), ["Al: to Bob"]);
    assertEquals(boxes.isFull(all, Bob), false);
  });

  it("can give out a part of their mail, the oldest", () => {
    let all = open(9, Al, Bob);
    for (const text of ["1", "2", "3"]) all = broadcast(all, Al, text);
    all = deliver(all, Bob, Al, "4");
    all = boxes.take(all, Bob, 2);
    assertEquals(texts(all, Bob), ["Al: 3", "Al: 4"]);
    assertEquals(boxes.taken(all, Bob), 2);
  });

  it("can hold 200,000 broadcasts or direct messages", () => {
    let all = open(200_000, Al, Bob, Cy);
    for (let i = 0; i < 200_000; i++) all = deliver(all, Cy, Al, "1");
    for (let i = 0; i < 200_000; i++) all = broadcast(all, Al, "1");
    for (const id of [Bob, Cy]) {
      assertEquals(boxes.read(all, id).length, 200_000);
      assertEquals(boxes.read(boxes.take(all, id, 1), id).length, 199_999);
    }
  });

  it("keep in the log only broadcasts that wait, though some mailboxes are never read", () => {
    let all = open(10, Al, Bob, Cy);
    for (let i = 0; i < 1000; i++) {
      all = broadcast(all, i % 3 === 0 ? Bob : Al, `${i}`);
      all = boxes.take(all, Cy, boxes.count(all, Cy));
      assert(all.waiting <= 3 * 10);
      assertEquals([...boxes.waitingBroadcasts(all)].length, all.waiting);
      assert(all.broadcasts.log.size <= all.waiting);
    }
  });

  it("read one that held more than it may when it was opened, whatever comes afterwards", () => {
    let all = openBox(open(2, Al, Cy), Bob, 7);
    for (let i = 0; i < 5; i++) all = deliver(all, Bob, Cy, `${i}`);
    for (let i = 0; i < 3_000; i++) {
      all = broadcast(all, Al, "later");
      // Now and then another mailbox is full, too.
      if (i % 5 === 0) all = boxes.take(all, Cy, boxes.count(all, Cy));
      if (i % 100 === 0) {
        assertEquals(texts(all, Bob), ["Cy: 0", "Cy: 1", "Cy: 2", "Cy: 3", "Cy: 4"]);
        assertEquals(all.broadcasts.closed, 1);
      }
    }
    all = boxes.take(all, Bob, 4);
    all = broadcast(all, Al, "last");
    assertEquals(texts(all, Bob), ["Cy: 4", "Al: last"]);
    assertEquals(boxes.taken(all, Bob), 11);
  });

  it("can be changed from any version", () => {
    withSeed((random) => {
      let versions: { all: Mailboxes; mail: string[] }[] = [{ all: open(200, Al, Bob), mail: [] }];
      for (let round = 0; round < 3_000; round++) {
        // Mostly the newest version, sometimes an older one.
        const { all, mail } = random() < 0.8 ? versions.at(-1)! : pick(random, versions);
        const text = `${round}`;
        const count = random() < 0.5 ? mail.length : wholeBelow(random, mail.length + 1);
        const next = random() < 0.95 && mail.length < 200
          ? { all: deliver(all, Bob, Al, text), mail: [...mail, `Al: ${text}`] }
          : { all: boxes.take(all, Bob, count), mail: mail.slice(count) };
        versions = [...versions.slice(-5), next];
        for (const { all, mail } of versions) assertEquals(texts(all, Bob), mail);
      }
    });
  });

  it("hold fewer broadcasts than messages, where the limits say so", () => {
    let all = boxes.emptyMailboxes(limits(3, 1));
    for (const id of [Al, Bob, Cy]) all = openBox(all, id);
    all = broadcast(all, Al, "1");
    assertEquals(boxes.reach(all, Al), { reached: 0, missed: 2 });
    assertEquals(boxes.isFull(all, Bob), false);
    all = deliver(deliver(all, Bob, Al, "2"), Bob, Al, "3");
    assertEquals(boxes.isFull(all, Bob), true);
    all = broadcast(boxes.take(all, Bob, 1), Al, "4");
    assertEquals(texts(all, Bob), ["Al: 2", "Al: 3", "Al: 4"]);
    assertEquals(texts(all, Cy), ["Al: 1"]);
  });

  it("count a broadcast once, until it is gone from the last mailbox", () => {
    let all = open(9, Al, Bob, Cy, Dan);
    all = broadcast(all, Al, "1");
    assertEquals([all.waiting, mailByNetwork(all)], [1, { "net 1": 1, "net 2": 0 }]);
    all = deliver(all, Bob, Dan, "2");
    assertEquals([all.waiting, mailByNetwork(all)], [2, { "net 1": 1, "net 2": 1 }]);
    all = closeBox(boxes.take(all, Bob, 2), Dan);
    assertEquals([all.waiting, mailByNetwork(all)], [1, { "net 1": 1, "net 2": 0 }]);
    // The sender's logout frees nothing, the last mailbox does.
    all = closeBox(openBox(all, Dan), Al);
    assertEquals(all.waiting, 1);
    all = boxes.take(all, Cy, 1);
    assertEquals([all.waiting, mailByNetwork(all)], [0, { "net 1": 0, "net 2": 0 }]);
    all = [Bob, Cy, Dan].reduce(closeBox, all);
    assertEquals([mailByNetwork(all), all.broadcasts.log.size], [{}, 0]);
  });

  it("let go of 1,000 broadcasts with a few changes of the log", () => {
    let all = open(1_000, Al, Bob);
    for (let i = 0; i < 1_000; i++) all = broadcast(all, Al, `${i}`);
    assert(all.broadcasts.log.size <= 33);
    const { broadcasts: { log } } = boxes.take(all, Bob, 992);
    assertEquals(log.size, 1);
  });

  it("do what arrays would do, under random changes", () => {
    withSeed((random) => {
      let max = 1 + wholeBelow(random, 6);
      let most = 1 + wholeBelow(random, max);
      const ids = [...NAMES.keys()];
      // After some hundred broadcasts more, their number does not fit into 31 or 32 bits.
      const before = pick(random, [0, 2 ** 31 - 500, 2 ** 32 - 500]);
      let all = boxes.emptyMailboxes(limits(max, most), before);
      const model = new Map<number, Waiting[]>();
      const isClosed = (mail: readonly Waiting[]) =>
        mail.length >= max ||
        mail.filter(({ broadcast }) => broadcast !== undefined).length >= most;
      for (let round = 0; round < 5000; round++) {
        const id = pick(random, ids);
        const other = pick(random, ids);
        const name = NAMES.get(id)!;
        const box = model.get(id);
        const text = `${round}`;
        const what = random();
        if (box === undefined) {
          all = openBox(all, id);
          model.set(id, []);
        } else if (what < 0.02) {
          all = closeBox(all, id);
          model.delete(id);
        } else if (what < 0.03) {
          // Some mailboxes then hold more than they may.
          max = 1 + wholeBelow(random, 40);
          most = 1 + wholeBelow(random, max);
          all = boxes.resize(all, limits(max, most));
        } else if (what < 0.04) {
          all = putBack(all, id, other, text);
          box.unshift({ text: `${NAMES.get(other)}: ${text}`, network: networkOf(other) });
        } else if (what < 0.4) {
          const others = [...model].filter(([to]) => to !== id);
          const free = others.filter(([, mail]) => !isClosed(mail));
          assertEquals(boxes.reach(all, id), {
            reached: free.length,
            missed: others.length - free.length,
          });
          all = broadcast(all, id, text);
          const mail = { text: `${name}: ${text}`, network: networkOf(id), broadcast: round };
          for (const [, box] of free) box.push(mail);
        } else if (what < 0.7 && model.has(other) && !boxes.isFull(all, other)) {
          all = deliver(all, other, id, text);
          model.get(other)!.push({ text: `${name}: ${text}`, network: networkOf(id) });
        } else if (what > 0.8 && box.length > 0) {
          const messages = random() < 0.5 ? box.length : 1 + wholeBelow(random, box.length);
          all = boxes.take(all, id, messages);
          box.splice(0, messages);
        }
        const waiting = new Set([...model.values()].flat());
        assertEquals(all.waiting, waiting.size);
        for (const [network, mail] of Object.entries(mailByNetwork(all))) {
          const own = [...waiting].filter((message) => message.network === network);
          assertEquals(mail, own.length);
        }
        assertEquals(
          all.broadcasts.closed,
          [...model.values()].filter(isClosed).length,
        );
        for (const [of, mail] of model) {
          assertEquals(boxes.count(all, of), mail.length);
          assertEquals(boxes.isFull(all, of), mail.length >= max);
          if (round % 7 === 0) assertEquals(texts(all, of), mail.map(({ text }) => text));
        }
      }
    });
  });
});
