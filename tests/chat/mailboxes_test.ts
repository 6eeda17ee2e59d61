import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as boxes from "../../lib/chat/mailboxes.ts";
import type { Mailboxes } from "../../lib/chat/mailboxes.ts";
import { pick, wholeBelow, withSeed } from "../random.ts";

/** The ids of the mailboxes. The lowest 32 bits of Dan's are Bob's. */
const [Al, Bob, Cy, Dan, Eve] = [1, 2, 1500, 2 ** 32 + 2, 2 ** 53 - 1];
const NAMES = new Map([[Al, "Al"], [Bob, "Bob"], [Cy, "Cy"], [Dan, "Dan"], [Eve, "Eve"]]);

function broadcast(all: Mailboxes, from: number, text: string): Mailboxes {
  return boxes.broadcast(all, from, { from: NAMES.get(from)!, text });
}

function texts(all: Mailboxes, id: number): string[] {
  return Array.from(boxes.read(all, id), ({ from, text }) => `${from}: ${text}`);
}

function open(max: number, ...ids: number[]): Mailboxes {
  return ids.reduce((all, id) => boxes.openMailbox(all, id), boxes.emptyMailboxes(max));
}

/** No mailboxes, after this many broadcasts. */
function emptyAfter(broadcasts: number, max: number): Mailboxes {
  const empty = boxes.emptyMailboxes(max);
  return { ...empty, broadcasts: { ...empty.broadcasts, end: broadcasts } };
}

describe("mailboxes", () => {
  it("keep the order of direct mail and broadcasts", () => {
    let all = open(9, Al, Bob, Cy);
    all = boxes.deliver(all, Bob, { from: "Al", text: "1" });
    all = broadcast(all, Al, "2");
    all = boxes.deliver(all, Bob, { from: "Cy", text: "3" });
    all = broadcast(all, Bob, "not to itself");
    all = broadcast(all, Cy, "4");
    assertEquals(texts(all, Bob), ["Al: 1", "Al: 2", "Cy: 3", "Cy: 4"]);
    assertEquals(texts(all, Cy), ["Al: 2", "Bob: not to itself"]);
  });

  it("do not change when a later version does", () => {
    const before = broadcast(open(9, Al, Bob), Al, "1");
    boxes.deliver(before, Bob, { from: "Al", text: "2" });
    broadcast(before, Al, "3");
    boxes.take(before, Bob, 1);
    assertEquals(texts(before, Bob), ["Al: 1"]);
  });

  it("do not get broadcasts from before they were opened", () => {
    let all = broadcast(open(9, Al, Bob), Al, "1");
    all = boxes.openMailbox(all, Cy);
    assertEquals(boxes.count(all, Cy), 0);
  });

  it("stay full until they are emptied", () => {
    let all = open(2, Al, Bob, Cy);
    all = boxes.deliver(all, Bob, { from: "Al", text: "1" });
    for (const text of ["2", "3", "4"]) {
      all = broadcast(all, Al, text);
      all = boxes.take(all, Cy, boxes.count(all, Cy));
    }
    assertEquals(texts(all, Bob), ["Al: 1", "Al: 2"]);
    assertEquals(boxes.isFull(all, Bob), true);
    assertEquals(boxes.reach(all, Al), { reached: 1, full: 1 });
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
    all = boxes.deliver(all, Bob, { from: "Al", text: "4" });
    all = boxes.take(all, Bob, 2);
    assertEquals(texts(all, Bob), ["Al: 3", "Al: 4"]);
    assertEquals(boxes.taken(all, Bob), 2);
  });

  it("can hold 200,000 broadcasts or direct messages", () => {
    const mail = { from: "Al", text: "1" };
    let all = open(200_000, Al, Bob, Cy);
    for (let i = 0; i < 200_000; i++) all = boxes.deliver(all, Cy, mail);
    for (let i = 0; i < 200_000; i++) all = broadcast(all, Al, "1");
    for (const id of [Bob, Cy]) {
      assertEquals(boxes.read(all, id).length, 200_000);
      assertEquals(boxes.read(boxes.take(all, id, 1), id).length, 199_999);
    }
  });

  it("keep a log that is no longer than a mailbox may be", () => {
    let all = open(10, Al, Bob, Cy);
    for (let i = 0; i < 1000; i++) {
      all = broadcast(all, i % 3 === 0 ? Bob : Al, `${i}`);
      all = boxes.take(all, Cy, boxes.count(all, Cy));
      assert(all.broadcasts.log.size <= 10);
      assert(all.broadcasts.filled.size <= 3);
    }
  });

  it("read one that held more than it may when it was opened, whatever comes afterwards", () => {
    const mail = Array.from({ length: 5 }, (_, i) => ({ from: "Cy", text: `${i}` }));
    let all = boxes.openMailbox(open(2, Al, Cy), Bob, mail, 7);
    for (let i = 0; i < 3_000; i++) {
      all = broadcast(all, Al, "later");
      // Now and then another mailbox is full, too.
      if (i % 5 === 0) all = boxes.take(all, Cy, boxes.count(all, Cy));
      if (i % 100 === 0) {
        assertEquals(texts(all, Bob), ["Cy: 0", "Cy: 1", "Cy: 2", "Cy: 3", "Cy: 4"]);
        assertEquals(all.broadcasts.full, 1);
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
          ? { all: boxes.deliver(all, Bob, { from: "Al", text }), mail: [...mail, `Al: ${text}`] }
          : { all: boxes.take(all, Bob, count), mail: mail.slice(count) };
        versions = [...versions.slice(-5), next];
        for (const { all, mail } of versions) assertEquals(texts(all, Bob), mail);
      }
    });
  });

  it("do what arrays would do, under random changes", () => {
    withSeed((random) => {
      let max = 1 + wholeBelow(random, 6);
      const ids = [...NAMES.keys()];
      // After some hundred broadcasts more, their number does not fit into 31 or 32 bits.
      let all = emptyAfter(pick(random, [0, 2 ** 31 - 500, 2 ** 32 - 500]), max);
      const model = new Map<number, string[]>();
      for (let round = 0; round < 5000; round++) {
        const id = pick(random, ids);
        const other = pick(random, ids);
        const name = NAMES.get(id)!;
        const box = model.get(id);
        const text = `${round}`;
        const what = random();
        if (box === undefined) {
          all = boxes.openMailbox(all, id);
          model.set(id, []);
        } else if (what < 0.02) {
          all = boxes.closeMailbox(all, id);
          model.delete(id);
        } else if (what < 0.03) {
          // Some mailboxes then hold more than they may.
          max = 1 + wholeBelow(random, 40);
          all = boxes.resize(all, max);
        } else if (what < 0.04) {
          // As a snapshot is read: without the broadcasts that there were.
          let read = boxes.emptyMailboxes(max);
          for (const [of] of model) {
            read = boxes.openMailbox(read, of, boxes.read(all, of), boxes.taken(all, of));
          }
          all = read;
        } else if (what < 0.4) {
          const others = [...model].filter(([to]) => to !== id);
          const free = others.filter(([, mail]) => mail.length < max);
          assertEquals(boxes.reach(all, id), {
            reached: free.length,
            full: others.length - free.length,
          });
          all = broadcast(all, id, text);
          for (const [, mail] of free) mail.push(`${name}: ${text}`);
        } else if (what < 0.7 && model.has(other) && !boxes.isFull(all, other)) {
          all = boxes.deliver(all, other, { from: name, text });
          model.get(other)!.push(`${name}: ${text}`);
        } else if (what > 0.8 && box.length > 0) {
          const messages = random() < 0.5 ? box.length : 1 + wholeBelow(random, box.length);
          all = boxes.take(all, id, messages);
          box.splice(0, messages);
        }
        const waiting = [...model.values()].reduce((sum, mail) => sum + mail.length, 0);
        assertEquals(all.waiting, waiting);
        assertEquals(
          all.broadcasts.full,
          [...model.values()].filter((mail) => mail.length >= max).length,
        );
        for (const [of, mail] of model) {
          assertEquals(boxes.count(all, of), mail.length);
          if (round % 7 === 0) assertEquals(texts(all, of), mail);
        }
      }
    });
  });
});
