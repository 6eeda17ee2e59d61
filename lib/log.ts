/** The log: a line an event, written without ever holding up the server. */
import { within } from "./clock.ts";
import { quoted } from "./text/printable.ts";

/** The values of an event. Strings may come from the wire: they are escaped. */
export type Fields = Readonly<Record<string, string | number | undefined>>;

/** Where the bytes of the log go; `Deno.stderr` is one. */
export interface Sink {
  write(bytes: Uint8Array): Promise<number>;
}

export interface LogOptions {
  readonly format: string;
  /** Lines that may wait to be written; more are dropped and counted. */
  readonly linesMax: number;
  /** Repeated refusals are summed up for so long, in milliseconds. */
  readonly sumMs?: number;
}

/** So many refusals for the same reason from the same address have a line each; further ones a sum. */
const LINES_BEFORE_SUM = 5;
/** So many different refusals are summed up apart; further ones go into one sum. */
const SUMS_MAX = 1_000;

const encoder = new TextEncoder();

/** Writes events to a sink, in the background and in order. */
export class Log {
  #sink: Sink;
  #format: string;
  #linesMax: number;
  #sumMs: number;
  #lines: string[] = [];
  #dropped = 0;
  #writing: Promise<void> | undefined;
  #sums = new Map<string, { fields: Fields; times: number }>();
  #sumTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(sink: Sink, { format, linesMax, sumMs = 10_000 }: LogOptions) {
    this.#sink = sink;
    this.#format = format;
    this.#linesMax = linesMax;
    this.#sumMs = sumMs;
  }

  /** Logs an event. */
  event(name: string, fields: Fields): void {
    if (this.#format === "off") return;
    if (this.#lines.length >= this.#linesMax) {
      this.#dropped++;
      return;
    }
    this.#lines.push(formatLine(this.#format, name, fields));
    this.#writing ??= this.#write();
  }

  /** Logs a refusal; the sixth and further ones of a kind from an address are counted for a while. */
  refused(address: string, reason: string, fields: Fields): void {
    if (this.#format === "off") return;
    const key = this.#sums.size < SUMS_MAX ? `${address} ${reason}` : "others";
    const sum = this.#sums.get(key);
    const times = (sum?.times ?? 0) + 1;
    const about = key === "others" ? {} : { address, reason };
    this.#sums.set(key, { fields: about, times });
    if (times <= LINES_BEFORE_SUM) this.event("refused", { ...fields, reason });
    this.#sumTimer ??= setTimeout(() => this.#writeSums(), this.#sumMs);
  }

  /** Writes what waits, sums included, but takes no longer than `ms` milliseconds. */
  async close(ms: number): Promise<void> {
    this.#writeSums();
    if (this.#writing !== undefined) await within(ms, this.#writing);
  }

  #writeSums(): void {
    clearTimeout(this.#sumTimer);
    this.#sumTimer = undefined;
    for (const { fields, times } of this.#sums.values()) {
      const more = times - LINES_BEFORE_SUM;
      if (more > 0) this.event("refused-again", { ...fields, times: more });
    }
    this.#sums.clear();
  }

  async #write(): Promise<void> {
    await Promise.resolve();
    while (this.#lines.length > 0 || this.#dropped > 0) {
      const lines = this.#lines.splice(0);
      if (this.#dropped > 0) {
        lines.push(formatLine(this.#format, "dropped", { lines: this.#dropped }));
        this.#dropped = 0;
      }
      let bytes = encoder.encode(lines.join(""));
      try {
        while (bytes.length > 0) bytes = bytes.subarray(await this.#sink.write(bytes));
      } catch {
        // Nobody can be told that the log can't be written: its reader has gone away.
      }
    }
    this.#writing = undefined;
  }
}

function formatLine(format: string, event: string, fields: Fields): string {
  const time = new Date().toISOString();
  const known = Object.entries(fields).filter(([, value]) => value !== undefined);
  if (format === "json") {
    const members = known.map(([key, value]) =>
      `${quoted(key)}:${typeof value === "number" ? value : quoted(value!)}`
    );
    return `{"time":"${time}","event":"${event}"${
      members.map((member) => "," + member).join("")
    }}\n`;
  }
  const pairs = known.map(([key, value]) =>
    ` ${key}=${typeof value === "number" || /^[\w.:[\]-]+$/.test(value!) ? value : quoted(value!)}`
  );
  return `${time} ${event}${pairs.join("")}\n`;
}
