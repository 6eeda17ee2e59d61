import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { setTimeout as sleep } from "node:timers/promises";
import { Log } from "../lib/log.ts";

const decoder = new TextDecoder();

/** A sink that writes nothing until it is opened. */
class Gate {
  text = "";
  #opened = Promise.withResolvers<void>();

  async write(bytes: Uint8Array): Promise<number> {
    await this.#opened.promise;
    this.text += decoder.decode(bytes);
    return bytes.length;
  }

  open(): void {
    this.#opened.resolve();
  }

  /** The lines without their times. */
  get lines(): string[] {
    return this.text.trimEnd().split("\n").map((line) => line.replace(/^\S+ /, ""));
  }
}

function textLog(linesMax = 100, linesPerSMax = 100) {
  const gate = new Gate();
  return { gate, log: new Log(gate, { format: "text", linesMax, linesPerSMax }) };
}

describe("Log", () => {
  it("writes the time, the event and its fields", async () => {
    const { gate, log } = textLog();
    gate.open();
    log.event("connected", { connection: 1, peer: "127.0.0.1:5", user: "A b", none: undefined });
    await log.close(1000);
    assertMatch(gate.text, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /);
    assertEquals(gate.lines, ['connected connection=1 peer=127.0.0.1:5 user="A b"']);
  });

  it("does not wait for its reader, and says how many lines it dropped", async () => {
    const { gate, log } = textLog(3);
    log.event("first", {});
    await sleep(0);
    for (let i = 0; i < 10; i++) log.event(`later-${i}`, {});
    await log.close(10);
    assertEquals(gate.text, "");
    gate.open();
    await log.close(1000);
    assertEquals(gate.lines, ["first", "later-0", "later-1", "later-2", "dropped lines=7"]);
    log.event("last", {});
    await log.close(1000);
    assertEquals(gate.lines.at(-1), "last");
  });

  it("keeps half of the waiting lines free for what the server says of itself", async () => {
    const { gate, log } = textLog(10);
    for (let i = 0; i < 20; i++) log.clientEvent(`10.0.0.${i}`, "connected", { i });
    for (let i = 0; i < 5; i++) log.event("journal-failed", { i });
    await log.close(10);
    gate.open();
    await log.close(1000);
    assertEquals(gate.lines, [
      ...[0, 1, 2, 3, 4].map((i) => `connected i=${i}`),
      ...[0, 1, 2, 3, 4].map((i) => `journal-failed i=${i}`),
      "dropped lines=15",
    ]);
  });

  it("lets clients cause a number of lines a second, of which 10 s may come at once", async () => {
    const { gate, log } = textLog(10_000, 2);
    gate.open();
    for (let i = 0; i < 100; i++) log.clientEvent(`10.0.0.${i}`, "connected", { i });
    log.event("journal-failed", {});
    await log.close(1000);
    assertEquals(gate.lines.length, 20 + 2);
    assertEquals(gate.lines.slice(-2), ["journal-failed", "dropped lines=80"]);
    await sleep(600);
    log.clientEvent("10.0.0.1", "connected", {});
    await log.close(1000);
    assertEquals(gate.lines.at(-1), "connected");
  });

  it("loses the lines of a write that fails, and writes the next ones", async () => {
    let text = "";
    let isBroken = true;
    let tries = 0;
    const sink = {
      write: (bytes: Uint8Array) => {
        tries++;
        if (isBroken) return Promise.reject(new Deno.errors.BrokenPipe());
        text += decoder.decode(bytes);
        return Promise.resolve(bytes.length);
      },
    };
    const log = new Log(sink, { format: "text", linesMax: 10, linesPerSMax: 100 });
    const started = performance.now();
    for (const event of ["lost", "lost-too"]) {
      log.event(event, {});
      await log.close(10_000);
    }
    assert(performance.now() - started < 5_000, "close() waits for a reader that has gone away");
    assertEquals(tries, 2);
    isBroken = false;
    log.event("kept", {});
    await log.close(10_000);
    assertMatch(text, /^\S+ kept\n$/);
  });

  it("writes the rest after a short write", async () => {
    let text = "";
    const sink = {
      write: (bytes: Uint8Array) => {
        text += decoder.decode(bytes.subarray(0, 5));
        return Promise.resolve(Math.min(5, bytes.length));
      },
    };
    const log = new Log(sink, { format: "text", linesMax: 10, linesPerSMax: 100 });
    log.event("a-long-event", {});
    await log.close(1000);
    assertMatch(text, / a-long-event\n$/);
  });

  it("sums up refusals of a connection for one reason", async () => {
    const { gate, log } = textLog();
    gate.open();
    for (let i = 0; i < 9; i++) log.refused("10.0.0.1", "http", { connection: 1, i });
    log.refused("10.0.0.1", "tls", { connection: 1 });
    await log.close(1000);
    assertEquals(gate.lines, [
      ...[0, 1, 2, 3, 4].map((i) => `refused connection=1 i=${i} reason=http`),
      "refused connection=1 reason=tls",
      "refused-again address=10.0.0.1 reason=http connection=1 times=4",
    ]);
  });

  it("has a line for each of 40 clients behind one address with the same mistake", async () => {
    const { gate, log } = textLog();
    gate.open();
    for (let i = 0; i < 40; i++) log.refused("10.0.0.1", "big-endian", { connection: i });
    await log.close(1000);
    const expected = Array.from(
      { length: 40 },
      (_, i) => `refused connection=${i} reason=big-endian`,
    );
    assertEquals(gate.lines, expected);
  });

  it("lets no client of an address that repeats itself take the first line of another", async () => {
    const { gate, log } = textLog(1_000);
    gate.open();
    for (let i = 0; i < 40; i++) {
      for (let times = 0; times < 5; times++) {
        log.refused("10.0.0.1", "not-registered", { connection: i });
      }
    }
    await log.close(1000);
    const lines = gate.lines.filter((line) => line.startsWith("refused "));
    assertEquals(new Set(lines.map((line) => /connection=\d+/.exec(line)![0])).size, 40);
    assertEquals(lines.length, 10 * 5 + 30);
    assertEquals(
      gate.lines.at(-1),
      "refused-again address=10.0.0.1 reason=not-registered connection=39 times=4",
    );
  });

  it("has at most 100 lines of one kind from a network in 10 s", async () => {
    const { gate, log } = textLog(10_000, 1_000);
    gate.open();
    for (let i = 0; i < 150; i++) log.refused("10.0.0.1", "http", { connection: i });
    log.refused("10.0.0.1", "tls", { connection: 1 });
    await sleep(0);
    assertEquals(gate.lines.length, 101);
    await log.close(1000);
  });

  it("makes the further fields of a line only if it is written", async () => {
    const { gate, log } = textLog();
    gate.open();
    let made = 0;
    for (let i = 0; i < 1_000; i++) {
      log.refused("10.0.0.1", "no-such-user", { connection: 1 }, () => ({ made: ++made }));
    }
    await log.close(1000);
    assertEquals(made, 5);
    assertEquals(gate.lines[4], "refused connection=1 made=5 reason=no-such-user");
  });

  it("leaves half of the lines to other networks", async () => {
    const { gate, log } = textLog(10_000, 4);
    gate.open();
    for (let i = 0; i < 100; i++) log.refused("10.0.0.1", "http", { connection: i });
    for (let i = 0; i < 10; i++) log.refused("10.0.0.2", "http", { connection: 100 + i });
    const before = () => gate.lines.filter((line) => line.startsWith("refused connection=")).length;
    await sleep(0);
    assertEquals(before(), 20 + 10);
    await log.close(1000);
  });

  it("lets commands have lines of their own, which are not summed up", async () => {
    const { gate, log } = textLog(10_000, 2);
    gate.open();
    for (let i = 0; i < 30; i++) log.command(() => ({ connection: 1, i }));
    log.refused("10.0.0.1", "http", { connection: 1 });
    await log.close(1000);
    assertEquals(gate.lines, [
      ...Array.from({ length: 20 }, (_, i) => `command connection=1 i=${i}`),
      "refused connection=1 reason=http",
      "dropped lines=10",
    ]);
  });

  it("sums up every kind of event from one network", async () => {
    const { gate, log } = textLog();
    gate.open();
    for (let i = 0; i < 8; i++) log.clientEvent(`2001:db8:1:2::${i}`, "came-back", { i });
    for (let i = 0; i < 7; i++) log.event("journal-failed", { i });
    await log.close(1000);
    assertEquals(gate.lines, [
      ...[0, 1, 2, 3, 4].map((i) => `came-back i=${i}`),
      ...[0, 1, 2, 3, 4].map((i) => `journal-failed i=${i}`),
      'came-back-again address="2001:db8:1:2::/64" times=3',
      "journal-failed-again times=2",
    ]);
  });

  it("keeps at most 2,000 sums, 500 of them for the clients of a network", async () => {
    const { gate, log } = textLog(10_000, 10_000);
    gate.open();
    for (let i = 0; i < 600; i++) log.refused("10.0.0.1", "http", { connection: i });
    for (let i = 0; i < 1_900; i++) log.refused(`address-${i}`, "http", {});
    await log.close(1000);
    // 100 lines of the one network, and of the others those that have a sum, and 5 more.
    assertEquals(gate.lines.length, 100 + 1_499 + 5 + 2);
    assertEquals(gate.lines.slice(-2), [
      "refused-again address=10.0.0.1 reason=http times=500",
      "others-again times=396",
    ]);
  });

  it("writes nothing when it is off", async () => {
    const gate = new Gate();
    const log = new Log(gate, { format: "off", linesMax: 10, linesPerSMax: 100 });
    gate.open();
    log.event("connected", {});
    log.refused("a", "b", {});
    await log.close(1000);
    assertEquals(gate.text, "");
  });
});
