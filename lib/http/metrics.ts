/** The metrics in the format of Prometheus. `docs/metrics.md` describes each of them. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { type CommandName, commandNames } from "../protocol/command.ts";
import type { Meter } from "../meter.ts";
import { MISTAKE_CODES, type MistakeCode } from "../protocol/mistake.ts";
import { COMMAND_REPLY_CODES, type Reply } from "../protocol/reply.ts";
import type { Server } from "../server/server.ts";

/** The upper bounds of the buckets of each histogram (s): from 50 µs to 5 s. */
const BUCKETS_S = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05]
  .concat(0.1, 0.25, 0.5, 1, 2.5, 5);

/** Counts and times what it is told of. The server's own counts are read at each request. */
export class Metrics implements Meter {
  /** All metrics, as text and its media type. */
  readonly registry = new Registry();
  readonly #commands = new Counter({
    name: "asvt_chat_commands_total",
    help: "Commands answered, by name and by the code of the reply",
    labelNames: ["command", "result"],
    registers: [this.registry],
  });
  readonly #mistakes = new Counter({
    name: "asvt_chat_mistakes_total",
    help: "Connections ended by a mistake with bytes",
    labelNames: ["code"],
    registers: [this.registry],
  });
  readonly #batch = this.#histogram(
    "batch",
    "From a batch's first command until its replies may leave",
  );
  #logBytes = 0;
  readonly #commit = this.#histogram("commit", "Storing a batch's entries");

  constructor(version: string) {
    // An alert sees the first increase of a counter only if the counter was there before, at 0.
    for (const command of commandNames(false)) {
      for (const result of COMMAND_REPLY_CODES) this.#commands.inc({ command, result }, 0);
    }
    for (const code of MISTAKE_CODES) this.#mistakes.inc({ code }, 0);
    this.#gauge("resident_memory_bytes", "Memory of the process", () => Deno.memoryUsage().rss);
    this.#gauge("heap_used_bytes", "Memory of JavaScript's objects", () => {
      return Deno.memoryUsage().heapUsed;
    });
    this.#gauge("wal_bytes", "Size of the log (-wal) of --data", () => this.#logBytes);
    new Gauge({
      name: "asvt_chat_build_info",
      help: "Always 1; the labels name the versions",
      labelNames: ["version", "deno"],
      registers: [this.registry],
    }).set({ version, deno: Deno.version.deno }, 1);
  }

  /** Adds the metrics that a server counts itself. */
  observe(server: Server): void {
    this.#gauge("connections", "Open connections", () => server.facts.connections);
    this.#gauge("users", "Registered users", () => server.facts.users);
    this.#gauge("waiting_messages", "Messages in all mailboxes", () => server.facts.waiting);
    this.#gauge("serving", "1 while it accepts and can store", () => {
      return server.trouble === undefined ? 1 : 0;
    });
    new Counter({
      name: "asvt_chat_bytes_total",
      help: "Bytes of all connections",
      labelNames: ["direction"],
      registers: [this.registry],
      collect() {
        const { bytes } = server.facts;
        this.reset();
        this.inc({ direction: "in" }, bytes.in);
        this.inc({ direction: "out" }, bytes.out);
      },
    });
  }

  replied(command: CommandName, result: Reply["code"]): void {
    this.#commands.inc({ command, result });
  }

  mistaken(code: MistakeCode): void {
    this.#mistakes.inc({ code });
  }

  batched(ms: number): void {
    this.#batch.observe(ms / 1000);
  }

  committed(ms: number): void {
    this.#commit.observe(ms / 1000);
  }

  logBytes(bytes: number): void {
    this.#logBytes = bytes;
  }

  #histogram(name: string, help: string): Histogram {
    return new Histogram({
      name: `asvt_chat_${name}_seconds`,
      help,
      buckets: BUCKETS_S,
      registers: [this.registry],
    });
  }

  #gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name: `asvt_chat_${name}`,
      help,
      registers: [this.registry],
      collect() {
        this.set(value());
      },
    });
  }
}
