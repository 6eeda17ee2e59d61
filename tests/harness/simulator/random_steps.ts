/** Random steps for each kind of simulation. */
import type { ModelSettings } from "./model.ts";
import { pick, randomFrom, wholeBelow } from "../../random.ts";
import type { ClusterStep } from "./cluster_steps.ts";
import { BAD_BYTE, type Words } from "./model_batches.ts";
import type { Step } from "./steps.ts";

const NAMES = ["Al", "Bob", "Cy", "Dan", "👍👍👍"];
const ODD_NAMES = ["too long", "", BAD_BYTE, "x".repeat(80)];
const TEXTS = ["", "hi", "1", "22", "333", "👍👍👍👍"];
const ODD_TEXTS = ["a text that is too long", BAD_BYTE, "x".repeat(80)];

/** Addresses: the second and the third are of one network. */
function addressOf(number: number): string {
  return number === 1 || number === 2 ? `fd00:0:0:1::${number}` : `10.0.0.${number + 1}`;
}

type Random = () => number;

function randomSettings(random: Random): ModelSettings {
  return {
    strict: random() < 0.3,
    nameSymbolsMax: 3 + wholeBelow(random, 3),
    textSymbolsMax: 4 + wholeBelow(random, 3),
    usersMax: 1 + wholeBelow(random, pick(random, [6, 14])),
    usersPerAddressMax: wholeBelow(random, pick(random, [4, 11])),
    mailboxMessagesMax: 1 + wholeBelow(random, 4),
    mailboxBroadcastsMax: wholeBelow(random, 5),
    messagesMax: 1 + wholeBelow(random, pick(random, [14, 60])),
    messagesPerAddressMax: wholeBelow(random, pick(random, [5, 60])),
    usersExpireH: 0,
  };
}

function randomWords(random: Random, session: number): Words {
  const usual = [...NAMES, `S${session}`, `S${session}`];
  const name = () => pick(random, random() < 0.05 ? ODD_NAMES : usual);
  const text = () => pick(random, random() < 0.05 ? ODD_TEXTS : TEXTS);
  return pick<() => Words>(random, [
    () => ["register", name()],
    () => ["register", name()],
    () => ["register", name()],
    () => ["send", name(), text()],
    () => ["send", name(), text()],
    () => ["send", name(), text()],
    () => ["send", name(), text()],
    () => ["sendall", text()],
    () => ["sendall", text()],
    () => ["sendall", text()],
    () => ["receive"],
    () => ["wait", "0"],
    () => ["wait", "9"],
    () => ["wait", "9"],
    () => [pick(random, ["users", "users", "ping", "help"])],
    () => pick<Words>(random, [["logout"], ["logout"], ["Users"], ["wait", "soon"]]),
  ])();
}

function randomStep(random: Random, sessions: number, addresses: number): Step {
  const session = 1 + wholeBelow(random, sessions);
  const command = (): Step => ({
    kind: "command",
    session,
    address: addressOf(session % addresses),
    words: randomWords(random, session),
    later: random() < 0.3 ? wholeBelow(random, 40) : 0,
  });
  const kind = random();
  if (kind < 0.6) return command();
  if (kind < 0.72) return { kind: "commit" };
  if (kind < 0.78) return { kind: pick(random, ["ends", "breaks", "is late"]), session };
  return pick<() => Step>(random, [
    () => ({ kind: "commit" }),
    () => ({ kind: "commit fails" }),
    () => ({ kind: "commit fails" }),
    () => ({ kind: "crash" }),
    () => ({ kind: "crash after the commit" }),
    () => ({ kind: "snapshot" }),
    () => ({ kind: "snapshot begins" }),
    () => ({ kind: "snapshot goes on" }),
    () => ({ kind: "snapshot goes on" }),
    () => ({ kind: "snapshot goes on" }),
    () => ({ kind: "time passes", ms: pick(random, [1, 10, 3_600_000]) }),
    () => ({ kind: "forget after", ms: pick(random, [1, 10, 3_600_000]) }),
    () => ({ kind: "start", settings: randomSettings(random) }),
  ])();
}

/** The steps of a round with one server. A seed always gives the same steps. */
export function randomSteps(seed: number): Step[] {
  const random = randomFrom(seed);
  const sessions = pick(random, [2, 4, 6, 12]);
  const addresses = 1 + wholeBelow(random, 3);
  const start: Step = { kind: "start", settings: randomSettings(random) };
  const length = 20 + wholeBelow(random, 41);
  return [start, ...Array.from({ length }, () => randomStep(random, sessions, addresses))];
}

/** Settings with more room for mail, as this simulation follows each message. */
function randomClusterSettings(random: Random): ModelSettings {
  return {
    ...randomSettings(random),
    strict: random() < 0.2,
    usersMax: 2 + wholeBelow(random, 8),
    usersPerAddressMax: 1 + wholeBelow(random, 4),
    mailboxMessagesMax: 1 + wholeBelow(random, 6),
    mailboxBroadcastsMax: wholeBelow(random, 7),
    messagesMax: 4 + wholeBelow(random, 40),
    messagesPerAddressMax: 1 + wholeBelow(random, pick(random, [6, 40])),
  };
}

/** A random command. `text` returns a new text each time, so that no two messages are alike. */
function clusterWords(random: Random, strict: boolean, session: number, text: () => string): Words {
  const name = () => random() < 0.03 ? pick(random, ["too long", ""]) : pick(random, NAMES);
  const own = () => random() < 0.7 ? NAMES[session % NAMES.length]! : name();
  const some = () => random() < 0.03 ? "a text that is too long" : text();
  return pick<() => Words>(random, [
    () => ["register", own()],
    () => ["register", own()],
    () => ["register", own()],
    () => ["register", own()],
    () => ["send", name(), some()],
    () => ["send", name(), some()],
    () => ["send", name(), some()],
    () => ["send", name(), some()],
    () => ["sendall", some()],
    () => ["sendall", some()],
    () => ["sendall", some()],
    () => ["receive"],
    () => ["receive"],
    () => ["receive"],
    () => ["receive"],
    () => ["users"],
    () => random() < 0.2 ? ["logout"] : [pick(random, strict ? ["users"] : ["ping", "help"])],
    () => strict ? ["users"] : ["wait", "0"],
    () => strict ? ["receive"] : ["wait", "9"],
    () => strict ? ["receive"] : ["wait", "9"],
  ])();
}

function randomServerStep(random: Random, server: number, settings: ModelSettings): ClusterStep {
  const event = (kind: ClusterStep["kind"]) => ({ kind, server }) as ClusterStep;
  const kind = random();
  if (kind < 0.25) return { kind: "reads", server, amount: 1 + wholeBelow(random, 4) };
  if (kind < 0.4) return event("ends its batch");
  if (kind < 0.55) return event("is heard");
  return pick<() => ClusterStep>(random, [
    () => event("starts"),
    () => event("starts"),
    () => event("starts"),
    () => event("starts"),
    () => event(pick(random, ["dies", "stops"])),
    () => event("sleeps"),
    () => event("sleeps"),
    () => event("wakes"),
    () => event("wakes"),
    () => event("is cut off"),
    () => event("is cut off"),
    () => event("is cut off"),
    () => event("is cut off"),
    () => event("is connected again"),
    () => event("is connected again"),
    () => event("is heard and not told"),
    () => event("is heard and not told"),
    () => event("is heard and sends again"),
    () => event("is heard and sends again"),
    () => event("is heard late"),
    () => event("is heard late"),
    () => event("is not heard"),
    () => event("gets its question through"),
    () => event("gets its question through"),
    () => event("checks its peers"),
    () => event("stores its snapshot"),
    () => event("stores its snapshot"),
    () => event("stores its snapshot"),
    () => event("stores its snapshot"),
    () => event("seems to skip a batch"),
    () => event("meets a foreign message"),
    () => ({
      ...{ kind: "moves its clock by", server },
      amount: pick(random, [-3_600_000, -10, 10, 3_600_000]),
    }),
    () => ({ kind: "forgets after", server, amount: pick(random, [1, 10, 1_000, 3_600_000]) }),
    () => ({
      kind: "joins as",
      server,
      settings: { ...settings, usersMax: settings.usersMax + 1 },
    }),
  ])();
}

/** The steps of a round with several servers. A seed always gives the same steps. */
export function randomClusterSteps(seed: number): ClusterStep[] {
  const random = randomFrom(seed);
  const count = 2 + wholeBelow(random, 3);
  const sessions = 2 + wholeBelow(random, 5);
  const addresses = pick(random, [1, 3, sessions, sessions]);
  const settings = randomClusterSettings(random);
  const lengthMax = pick(random, [150, 300, 100_000]);
  let texts = 0;
  const commandOf = (session: number, words: Words): ClusterStep => {
    const server = 1 + wholeBelow(random, count);
    const address = addressOf(session % addresses);
    return { kind: "command", session, address, server, words, more: random() < 0.3 };
  };
  const command = (): ClusterStep => {
    const session = 1 + wholeBelow(random, sessions);
    const text = () => String(++texts);
    return commandOf(session, clusterWords(random, settings.strict, session, text));
  };
  // The shares of the kinds of steps. They decide whether the network is good or bad, and how much
  // happens to the servers.
  const goesOn = pick(random, [0.06, 0.2, 0.2]);
  const slowness = pick(random, [0.06, 0.06, 0.2]);
  const events = pick(random, [0.1, 0.3]);
  // The share of steps that store a snapshot or remove the messages in it.
  const purges = pick(random, [0.02, 0.02, 0.12]);
  const step = (): ClusterStep => {
    const kind = random();
    if (kind < goesOn) return { kind: "all goes on" };
    if (kind < goesOn + slowness) {
      return { kind: "time passes", ms: pick(random, [1, 300, 600, 1_100, 2_100, 6_000, 6_000]) };
    }
    if (kind < goesOn + slowness + events) {
      return randomServerStep(random, 1 + wholeBelow(random, count), settings);
    }
    if (kind > 1 - purges) {
      const server = 1 + wholeBelow(random, count);
      return random() < 0.5
        ? { kind: "stores its snapshot", server }
        : { kind: "the stream is purged" };
    }
    if (kind < 0.97 - purges) return command();
    return { kind: pick(random, ["ends", "breaks"]), session: 1 + wholeBelow(random, sessions) };
  };
  const starts = Array.from({ length: count }, (_, index): ClusterStep => {
    return { kind: "starts", server: index + 1 };
  });
  const names = Array.from({ length: sessions }, (_, index) => {
    return commandOf(index + 1, ["register", NAMES[(index + 1) % NAMES.length]!]);
  });
  const length = 30 + wholeBelow(random, 71);
  return [
    { kind: "servers", count, lengthMax, settings },
    ...starts,
    { kind: "all goes on" },
    ...names,
    { kind: "all goes on" },
    ...Array.from({ length }, step),
  ];
}
