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

function textLog(linesMax = 100) {
  const gate = new Gate();
  return { gate, log: new Log(gate, { format: "text", linesMax }) };
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
    for (let i = 0; i < 10; i++) log.event("later", { i });
    await log.close(10);
    assertEquals(gate.text, "");
    gate.open();
    await log.close(1000);
    assertEquals(gate.lines, ["first", "later i=0", "later i=1", "later i=2", "dropped lines=7"]);
    log.event("last", {});
    await log.close(1000);
    assertEquals(gate.lines.at(-1), "last");
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
    const log = new Log(sink, { format: "text", linesMax: 10 });
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
    const log = new Log(sink, { format: "text", linesMax: 10 });
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

  it("keeps at most 1,000 sums, and one for the rest", async () => {
    const { gate, log } = textLog(10_000);
    gate.open();
    for (let i = 0; i < 3000; i++) log.refused(`address-${i}`, "http", {});
    await log.close(1000);
    assertEquals(gate.lines.length, 1000 + 5 + 1);
    assertEquals(gate.lines.at(-1), "refused-again times=1995");
  });

  it("writes nothing when it is off", async () => {
    const gate = new Gate();
    const log = new Log(gate, { format: "off", linesMax: 10 });
    gate.open();
    log.event("connected", {});
    log.refused("a", "b", {});
    await log.close(1000);
    assertEquals(gate.text, "");
  });
});
