/** Batches in all their modes, beside the same items one by one. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Batch,
  type BatchMode,
  type BatchResult,
  followBatch,
  type Item,
  type Outcome,
  type Request,
  stepBatch,
} from "../../lib/chat/batch.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import { read } from "../../lib/chat/mailboxes.ts";
import { type ChatState, emptyChat } from "../../lib/chat/state.ts";
import { pick, wholeBelow, withSeed } from "../random.ts";
import {
  END,
  items,
  randomRequests,
  REFUSED,
  replayed,
  rows,
  Session,
  SETTINGS,
  textOf,
  textsOf,
} from "./batches.ts";

const AWAY = "Storage is not available, try again!";
const NOT_REGISTERED = "U aren't registered!";
const SENT = "Message added to storage!";

/** A chat in which these sessions have registered, each with an address of its own. */
function chatOf(...names: string[]): { state: ChatState; sessions: Session[] } {
  let state = emptyChat(SETTINGS);
  const sessions = names.map((name, i) => {
    const session = new Session({ member: 0, count: i + 1 }, `10.0.0.${i + 1}`);
    state = play(state, session.request(...items(`register ${name}`))).state;
    return session;
  });
  return { state, sessions };
}

function play(state: ChatState, ...requests: Request[]): BatchResult {
  return stepBatch(state, { leading: [], requests }, 1, "decide");
}

function refuse(state: ChatState, ...requests: Request[]): BatchResult {
  return stepBatch(state, { leading: [], requests }, 1, "refuse");
}

/** The replies to each request. */
function replies({ outcomes }: BatchResult): string[][] {
  return outcomes.map((outcome) => outcome.replies.map(textOf));
}

function kinds({ entries }: BatchResult): string[] {
  return entries.map((entry) => entry.kind === "command" ? entry.command.name : entry.kind);
}

function mailOf({ users, mailboxes }: ChatState, name: string): string[] {
  return read(mailboxes, users.byName.get(name)!.id).map(({ text }) => text);
}

/** The same as `stepBatch`, in a batch for each item. */
function stepOneByOne(
  before: ChatState,
  { leading, requests }: Batch,
  at: number,
  mode: BatchMode,
): Omit<BatchResult, "leadingReplies" | "changed"> {
  let state = before;
  const entries: Entry[] = [];
  const next = (batch: Batch): Outcome | undefined => {
    const result = stepBatch(state, batch, at, mode);
    state = result.state;
    entries.push(...result.entries);
    return result.outcomes[0];
  };
  for (const entry of leading) next({ leading: [entry], requests: [] });
  const outcomes = requests.map((request) => {
    let { session } = request;
    const single = (single: Partial<Request>) => {
      const outcome = next({ leading: [], requests: [{ session, items: [], ...single }] })!;
      session = { ...session, shown: outcome.shown };
      return outcome;
    };
    const { parkedReply } = single({ parked: request.parked });
    const all: Outcome["replies"][number][] = [];
    for (const item of request.items) {
      const { blockedBy, ending, replies: [...some] } = single({ items: [item] });
      all.push(...some);
      if (blockedBy !== undefined || ending !== "open") {
        return { parkedReply, replies: all, shown: session.shown, blockedBy, ending };
      }
    }
    return { parkedReply, replies: all, shown: session.shown, ending: "open" } as const;
  });
  return { state, entries, outcomes };
}

/** A random entry that no session has made. */
function randomLeading(random: () => number, { users }: ChatState, at: number): Entry {
  const user = pick(random, [...users.byId.values(), { name: "Eve", id: 99, address: "" }]);
  const address = `10.0.0.${wholeBelow(random, 3)}`;
  return pick<Entry>(random, [
    { kind: "forget", user: user.name, id: user.id },
    { kind: "seen", at, address },
    { kind: "end", at, session: { member: 0, count: 1 + wholeBelow(random, 9) }, address },
    {
      kind: "return",
      user: user.name,
      id: user.id,
      mail: { from: "Al", text: "back", network: "10.0.0.1" },
    },
  ]);
}

/** Checks that these mailboxes are all that are not the same in both states. */
function checkChanged(before: ChatState, { state, changed }: BatchResult): void {
  if (changed === "all") return;
  const named = new Set(changed);
  const mail = ({ users, mailboxes }: ChatState, id: number) =>
    JSON.stringify(users.byId.get(id) && read(mailboxes, id));
  for (const { id } of [...before.users.byId.values(), ...state.users.byId.values()]) {
    if (!named.has(id)) assertEquals(mail(state, id), mail(before, id));
  }
}

/** Steps random batches, each of them at once and one by one. */
function compare(random: () => number, strict: boolean, mode: BatchMode): void {
  let state = emptyChat({ ...SETTINGS, strict });
  let at = 0;
  let opened = 0;
  const open = () => new Session({ member: 0, count: ++opened }, `10.0.0.${opened % 3}`);
  const sessions = Array.from({ length: 5 }, open);
  let last: { outcomes: readonly Outcome[]; texts: unknown } = { outcomes: [], texts: [] };
  for (let batches = 0; batches < 20; batches++) {
    at += wholeBelow(random, 4_000_000);
    const requests = randomRequests(random, sessions);
    const leading = random() < 0.3 ? [randomLeading(random, state, at)] : [];
    const before = rows(state);
    // The chat goes on by what is decided, so that a refused batch meets a chat with mail.
    const used = random() < 0.5 ? "decide" : mode;
    const result = stepBatch(state, { leading, requests }, at, used);
    const single = stepOneByOne(state, { leading, requests }, at, used);
    assertEquals(result.outcomes.map(textsOf), single.outcomes.map(textsOf));
    assertEquals(result.entries, single.entries);
    assertEquals(rows(result.state), rows(single.state));
    assertEquals(rows(replayed(state, result.entries)), rows(result.state));
    assertEquals(result.state === state, result.entries.length === 0);
    assertEquals(rows(state), before);
    assertEquals(last.outcomes.map(textsOf), last.texts);
    checkChanged(state, result);
    last = { outcomes: result.outcomes, texts: result.outcomes.map(textsOf) };
    state = result.state;
    for (const [i, request] of requests.entries()) {
      const place = sessions.findIndex(({ actor }) => actor === request.session.actor);
      if (request.items.at(-1) === END) sessions[place] = open();
      else sessions[place]!.settle(request, result.outcomes[i]!);
    }
  }
}

describe("stepBatch()", () => {
  for (const strict of [false, true]) {
    for (const mode of ["decide", "follow", "refuse"] as const) {
      const name = `${mode}, ${strict ? "strict" : "default"} mode`;
      it(`makes of random batches what it makes of their items one by one: ${name}`, () => {
        withSeed((random) => {
          for (let round = 0; round < 60; round++) compare(random, strict, mode);
        });
      });
    }
  }

  it("returns the state itself, and nothing to store, for items that only read", () => {
    const { state, sessions: [al] } = chatOf("Al");
    const result = play(state, al!.request(...items("users", "ping", "receive", "send Eve 1")));
    assertEquals(result.state === state, true);
    assertEquals([result.entries, [...result.changed]], [[], []]);
  });

  it("shows mail to a `wait`, and takes it before the next whole command", () => {
    const { state, sessions: [al] } = chatOf("Al");
    const result = play(state, al!.request(...items("send Al 1", "wait", "send Al 2", "wait")));
    assertEquals(replies(result), [[SENT, "mail, Al: 1", SENT, "mail, Al: 2"]]);
    assertEquals(kinds(result), ["send", "take", "send"]);
    assertEquals(mailOf(result.state, "Al"), ["2"]);
    assertEquals(result.outcomes[0]!.shown?.through, 2);
    al!.settle(al!.request(), result.outcomes[0]!);
    const next = play(result.state, al!.request(REFUSED));
    assertEquals([kinds(next), mailOf(next.state, "Al")], [["take"], []]);
  });

  it("takes no mail before the end of a session", () => {
    const { state, sessions: [al] } = chatOf("Al");
    const result = play(state, al!.request(...items("send Al 1", "wait"), END));
    assertEquals(kinds(result), ["send", "end"]);
    assertEquals(mailOf(result.state, "Al"), ["1"]);
  });

  it("takes nothing for a session that has become another user", () => {
    const { state, sessions: [al] } = chatOf("Al");
    const wait = play(state, al!.request(...items("send Al 1", "wait")));
    al!.settle(al!.request(), wait.outcomes[0]!);
    const other = replayed(wait.state, [{
      kind: "command",
      at: 1,
      actor: al!.actor,
      command: { name: "register", user: "Bob" },
    }]);
    const result = play(other, al!.request(...items("ping")));
    assertEquals([kinds(result), mailOf(result.state, "Al")], [[], ["1"]]);
  });

  it("ends a parked `wait` before the first item", () => {
    const { state, sessions: [al, bob] } = chatOf("Al", "Bob");
    const parked = play(state, al!.request(...items("wait")));
    al!.settle(al!.request(...items("wait")), parked.outcomes[0]!);
    const result = play(
      state,
      bob!.request(...items("send Al 1")),
      al!.request(...items("send Al 2", "receive")),
    );
    const [, { parkedReply }] = result.outcomes as [Outcome, Outcome];
    assertEquals(textOf(parkedReply), "mail, Bob: 1");
    assertEquals(replies(result), [[SENT], [SENT, "mail, Al: 2"]]);
    assertEquals(kinds(result), ["send", "take", "send", "receive"]);
    const ended = play(state, bob!.request(...items("send Al 1")), al!.request());
    assertEquals(textOf(ended.outcomes[1]!.parkedReply), "mail, Bob: 1");
    assertEquals(ended.outcomes[1]!.shown?.through, 1);
  });

  it("tells a parked `wait` that its user is gone", () => {
    const { state, sessions: [al] } = chatOf("Al");
    al!.settle(
      al!.request(...items("wait")),
      play(state, al!.request(...items("wait"))).outcomes[0]!,
    );
    const { id } = state.users.byName.get("Al")!;
    const leading: Entry[] = [{ kind: "forget", user: "Al", id }];
    const result = stepBatch(state, { leading, requests: [al!.request()] }, 1, "decide");
    assertEquals(textOf(result.outcomes[0]!.parkedReply), NOT_REGISTERED);
  });

  it("does nothing from the command on that another session blocks", () => {
    const { state, sessions: [al] } = chatOf("Al");
    const other = new Session({ member: 0, count: 9 }, al!.actor.address);
    const request = other.request(...items("ping", "receive", "send Al 1"));
    const result = play(state, request);
    assertEquals(replies(result), [["pong"]]);
    assertEquals(result.outcomes[0]!.blockedBy, al!.actor.session);
    assertEquals(result.state === state, true);
    other.settle(request, result.outcomes[0]!);
    const next = play(state, other.request(...items("receive", "register Al")));
    assertEquals(replies(next), [[NOT_REGISTERED, "'Al' already exists!"]]);
    assertEquals(next.outcomes[0]!.blockedBy, undefined);
    // The session in the way may end in the same batch.
    const free = play(state, al!.request(END), other.request(...items("register Al")));
    assertEquals(replies(free), [["-"], ["Nice to see you, Al"]]);
  });

  it("takes what was shown before a command that another session blocks", () => {
    const { state, sessions: [al] } = chatOf("Al");
    const other = new Session({ member: 0, count: 9 }, al!.actor.address);
    const registered = play(state, other.request(...items("register Bob"))).state;
    const result = play(registered, al!.request(...items("send Al 1", "wait", "register Bob")));
    assertEquals(result.outcomes[0]!.blockedBy, other.actor.session);
    assertEquals([result.outcomes[0]!.shown, mailOf(result.state, "Al")], [undefined, []]);
  });

  it("drops what is behind the reply that ends a connection in strict mode", () => {
    const strict = emptyChat({ ...SETTINGS, strict: true });
    const al = new Session({ member: 0, count: 1 }, "10.0.0.1");
    const state = play(strict, al.request(...items("register Al"))).state;
    const bad = { code: "text-undecodable" } as const;
    const endings: [Item, Outcome["ending"]][] = [
      [items("register Bob")[0]!, "close"],
      [items("send Al too long")[0]!, "close"],
      [{ kind: "refused", name: "send", reply: bad }, "silent"],
    ];
    for (const [item, ending] of endings) {
      const result = play(state, al.request(...items("ping"), item, ...items("send Al 1"), END));
      assertEquals(replies(result)[0]!.length, 2);
      assertEquals([result.outcomes[0]!.ending, result.entries], [ending, []]);
    }
  });
});

describe("stepBatch() of a batch that could not be stored", () => {
  it("refuses each command that would change the state, and replies to the rest", () => {
    const { state, sessions: [al] } = chatOf("Al");
    const { state: full } = play(state, al!.request(...items("send Al 1")));
    const result = refuse(
      full,
      al!.request(...items("send Al 2", "receive", "users", "wait", "send Eve 1", "logout")),
    );
    const gone = "User 'Eve' doesn't exist!";
    assertEquals(replies(result), [[AWAY, AWAY, "users: Al", "mail, Al: 1", gone, AWAY]]);
    assertEquals(result.state === full, true);
    assertEquals(result.entries, []);
  });

  it("goes on to show what was shown, as nothing is taken", () => {
    const { state, sessions: [al] } = chatOf("Al");
    const wait = play(state, al!.request(...items("send Al 1", "wait")));
    al!.settle(al!.request(), wait.outcomes[0]!);
    const { outcomes: [outcome] } = refuse(wait.state, al!.request(...items("ping")));
    assertEquals(outcome!.shown, wait.outcomes[0]!.shown);
  });

  it("keeps what leads it, and the ends of sessions", () => {
    const { state, sessions: [al, bob] } = chatOf("Al", "Bob");
    const { id } = state.users.byName.get("Bob")!;
    const leading: Entry[] = [{ kind: "forget", user: "Bob", id }];
    const requests = [al!.request(...items("send Al 1"), END), bob!.request(...items("receive"))];
    const result = stepBatch(state, { leading, requests }, 1, "refuse");
    assertEquals(kinds(result), ["forget", "end"]);
    assertEquals(replies(result), [[AWAY, "-"], [NOT_REGISTERED]]);
    const { users } = result.state;
    assertEquals(users.presence.get(users.byName.get("Al")!.id)!.session, undefined);
  });
});

describe("followBatch()", () => {
  const join = (member: string): Entry => {
    return { kind: "join", at: 1, member, rules: 1, settings: SETTINGS };
  };
  const batch = (number: number, at = 1): Entry => {
    return { kind: "batch", at, member: "a", batch: number };
  };
  const follow = (state: ChatState, first: Entry, ...requests: Request[]) =>
    followBatch(state, { leading: [first], requests });
  const joined = () => replayed(emptyChat(SETTINGS), [join("a"), join("b")]);
  const open = (count: number) => new Session({ member: 1, count }, "10.0.0.1");

  it("never lets a command wait for another session", () => {
    const [al, other] = [open(1), open(2)];
    const { state } = follow(joined(), batch(1), al.request(...items("register Al")))!;
    const result = follow(state, batch(2), other.request(...items("register Al", "ping")))!;
    assertEquals(replies(result), [["'Al' already exists!", "pong"]]);
    assertEquals(result.outcomes[0]!.blockedBy, undefined);
  });

  it("lets all happen at one time, which never goes back", () => {
    const [al, bob] = [open(1), open(2)];
    const register = al.request(...items("register Al"));
    const { state } = follow(joined(), batch(1, 5_000), register)!;
    assertEquals(state.members.at, 5_000);
    const since = ({ users }: ChatState, name: string) =>
      users.presence.get(users.byName.get(name)!.id)!.freeSince;
    const end: Entry = { kind: "end", at: 7, session: al.actor.session, address: "" };
    const requests = [bob.request(...items("register Bob"), END)];
    const early = followBatch(state, { leading: [batch(2, 20), end], requests })!;
    assertEquals([since(early.state, "Al"), since(early.state, "Bob")], [5_000, 5_000]);
    const later = followBatch(state, { leading: [batch(2, 9_000), end], requests })!;
    assertEquals([since(later.state, "Al"), since(later.state, "Bob")], [9_000, 9_000]);
  });

  it("has no effect for a batch that is not the next one of its member", () => {
    const register = open(1).request(...items("register Al"));
    for (const number of [0, 2, 3]) {
      assertEquals(follow(joined(), batch(number), register), undefined);
    }
    const left = replayed(joined(), [{ kind: "leave", at: 1, member: "a" }]);
    assertEquals(follow(left, batch(1), register), undefined);
    const { state } = follow(joined(), batch(1), register)!;
    assertEquals(follow(state, batch(1), register), undefined);
    assert(follow(state, batch(2), register) !== undefined);
  });

  it("replies to the entries that lead a batch", () => {
    const { actor } = open(1);
    const command: Entry = { kind: "command", at: 1, actor, command: { name: "ping" } };
    const { leadingReplies } = followBatch(joined(), {
      leading: [batch(1), command],
      requests: [],
    })!;
    assertEquals(leadingReplies.map(textOf), ["-", "pong"]);
  });
});
