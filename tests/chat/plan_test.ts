/** What of a request one batch of a shared journal may hold. */
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  followBatch,
  type Item,
  type Outcome,
  type Request,
  stepBatch,
} from "../../lib/chat/batch.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import { plan } from "../../lib/chat/plan.ts";
import { type ChatState, emptyChat } from "../../lib/chat/state.ts";
import { wholeBelow, withSeed } from "../random.ts";
import { END, items, randomItems, REFUSED, replayed, rows, Session, SETTINGS } from "./batches.ts";

const AT = 5;

/** A chat of two members, in strict mode or not. */
function joined(strict = false): ChatState {
  const settings = { ...SETTINGS, strict };
  return replayed(emptyChat(settings), [
    { kind: "join", at: 1, member: "a", rules: 1, settings },
    { kind: "join", at: 1, member: "b", rules: 1, settings },
  ]);
}

const open = (count: number, address = "10.0.0.1") => new Session({ member: 1, count }, address);

/** The state after commands of a session. */
function after(state: ChatState, session: Session, ...texts: string[]): ChatState {
  const requests = [session.request(...items(...texts))];
  return stepBatch(state, { leading: [], requests }, 1, "decide").state;
}

/** The number of items that a batch may hold, and the kinds of its entries. */
function planned(state: ChatState, request: Request, isKnown = false): [number, ...string[]] {
  const { items: some, entries } = plan(state, request, AT, isKnown);
  assertEquals(some, request.items.slice(0, some.length));
  return [some.length, ...entries.map(kindOf)];
}

function kindOf(entry: Entry): string {
  return entry.kind === "command" ? entry.command.name : entry.kind;
}

describe("plan()", () => {
  it("has no entries for items that only read", () => {
    const request = open(1).request(...items("users", "ping", "help"), REFUSED);
    assertEquals(planned(joined(), request), [4]);
  });

  it("has an entry for each command that may change the chat, in their order and at this time", () => {
    const al = open(1);
    const texts = ["register Al", "ping", "send Al 1", "sendall 2", "receive", "logout"];
    const { items: some, entries } = plan(joined(), al.request(...items(...texts)), AT, false);
    assertEquals(some.length, 6);
    assertEquals(entries.map(kindOf), ["register", "send", "sendall", "receive", "logout"]);
    for (const entry of entries) {
      if (entry.kind === "command") assertEquals([entry.at, entry.actor], [AT, al.actor]);
    }
  });

  it("ends behind a `wait`, as its reply decides what the next command takes", () => {
    const request = open(1).request(...items("register Al", "wait", "send Al 1"));
    assertEquals(planned(joined(), request), [2, "register"]);
  });

  it("takes what was shown before the first whole command, and not before the end", () => {
    const al = open(1);
    const state = after(joined(), al, "register Al", "send Al 1");
    al.shown = { user: "Al", id: 1, through: 1 };
    const broken: Item = {
      kind: "mistake",
      mistake: { code: "big-endian", rule: "", text: "", dialect: "frame" },
      reply: undefined,
      mayBeMail: false,
      explanation: "",
    };
    assertEquals(planned(state, al.request(...items("ping", "ping"))), [2, "take"]);
    assertEquals(planned(state, al.request(REFUSED, ...items("send Al 2"))), [2, "take", "send"]);
    assertEquals(planned(state, al.request(...items("wait", "ping"))), [1, "take"]);
    assertEquals(planned(state, al.request(broken)), [1]);
    assertEquals(planned(state, al.request(END), true), [1, "end"]);
  });

  it("holds no item behind a parked `wait`, whose reply may show mail", () => {
    const al = open(1);
    al.parked = { user: "Al", id: 1, through: 0 };
    assertEquals(planned(joined(), al.request(...items("send Al 1"))), [0]);
    assertEquals(planned(joined(), al.request()), [0]);
  });

  it("holds no command that another session blocks, and nothing behind it", () => {
    const [al, other] = [open(1), open(2)];
    const state = after(joined(), al, "register Al");
    assertEquals(planned(state, other.request(...items("receive", "ping"))), [0]);
    assertEquals(planned(state, other.request(...items("ping", "receive"))), [1]);
    assertEquals(planned(state, other.request(...items("register Bob", "receive"))), [
      1,
      "register",
    ]);
    other.waitedFor = al.actor.session;
    assertEquals(planned(state, other.request(...items("receive", "ping"))), [2, "receive"]);
  });

  it("loses no take before a command that another session blocks", () => {
    const [al, other] = [open(1), open(2)];
    const state = after(after(joined(), other, "register Bob"), al, "register Al", "send Al 1");
    al.shown = { user: "Al", id: 2, through: 1 };
    const request = al.request(...items("register Bob"));
    const { items: some, entries } = plan(state, request, AT, true);
    const alone = { leading: [], requests: [{ ...request, items: some }] };
    const { outcomes, entries: made } = stepBatch(state, alone, AT, "decide");
    if (outcomes[0]!.shown === undefined) assertEquals(entries, made);
  });

  it("has an entry for the end of a session only if other members may know of it", () => {
    const al = open(1);
    assertEquals(planned(joined(), al.request(...items("ping"), END)), [2]);
    assertEquals(planned(joined(), al.request(END), true), [1, "end"]);
    const request = al.request(...items("register Al"), END);
    assertEquals(planned(joined(), request), [2, "register", "end"]);
    const strict = after(joined(true), al, "register Al");
    const hour = 3_600_000;
    const kindsAt = (at: number) => plan(strict, al.request(END), at, false).entries.map(kindOf);
    assertEquals([kindsAt(hour), kindsAt(hour + 1)], [[], ["end"]]);
  });

  it("holds one command in strict mode, as its reply may end the connection", () => {
    const al = open(1);
    const request = al.request(...items("register Al", "send Al 1"));
    assertEquals(planned(joined(true), request), [1, "register"]);
    assertEquals(planned(joined(true), al.request(...items("ping", "ping"))), [1]);
    assertEquals(planned(joined(true), al.request(REFUSED, ...items("ping"))), [1]);
  });
});

/**
 * Random requests to a member, while another one changes the chat between the plan and the step. The
 * member steps its own requests, the others step the entries: both have to get the same state.
 */
function share(random: () => number, strict: boolean): void {
  let state = joined(strict);
  let opened = 0;
  const openNext = () => open(++opened, `10.0.0.${opened % 3}`);
  const sessions = Array.from({ length: 4 }, openNext);
  const left = new Map<Session, Item[]>();
  const sent = new Set<Session>();
  const foreign = new Session({ member: 2, count: 1 }, "10.0.0.1");
  let at = 1;
  for (let number = 1; number <= 20; number++) {
    at += wholeBelow(random, 2_000_000);
    const requests: Request[] = [];
    const entries: Entry[] = [];
    const senders: Session[] = [];
    for (const session of sessions) {
      if (!left.get(session)?.length) left.set(session, randomItems(random));
      const request = session.request(...left.get(session)!);
      const planned = plan(state, request, at, sent.has(session));
      const part = { ...request, items: planned.items };
      if (planned.entries.length > 0) {
        requests.push(part);
        entries.push(...planned.entries);
        senders.push(session);
        sent.add(session);
      } else {
        const alone = { leading: [], requests: [part] };
        const { state: same, outcomes } = stepBatch(state, alone, at, "decide");
        assertEquals(rows(same), rows(state), "a batch without entries changes nothing");
        settle(session, part, outcomes[0]!);
      }
    }
    const others = foreign.request(...randomItems(random).filter((item) => item !== END));
    const before = stepBatch(state, { leading: [], requests: [others] }, at, "decide").state;
    const batch: Entry = { kind: "batch", at, member: "a", batch: number };
    const own = followBatch(before, { leading: [batch], requests })!;
    const theirs = followBatch(before, { leading: [batch, ...entries], requests: [] })!;
    assertEquals(rows(own.state), rows(theirs.state));
    for (const [i, session] of senders.entries()) settle(session, requests[i]!, own.outcomes[i]!);
    state = own.state;
  }

  function settle(session: Session, part: Request, outcome: Outcome): void {
    const given = left.get(session)!;
    session.settle({ ...part, items: given }, outcome);
    left.set(session, given.slice(outcome.replies.length));
    const isOver = outcome.ending !== "open" || given[outcome.replies.length - 1] === END;
    if (isOver) sessions[sessions.indexOf(session)] = openNext();
  }
}

describe("a batch that is planned on an older state", () => {
  for (const strict of [false, true]) {
    it(`gives all members the same chat, ${strict ? "strict" : "default"} mode`, () => {
      withSeed((random) => {
        for (let round = 0; round < 150; round++) share(random, strict);
      });
    });
  }
});
