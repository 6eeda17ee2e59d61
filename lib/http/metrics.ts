/** The metrics in the format of Prometheus. `docs/metrics.md` describes each of them. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { CommandName } from "../protocol/command.ts";
import type { Meter } from "../meter.ts";
import type { MistakeCode } from "../protocol/mistake.ts";
import type { Reply } from "../protocol/reply.ts";
import type { Server } from "../server/server.ts";

/** The upper bounds of the buckets of each histogram (s): from 50 µs to 5 s. */
const BUCKETS_S = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05]
  .concat(0.1, 0.25, 0.5, 1, 2.5, 5);

/** Counts and times what it is told of. The server's own counts are read at each request. */
export class Metrics implements Meter {
  readonly #registry = new Registry();
  /** Counts by command and reply: adding to an object costs less than to a labelled counter. */
  readonly #replies = new Map<CommandName, Map<Reply["code"], { count: number }>>();
  readonly #mistakes = new Map<MistakeCode, number>();
  readonly #batch = this.#histogram(
    "batch",
    "From a batch's first command until its replies may leave",
  );
  readonly #commit = this.#histogram("commit", "Storing a batch's entries");

  constructor(version: string) {
    this.#counter(
      "commands",
      "Commands answered, by name and by the code of the reply",
      ["command", "result"],
      (counter) => {
        for (const [command, results] of this.#replies) {
          for (const [result, { count }] of results) counter.inc({ command, result }, count);
        }
      },
    );
    this.#counter("mistakes", "Connections ended by a mistake with bytes", ["code"], (counter) => {
      for (const [code, count] of this.#mistakes) counter.inc({ code }, count);
    });
    this.#gauge("resident_memory_bytes", "Memory of the process", () => Deno.memoryUsage().rss);
    this.#gauge("heap_used_bytes", "Memory of JavaScript's objects", () => {
      return Deno.memoryUsage().heapUsed;
    });
    new Gauge({
      name: "asvt_chat_build_info",
      help: "Always 1; the labels name the versions",
      labelNames: ["version", "deno"],
      registers: [this.#registry],
    }).set({ version, deno: Deno.version.deno }, 1);
  }

  /** Adds the metrics that a server counts itself. */
  observe(server: Server): void {
    const facts = () => server.facts;
    this.#gauge("connections", "Open connections", () => facts().connections);
    this.#gauge("users", "Registered users", () => facts().users);
    this.#gauge("waiting_messages", "Messages in all mailboxes", () => facts().waiting);
    this.#gauge("serving", "1 while it accepts and can store", () => Number(facts().isServing));
    this.#counter("bytes", "Bytes of all connections", ["direction"], (counter) => {
      const { bytes } = facts();
      counter.inc({ direction: "in" }, bytes.in);
      counter.inc({ direction: "out" }, bytes.out);
    });
  }

  replied(name: CommandName, code: Reply["code"]): void {
    let results = this.#replies.get(name);
    if (results === undefined) this.#replies.set(name, results = new Map());
    const result = results.get(code);
    if (result === undefined) results.set(code, { count: 1 });
    else result.count++;
  }

  mistaken(code: MistakeCode): void {
    this.#mistakes.set(code, (this.#mistakes.get(code) ?? 0) + 1);
  }

  batched(ms: number): void {
    this.#batch.observe(ms / 1000);
  }

  committed(ms: number): void {
    this.#commit.observe(ms / 1000);
  }

  /** All metrics as text. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** The media type of {@link text}. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  #histogram(name: string, help: string): Histogram {
    return new Histogram({
      name: `asvt_chat_${name}_seconds`,
      help,
      buckets: BUCKETS_S,
      registers: [this.#registry],
    });
  }

  #gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name: `asvt_chat_${name}`,
      help,
      registers: [this.#registry],
      collect() {
        this.set(value());
      },
    });
  }

  #counter(
    name: string,
    help: string,
    labelNames: string[],
    collect: (counter: Counter) => void,
  ): void {
    new Counter({
      name: `asvt_chat_${name}_total`,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        collect(this);
      },
    });
  }
}
