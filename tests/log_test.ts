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

  it("sums up refusals for one reason from one address", async () => {
    const { gate, log } = textLog();
    gate.open();
    for (let i = 0; i < 9; i++) log.refused("10.0.0.1", "http", { connection: i });
    log.refused("10.0.0.2", "http", { connection: 9 });
    await log.close(1000);
    assertEquals(gate.lines, [
      ...[0, 1, 2, 3, 4].map((connection) => `refused connection=${connection} reason=http`),
      "refused connection=9 reason=http",
      "refused-again address=10.0.0.1 reason=http times=4",
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

  it("keeps at most 400 sums, and one for the rest", async () => {
    const { gate, log } = textLog(10_000);
    gate.open();
    for (let i = 0; i < 900; i++) log.refused(`address-${i}`, "http", {});
    await log.close(1000);
    assertEquals(gate.lines.length, 400 + 5 + 1);
    assertEquals(gate.lines.at(-1), "others-again times=495");
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
