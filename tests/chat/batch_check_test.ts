/** Which messages in the stream of a shared chat are batches. */
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readSharedBatch } from "../../lib/chat/batch_check.ts";
import { encodeEntries } from "../../lib/chat/entry_codec.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import { DEFAULT_SETTINGS } from "../../lib/chat/settings.ts";
import { RULES } from "../../lib/chat/state.ts";

const SESSION = { member: 1, count: 2 };
const ACTOR = { session: SESSION, address: "10.0.0.1", peer: "10.0.0.1:5" };
const BATCH: Entry = { kind: "batch", at: 1, member: "a", batch: 1 };
const LEAVE: Entry = { kind: "leave", at: 1, member: "b" };
const command = (of: object) => ({ kind: "command", at: 1, actor: ACTOR, command: of }) as Entry;

/** An entry of each kind that may follow the first of a batch. */
const INNER: readonly Entry[] = [
  command({ name: "register", user: "Al" }),
  command({ name: "send", to: "Al", text: "hi" }),
  command({ name: "sendall", text: "hi" }),
  command({ name: "receive" }),
  command({ name: "logout" }),
  { kind: "take", actor: ACTOR, shown: { user: "Al", id: 1, through: 1 } },
  { kind: "end", at: 1, session: SESSION, address: "10.0.0.1" },
  { kind: "seen", at: 1, address: "10.0.0.1" },
  { kind: "forget", user: "Al", id: 1 },
  { kind: "forget", user: "Al", id: 1, freeSince: 1 },
  LEAVE,
  { kind: "return", user: "Al", id: 1, mail: { from: "Bob", text: "hi", network: "10.0.0.2" } },
];

const ALONE: readonly Entry[] = [
  { kind: "join", at: 1, member: "a", rules: RULES, settings: DEFAULT_SETTINGS },
  LEAVE,
  { kind: "raise", rules: 2 },
];

/** Copies of a value in each of which one field, at any depth, is missing or something else. */
function* spoiled(value: object): Generator<object> {
  for (const [name, field] of Object.entries(value)) {
    const others = [undefined, null, [], {}, typeof field === "string" ? 1 : "x"];
    if (typeof field === "number") others.push(-1);
    for (const other of others) yield { ...value, [name]: other };
    if (typeof field !== "object") continue;
    for (const inner of spoiled(field)) yield { ...value, [name]: inner };
  }
}

describe("readSharedBatch()", () => {
  it("reads what members send", () => {
    assertEquals(readSharedBatch(encodeEntries([BATCH, ...INNER])), [BATCH, ...INNER]);
    for (const entry of ALONE) assertEquals(readSharedBatch(encodeEntries([entry])), [entry]);
  });

  it("finds nothing in a message of another program, or in garbage", () => {
    const texts = [
      "",
      "x",
      "1",
      "null",
      "{}",
      "[]",
      "[0]",
      "[0,1]",
      "[0,null]",
      "[0,{}]",
      "\ufffd\0",
    ];
    texts.push("[".repeat(1_000_000), `[0,{"kind":"toString"}]`, `[0,{"kind":"__proto__"}]`);
    texts.push(JSON.stringify([BATCH]), JSON.stringify([BATCH, ...INNER]));
    for (const text of texts) assertEquals(readSharedBatch(text), undefined, text.slice(0, 100));
  });

  it("finds nothing where an entry has another form, as in a later release", () => {
    let count = 0;
    for (const entry of [BATCH, ...INNER, ...ALONE]) {
      for (const other of spoiled(entry)) {
        // Without this field any user of this id is forgotten.
        if (entry.kind === "forget" && !("freeSince" in other && other.freeSince !== undefined)) {
          if (JSON.stringify(other) === JSON.stringify({ ...entry, freeSince: undefined })) {
            continue;
          }
        }
        const isFirst = !INNER.includes(entry) || entry === LEAVE;
        const text = JSON.stringify([0, ...isFirst ? [other] : [BATCH, other]]);
        assertEquals(readSharedBatch(text), undefined, text);
        count++;
      }
    }
    assertEquals(count > 200, true);
  });

  it("finds nothing where entries stand in another order than members send them", () => {
    const [join] = ALONE as [Entry];
    const start: Entry = { kind: "start", at: 1, rules: 99, settings: DEFAULT_SETTINGS };
    for (const entries of [[start], [BATCH, start], [BATCH, BATCH], [join, LEAVE], [BATCH, join]]) {
      assertEquals(readSharedBatch(encodeEntries(entries)), undefined);
    }
    for (const entry of INNER.filter((entry) => entry !== LEAVE)) {
      assertEquals(readSharedBatch(encodeEntries([entry])), undefined);
    }
  });

  it("ends for a command with more or fewer arguments than it takes", () => {
    const group = (...rest: unknown[]) => [0, BATCH, [1, 2, "10.0.0.1", "10.0.0.1:5", 0, ...rest]];
    const rests = [["send"], ["send", "Al"], ["send", "Al", "1", "Bob"], ["register"]];
    rests.push(["wait", "1"], ["fly"], ["toString"], ["__proto__"], []);
    for (const rest of rests) {
      assertEquals(readSharedBatch(JSON.stringify(group(...rest))), undefined, `${rest}`);
    }
    // Superfluous arguments are no other command.
    assertEquals(readSharedBatch(JSON.stringify(group("receive", "x")))?.length, 2);
  });
});
